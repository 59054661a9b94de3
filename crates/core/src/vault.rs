//! The vault: where secrets rest, sealed. A port; the store's crate does the sealing.

use secrecy::SecretSlice;

use crate::TenantId;

/// Where a sealed value rests. The place is part of the seal: a value moved to another tenant, row or field
/// does not open.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Whose it is; `None` for what belongs to no tenant (unclaimed requests, the gateway's own secrets).
    pub tenant: Option<&'a TenantId>,
    /// The table.
    pub table: &'static str,
    /// The row.
    pub row: &'a [u8],
    /// The field.
    pub field: &'static str,
}

/// What a tag is for. A tag made for one purpose is worth nothing for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The `state` that travels through Slack's consent page.
    OAuthState,
    /// The form that confirms an install begun in another browser.
    InstallConfirmation,
    /// The hidden field that ties a form to a session.
    FormToken,
    /// A few digits that stand for a key.
    Fingerprint,
    /// What stands for a person's e-mail address where that must not be read.
    EmailAddress,
}

/// Why a sealed value does not open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// It was sealed with a key that is not configured.
    #[error(
        "sealed with the key {key:?}, which is not among TAUTLINE_ENCRYPTION_KEYS; add it after the first"
    )]
    UnknownKey {
        /// The key's id.
        key: String,
    },
    /// The seal is broken: changed bytes, or moved from another place.
    #[error(
        "the sealed value was changed, or the key of its name in TAUTLINE_ENCRYPTION_KEYS is not the one that sealed it"
    )]
    Broken,
}

/// Seals and opens, signs and checks.
pub trait Vault: Send + Sync + 'static {
    /// Seals a value for its place.
    fn seal(&self, place: Place<'_>, plain: &[u8]) -> Vec<u8>;

    /// Opens a sealed value.
    fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<SecretSlice<u8>, VaultError>;

    /// The first key's name, with a few digits by which two of one name are told apart. Says nothing of the key.
    fn first_key(&self) -> String;

    /// Whether the first key sealed it.
    fn is_current(&self, sealed: &[u8]) -> bool;

    /// A tag that only we can make.
    fn tag(&self, purpose: Purpose, message: &[u8]) -> [u8; 32];

    /// Whether a tag is ours, under any key in force; in constant time.
    fn is_tag(&self, purpose: Purpose, message: &[u8], tag: &[u8]) -> bool;
}
