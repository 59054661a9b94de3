//! Signing in with an API key, and signing out.

use std::net::IpAddr;
use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::extract::rejection::FormRejection;
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Extension, Form};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;
use tautline_core::access::Caller;
use tautline_core::session::Session;
use tautline_core::{SecretHash, TenantId, limits, new_secret};

use super::HOME;
use crate::app::App;
use crate::auth::address::{self, Peer};
use crate::auth::{self, Issuer, Refused, SignedIn, Submitted};
use crate::cookie;
use crate::error::{ApiError, ApiQuery, ApiResult, chain};
use crate::page::{PageError, render_leading_to};

#[derive(Default, Template)]
#[template(path = "sign_in.html")]
struct SignIn {
    return_to: String,
    tenant: String,
    /// What went wrong, and what to do.
    problem: Option<(String, String)>,
    signed_out: bool,
    /// A link would do as well: `tautline dev` prints one.
    is_dev: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    return_to: String,
    signed_out: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Key {
    key: String,
    #[serde(default)]
    tenant: String,
    #[serde(default)]
    return_to: String,
}

pub(super) async fn show(State(app): State<Arc<App>>, ApiQuery(asked): ApiQuery<Asked>) -> Response {
    page(
        &app,
        StatusCode::OK,
        SignIn { return_to: asked.return_to, signed_out: asked.signed_out.is_some(), ..SignIn::default() },
    )
}

/// In place of a page that needs a session: signing in leads on to it.
pub(crate) fn asked(app: &App, return_to: Option<String>) -> Response {
    page(
        app,
        StatusCode::UNAUTHORIZED,
        SignIn { return_to: return_to.unwrap_or_default(), ..SignIn::default() },
    )
}

fn page(app: &App, status: StatusCode, page: SignIn) -> Response {
    let slack = &app.settings.slack_url;
    // Signing in may lead straight on to Slack's consent page.
    render_leading_to(status, &SignIn { is_dev: app.settings.is_simulated(), ..page }, &slack.origin())
}

pub(super) async fn submit(
    State(app): State<Arc<App>>,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    form: Result<Form<Key>, FormRejection>,
) -> Response {
    let Ok(Form(key)) = form else { return asked(&app, None) };
    let (tenant, return_to) = (key.tenant.clone(), key.return_to.clone());
    let from = address::from(peer.map(|Extension(peer)| peer), &headers, &app.settings.trusted_proxies);
    match try_submit(&app, &headers, from, key).await {
        Ok(response) => response,
        Err(error) if error.status().is_server_error() => PageError::from(error).into_response(),
        Err(error) => {
            let status = error.status();
            let problem = (error.text().to_owned(), error.fix_text().unwrap_or_default().to_owned());
            page(&app, status, SignIn { return_to, tenant, problem: Some(problem), ..SignIn::default() })
        }
    }
}

async fn try_submit(app: &App, headers: &HeaderMap, from: Option<IpAddr>, form: Key) -> ApiResult<Response> {
    // Another site must not sign somebody in to its own tenant. (There is no session yet to tie a token to.)
    if is_from_elsewhere(app, headers, form.key.trim()) {
        let error = "This form was sent from another site.";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "form_refused", error).fix("Send it from here."));
    }
    let caller = auth::caller(app, form.key.trim(), from).await.map_err(|refused| match refused {
        Refused::Unknown => ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", "This key is unknown.")
            .fix("A key begins with tl_; whoever runs this gateway makes them."),
        refused => refused.into(),
    })?;
    let tenant = tenant(app, &caller, form.tenant.trim()).await?;
    let (now, secret) = (app.clock.now(), new_secret(app.rng.as_ref()));
    // Never longer than the key. A token of the issuer's lives for a minute or so, and is posted once.
    let end = now.after(limits::SESSION);
    let key_ends = caller.expires_at.filter(|_| caller.key.is_some());
    let expires_at = key_ends.map_or(end, |key_ends| key_ends.min(end));
    let session = Session { tenant, scopes: caller.scopes, name: caller.name, key: caller.key, expires_at };
    app.store.session_store(session, SecretHash::of(&secret), now).await?;
    let target = return_path(app, &form.return_to);
    Ok(signed_in(app, headers, &secret, &target).await)
}

/// What browsers say of where a form was sent from. Over plain HTTP only `Origin` is sent, and `null` from our own
/// pages, as they send no referrer.
fn is_from_elsewhere(app: &App, headers: &HeaderMap, key: &str) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match (text("sec-fetch-site"), text("origin")) {
        // The product's own pages post the token of whoever is signed in there. A key they have none to post.
        (_, Some(origin)) if app.issuer.is_some() && Issuer::could_be(key) && is_allowed(app, origin) => {
            false
        }
        (Some(site), _) => site != "same-origin" && site != "none",
        (None, None | Some("null")) => false,
        (None, Some(origin)) => origin != app.settings.public_url.origin().ascii_serialization(),
    }
}

fn is_allowed(app: &App, origin: &str) -> bool {
    app.settings.return_origins.iter().any(|allowed| allowed.ascii_serialization() == origin)
}

/// A session is always within one tenant, even of somebody who may see all.
async fn tenant(app: &App, caller: &Caller, named: &str) -> ApiResult<TenantId> {
    match &caller.tenant {
        Some(own) if named.is_empty() || named == own.as_str() => Ok(own.clone()),
        Some(_) => Err(ApiError::bad_request("tenant_unknown", "This key is another tenant's.")
            .fix("Leave the tenant empty: the key knows its own.")),
        None if named.is_empty() => {
            Err(ApiError::bad_request("tenant_required", "This key is good for every tenant.")
                .fix("Name the tenant whose dashboard you want to see."))
        }
        None => auth::known_tenant(app, named).await.map_err(|error| match error.status() {
            StatusCode::NOT_FOUND => {
                ApiError::bad_request("tenant_unknown", format!("There is no tenant {named:?}."))
                    .fix("Check the id; POST /api/v1/tenants makes one.")
            }
            _ => error,
        }),
    }
}

/// Only to a page of ours.
fn return_path(app: &App, return_to: &str) -> String {
    let public = &app.settings.public_url;
    let url = app.settings.return_url(return_to).filter(|url| url.origin() == public.origin());
    match url {
        Some(url) if !return_to.is_empty() => url.into(),
        _ => HOME.to_owned(),
    }
}

/// The cookie, and on to somewhere. A session that this browser had before is at its end.
pub(super) async fn signed_in(app: &App, headers: &HeaderMap, secret: &str, target: &str) -> Response {
    if let Some(old) = cookie::SESSION.get(&app.settings, headers)
        && let Err(error) = app.store.session_end(SecretHash::of(old)).await
    {
        tracing::warn!(error = %chain(&error), "a session that was replaced goes on until it expires");
    }
    let location = HeaderValue::try_from(target).unwrap_or(HeaderValue::from_static(HOME));
    let headers =
        [(header::SET_COOKIE, cookie::SESSION.set(&app.settings, secret)), (header::LOCATION, location)];
    (StatusCode::SEE_OTHER, headers).into_response()
}

#[derive(Deserialize)]
pub(super) struct Nothing {}

pub(super) async fn out(State(app): State<Arc<App>>, submitted: Submitted<Nothing>) -> Response {
    match end(&app, &submitted.who).await {
        Ok(()) => {
            let gone = [(header::SET_COOKIE, cookie::SESSION.clear(&app.settings))];
            (gone, Redirect::to("/sign-in?signed_out=yes")).into_response()
        }
        Err(error) => PageError::from(error).into_response(),
    }
}

async fn end(app: &App, who: &SignedIn) -> ApiResult<()> {
    Ok(app.store.session_end(who.secret_hash()).await?)
}
