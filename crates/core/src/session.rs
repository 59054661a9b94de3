//! Sessions: a person at the dashboard, for a working day; and the links with which one begins.

use async_trait::async_trait;

use crate::access::{Caller, Scope};
use crate::idempotency::{IdempotencyKey, Once};
use crate::{KeyId, LinkId, SecretHash, StoreResult, TenantId, Timestamp};

/// A person who is signed in. Always within one tenant, whatever key it began with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Whose dashboard this is.
    pub tenant: TenantId,
    /// What the person may do.
    pub scopes: Vec<Scope>,
    /// How the person is called in audit entries and on pages. No secret.
    pub name: String,
    /// The API key it began with, if it did: it ends with it.
    pub key: Option<KeyId>,
    /// Until when.
    pub expires_at: Timestamp,
}

impl Session {
    /// The person as a caller.
    pub fn into_caller(self) -> Caller {
        Caller {
            tenant: Some(self.tenant),
            scopes: self.scopes,
            name: self.name,
            key: self.key,
            expires_at: Some(self.expires_at),
        }
    }
}

/// A link that signs in whoever opens it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DashboardLink {
    /// Its id.
    pub id: LinkId,
    /// To whose dashboard.
    pub tenant: TenantId,
    /// What the person may do: what whoever made the link may.
    pub scopes: Vec<Scope>,
    /// The API key that made it, if one did: it ends with it.
    pub key: Option<KeyId>,
    /// Where it leads; `None` is the dashboard's first page.
    pub return_to: Option<String>,
    /// Whether it works once. The one that `tautline dev` prints works as often as it is opened.
    pub single_use: bool,
    /// Until when it works.
    pub expires_at: Timestamp,
}

/// The store's record of who is signed in. Secrets are known by their hashes.
#[async_trait]
pub trait Sessions {
    /// Keeps a link by its secret's hash.
    async fn dashboard_link_store(
        &self,
        link: DashboardLink,
        secret: SecretHash,
        now: Timestamp,
        key: Option<IdempotencyKey>,
    ) -> StoreResult<Once<()>>;

    /// Uses a link up, if it works once, and begins a session, in one commit. `None`: it was used, is too old,
    /// or never was.
    async fn dashboard_link_open(
        &self,
        link: SecretHash,
        session: SecretHash,
        now: Timestamp,
    ) -> StoreResult<Option<DashboardLink>>;

    /// Begins a session. Forgets those that have expired.
    async fn session_store(&self, session: Session, secret: SecretHash, now: Timestamp) -> StoreResult<()>;

    /// The session behind a secret, if it has neither ended nor expired.
    async fn session(&self, secret: SecretHash, now: Timestamp) -> StoreResult<Option<Session>>;

    /// Ends a session. Again is no harm.
    async fn session_end(&self, secret: SecretHash) -> StoreResult<()>;
}
