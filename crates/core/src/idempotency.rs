//! `Idempotency-Key`: a caller that does not know whether a POST went through sends it again, and nothing is
//! made twice.
//!
//! The key is put on record in the very commit that makes the thing, so that neither stands without the other.

use crate::Timestamp;

/// A caller's key for one POST.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// Whose key it is, and for which route: nobody meets another's.
    pub scope: String,
    /// The key.
    pub key: String,
    /// The hash of what was asked: the same key for something else is a mistake.
    pub request: [u8; 32],
    /// When it was sent.
    pub at: Timestamp,
}

/// What became of a POST that may have come before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Once<T> {
    /// It was done now.
    Done(T),
    /// It was done before, by the same request; nothing was changed.
    Before,
    /// The key stood for another request before; nothing was changed.
    Conflict,
}
