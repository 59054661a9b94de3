//! What becomes of installations, as the product is told: `installation.connected`, `installation.broken`, `installation.removed`.

use secrecy::ExposeSecret as _;
use serde_json::json;
use tautline_core::installation::Installation;
use tautline_core::{InstallationId, StoreResult, TenantId};
use tautline_slack::request::Kind;
use tautline_slack::{EnterpriseId, TeamId};

use super::health;
use crate::alerts;
use crate::app::App;
use crate::error::chain;
use crate::own_events::{OwnEvent, tell};

pub(super) async fn connected(app: &App, installation: &Installation) {
    let facts = &installation.facts;
    let data = json!({
        "installation": installation.id,
        "app_id": facts.app.as_str(),
        "team": { "id": facts.team.as_ref().map(TeamId::as_str), "name": facts.team_name },
        "enterprise": { "id": facts.enterprise.as_ref().map(EnterpriseId::as_str), "name": facts.enterprise_name },
        "is_enterprise_install": facts.is_enterprise_install,
        "scopes": facts.scopes,
    });
    happened(app, &installation.tenant, installation.id, "connected", data).await;
}

/// An installation is gone, and this is why what waits for it will not be sent.
pub(super) async fn removed(app: &App, tenant: &TenantId, installation: InstallationId, why: &str) {
    settle_waiting(app, tenant, installation, why).await;
    happened(app, tenant, installation, "removed", json!({ "installation": installation })).await;
}

/// Slack does not take the bot's token of this generation any more. Unless it has another one by now, the installation is
/// broken until it is connected again.
pub(crate) async fn dead(
    app: &App,
    tenant: &TenantId,
    installation: InstallationId,
    error: &str,
    generation: i64,
) {
    match app.store.installation_broken(tenant, installation, generation, error, app.clock.now()).await {
        Ok(true) => broken(app, tenant, installation, error).await,
        Ok(false) => {}
        Err(error) => {
            tracing::error!(error = %chain(&error), "a broken installation could not be put on record");
        }
    }
}

pub(super) async fn broken(app: &App, tenant: &TenantId, installation: InstallationId, error: &str) {
    tracing::warn!(%tenant, %installation, error, "Slack does not take the bot's token any more: connect the workspace again");
    let data = json!({ "installation": installation, "error": error });
    happened(app, tenant, installation, "broken", data).await;
    if let Some(webhook) = app.settings.ops_webhook.clone() {
        match alert(app, tenant, installation).await {
            Ok(Some(text)) => {
                app.tasks.spawn(async move { alerts::post(webhook.expose_secret(), &text, None).await });
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(error = %chain(&error), "nobody was alerted of a broken installation");
            }
        }
    }
}

/// What the company's own people read of it.
async fn alert(app: &App, tenant: &TenantId, installation: InstallationId) -> StoreResult<Option<String>> {
    let Some(found) = app.store.installation(tenant, installation).await? else { return Ok(None) };
    let name = health::name(&found);
    let looked = health::look(app, tenant, vec![found]).await?;
    let worst = looked.first().and_then(|looked| looked.problems.first());
    Ok(worst.map(|worst| format!("{name} of {tenant}: {}. To mend it: {}.", worst.text, worst.fix)))
}

/// In parts, beside the traffic. What a crash leaves of it fails in its turn, as there is no token.
async fn settle_waiting(app: &App, tenant: &TenantId, installation: InstallationId, why: &str) {
    let mut settled = 0;
    loop {
        match app.store.messages_fail(tenant, installation, why).await {
            Ok(0) => break,
            Ok(part) => settled += part,
            Err(error) => {
                tracing::error!(error = %chain(&error), "what waits for a workspace that is gone could not be settled");
                break;
            }
        }
    }
    if settled > 0 {
        tracing::warn!(%tenant, %installation, settled, "messages that waited are failed: {why}");
    }
}

async fn happened(
    app: &App,
    tenant: &TenantId,
    installation: InstallationId,
    name: &'static str,
    data: serde_json::Value,
) {
    let (tenant, installation) = (tenant.clone(), Some(installation));
    tell(app, OwnEvent { tenant, installation, kind: Kind::Installation, name, data }, None).await;
}
