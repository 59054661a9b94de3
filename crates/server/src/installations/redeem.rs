//! A code becomes an installation, or nothing does.

use tautline_core::audit::{AuditAction, AuditEntry};
use tautline_core::connect::ConnectState;
use tautline_core::installation::{Installation, Installed, NewInstallation, Unusable};
use tautline_core::{InstallationId, TenantId, Timestamp};
use tautline_slack::oauth::{self, Access};
use tautline_slack::{AuthTest, WebApiCall};

use super::changes;
use super::ending::Ending;
use crate::app::App;
use crate::audit;
use crate::settings::OAuth;

/// Redeems a code for the tenant that the state names. Nothing is stored unless all of it succeeds.
pub(super) async fn redeem(app: &App, state: &ConnectState, code: &str) -> Result<Installation, Ending> {
    let client = match &app.settings.oauth {
        OAuth::On(client) => client,
        OAuth::Off { fix } => return Err(Ending::Off { fix: fix.clone() }),
    };
    let tenant: TenantId = state.tenant.parse().map_err(|_| Ending::StateForged)?;
    let call = oauth::access(client, code, app.settings.redirect_uri.as_str());
    let access = app.slack.call::<Access>(call).await?.answer;
    let now = app.clock.now();
    let token = access.access_token.clone().ok_or(Unusable::NoBotToken)?;
    // Slack tells the bot's id only here; and a token that does not work is better known now.
    let tested = app.slack.call::<AuthTest>(WebApiCall::auth_test(token)).await?.answer;
    let granted_in = access.team.as_ref().map(|team| team.id.as_str());
    if !access.is_enterprise_install && granted_in != tested.team_id.as_deref() {
        return Err(Ending::Contradiction);
    }
    let id = InstallationId::generate(now, app.rng.as_ref());
    let mut new = NewInstallation::from_oauth(id, tenant.clone(), access, &tested, now)?;
    new.link = state.link.as_deref().and_then(|id| id.parse().ok());
    let subject = new.facts.key()?.to_string();
    match app.store.installation_store(new, now).await? {
        Installed::Done(installation) => {
            tracing::info!(%tenant, installation = %installation.id, subject, "connected");
            audit::append(app, vec![entry(now, &tenant, state, AuditAction::Connected, &subject)]).await;
            changes::connected(app, &installation).await;
            Ok(*installation)
        }
        Installed::BelongsToAnother { tenant: owner } => {
            tracing::warn!(%tenant, %owner, subject, "refused: the workspace belongs to another tenant");
            let refused = entry(now, &tenant, state, AuditAction::ConnectRefused, &subject);
            let attempted = entry(now, &owner, state, AuditAction::ConnectAttempted, &subject);
            audit::append(app, vec![refused, attempted]).await;
            Err(Ending::Taken)
        }
        Installed::LinkUsed => Err(Ending::LinkUnknown),
    }
}

fn entry(
    at: Timestamp,
    tenant: &TenantId,
    state: &ConnectState,
    action: AuditAction,
    subject: &str,
) -> AuditEntry {
    let actor = match action {
        // The owner learns that somebody tried, not which other customer it was.
        AuditAction::ConnectAttempted => "another tenant".to_owned(),
        _ => {
            state.link.as_ref().map_or_else(|| state.user.clone(), |link| format!("the connect link {link}"))
        }
    };
    AuditEntry { at, tenant: tenant.clone(), actor, action, subject: subject.to_owned() }
}
