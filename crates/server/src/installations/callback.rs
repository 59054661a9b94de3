//! `GET …/oauth/callback`: Slack sends the person back. `POST` to the same path: the person confirms.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::rejection::FormRejection;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Extension, Form};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;
use tautline_core::SecretHash;
use tautline_core::connect::ConnectState;
use tautline_core::installation::{Facts, Installation};
use tautline_core::{Purpose, Timestamp};
use tautline_slack::scopes;
use url::Url;

use super::ending::Ending;
use super::{park, redeem};
use crate::app::App;
use crate::auth::address::{self, Peer};
use crate::cookie;
use crate::page::{Confirm, Link, Notice, Tone};

/// Where Slack sends people back to, whatever else `SLACK_REDIRECT_URI` names.
pub const PATH: &str = "/api/v1/integrations/slack/oauth/callback";

/// What Slack sends back.
#[derive(Default)]
struct Callback {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
}

impl Callback {
    /// Reads a query. A parameter that comes twice is nobody's honest mistake.
    fn read(query: &str) -> Result<Self, Ending> {
        let mut read = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let slot = match name.as_ref() {
                "state" => &mut read.state,
                "code" => &mut read.code,
                "error" => &mut read.error,
                _ => continue,
            };
            if slot.replace(value.into_owned()).is_some() {
                return Err(Ending::StateForged);
            }
        }
        Ok(read)
    }
}

#[derive(Deserialize)]
pub(crate) struct Confirmation {
    confirmation: String,
    code: String,
}

/// Slack sends the person back.
#[utoipa::path(
    get,
    path = "/api/v1/integrations/slack/oauth/callback",
    tag = "installations",
    params(
        ("state" = Option<String>, Query, description = "What the start sealed"),
        ("code" = Option<String>, Query, description = "Slack's code"),
        ("error" = Option<String>, Query, description = "Slack's error, such as access_denied"),
    ),
    responses(
        (status = 200, description = "A page: connected, or please confirm; or, without a state, where it is claimed"),
        (status = 302, description = "To where the start asked to return"),
        (status = 400, description = "A page: the state or the code is not good"),
        (status = 403, description = "A page: denied, or another browser"),
        (status = 409, description = "A page: used before, or the workspace is another tenant's"),
        (status = 502, description = "A page: Slack did not answer"),
    ),
    security(()),
)]
pub(crate) async fn callback(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
) -> Response {
    to_the_end(app.clone(), async move {
        let from = address::from(peer.map(|Extension(peer)| peer), &headers, &app.settings.trusted_proxies);
        try_callback(&app, Callback::read(query.as_deref().unwrap_or_default())?, &headers, from).await
    })
    .await
}

/// The person confirms a connect that was begun in another browser.
#[utoipa::path(
    post,
    path = "/api/v1/integrations/slack/oauth/callback",
    tag = "installations",
    request_body(content = String, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, description = "A page: connected"), (status = 400, description = "A page: not confirmed here")),
    security(()),
)]
pub(crate) async fn confirm(
    State(app): State<Arc<App>>,
    form: Result<Form<Confirmation>, FormRejection>,
) -> Response {
    to_the_end(app.clone(), async move {
        let Form(form) = form.map_err(|_| Ending::StateForged)?;
        try_confirm(&app, form).await
    })
    .await
}

/// In a task of its own: a tab that is closed while Slack is asked must not leave a code spent and nothing stored.
async fn to_the_end(
    app: Arc<App>,
    step: impl Future<Output = Result<Step, Ending>> + Send + 'static,
) -> Response {
    let done = app.clone().tasks.spawn(async move { finish(&app, step.await) });
    done.await.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

enum Step {
    Connected(Installation, Option<String>),
    Confirmed(Installation, Option<String>),
    Ask(Confirm),
    Parked(Url),
}

async fn try_callback(
    app: &App,
    query: Callback,
    headers: &HeaderMap,
    from: Option<IpAddr>,
) -> Result<Step, Ending> {
    // Slack sends an empty one where it began the install itself.
    let Some(state) = query.state.as_deref().filter(|state| !state.is_empty()) else {
        return without_state(app, query, from).await;
    };
    let now = app.clock.now();
    let state = ConnectState::open(state, Purpose::OAuthState, app.vault.as_ref(), now)?;
    // Consumed whatever comes with it: a denial, too, ends this try.
    consume(app, &state, now).await?;
    if let Some(error) = query.error {
        return Err(Ending::of_slacks_page(&error, state.return_to));
    }
    let code = query.code.filter(|code| !code.is_empty()).ok_or(Ending::CodeMissing)?;
    match cookie::CONNECT.get(&app.settings, headers) {
        Some(nonce) if nonce == state.nonce => {
            let installation = redeem::redeem(app, &state, &code).await?;
            Ok(Step::Connected(installation, state.return_to))
        }
        Some(_) => Err(Ending::WrongBrowser),
        None => Ok(Step::Ask(ask(app, state, code))),
    }
}

/// What began at Slack: there is nobody it could belong to by itself.
async fn without_state(app: &App, query: Callback, from: Option<IpAddr>) -> Result<Step, Ending> {
    if let Some(error) = query.error {
        return Err(Ending::of_slacks_page(&error, None));
    }
    let code = query.code.filter(|code| !code.is_empty()).ok_or(Ending::StateMissing)?;
    Ok(Step::Parked(park::park(app, &code, from).await?))
}

async fn consume(app: &App, state: &ConnectState, now: Timestamp) -> Result<(), Ending> {
    let expires_at = Timestamp::from_micros(state.expires_at_us);
    let fresh = app.store.nonce_consume(SecretHash::of(&state.nonce), expires_at, now).await?;
    if fresh { Ok(()) } else { Err(Ending::StateReplayed { return_to: state.return_to.clone() }) }
}

/// The question. Its seal names the code, so that it answers for this callback and no other.
fn ask(app: &App, state: ConnectState, code: String) -> Confirm {
    let (tenant, user) = (state.tenant.clone(), state.user.clone());
    let confirmation = ConnectState { nonce: code_name(&code), ..state };
    Confirm {
        action: app.settings.public(PATH).path().to_owned(),
        confirmation: confirmation.seal(Purpose::InstallConfirmation, app.vault.as_ref()),
        code,
        tenant,
        user,
    }
}

fn code_name(code: &str) -> String {
    SecretHash::of(code).0.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn try_confirm(app: &App, form: Confirmation) -> Result<Step, Ending> {
    let now = app.clock.now();
    let state =
        ConnectState::open(&form.confirmation, Purpose::InstallConfirmation, app.vault.as_ref(), now)?;
    if state.nonce != code_name(&form.code) {
        return Err(Ending::StateForged);
    }
    consume(app, &state, now).await?;
    let installation = redeem::redeem(app, &state, &form.code).await?;
    Ok(Step::Confirmed(installation, state.return_to))
}

fn finish(app: &App, step: Result<Step, Ending>) -> Response {
    let (mut response, keeps_cookie) = match step {
        Ok(Step::Connected(installation, return_to)) => match return_to.map(HeaderValue::try_from) {
            Some(Ok(location)) => {
                ((StatusCode::FOUND, [(header::LOCATION, location)]).into_response(), false)
            }
            _ => (connected(app, &installation, None).into_response(), false),
        },
        // A page and not a redirect: browsers hold the form's target to the page's own policy.
        Ok(Step::Confirmed(installation, return_to)) => {
            (connected(app, &installation, return_to).into_response(), false)
        }
        Ok(Step::Ask(confirm)) => (confirm.into_response(), true),
        Ok(Step::Parked(claim)) => (Redirect::to(claim.as_str()).into_response(), true),
        // The other connect of this browser may still be under way.
        Err(ending @ (Ending::WrongBrowser | Ending::StateForged | Ending::StateMissing)) => {
            (ending.into_response(), true)
        }
        Err(ending) => (ending.into_response(), false),
    };
    if !keeps_cookie {
        response.headers_mut().append(header::SET_COOKIE, cookie::CONNECT.clear(&app.settings));
    }
    response
}

fn connected(app: &App, installation: &Installation, return_to: Option<String>) -> Notice {
    let facts = &installation.facts;
    let place = facts.team_name.as_deref().or(facts.enterprise_name.as_deref()).unwrap_or("Your workspace");
    let (mut next, mut link) = (
        "You can close this page. In Slack, invite the app to the channels where it should take part."
            .to_owned(),
        return_to.map(|href| Link { href, text: "Continue".into() }),
    );
    if facts.is_enterprise_install {
        next = "It is in no workspace of the org yet: choose those where it should take part.".into();
        link =
            link.or_else(|| Some(Link { href: workspaces_page(facts)?, text: "Choose workspaces".into() }));
    }
    let declined = scopes::missing(&app.settings.bot_scopes, &facts.scopes);
    if !declined.is_empty() {
        next.push_str(&format!(
            " Not granted: {}. What needs them is off until you connect again.",
            declined.join(", ")
        ));
    }
    Notice {
        status: StatusCode::OK,
        code: "connected",
        tone: Tone::Good,
        title: format!("{place} is connected"),
        lead: format!("It belongs to {} now.", installation.tenant),
        next,
        link,
    }
}

/// Where an org's admin adds the app to workspaces. Source: docs.slack.dev, enterprise/developing-for-enterprise-orgs.
fn workspaces_page(facts: &Facts) -> Option<String> {
    let org = facts.enterprise.as_ref()?;
    Some(format!("https://app.slack.com/manage/{org}/integrations/profile/{}/workspaces/add", facts.app))
}
