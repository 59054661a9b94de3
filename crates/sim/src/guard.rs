//! What is on this machine's desk is not for the pages of others.

use std::net::Ipv4Addr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, StatusCode};

use crate::app::Sim;

/// Refuses what a page of another site has a browser send: it could put words into the app's ears, signed. And what
/// comes under another name, as a site that rebinds its name would have it.
pub(crate) async fn same_site(State(sim): State<Arc<Sim>>, request: Request, next: Next) -> Response {
    if is_welcome(&sim, request.method(), request.headers()) {
        return next.run(request).await;
    }
    (StatusCode::FORBIDDEN, "This simulated Slack is for this machine alone.").into_response()
}

fn is_welcome(sim: &Sim, method: &Method, headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let from_elsewhere = text("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none");
    let host = text("host").unwrap_or_default();
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    let is_ours = host == "localhost"
        || sim.options.public_url.host_str() == Some(host)
        || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback());
    is_ours && !(from_elsewhere && method == Method::POST)
}
