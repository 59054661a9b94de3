//! Moving in: an installation that another program keeps becomes one of ours, without anybody connecting anew.

use std::sync::Arc;

use serde_json::Value;
use tautline_core::installation::{Health, Installation, NewInstallation};
use tautline_core::{InstallationId, StoreResult, TenantId};
use tautline_slack::request::Origin;
use tautline_slack::web_api::is_dead_token;
use tautline_slack::{AppId, AuthTest, EnterpriseId, Refusal, TeamId, WebApiCall};

use super::bolt::{self, Row};
use super::ending::Ending;
use super::redeem::{self, Claim};
use crate::app::App;
use crate::egress::{CallError, Reply};
use crate::home;

/// What became of a row.
pub(crate) enum Imported {
    /// It is an installation of the tenant now; in a dry run it could be.
    Done,
    /// The tenant has it already; nothing was changed.
    Present,
    /// Another tenant has it.
    Taken,
    /// It cannot be, and why.
    Refused(String),
    /// Not now: Slack or the store did not answer. Ask again.
    Later(String),
}

/// How the workspace of a row is called, as far as it can be read.
#[derive(Default)]
pub(crate) struct Named {
    pub(crate) place: Option<String>,
    pub(crate) name: Option<String>,
}

/// Imports one row, or says what would become of it.
pub(crate) async fn one(
    app: &Arc<App>,
    tenant: &TenantId,
    row: &Value,
    is_dry: bool,
    actor: &str,
) -> StoreResult<(Named, Imported)> {
    let Row { mut facts, credentials } = match bolt::read(row) {
        Ok(row) => row,
        Err(why) => return Ok((Named::default(), Imported::Refused(why))),
    };
    let place = facts.team.as_ref().map(ToString::to_string);
    let place = place.or_else(|| facts.enterprise.as_ref().map(ToString::to_string));
    let named = Named {
        place: place.clone(),
        name: facts.team_name.clone().or_else(|| facts.enterprise_name.clone()),
    };
    let at = place.unwrap_or_default();
    // One that works is left as it is. One that is broken can only win.
    let present = app.store.installation_at(tenant, &at).await?;
    if present.is_some_and(|present| present.health == Health::Connected) {
        return Ok((named, Imported::Present));
    }
    let bot = &credentials[0];
    let tested = app.slack.call::<AuthTest>(WebApiCall::auth_test(bot.token.clone())).await;
    match tested {
        Ok(Reply { answer, scopes }) => {
            let team = facts.team.as_ref().map(TeamId::as_str);
            let org = facts.enterprise.as_ref().map(EnterpriseId::as_str);
            let is_other = match facts.is_enterprise_install {
                true => answer.enterprise_id.as_deref() != org || !answer.is_enterprise_install,
                false => answer.team_id.as_deref() != team,
            };
            if is_other {
                let theirs = answer.enterprise_id.filter(|_| answer.is_enterprise_install).or(answer.team_id);
                let theirs = theirs.unwrap_or_else(|| "nobody".to_owned());
                let why = format!("its token is of {theirs}, and the row says {at}");
                return Ok((named, Imported::Refused(why)));
            }
            if facts.app.as_str().is_empty() {
                match home::app_id(app, &bot.token, &answer).await {
                    Ok(app_id) => facts.app = app_id,
                    Err(why) => {
                        return Ok((named, Imported::Refused(format!("it has no app_id, and {why}"))));
                    }
                }
            }
            facts.bot_id = answer.bot_id.or(facts.bot_id);
            facts.bot_user_id = answer.user_id.or(facts.bot_user_id);
            if let Some(granted) = scopes {
                facts.scopes = tautline_slack::scopes::parse(&granted);
            }
        }
        // It is renewed as soon as it is here: not before, for that uses up what the other program has.
        Err(CallError::Refused(Refusal::Error(word)))
            if word == "token_expired" && bot.refresh_token.is_some() && !facts.app.as_str().is_empty() => {}
        Err(CallError::Refused(Refusal::Error(word))) if is_dead_token(&word) || word == "token_expired" => {
            let why = format!("Slack does not take its token ({word}): connect the workspace anew");
            return Ok((named, Imported::Refused(why)));
        }
        Err(error) => return Ok((named, Imported::Later(error.to_string()))),
    }
    if is_dry {
        return Ok((named, would_be(owner(app, &facts.app, &at).await?, tenant)));
    }
    let claim = Claim { tenant: tenant.clone(), actor: actor.to_owned(), link: None };
    let id = InstallationId::generate(app.clock.now(), app.rng.as_ref());
    let new = NewInstallation { id, tenant: tenant.clone(), facts, credentials, link: None, is_shared: true };
    let imported = match redeem::store(app, new, claim).await {
        Ok(_) => Imported::Done,
        Err(Ending::Taken) => Imported::Taken,
        Err(Ending::Store(error)) => return Err(error),
        Err(_) => Imported::Refused("it does not say which workspace it is of".to_owned()),
    };
    Ok((named, imported))
}

/// Whoever has the workspace now.
async fn owner(app: &App, app_id: &AppId, place: &str) -> StoreResult<Option<Arc<Installation>>> {
    let mut origin = Origin { app: Some(app_id.clone()), ..Origin::default() };
    if place.starts_with('E') {
        origin.enterprise = Some(EnterpriseId::new(place));
        origin.is_enterprise_install = true;
    } else {
        origin.team = Some(TeamId::new(place));
    }
    app.store.installation_named(&origin).await
}

fn would_be(owner: Option<Arc<Installation>>, tenant: &TenantId) -> Imported {
    if owner.is_some_and(|owner| owner.tenant != *tenant) { Imported::Taken } else { Imported::Done }
}
