//! An installation, as the API shows it.

use serde::Serialize;
use tautline_core::InstallationId;
use tautline_core::installation::Health;
use tautline_slack::scopes;
use utoipa::ToSchema;

use crate::app::App;
use crate::installations::health::{Looked, reconnect_url};

#[derive(Serialize, ToSchema)]
pub(crate) struct InstallationBody {
    #[schema(value_type = String, example = "ins_0192f0c8a4b07c3e8d1f2a3b4c5d6e7f")]
    id: InstallationId,
    app_id: String,
    /// Null when the app is installed in a whole org.
    team: Option<Named>,
    /// Null outside Enterprise Grid.
    enterprise: Option<Named>,
    is_enterprise_install: bool,
    /// What was granted.
    scopes: Vec<String>,
    /// What the gateway asks for and was not granted: connect again to grant it.
    missing_scopes: Vec<String>,
    bot_user_id: Option<String>,
    /// `connected`, or `broken`: connect again.
    health: &'static str,
    /// What somebody should do something about, the worst first. Empty: all is well.
    problems: Vec<ProblemBody>,
    tokens: Vec<TokenBody>,
    /// When the workspace was last heard of, if that is among the tenant's last 500 requests; RFC 3339.
    last_event_at: Option<String>,
    /// Slack's last word against it.
    last_error: Option<LastError>,
    /// Where a signed-in person connects it again.
    reconnect_url: String,
    /// Of an org-wide one: the workspaces in which it may act, as far as Slack has told.
    granted_teams: Vec<String>,
    /// When Slack last held events back, as there were more than 30,000 in an hour; RFC 3339.
    rate_limited_at: Option<String>,
    /// RFC 3339.
    installed_at: String,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct Named {
    id: String,
    name: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct ProblemBody {
    /// `token_dead`, `user_token_dead`, `token_not_renewed`, `scopes_missing`, `events_held_back`, `events_at_risk`.
    code: &'static str,
    text: String,
    fix: &'static str,
}

/// A token, without itself.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenBody {
    /// `bot` or `user`.
    kind: &'static str,
    /// `endless`, `rotating` (renewed before it ends), `kept` (endless, and stays so), `ended` (Slack renews it no more).
    state: &'static str,
    /// RFC 3339.
    expires_at: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct LastError {
    #[schema(example = "token_revoked")]
    error: String,
    /// RFC 3339.
    at: String,
}

pub(super) fn body(app: &App, looked: Looked) -> InstallationBody {
    let Looked { installation, standing, problems } = looked;
    let facts = installation.facts;
    let reconnect = reconnect_url(app, &facts);
    let problems = problems.into_iter().map(|problem| ProblemBody {
        code: problem.code,
        text: problem.text,
        fix: problem.fix,
    });
    let tokens = standing.tokens.into_iter().map(|token| TokenBody {
        kind: token.kind.as_str(),
        state: token.rotation.as_str(),
        expires_at: token.expires_at.map(|at| at.to_string()),
    });
    InstallationBody {
        id: installation.id,
        app_id: facts.app.to_string(),
        team: facts.team.map(|team| Named { id: team.to_string(), name: facts.team_name }),
        enterprise: facts.enterprise.map(|org| Named { id: org.to_string(), name: facts.enterprise_name }),
        is_enterprise_install: facts.is_enterprise_install,
        missing_scopes: scopes::missing(&app.settings.bot_scopes, &facts.scopes),
        scopes: facts.scopes,
        bot_user_id: facts.bot_user_id,
        health: Health::as_str(installation.health),
        problems: problems.collect(),
        tokens: tokens.collect(),
        last_event_at: standing.last_event_at.map(|at| at.to_string()),
        last_error: standing.last_error.map(|(error, at)| LastError { error, at: at.to_string() }),
        reconnect_url: reconnect.into(),
        granted_teams: installation.granted_teams.iter().map(ToString::to_string).collect(),
        rate_limited_at: installation.rate_limited_at.map(|at| at.to_string()),
        installed_at: installation.installed_at.to_string(),
    }
}
