//! Who may do what: API keys and their scopes.

use async_trait::async_trait;

use crate::idempotency::{IdempotencyKey, Once};
use crate::names::names;
use crate::{KeyId, Page, PageRequest, SecretHash, StoreResult, TenantId, Timestamp};

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Look.
    Read,
    /// Speak to Slack.
    Send,
    /// Connect, configure, hand out keys.
    Manage,
}

names!(Scope { Read = "read", Send = "send", Manage = "manage" });

impl Scope {
    /// Every scope.
    pub const ALL: [Self; 3] = [Self::Read, Self::Send, Self::Manage];
}

/// An API key. Its secret is not here: the store knows only the hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id.
    pub id: KeyId,
    /// The tenant it is bound to; `None` for a platform key.
    pub tenant: Option<TenantId>,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, give or take [`limits::KEY_USE_NOTED`](crate::limits::KEY_USE_NOTED).
    pub last_used_at: Option<Timestamp>,
}

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The tenant the caller is bound to; `None` for the platform itself.
    pub tenant: Option<TenantId>,
    /// What the caller may do.
    pub scopes: Vec<Scope>,
    /// How the caller is called in audit entries and on pages. No secret.
    pub name: String,
    /// The API key behind it, directly or by a link that was made with one.
    pub key: Option<KeyId>,
    /// When the credential ends by itself.
    pub expires_at: Option<Timestamp>,
}

impl Caller {
    /// Whether the caller may do this.
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }
}

/// How whoever shows a key is called.
pub fn key_holder(id: KeyId) -> String {
    format!("the API key {id}")
}

/// The beginning of every key, so that secret scanners and people know one.
pub const KEY_PREFIX: &str = "tl_";

/// The store's record of API keys.
#[async_trait]
pub trait Keys {
    /// Keeps a key by its secret's hash.
    async fn key_store(
        &self,
        key: ApiKey,
        secret: SecretHash,
        idempotency: Option<IdempotencyKey>,
    ) -> StoreResult<Once<()>>;

    /// The key behind a secret, unless it was revoked.
    async fn key(&self, secret: SecretHash) -> StoreResult<Option<ApiKey>>;

    /// Lists keys that were not revoked, newest first: a tenant's, or everybody's.
    async fn keys(&self, tenant: Option<&TenantId>, page: PageRequest) -> StoreResult<Page<ApiKey>>;

    /// Revokes a key, of a tenant where one is named, and ends what was begun with it: sessions, dashboard links, connect
    /// links. Says whose it was; `None`: there is no such key.
    async fn key_revoke(
        &self,
        tenant: Option<&TenantId>,
        id: KeyId,
        now: Timestamp,
    ) -> StoreResult<Option<Option<TenantId>>>;

    /// Notes that a key was used.
    async fn key_used(&self, id: KeyId, now: Timestamp) -> StoreResult<()>;
}
