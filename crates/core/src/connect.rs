//! Connecting a workspace: links, and the `state` that travels through Slack and back.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};

use crate::idempotency::{IdempotencyKey, Once};
use crate::{
    KeyId, LinkId, Purpose, Rng, SecretHash, StoreResult, TenantId, Timestamp, Vault, limits, new_secret,
};

/// A link with which somebody, without further credentials, connects a workspace to a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectLink {
    /// Its id.
    pub id: LinkId,
    /// To which tenant.
    pub tenant: TenantId,
    /// The API key that made it, if one did: it ends with it.
    pub key: Option<KeyId>,
    /// Where to return afterwards.
    pub return_to: Option<String>,
    /// Until when it works.
    pub expires_at: Timestamp,
}

/// What the `state` says. Signed, so that whoever sees it cannot change it; single-use, by its nonce.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
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
        key: Option<IdempotencyKey>,
    ) -> StoreResult<Once<()>>;

    /// The link behind a secret, if it is neither consumed nor expired.
    async fn connect_link(&self, secret: SecretHash, now: Timestamp) -> StoreResult<Option<ConnectLink>>;

    /// Consumes a nonce. `false`: it was consumed before. Forgets nonces whose states have expired.
    async fn nonce_consume(
        &self,
        nonce: SecretHash,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> StoreResult<bool>;
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use secrecy::SecretSlice;

    use super::*;
    use crate::{Place, SystemRng, VaultError};

    /// A vault whose tags are the purpose and the message, hashed.
    struct Hashing;

    impl Vault for Hashing {
        fn seal(&self, _: Place<'_>, plain: &[u8]) -> Vec<u8> {
            plain.to_vec()
        }

        fn open(&self, _: Place<'_>, sealed: &[u8]) -> Result<SecretSlice<u8>, VaultError> {
            Ok(sealed.to_vec().into())
        }

        fn first_key(&self) -> String {
            "none".to_owned()
        }

        fn is_current(&self, _: &[u8]) -> bool {
            true
        }

        fn tag(&self, purpose: Purpose, message: &[u8]) -> [u8; 32] {
            SecretHash::of(&format!("{purpose:?}{}", String::from_utf8_lossy(message))).0
        }

        fn is_tag(&self, purpose: Purpose, message: &[u8], tag: &[u8]) -> bool {
            self.tag(purpose, message) == tag
        }
    }

    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    fn open(text: &str, purpose: Purpose, now: Timestamp) -> Result<String, StateError> {
        ConnectState::open(text, purpose, &Hashing, now).map(|state| state.tenant)
    }

    #[test]
    fn a_state_is_good_for_its_purpose_and_for_ten_minutes() {
        let state = ConnectState::new(&"acme".parse().unwrap(), "somebody", NOW, &SystemRng);
        let text = state.seal(Purpose::OAuthState, &Hashing);
        let minutes = |minutes: u64| NOW.after(Duration::from_secs(60 * minutes));
        assert_eq!(open(&text, Purpose::OAuthState, NOW), Ok("acme".into()));
        assert_eq!(open(&text, Purpose::OAuthState, minutes(9)), Ok("acme".into()));
        assert_eq!(open(&text, Purpose::OAuthState, minutes(10)), Err(StateError::Expired));
        assert_eq!(open(&text, Purpose::InstallConfirmation, NOW), Err(StateError::Forged));
        for forged in ["", ".", "a.b", &text[1..], &text[..text.len() - 2]] {
            assert_eq!(open(forged, Purpose::OAuthState, NOW), Err(StateError::Forged), "{forged}");
        }
    }
}
