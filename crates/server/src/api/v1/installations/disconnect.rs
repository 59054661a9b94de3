//! `DELETE …/installations/{id}`: disconnect a workspace.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use tautline_core::InstallationId;
use tautline_core::access::Scope;
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::ForTenant;
use crate::error::{ApiError, ApiPath, ApiResult, ErrorBody};
use crate::installations::disconnect::disconnect as end;

/// What became of it.
#[derive(Serialize, ToSchema)]
pub(crate) struct Disconnected {
    #[schema(value_type = String, example = "ins_0192f0c8a4b07c3e8d1f2a3b4c5d6e7f")]
    id: InstallationId,
    /// Whether Slack revoked its tokens. Here they are erased in any case.
    revoked: bool,
    /// What Slack said instead.
    #[schema(example = "token_revoked")]
    error: Option<String>,
}

/// Disconnect a workspace.
///
/// Its tokens are revoked at Slack, and erased here whatever Slack answers. The app stays installed in Slack's list until an
/// admin removes it there. Messages that wait for the workspace fail.
#[utoipa::path(
    delete,
    path = "/api/v1/integrations/slack/installations/{id}",
    tag = "installations",
    params(("id" = String, Path, description = "ins_…")),
    responses(
        (status = 200, description = "It is gone", body = Disconnected),
        (status = 403, description = "Not with this key", body = ErrorBody),
        (status = 404, description = "No such installation of this tenant", body = ErrorBody),
        (status = 409, description = "SLACK_BOT_TOKEN declares it", body = ErrorBody),
    ),
)]
pub(crate) async fn disconnect(
    State(app): State<Arc<App>>,
    caller: ForTenant,
    ApiPath(id): ApiPath<String>,
) -> ApiResult<Json<Disconnected>> {
    let (caller, tenant) = caller.may(Scope::Manage)?;
    if tenant.is_home() && app.settings.bot_token.is_some() {
        let error = "this workspace is declared by SLACK_BOT_TOKEN";
        return Err(ApiError::new(StatusCode::CONFLICT, "installation_declared", error)
            .fix("unset it, start the server anew, and revoke the token in the app's settings"));
    }
    let unknown = || {
        ApiError::not_found("installation_unknown", format!("there is no installation {id:?} of this tenant"))
            .fix("GET /api/v1/integrations/slack/installations lists them")
    };
    let installation: InstallationId = id.parse().map_err(|_| unknown())?;
    let ending = app.clone();
    let ending = async move { Ok(end(&ending, &tenant, installation, &caller.name).await?) };
    let said = app.to_the_end(ending).await?.ok_or_else(unknown)?;
    Ok(Json(Disconnected { id: installation, revoked: said.is_ok(), error: said.err() }))
}
