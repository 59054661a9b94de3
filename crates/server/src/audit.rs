//! What is put on the audit.

use tautline_core::TenantId;
use tautline_core::audit::{AuditAction, AuditEntry};

use crate::app::App;
use crate::error::chain;

/// Puts on the audit what somebody did. It is done: a missing entry is an error for the log, and no reason to undo it.
pub(crate) async fn note(
    app: &App,
    tenant: &TenantId,
    actor: impl Into<String>,
    action: AuditAction,
    subject: impl ToString,
) {
    let entry = AuditEntry {
        at: app.clock.now(),
        tenant: tenant.clone(),
        actor: actor.into(),
        action,
        subject: subject.to_string(),
    };
    append(app, vec![entry]).await;
}

/// The same of several.
pub(crate) async fn append(app: &App, entries: Vec<AuditEntry>) {
    if let Err(error) = app.store.audit_append(entries).await {
        tracing::error!(error = %chain(&error), "the audit lacks an entry");
    }
}
