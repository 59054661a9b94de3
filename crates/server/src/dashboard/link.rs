//! `GET …/dashboard-links/{secret}`: somebody with a link is signed in.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, StatusCode};
use tautline_core::{SecretHash, new_secret};

use super::{HOME, sign_in};
use crate::app::App;
use crate::error::ApiPath;
use crate::page::{Link, Notice, PageError, Tone};

/// Open a dashboard link.
#[utoipa::path(
    get,
    path = "/api/v1/dashboard-links/{secret}",
    tag = "dashboard",
    params(("secret" = String, Path, description = "The link's secret")),
    responses(
        (status = 303, description = "Signed in, and on to where the link leads"),
        (status = 410, description = "A page: used, or too old"),
    ),
    security(()),
)]
pub(crate) async fn open(
    State(app): State<Arc<App>>,
    method: Method,
    headers: HeaderMap,
    ApiPath(secret): ApiPath<String>,
) -> Response {
    // Mail servers and chat programs look at links before people do. The first *GET* uses it up.
    let is_prefetch = ["sec-purpose", "purpose"].into_iter().any(|name| {
        headers.get(name).and_then(|value| value.to_str().ok()).is_some_and(|text| text.contains("prefetch"))
    });
    if method == Method::HEAD || is_prefetch {
        return StatusCode::OK.into_response();
    }
    let session = new_secret(app.rng.as_ref());
    let (link, begun) = (SecretHash::of(&secret), SecretHash::of(&session));
    match app.store.dashboard_link_open(link, begun, app.clock.now()).await {
        Ok(Some(link)) => {
            sign_in::signed_in(&app, &headers, &session, link.return_to.as_deref().unwrap_or(HOME)).await
        }
        Ok(None) => ended().into_response(),
        Err(error) => PageError::from(error).into_response(),
    }
}

fn ended() -> Notice {
    Notice {
        status: StatusCode::GONE,
        code: "link_used",
        tone: Tone::Bad,
        title: "This link has ended".into(),
        lead: "It signs in once, within ten minutes.".into(),
        next: "Ask for a new one where you got it, or sign in with an API key.".into(),
        link: Some(Link { href: "/sign-in".into(), text: "Sign in".into() }),
    }
}
