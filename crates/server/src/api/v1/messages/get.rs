//! `GET …/messages/{id}`: what became of a message.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use tautline_core::access::Scope;

use super::view::{FullMessageBody, full};
use crate::app::App;
use crate::auth::ForTenant;
use crate::error::{ApiPath, ApiResult, ErrorBody};
use crate::outbound::accept::{known, unknown};

/// Look at one message.
#[utoipa::path(
    get,
    path = "/api/v1/integrations/slack/messages/{id}",
    tag = "messages",
    params(("id" = String, Path, description = "msg_…")),
    responses(
        (status = 200, description = "Where it stands, with its attempts", body = FullMessageBody),
        (status = 404, description = "No such message of this tenant", body = ErrorBody),
    ),
)]
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    caller: ForTenant,
    ApiPath(id): ApiPath<String>,
) -> ApiResult<Json<FullMessageBody>> {
    let (_, tenant) = caller.may(Scope::Read)?;
    let found = known(&app, &tenant, id.parse().map_err(|_| unknown(&id))?).await?;
    Ok(Json(full(found)))
}
