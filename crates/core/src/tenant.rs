//! Tenants: the customers of the product.

use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;

use crate::idempotency::{IdempotencyKey, Once};
use crate::{StoreResult, Timestamp};

/// A tenant's id: 1 to 48 of `[A-Za-z0-9_-]`. It never changes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId(String);

/// The text is no tenant id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a tenant id is 1 to 48 of the characters A-Z a-z 0-9 _ -")]
pub struct TenantIdError;

const MAX_CHARS: usize = 48;

impl TenantId {
    /// The tenant that is the company itself.
    pub fn home() -> Self {
        Self("home".to_owned())
    }

    /// Whether this is the company itself.
    pub fn is_home(&self) -> bool {
        self.0 == "home"
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TenantId {
    type Err = TenantIdError;

    fn from_str(text: &str) -> Result<Self, TenantIdError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if text.is_empty() || text.len() > MAX_CHARS || !text.bytes().all(allowed) {
            return Err(TenantIdError);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl serde::Serialize for TenantId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// A tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Its id.
    pub id: TenantId,
    /// What people call it.
    pub name: Option<String>,
    /// When it was made known.
    pub created_at: Timestamp,
}

/// What became of making a tenant known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenantRecorded {
    /// It is new.
    Created(Tenant),
    /// It was known; nothing was changed.
    Existing(Tenant),
}

/// The store's record of tenants.
#[async_trait]
pub trait Tenants {
    /// Makes a tenant known. Again is no harm, and changes nothing.
    async fn tenant_record(
        &self,
        tenant: Tenant,
        key: Option<IdempotencyKey>,
    ) -> StoreResult<Once<TenantRecorded>>;

    /// One tenant.
    async fn tenant(&self, id: &TenantId) -> StoreResult<Option<Tenant>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_documented_characters_make_an_id() {
        let longest = "a".repeat(48);
        for good in ["acme", "A-1_b", "0", longest.as_str()] {
            assert!(good.parse::<TenantId>().is_ok(), "{good}");
        }
        let too_long = "a".repeat(49);
        for bad in ["", "a.b", "a b", "é", "a\"b", "a/b", "a\0", too_long.as_str()] {
            assert!(bad.parse::<TenantId>().is_err(), "{bad:?}");
        }
    }
}
