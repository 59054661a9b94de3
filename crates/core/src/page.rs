//! Lists, a page at a time.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Where a page ends and the next begins. Opaque to callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor(pub [u8; 16]);

impl Cursor {
    /// The text that callers carry.
    pub fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// Reads a text of [`Cursor::encode`].
    pub fn decode(text: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }
}

/// Which page is wanted.
#[derive(Clone, Copy, Debug)]
pub struct PageRequest {
    /// How many at most.
    pub limit: u32,
    /// After which.
    pub after: Option<Cursor>,
}

/// A page, newest first.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Where the next begins, if there is one.
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    /// Makes a page of what a store found when it looked for one more than the limit.
    pub fn of(mut found: Vec<T>, request: PageRequest, id: impl Fn(&T) -> [u8; 16]) -> Self {
        let limit = request.limit as usize;
        let more = found.len() > limit;
        found.truncate(limit);
        let next = if more { found.last().map(|last| Cursor(id(last))) } else { None };
        Self { items: found, next }
    }
}
