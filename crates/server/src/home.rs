//! Home: the company's own workspace, by a bot token of its own, without OAuth.

use std::sync::Arc;

use serde::Deserialize;
use tautline_core::installation::{Credential, CredentialKind, Facts, Installed, NewInstallation};
use tautline_core::{InstallationId, StoreResult, Tenant, TenantId, limits};
use tautline_slack::web_api::{Authorization, is_dead_token};
use tautline_slack::{AppId, AuthTest, EnterpriseId, Refusal, TeamId, Token, WebApiCall};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::egress::{CallError, Reply};
use crate::error::chain;

/// Makes the reserved tenant known.
pub(crate) async fn record_tenant(app: &App) -> StoreResult<()> {
    let home = Tenant { id: TenantId::home(), name: Some("Home".to_owned()), created_at: app.clock.now() };
    app.store.tenant_record(home, None).await.map(drop)
}

/// Makes the bot token's workspace an installation of `home`; tries until Slack can be asked.
pub(crate) async fn install(app: Arc<App>, token: Token, stop: CancellationToken) {
    let (mut pause, longest) = limits::HOME_PAUSES;
    loop {
        match try_install(&app, &token).await {
            Ok(Installed::Done(installation)) => {
                tracing::info!(installation = %installation.id, team = installation.facts.team_name, "home is connected");
                return;
            }
            Ok(Installed::BelongsToAnother { tenant }) => {
                tracing::error!(%tenant, "the workspace of SLACK_BOT_TOKEN belongs to a tenant already; home stays without it");
                return;
            }
            Ok(Installed::LinkUsed) => return,
            Err(Failure::Final(why)) => {
                tracing::error!("SLACK_BOT_TOKEN is of no use: {why}; set a living bot token (xoxb-…)");
                return;
            }
            Err(Failure::Passing(why)) => {
                tracing::warn!(
                    "cannot ask Slack whose SLACK_BOT_TOKEN is: {why}; trying again in {} s",
                    pause.as_secs()
                );
            }
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = (pause * 2).min(longest);
    }
}

/// Slack's further words for a token that is of no use here: one from the environment is not renewed.
const USELESS: [&str; 2] = ["token_expired", "not_allowed_token_type"];

enum Failure {
    Passing(String),
    Final(String),
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Refused(Refusal::Error(word))
                if is_dead_token(&word) || USELESS.contains(&word.as_str()) =>
            {
                Self::Final(format!("Slack answered {word:?}"))
            }
            error => Self::Passing(error.to_string()),
        }
    }
}

async fn try_install(app: &App, token: &Token) -> Result<Installed, Failure> {
    let Reply { answer, scopes } = app.slack.call::<AuthTest>(WebApiCall::auth_test(token.clone())).await?;
    let app_id = match &answer.app_id {
        Some(app_id) => AppId::new(app_id),
        None => ask_app_id(app, token, &answer).await?,
    };
    let now = app.clock.now();
    let facts = Facts {
        app: app_id,
        team: answer.team_id.map(TeamId::new),
        team_name: answer.team,
        enterprise: answer.enterprise_id.map(EnterpriseId::new),
        enterprise_name: None,
        is_enterprise_install: answer.is_enterprise_install,
        scopes: tautline_slack::scopes::parse(&scopes.unwrap_or_default()),
        bot_user_id: answer.user_id,
        bot_id: answer.bot_id,
    };
    facts.key().map_err(|error| Failure::Final(error.to_string()))?;
    let bot =
        Credential { kind: CredentialKind::Bot, token: token.clone(), refresh_token: None, expires_at: None };
    let id = InstallationId::generate(now, app.rng.as_ref());
    let new = NewInstallation {
        id,
        tenant: TenantId::home(),
        facts,
        credentials: vec![bot],
        link: None,
        is_shared: true,
    };
    app.store.installation_store(new, now).await.map_err(|error| Failure::Passing(chain(&error)))
}

/// The app of a bot token; or, as text, why it cannot be told.
pub(crate) async fn app_id(app: &App, token: &Token, tested: &AuthTest) -> Result<AppId, String> {
    match &tested.app_id {
        Some(app_id) => Ok(AppId::new(app_id)),
        None => ask_app_id(app, token, tested).await.map_err(|failure| match failure {
            Failure::Passing(why) | Failure::Final(why) => why,
        }),
    }
}

/// `auth.test` does not name the app of a bot token; `bots.info` does, where `users:read` allows to ask.
async fn ask_app_id(app: &App, token: &Token, tested: &AuthTest) -> Result<AppId, Failure> {
    #[derive(Deserialize)]
    struct BotsInfo {
        bot: Bot,
    }
    #[derive(Deserialize)]
    struct Bot {
        app_id: String,
    }
    let form = tested.bot_id.iter().map(|id| ("bot", id.clone())).collect();
    let call = WebApiCall { method: "bots.info", authorization: Authorization::Bearer(token.clone()), form };
    match app.slack.call::<BotsInfo>(call).await {
        Ok(reply) => Ok(AppId::new(reply.answer.bot.app_id)),
        Err(CallError::Refused(Refusal::Error(error))) => Err(Failure::Passing(format!(
            "Slack does not tell of which app it is ({error}); grant the bot users:read"
        ))),
        Err(error) => Err(error.into()),
    }
}
