//! What is kept and for how long; sealing anew after a key was changed; erasing a tenant.
//!
//! All three go through tables of any size beside the traffic, so each call does a bounded part and says what is
//! left. Whoever calls again goes on where that ended; to stop in between is no harm.

use std::collections::BTreeMap;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;

use crate::audit::{AuditAction, AuditEntry};
use crate::{Store, StoreResult, TenantId, Timestamp};

/// Where a walk through sealed values stands: a table, and a row in it. Opaque to callers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResealCursor {
    /// Which of the store's tables, in its own order.
    pub table: u8,
    /// The last row that was looked at; empty before the first.
    pub row: Vec<u8>,
}

impl ResealCursor {
    /// The beginning.
    pub const START: Self = Self { table: 0, row: Vec::new() };

    /// The text that callers carry.
    pub fn encode(&self) -> String {
        BASE64.encode([&[self.table], self.row.as_slice()].concat())
    }

    /// Reads a text of [`Self::encode`].
    pub fn decode(text: &str) -> Option<Self> {
        let bytes = BASE64.decode(text).ok()?;
        let (table, row) = bytes.split_first()?;
        Some(Self { table: *table, row: row.to_vec() })
    }
}

/// A part of a walk through sealed values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Rows looked at.
    pub looked_at: u64,
    /// Values sealed anew.
    pub resealed: u64,
    /// Rows that do not open, and why. They are left as they are.
    pub failed: Vec<String>,
    /// Where the next part begins; `None` at the end.
    pub next: Option<ResealCursor>,
}

/// What was erased of a tenant, by table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Rows by table.
    pub rows: BTreeMap<String, u64>,
    /// Whether nothing of the tenant is left.
    pub is_done: bool,
}

impl Erased {
    /// Counts rows of a table.
    pub fn count(&mut self, table: &str, rows: u64) {
        if rows > 0 {
            *self.rows.entry(table.to_owned()).or_default() += rows;
        }
    }
}

/// Erases a tenant to the end, and puts on record who did it. Begun again after it broke off, it goes on.
pub async fn erase(
    store: &dyn Store,
    tenant: &TenantId,
    actor: String,
    now: Timestamp,
) -> StoreResult<Erased> {
    let mut erased = Erased::default();
    while !erased.is_done {
        let part = store.tenant_erase(tenant).await?;
        part.rows.iter().for_each(|(table, rows)| erased.count(table, *rows));
        erased.is_done = part.is_done;
    }
    let (action, subject) = (AuditAction::TenantErased, tenant.to_string());
    let entry = AuditEntry { at: now, tenant: TenantId::home(), actor, action, subject };
    store.audit_append(vec![entry]).await?;
    Ok(erased)
}

/// A part of erasing what a person in Slack said and did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserErased {
    /// Rows looked at.
    pub looked_at: u64,
    /// Requests whose content is gone.
    pub requests: u64,
    /// Messages whose content is gone.
    pub messages: u64,
    /// Messages that are on their way, and left.
    pub on_their_way: u64,
    /// Where the next part begins; `None` at the end.
    pub next: Option<ResealCursor>,
}

/// Whether a content names a user of Slack's: their id, not as a part of a longer word. Contents are as they came: in forms
/// (commands, interactions) what stands before an id is percent-encoded.
pub fn names_user(content: &[u8], user: &str) -> bool {
    let word = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let encoded = |at: usize| {
        let before = at.checked_sub(3).and_then(|from| content.get(from..at));
        matches!(before, Some([b'%', high, low]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
    };
    let found = content.windows(user.len().max(1)).enumerate();
    let mut found = found.filter(|(_, part)| *part == user.as_bytes());
    found.any(|(at, _)| {
        let before = at.checked_sub(1).and_then(|at| content.get(at));
        (!word(before) || encoded(at)) && !word(content.get(at + user.len()))
    })
}

/// A part of what was deleted by age.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Rows.
    pub rows: u64,
    /// Whether there is more, of any sort, than one part goes through.
    pub more: bool,
}

impl Forgotten {
    /// Counts what a step deleted, which goes through `most` rows at most.
    pub fn count(&mut self, rows: u64, most: u64) {
        self.rows += rows;
        self.more |= rows >= most;
    }
}

/// The store's care for what it keeps.
#[async_trait]
pub trait Keeping {
    /// Deletes a part of what is older than it is kept for (see [`crate::limits`]). Nothing that still waits is
    /// deleted, however old.
    async fn forget(&self, now: Timestamp) -> StoreResult<Forgotten>;

    /// Seals a part of everything anew that another than the first key sealed.
    async fn reseal(&self, from: ResealCursor) -> StoreResult<Resealed>;

    /// How many rows there are with something sealed, about.
    async fn sealed_rows(&self) -> StoreResult<u64>;

    /// Erases a part of a tenant: first what lets anything new in, last the tenant.
    async fn tenant_erase(&self, tenant: &TenantId) -> StoreResult<Erased>;

    /// Erases the content of a part of a tenant's requests and messages: of those that name a user of Slack's. That they
    /// were there stays on record; what waits of them is given up.
    async fn user_erase(&self, tenant: &TenantId, user: &str, from: ResealCursor) -> StoreResult<UserErased>;

    /// Holds every message that is queued or on its way; how many those were. After a backup was restored nobody
    /// knows which of them were sent since. (Deliveries go on: endpoints know a repeated one by its id.)
    async fn hold_messages(&self) -> StoreResult<u64>;
}

#[cfg(test)]
mod tests {
    use super::names_user;

    #[test]
    fn a_user_is_named_by_their_whole_id() {
        assert!(names_user(br#"{"user":"U123","text":"x"}"#, "U123"));
        assert!(names_user(b"user_id=U123&text=x", "U123"));
        assert!(names_user(b"<@U123> hello", "U123"));
        assert!(names_user(b"U123", "U123"));
        assert!(names_user(b"payload=%7B%22user%22%3A%7B%22id%22%3A%22U123%22%7D%7D", "U123"), "a click");
        assert!(names_user(b"text=hello+%3C%40U123%3E", "U123"), "a mention in a command");
        for other in ["{\"user\":\"U1234\"}", "XU123", "U12", ""] {
            assert!(!names_user(other.as_bytes(), "U123"), "{other}");
        }
    }
}
