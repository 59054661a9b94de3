//! `POST …/installations/{id}/move`: give a workspace to another tenant.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use tautline_core::InstallationId;
use tautline_core::access::Scope;
use tautline_core::installation::Moved;
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::{self, Platform};
use crate::error::{ApiError, ApiPath, ApiResult, ErrorBody};
use crate::installations::moving;

/// To whom.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MoveTo {
    #[schema(example = "globex")]
    tenant: String,
}

/// What became of it.
#[derive(Serialize, ToSchema)]
pub(crate) struct MovedBody {
    /// Its id from now on.
    #[schema(value_type = String, example = "ins_0192f0c8a4b07c3e8d1f2a3b4c5d6e7f")]
    id: InstallationId,
    /// Whose it was; null if it was that tenant's already.
    from: Option<String>,
}

/// Give a workspace to another tenant.
///
/// It takes its tokens with it, and a new id. What came from it so far stays with the tenant that had it; messages that wait
/// there fail. Both are told, by events and in the audit.
#[utoipa::path(
    post,
    path = "/api/v1/integrations/slack/installations/{id}/move",
    tag = "installations",
    params(("id" = String, Path, description = "ins_…")),
    request_body = MoveTo,
    responses(
        (status = 200, description = "It is the other tenant's", body = MovedBody),
        (status = 403, description = "Not a platform key", body = ErrorBody),
        (status = 404, description = "No such installation, or tenant", body = ErrorBody),
        (status = 409, description = "home's own workspace stays", body = ErrorBody),
    ),
)]
pub(crate) async fn move_to(
    State(app): State<Arc<App>>,
    platform: Platform,
    ApiPath(id): ApiPath<String>,
    to: Result<Json<MoveTo>, JsonRejection>,
) -> ApiResult<Json<MovedBody>> {
    let caller = platform.may(Scope::Manage)?;
    let Json(to) = to?;
    let home = || {
        let error = "home has the workspace of SLACK_BOT_TOKEN: it keeps it, and is given no other";
        ApiError::new(StatusCode::CONFLICT, "home_is_apart", error).fix("set or unset SLACK_BOT_TOKEN")
    };
    let tenant = auth::known_tenant(&app, &to.tenant).await?;
    if tenant.is_home() {
        return Err(home());
    }
    let unknown = || {
        ApiError::not_found("installation_unknown", format!("there is no installation {id:?}"))
            .fix("GET /api/v1/integrations/slack/installations lists a tenant's")
    };
    let installation = id.parse().map_err(|_| unknown())?;
    let (mover, to) = (app.clone(), tenant.clone());
    let moving = async move { Ok(moving::to(&mover, installation, &to, &caller.name).await?) };
    match app.to_the_end(moving).await? {
        Moved::Done { from, installation } => {
            Ok(Json(MovedBody { id: installation.id, from: Some(from.to_string()) }))
        }
        Moved::Already => Ok(Json(MovedBody { id: installation, from: None })),
        Moved::OfHome => Err(home()),
        Moved::Unknown => Err(unknown()),
    }
}
