//! `DELETE …/messages/{id}`: take a message back.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use tautline_core::MessageId;
use tautline_core::access::Scope;
use tautline_core::operation::Operation;
use tautline_core::outbox::{Change, Changed, MessageState};
use tautline_slack::outgoing::Arguments;
use utoipa::ToSchema;

use super::change::changeable;
use crate::app::App;
use crate::auth::ForTenant;
use crate::error::{ApiPath, ApiResult, ErrorBody};
use crate::outbound::accept::{Address, Wish, accept, known, unknown};

#[derive(Serialize, ToSchema)]
pub(crate) struct TakenBack {
    /// The message that was not sent; or the one that takes it away.
    #[schema(value_type = String, example = "msg_0192f0c8a4b07c3e8d1f2a3b4c5d6e7f")]
    id: MessageId,
    /// `cancelled`: it will not be sent. `queued`: it is there, and is taken away in its channel's turn.
    state: &'static str,
}

/// Take a message back.
///
/// One that waits or is held is cancelled. One that is out is taken away, which is a message of its own.
#[utoipa::path(
    delete,
    path = "/api/v1/integrations/slack/messages/{id}",
    tag = "messages",
    params(("id" = String, Path, description = "msg_…")),
    responses(
        (status = 200, description = "Cancelled: it will not be sent", body = TakenBack),
        (status = 202, description = "Durable; it is taken away in its channel's turn", body = TakenBack),
        (status = 404, description = "No such message of this tenant", body = ErrorBody),
        (status = 409, description = "It was not sent, and will not be; or it cannot be taken away", body = ErrorBody),
    ),
)]
pub(crate) async fn remove(
    State(app): State<Arc<App>>,
    caller: ForTenant,
    ApiPath(id): ApiPath<String>,
) -> ApiResult<(StatusCode, Json<TakenBack>)> {
    let (_, tenant) = caller.may(Scope::Send)?;
    let id: MessageId = id.parse().map_err(|_| unknown(&id))?;
    let changed = app.store.message_change(&tenant, id, Change::Cancel, app.clock.now()).await?;
    match changed {
        Changed::Unknown => Err(unknown(&id.to_string())),
        Changed::Now(state) | Changed::Not(state @ MessageState::Cancelled) => {
            Ok((StatusCode::OK, Json(TakenBack { id, state: state.as_str() })))
        }
        Changed::Not(_) => {
            changeable(&known(&app, &tenant, id).await?)?;
            let away =
                Wish { operation: Operation::Delete, ..Wish::post(Address::Message(id), Arguments::new()) };
            let (id, _) = accept(&app, &tenant, away, None).await?;
            let state = MessageState::Queued.as_str();
            Ok((StatusCode::ACCEPTED, Json(TakenBack { id, state })))
        }
    }
}
