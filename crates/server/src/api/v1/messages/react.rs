//! `POST …/reactions`: add a reaction to a message, or take one away.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use tautline_core::access::Scope;
use tautline_core::operation::Operation;
use tautline_slack::outgoing::Arguments;
use utoipa::ToSchema;

use super::create::QueuedMessage;
use crate::api::v1::creating::Creating;
use crate::app::App;
use crate::auth::ForTenant;
use crate::error::{ApiError, ApiResult, ErrorBody};
use crate::outbound::accept::{Address, Wish, accept, unknown};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewReaction {
    /// The emoji's name, without colons.
    #[schema(example = "white_check_mark")]
    name: String,
    /// A message of ours, even if it is still on its way.
    #[schema(example = "msg_0192f0c8a4b07c3e8d1f2a3b4c5d6e7f")]
    message: Option<String>,
    /// Or anybody's: the channel's id, with `timestamp`.
    channel: Option<String>,
    /// Slack's name for the message within the channel.
    timestamp: Option<String>,
    /// Which workspace, when the tenant has several: `T…`, or `E…` for an org.
    team_id: Option<String>,
    /// Takes it away.
    #[serde(default)]
    remove: bool,
}

/// Add a reaction, or take one away. Needs the scope reactions:write.
#[utoipa::path(
    post,
    path = "/api/v1/integrations/slack/reactions",
    tag = "messages",
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key and body answer the same")),
    request_body = NewReaction,
    responses(
        (status = 202, description = "Durable; it is done in its channel's turn", body = QueuedMessage),
        (status = 400, description = "It does not say which, or to what", body = ErrorBody),
        (status = 404, description = "No such workspace or message of this tenant", body = ErrorBody),
        (status = 409, description = "No workspace is connected, or it has not granted reactions:write", body = ErrorBody),
    ),
)]
pub(crate) async fn react(
    State(app): State<Arc<App>>,
    caller: ForTenant,
    creating: Creating<NewReaction>,
) -> ApiResult<(StatusCode, Json<QueuedMessage>)> {
    let (caller, tenant) = caller.may(Scope::Send)?;
    let once = creating.key_of(&caller, tenant.as_str(), app.clock.now());
    let new = creating.body;
    let mut arguments = Arguments::new();
    arguments.insert("name".to_owned(), new.name.trim_matches(':').into());
    let to = match (new.message, new.channel, new.timestamp) {
        (Some(id), None, None) => Address::Message(id.parse().map_err(|_| unknown(&id))?),
        (None, Some(channel), Some(timestamp)) => {
            arguments.insert("timestamp".to_owned(), timestamp.into());
            Address::Channel(channel)
        }
        _ => {
            return Err(ApiError::bad_request("invalid_item", "it does not say to which message")
                .fix("give message, or channel and timestamp"));
        }
    };
    let operation = if new.remove { Operation::Unreact } else { Operation::React };
    let wish = Wish { place: new.team_id, operation, ..Wish::post(to, arguments) };
    let (id, _) = accept(&app, &tenant, wish, once).await?;
    Ok((StatusCode::ACCEPTED, Json(QueuedMessage::new(id))))
}
