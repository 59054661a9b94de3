//! The consent screen.

use std::sync::Arc;

use askama::Template;
use axum::Form;
use axum::extract::{Query, State};
use axum::response::{Html, IntoResponse, Response};
use http::{StatusCode, header};
use serde::Deserialize;
use url::Url;

use crate::app::{Code, Sim, lock};
use crate::time::now_s;
use crate::world::id;

/// What the app asks for.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    client_id: String,
    #[serde(default)]
    scope: String,
    #[serde(default)]
    user_scope: String,
    #[serde(default)]
    redirect_uri: String,
    #[serde(default)]
    state: String,
}

/// What the person decided.
#[derive(Deserialize)]
pub(crate) struct Decision {
    #[serde(flatten)]
    asked: Asked,
    decision: String,
    #[serde(default)]
    team: String,
    /// Scopes that the person does not grant.
    #[serde(default)]
    declined: String,
}

#[derive(Template)]
#[template(path = "consent.html")]
struct Consent {
    asked: Asked,
    scopes: Vec<String>,
    bot_name: String,
    workspaces: Vec<(String, String)>,
}

pub(crate) async fn consent(State(sim): State<Arc<Sim>>, Query(asked): Query<Asked>) -> Response {
    if let Err(error) = check(&sim, &asked) {
        return refused(error);
    }
    let scopes = tautline_slack::scopes::parse(&asked.scope);
    let workspaces = sim.state().world.workspaces.iter().map(|w| (w.id.clone(), w.name.clone())).collect();
    let bot_name = sim.options.registration.bot_name.clone();
    let page = Consent { asked, scopes, bot_name, workspaces };
    crate::face::html(&page)
}

pub(crate) async fn decide(State(sim): State<Arc<Sim>>, Form(decision): Form<Decision>) -> Response {
    let Decision { asked, decision, team, declined } = decision;
    if let Err(error) = check(&sim, &asked) {
        return refused(error);
    }
    let mut back: Url = asked.redirect_uri.parse().expect("checked");
    if decision == "allow" {
        match grant(&sim, &asked, &team, &declined) {
            Some(code) => back.query_pairs_mut().append_pair("code", &code),
            None => return refused("team_not_found"),
        };
    } else {
        back.query_pairs_mut().append_pair("error", "access_denied");
    }
    // Also where there was none: then it is empty.
    back.query_pairs_mut().append_pair("state", &asked.state);
    (StatusCode::FOUND, [(header::LOCATION, back.to_string())]).into_response()
}

fn grant(sim: &Sim, asked: &Asked, team: &str, declined: &str) -> Option<String> {
    let mut state = sim.state();
    let user = state.world.workspace(Some(team))?.person(None)?.id.clone();
    let code = format!(
        "{}.{}",
        state.rng.u64(10_000_000_000..99_999_999_999),
        id(&mut state.rng, 'c').to_lowercase()
    );
    let expires_at_s = now_s() + state.temper.code_life_s;
    // What is optional can be declined.
    let declined = tautline_slack::scopes::parse(declined);
    let mut scopes = tautline_slack::scopes::parse(&asked.scope);
    scopes.retain(|scope| !declined.contains(scope));
    let redirect_uri = asked.redirect_uri.clone();
    let user_scopes = tautline_slack::scopes::parse(&asked.user_scope);
    let granted = Code { team: team.to_owned(), user, scopes, user_scopes, redirect_uri, expires_at_s };
    lock(&sim.codes).insert(code.clone(), granted);
    Some(code)
}

fn check(sim: &Sim, asked: &Asked) -> Result<(), &'static str> {
    let registration = &sim.options.registration;
    if asked.client_id != registration.client_id {
        return Err("invalid_client_id");
    }
    if !registration.redirect_urls.iter().any(|configured| leads_below(&asked.redirect_uri, configured)) {
        return Err("bad_redirect_uri");
    }
    if tautline_slack::scopes::parse(&asked.scope).is_empty() {
        return Err("invalid_scope");
    }
    Ok(())
}

/// The same URL, or a path below it; over TLS unless it never leaves the machine.
fn leads_below(asked: &str, configured: &str) -> bool {
    let (Ok(asked), Ok(configured)) = (asked.parse::<Url>(), configured.parse::<Url>()) else { return false };
    let local = match asked.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(v4)) => v4.is_loopback(),
        Some(url::Host::Ipv6(v6)) => v6.is_loopback(),
        None => false,
    };
    let below = configured.path().trim_end_matches('/').to_owned() + "/";
    asked.fragment().is_none()
        && (asked.scheme() == "https" || local)
        && asked.origin() == configured.origin()
        && (asked.path() == configured.path() || asked.path().starts_with(&below))
}

fn refused(error: &str) -> Response {
    let page = format!(
        "<!doctype html><title>Slack (simulated)</title><h1>Something went wrong</h1><p><code>{error}</code></p>"
    );
    (StatusCode::BAD_REQUEST, Html(page)).into_response()
}
