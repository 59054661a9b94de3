//! Connecting a workspace: links, and the `state` that travels through Slack and back.

use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{LinkId, Purpose, Rng, StoreResult, TenantId, Timestamp, Vault, limits};

/// A link with which somebody, without further credentials, connects a workspace to a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectLink {
    /// Its id.
    pub id: LinkId,
    /// To which tenant.
    pub tenant: TenantId,
    /// Where to return afterwards.
    pub return_to: Option<String>,
    /// Until when it works.
    pub expires_at: Timestamp,
}

/// What a secret of ours is known by, once it was given away: its hash. (The secrets are 32 random bytes;
/// there is nothing to guess, so a plain hash is enough.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecretHash(pub [u8; 32]);

impl SecretHash {
    /// The hash of a secret.
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret).into())
    }
}

/// A new secret: 32 random bytes as URL-safe text without a dot.
pub fn new_secret(rng: &dyn Rng) -> String {
    BASE64.encode(rng.bytes::<32>())
}

/// What the `state` says. Signed, so that whoever sees it cannot change it; single-use, by its nonce.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectState {
    /// Names this attempt to connect; also in the browser's cookie.
    pub nonce: String,
    /// To which tenant.
    pub tenant: String,
    /// Who started it, as the pages say it.
    pub user: String,
    /// The link it was started with.
    pub link: Option<String>,
    /// Where to return afterwards.
    pub return_to: Option<String>,
    /// Until when it is good, in microseconds since 1970.
    pub expires_at_us: i64,
}

/// Why a state is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// Not made by us, or changed.
    #[error("the state was not made here, or was changed")]
    Forged,
    /// Made by us, but too long ago.
    #[error("the state is older than ten minutes")]
    Expired,
}

impl ConnectState {
    /// A fresh state, good for ten minutes.
    pub fn new(tenant: &TenantId, user: &str, now: Timestamp, rng: &dyn Rng) -> Self {
        Self {
            nonce: new_secret(rng),
            tenant: tenant.to_string(),
            user: user.to_owned(),
            link: None,
            return_to: None,
            expires_at_us: now.after(limits::OAUTH_STATE).as_micros(),
        }
    }

    /// The text that travels: the claims and their tag.
    pub fn seal(&self, purpose: Purpose, vault: &dyn Vault) -> String {
        let claims = BASE64.encode(serde_json::to_vec(self).expect("claims are plain text and numbers"));
        let tag = BASE64.encode(vault.tag(purpose, claims.as_bytes()));
        format!("{claims}.{tag}")
    }

    /// Reads a text of [`ConnectState::seal`] made for the same purpose.
    pub fn open(text: &str, purpose: Purpose, vault: &dyn Vault, now: Timestamp) -> Result<Self, StateError> {
        let (claims, tag) = text.split_once('.').ok_or(StateError::Forged)?;
        let tag = BASE64.decode(tag).map_err(|_| StateError::Forged)?;
        if !vault.is_tag(purpose, claims.as_bytes(), &tag) {
            return Err(StateError::Forged);
        }
        let claims = BASE64.decode(claims).map_err(|_| StateError::Forged)?;
        let state: Self = serde_json::from_slice(&claims).map_err(|_| StateError::Forged)?;
        if now >= Timestamp::from_micros(state.expires_at_us) {
            return Err(StateError::Expired);
        }
        Ok(state)
    }

    /// How long the cookie with the nonce lives.
    pub const COOKIE_LIFE: Duration = limits::OAUTH_STATE;
}

/// The store's record of connecting.
#[async_trait]
pub trait Connects {
    /// Keeps a link by its secret's hash.
    async fn connect_link_store(
        &self,
        link: ConnectLink,
        secret: SecretHash,
        now: Timestamp,
    ) -> StoreResult<()>;

    /// The link behind a secret, if it is neither consumed nor expired.
    async fn connect_link(&self, secret: SecretHash, now: Timestamp) -> StoreResult<Option<ConnectLink>>;

    /// Ends a tenant's link, after a workspace was connected with it.
    async fn connect_link_consume(&self, tenant: &TenantId, link: LinkId, now: Timestamp) -> StoreResult<()>;

    /// Consumes a nonce. `false`: it was consumed before. Forgets nonces whose states have expired.
    async fn nonce_consume(
        &self,
        nonce: SecretHash,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> StoreResult<bool>;
}
