//! A code becomes an installation, or nothing does.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tautline_core::audit::{AuditAction, AuditEntry};
use tautline_core::connect::ConnectState;
use tautline_core::installation::{Installation, Installed, NewInstallation, Unusable};
use tautline_core::{InstallationId, LinkId, TenantId, Timestamp};
use tautline_slack::oauth::{self, Access};
use tautline_slack::{AuthTest, Token, WebApiCall};

use super::changes;
use super::ending::Ending;
use crate::app::App;
use crate::audit;
use crate::settings::OAuth;

/// What Slack answered to a code. Holds tokens, and so has no `Debug`.
#[derive(Serialize, Deserialize)]
pub(crate) struct Answers {
    access: Value,
    tested: Value,
    /// When the first came: tokens live from there.
    at_us: i64,
}

/// To whom an installation goes, and who says so.
pub(crate) struct Claim {
    pub(crate) tenant: TenantId,
    /// For the audit.
    pub(crate) actor: String,
    /// The connect link it came by.
    pub(crate) link: Option<LinkId>,
}

/// Redeems a code for the tenant that the state names. Nothing is stored unless all of it succeeds.
pub(super) async fn redeem(app: &App, state: &ConnectState, code: &str) -> Result<Installation, Ending> {
    let tenant = state.tenant.parse().map_err(|_| Ending::StateForged)?;
    let link = state.link.as_deref();
    let actor = link.map_or_else(|| state.user.clone(), |link| format!("the connect link {link}"));
    let claim = Claim { tenant, actor, link: link.and_then(|id| id.parse().ok()) };
    let answers = ask(app, code).await?;
    let id = InstallationId::generate(app.clock.now(), app.rng.as_ref());
    store(app, answers.installation(id, &claim)?, claim).await
}

/// Asks Slack what a code stands for.
pub(super) async fn ask(app: &App, code: &str) -> Result<Answers, Ending> {
    let client = match &app.settings.oauth {
        OAuth::On(client) => client,
        OAuth::Off { fix } => return Err(Ending::Off { fix: fix.clone() }),
    };
    let call = oauth::access(client, code, app.settings.redirect_uri.as_str());
    let access = app.slack.call::<Value>(call).await?.answer;
    let at_us = app.clock.now().as_micros();
    let token = access["access_token"].as_str().ok_or(Unusable::NoBotToken)?;
    // Slack tells the bot's id only here; and a token that does not work is better known now.
    let test = WebApiCall::auth_test(Token::new(token));
    let tested = app.slack.call::<Value>(test).await?.answer;
    Ok(Answers { access, tested, at_us })
}

impl Answers {
    /// What somebody who claims it would have.
    pub(crate) fn installation(self, id: InstallationId, claim: &Claim) -> Result<NewInstallation, Ending> {
        let access: Access = serde_json::from_value(self.access).map_err(|_| Ending::Contradiction)?;
        let tested: AuthTest = serde_json::from_value(self.tested).map_err(|_| Ending::Contradiction)?;
        let granted_in = access.team.as_ref().map(|team| team.id.as_str());
        if !access.is_enterprise_install && granted_in != tested.team_id.as_deref() {
            return Err(Ending::Contradiction);
        }
        let at = Timestamp::from_micros(self.at_us);
        let mut new = NewInstallation::from_oauth(id, claim.tenant.clone(), access, &tested, at)?;
        new.link = claim.link;
        Ok(new)
    }

    /// The id of the workspace or org.
    pub(crate) fn place_id(&self) -> String {
        let id = |what: &str| self.access[what]["id"].as_str();
        id("team").or_else(|| id("enterprise")).unwrap_or_default().to_owned()
    }

    /// Where it is found in a browser.
    pub(crate) fn address(&self) -> Option<String> {
        self.tested["url"].as_str().map(str::to_owned)
    }

    /// What people call the workspace or org.
    pub(crate) fn place(&self) -> String {
        let named =
            |what: &str| self.access[what]["name"].as_str().or_else(|| self.access[what]["id"].as_str());
        named("team").or_else(|| named("enterprise")).unwrap_or("a workspace").to_owned()
    }
}

/// Stores an installation for whoever claims it, unless it is another's.
pub(crate) async fn store(app: &App, new: NewInstallation, claim: Claim) -> Result<Installation, Ending> {
    let (now, subject) = (app.clock.now(), new.facts.key()?.to_string());
    let Claim { tenant, actor, .. } = claim;
    let entry = |tenant: &TenantId, actor: &str, action| AuditEntry {
        at: now,
        tenant: tenant.clone(),
        actor: actor.to_owned(),
        action,
        subject: subject.clone(),
    };
    match app.store.installation_store(new, now).await? {
        Installed::Done(installation) => {
            tracing::info!(%tenant, installation = %installation.id, subject, "connected");
            audit::append(app, vec![entry(&tenant, &actor, AuditAction::Connected)]).await;
            changes::connected(app, &installation).await;
            Ok(*installation)
        }
        Installed::BelongsToAnother { tenant: owner } => {
            tracing::warn!(%tenant, %owner, subject, "refused: the workspace belongs to another tenant");
            let refused = entry(&tenant, &actor, AuditAction::ConnectRefused);
            // The owner learns that somebody tried, not which other customer it was.
            let attempted = entry(&owner, "another tenant", AuditAction::ConnectAttempted);
            audit::append(app, vec![refused, attempted]).await;
            Err(Ending::Taken)
        }
        Installed::LinkUsed => Err(Ending::LinkUnknown),
    }
}
