//! The face: a workspace with its channels and people, as one of them sees it. Works without a script; with one
//! it shows what is new by itself.

mod conversation;
mod modal;
mod page;

use std::collections::HashMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

pub(crate) use self::page::index;
use crate::app::Sim;

/// Nothing is loaded from elsewhere but the pictures that apps show.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
    img-src http: https: data:; base-uri 'none'; frame-ancestors 'none'";

/// A page with its headers.
pub(crate) fn html(page: &impl askama::Template) -> Response {
    let html = page.render().expect("templates render from plain values");
    let mut response = axum::response::Html(html).into_response();
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}

pub(crate) async fn nothing_here() -> Response {
    (StatusCode::NOT_FOUND, html(&crate::acts::Oops::no_page())).into_response()
}

pub(crate) async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], include_str!("../../templates/style.css"))
        .into_response()
}

pub(crate) async fn script() -> Response {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], include_str!("../../templates/live.js"))
        .into_response()
}

/// `GET /version`: a number that changes whenever there is something new to see.
pub(crate) async fn version(State(sim): State<Arc<Sim>>) -> Response {
    let changed = sim.state().changed();
    Json(json!({ "version": sim.journal().count() + changed })).into_response()
}

/// `GET /messages?channel=general`: what was said there, oldest first.
pub(crate) async fn messages(
    State(sim): State<Arc<Sim>>,
    Query(query): Query<HashMap<String, String>>,
) -> Response {
    let mut state = sim.state();
    let workspace = state.world.workspace(query.get("team").map(String::as_str));
    let channel = query.get("channel").map_or("general", String::as_str);
    match workspace.and_then(|workspace| workspace.channel(channel)) {
        Some(channel) => Json(json!({ "channel": channel.id, "messages": channel.messages })).into_response(),
        None => (StatusCode::NOT_FOUND, Json(json!({ "ok": false, "error": "channel_not_found" })))
            .into_response(),
    }
}

/// `GET /log`: what Slack sent and what came back, oldest first.
pub(crate) async fn log(State(sim): State<Arc<Sim>>) -> Response {
    Json(json!({ "log": sim.journal().entries() })).into_response()
}

/// `GET /teams`: the workspaces there are.
pub(crate) async fn teams(State(sim): State<Arc<Sim>>) -> Response {
    let state = sim.state();
    let team = |each: &crate::world::Workspace| json!({ "id": each.id, "name": each.name, "is_installed": each.bot.is_some() });
    Json(json!({ "teams": state.world.workspaces.iter().map(team).collect::<Vec<_>>() })).into_response()
}
