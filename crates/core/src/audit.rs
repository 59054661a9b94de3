//! The audit: who did what to whom. Append-only.

use async_trait::async_trait;

use crate::names::names;
use crate::{Page, PageRequest, StoreResult, TenantId, Timestamp};

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// Whom it concerns.
    pub tenant: TenantId,
    /// Who did it.
    pub actor: String,
    /// What was done.
    pub action: AuditAction,
    /// To what: an install key, an id. No secret.
    pub subject: String,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditAction {
    /// A workspace was connected.
    Connected,
    /// A tenant tried to connect a workspace that belongs to another.
    ConnectRefused,
    /// Another tenant tried to connect this tenant's workspace.
    ConnectAttempted,
    /// Slack ended an installation.
    Removed,
    /// A request that matched nobody was given to a tenant.
    Claimed,
    /// A tenant was erased.
    TenantErased,
    /// An installation was disconnected from our side.
    Disconnected,
    /// An installation went from one tenant to another.
    Moved,
    /// What a person in Slack said and did was erased.
    UserErased,
    /// An API key was made.
    KeyMade,
    /// An API key was revoked.
    KeyRevoked,
    /// An endpoint was made.
    EndpointMade,
    /// An endpoint was changed, paused or resumed.
    EndpointChanged,
    /// An endpoint was given a new secret.
    EndpointRotated,
    /// An endpoint was removed.
    EndpointRemoved,
    /// A route was made or changed.
    RouteChanged,
    /// A route was removed.
    RouteRemoved,
}

/// An entry as it is listed. The action is text: a newer version may have written one that this one does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    /// The order in which they were written.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// Whom it concerns.
    pub tenant: String,
    /// Who did it.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// To what.
    pub subject: String,
}

impl AuditRecord {
    /// Where a page ends, as its cursor.
    pub fn place(&self) -> [u8; 16] {
        u128::from(self.number).to_be_bytes()
    }
}

names!(AuditAction {
    Connected = "installation.connected",
    ConnectRefused = "installation.refused",
    ConnectAttempted = "installation.attempted_by_another",
    Removed = "installation.removed",
    Claimed = "request.claimed",
    TenantErased = "tenant.erased",
    Disconnected = "installation.disconnected",
    Moved = "installation.moved",
    UserErased = "user.erased",
    KeyMade = "key.made",
    KeyRevoked = "key.revoked",
    EndpointMade = "endpoint.made",
    EndpointChanged = "endpoint.changed",
    EndpointRotated = "endpoint.secret_rotated",
    EndpointRemoved = "endpoint.removed",
    RouteChanged = "route.changed",
    RouteRemoved = "route.removed",
});

/// The store's audit.
#[async_trait]
pub trait Audit {
    /// Adds entries.
    async fn audit_append(&self, entries: Vec<AuditEntry>) -> StoreResult<()>;

    /// Lists entries, newest first: a tenant's, or everybody's.
    async fn audit(&self, tenant: Option<&TenantId>, page: PageRequest) -> StoreResult<Page<AuditRecord>>;
}
