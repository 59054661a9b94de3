//! `GET …/installations`: a tenant's workspaces.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use tautline_core::InstallationId;
use tautline_core::access::Scope;
use tautline_core::installation::{Health, Installation};
use tautline_slack::scopes;
use utoipa::ToSchema;

use crate::api::v1::paging::{Paging, page};
use crate::app::App;
use crate::auth::ForTenant;
use crate::error::{ApiQuery, ApiResult, ErrorBody};

#[derive(Serialize, ToSchema)]
pub(crate) struct Installations {
    installations: Vec<InstallationBody>,
    next_cursor: Option<String>,
}

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

/// List a tenant's workspaces.
#[utoipa::path(
    get,
    path = "/api/v1/integrations/slack/installations",
    tag = "installations",
    params(Paging),
    responses(
        (status = 200, description = "Newest first", body = Installations),
        (status = 404, description = "No such tenant", body = ErrorBody),
    ),
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    caller: ForTenant,
    ApiQuery(wanted): ApiQuery<Paging>,
) -> ApiResult<Json<Installations>> {
    let (_, tenant) = caller.may(Scope::Read)?;
    let page = page(wanted.limit, wanted.cursor.as_deref())?;
    let found = app.store.installations(&tenant, page).await?;
    let asked = &app.settings.bot_scopes;
    Ok(Json(Installations {
        installations: found.items.into_iter().map(|installation| body(installation, asked)).collect(),
        next_cursor: found.next.map(|cursor| cursor.encode()),
    }))
}

fn body(installation: Installation, asked: &[String]) -> InstallationBody {
    let Installation { id, facts, health, granted_teams, rate_limited_at, installed_at, .. } = installation;
    InstallationBody {
        id,
        app_id: facts.app.to_string(),
        team: facts.team.map(|team| Named { id: team.to_string(), name: facts.team_name }),
        enterprise: facts.enterprise.map(|org| Named { id: org.to_string(), name: facts.enterprise_name }),
        is_enterprise_install: facts.is_enterprise_install,
        missing_scopes: scopes::missing(asked, &facts.scopes),
        scopes: facts.scopes,
        bot_user_id: facts.bot_user_id,
        health: Health::as_str(health),
        granted_teams: granted_teams.iter().map(ToString::to_string).collect(),
        rate_limited_at: rate_limited_at.map(|at| at.to_string()),
        installed_at: installed_at.to_string(),
    }
}
