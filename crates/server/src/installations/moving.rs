//! An installation goes from one tenant to another: a workspace that was connected to the wrong account.

use tautline_core::audit::AuditAction;
use tautline_core::installation::Moved;
use tautline_core::{InstallationId, StoreResult, TenantId};

use super::changes;
use crate::app::App;
use crate::audit;

/// Moves an installation of whichever tenant. What waits of the one before is not sent; what is on record stays with it.
pub(crate) async fn to(
    app: &App,
    installation: InstallationId,
    tenant: &TenantId,
    actor: &str,
) -> StoreResult<Moved> {
    let now = app.clock.now();
    let new_id = InstallationId::generate(now, app.rng.as_ref());
    let moved = app.store.installation_move(installation, tenant, new_id, now).await?;
    if let Moved::Done { from, installation: new } = &moved {
        tracing::warn!(%from, to = %tenant, %installation, new = %new.id, "an installation was moved");
        // By its place, as where it was connected: the ids are two.
        let subject = new.facts.key().map_or_else(|_| new.id.to_string(), |key| key.to_string());
        audit::note(app, from, actor, AuditAction::Moved, &subject).await;
        audit::note(app, tenant, actor, AuditAction::Moved, &subject).await;
        changes::removed(app, from, installation, "the workspace went to another account before it was sent")
            .await;
        changes::connected(app, new).await;
    }
    Ok(moved)
}
