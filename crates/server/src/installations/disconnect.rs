//! The end of an installation from our side: revoked at Slack, and erased here whatever Slack answers.

use std::sync::Arc;

use serde::Deserialize;
use tautline_core::audit::AuditAction;
use tautline_core::installation::CredentialKind;
use tautline_core::{InstallationId, StoreError, StoreResult, TenantId};
use tautline_slack::WebApiCall;
use tautline_slack::web_api::Authorization;

use super::acting::{Acting, ActingError};
use super::changes;
use crate::app::App;
use crate::audit;
use crate::error::chain;

/// Slack's answer to `auth.revoke`.
#[derive(Deserialize)]
struct Revoked {
    #[serde(default)]
    revoked: bool,
}

/// Ends an installation of a tenant. Says whether Slack revoked its bot token, or why not; `None`: there is none.
pub(crate) async fn disconnect(
    app: &Arc<App>,
    tenant: &TenantId,
    installation: InstallationId,
    actor: &str,
) -> StoreResult<Option<Result<(), String>>> {
    // The person's token first: with the bot's, Slack takes the app out of the workspace.
    let user = revoke(app, tenant, installation, CredentialKind::User).await?;
    let bot = revoke(app, tenant, installation, CredentialKind::Bot).await?;
    let now = app.clock.now();
    if !app.store.installation_remove(tenant, installation, now, now).await? {
        return Ok(None);
    }
    tracing::info!(%tenant, %installation, "disconnected: its tokens are erased");
    audit::note(app, tenant, actor, AuditAction::Disconnected, installation).await;
    changes::removed(app, tenant, installation, "the workspace was disconnected before it was sent").await;
    Ok(Some(
        bot.unwrap_or_else(|| Err("the gateway had no bot token".to_owned())).and(user.unwrap_or(Ok(()))),
    ))
}

async fn revoke(
    app: &Arc<App>,
    tenant: &TenantId,
    installation: InstallationId,
    kind: CredentialKind,
) -> StoreResult<Option<Result<(), String>>> {
    let acting = Acting { kind, ..Acting::bot(app, tenant, installation) };
    let revoke = |token| WebApiCall {
        method: "auth.revoke",
        authorization: Authorization::Bearer(token),
        form: Vec::new(),
    };
    Ok(Some(match acting.ask::<Revoked>(revoke).await {
        Ok(reply) if reply.answer.revoked => Ok(()),
        Ok(_) => Err("Slack did not revoke the token".to_owned()),
        Err(ActingError::NoToken) => return Ok(None),
        // It is erased all the same; Slack's admin can remove the app.
        Err(ActingError::Store(error @ StoreError::Sealed { .. })) => Err(chain(&error)),
        Err(ActingError::Store(error)) => return Err(error),
        Err(error) => Err(error.to_string()),
    }))
}
