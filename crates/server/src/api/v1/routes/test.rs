//! `POST …/routes/{name}/test`: say something where a route leads.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use tautline_core::MessageId;
use tautline_core::access::Scope;
use tautline_slack::outgoing::Arguments;
use utoipa::ToSchema;

use super::Where;
use crate::app::App;
use crate::auth::ForTenant;
use crate::error::{ApiPath, ApiQuery, ApiResult, ErrorBody};
use crate::outbound::accept::{Address, Wish, queue};

#[derive(Serialize, ToSchema)]
pub(crate) struct Tested {
    /// A message for each of its channels, marked ones among them: they are tried as well.
    #[schema(value_type = Vec<String>)]
    messages: Vec<MessageId>,
}

/// Say something where a route leads, to see that it arrives.
#[utoipa::path(
    post,
    path = "/api/v1/integrations/slack/routes/{name}/test",
    tag = "routes",
    params(("name" = String, Path, description = "billing.invoice_paid, billing.* or default"), Where),
    responses(
        (status = 202, description = "Durable; GET …/messages/{id} says what became of each", body = Tested),
        (status = 404, description = "No such route of this workspace", body = ErrorBody),
        (status = 409, description = "No workspace is connected", body = ErrorBody),
    ),
)]
pub(crate) async fn test(
    State(app): State<Arc<App>>,
    caller: ForTenant,
    ApiPath(name): ApiPath<String>,
    ApiQuery(at): ApiQuery<Where>,
) -> ApiResult<(StatusCode, Json<Tested>)> {
    let (_, tenant) = caller.may(Scope::Send)?;
    let found = super::of(&app, &tenant, &at).await?;
    let route = super::known(&app, &tenant, &found, &name).await?;
    let text = format!("A test of the route {name}: this is where it leads.");
    let mut messages = Vec::new();
    for channel in route.channels {
        let words = Arguments::from_iter([("text".to_owned(), text.clone().into())]);
        let wish = Wish { route: Some(name.clone()), ..Wish::post(Address::Channel(channel), words) };
        messages.push(queue(&app, &tenant, found.id, wish, None).await?);
    }
    Ok((StatusCode::ACCEPTED, Json(Tested { messages })))
}
