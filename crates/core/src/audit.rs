//! The audit: who did what to whom. Append-only.

use async_trait::async_trait;

use crate::names::names;
use crate::{StoreResult, TenantId, Timestamp};

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
}

names!(AuditAction {
    Connected = "installation.connected",
    ConnectRefused = "installation.refused",
    ConnectAttempted = "installation.attempted_by_another",
    Removed = "installation.removed",
    Claimed = "request.claimed",
    TenantErased = "tenant.erased",
});

/// The store's audit.
#[async_trait]
pub trait Audit {
    /// Adds entries.
    async fn audit_append(&self, entries: Vec<AuditEntry>) -> StoreResult<()>;
}
