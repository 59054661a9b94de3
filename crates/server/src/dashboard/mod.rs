//! The dashboard: a tenant's own pages. Made here, without a script; every form carries the session's token.
//!
//! A page is one file: what it shows, as a template's fields, and the handler that fills them. The templates
//! are in `templates/`, the frame around them is [`frame`].

mod bits;
mod channels;
mod claim;
mod frame;
mod inbox;
pub(crate) mod link;
mod messages;
mod overview;
mod payload;
pub(crate) mod sign_in;

use std::sync::Arc;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::header;

use crate::app::App;
use crate::installations::park::CLAIM;
use crate::page;

/// Where the dashboard begins.
pub(crate) const HOME: &str = "/";

pub(crate) fn router() -> Router<Arc<App>> {
    Router::new()
        .route(HOME, get(overview::show))
        .route("/sign-in", get(sign_in::show).post(sign_in::submit))
        .route("/sign-out", post(sign_in::out))
        .route("/channels/slack", get(channels::show))
        .route(CLAIM, get(claim::show).post(claim::submit))
        .route("/inbox", get(inbox::list::show))
        .route("/inbox/{id}", get(inbox::request::show))
        .route("/messages", get(messages::list::show).post(messages::list::send))
        .route("/messages/{id}", get(messages::message::show))
        .route("/style.css", get(style))
}

async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], page::STYLE).into_response()
}
