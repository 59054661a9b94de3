//! The Web API proxy: any official Slack SDK, pointed here with a gateway key in place of a token, works, and
//! never holds a Slack token. The token is put in; everything else stays as it came.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, StatusCode, header};
use tautline_core::limits;
use tautline_core::refresh::LiveToken;

use super::answer::Answer;
use super::credential::{self, Bare};
use super::headers::passed_on;
use super::pacing;
use super::refusal::{SlackShaped, refusal, unavailable};
use super::standing::acting_for;
use crate::app::App;
use crate::auth;
use crate::auth::address::{self, Peer};
use crate::egress::{bearer, describe};
use crate::installations::acting::Verdict;

/// Methods that would hand a Slack token to the caller, or take one from us. Those ending in a dot are
/// families.
const WITHHELD: [&str; 8] = [
    "oauth.",
    "tooling.tokens.",
    "apps.manifest.",
    "apps.uninstall",
    "apps.connections.open",
    "auth.revoke",
    "rtm.",
    "apps.auth.",
];

/// A read of Slack's Web API.
#[utoipa::path(
    get,
    path = "/slack/api/{method}",
    tag = "outbound",
    summary = "Slack's Web API by GET, with a gateway key in place of a token",
    params(("method" = String, Path, description = "A method, such as conversations.list")),
    responses((status = 200, description = "Slack's answer, as it is; refusals have Slack's own shape")),
)]
pub(crate) async fn proxy_get(
    State(app): State<Arc<App>>,
    method: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
) -> Response {
    let from = from(&app, peer, &headers);
    let call = Call::new(Method::GET, method, query, headers, from);
    call.pass(&app, Body::empty()).await.unwrap_or_else(IntoResponse::into_response)
}

/// Any call of Slack's Web API.
#[utoipa::path(
    post,
    path = "/slack/api/{method}",
    tag = "outbound",
    summary = "Slack's Web API by POST, with a gateway key in place of a token",
    description = "For any official Slack SDK: point its base URL at `/slack/api/` and give it a gateway key as \
        token. The key is read from the Authorization header or from the body's `token`. Where the tenant has \
        several workspaces, write `KEY.T0123` (org-wide: `KEY.E0123`).",
    params(("method" = String, Path, description = "A method, such as chat.postMessage")),
    responses((status = 200, description = "Slack's answer, as it is; refusals have Slack's own shape")),
)]
pub(crate) async fn proxy_post(
    State(app): State<Arc<App>>,
    method: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
    peer: Option<Extension<Peer>>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let from = from(&app, peer, &headers);
    let call = Call::new(Method::POST, method, query, headers, from);
    call.pass(&app, body).await.unwrap_or_else(IntoResponse::into_response)
}

fn from(app: &App, peer: Option<Extension<Peer>>, headers: &HeaderMap) -> Option<IpAddr> {
    address::from(peer.map(|Extension(peer)| peer), headers, &app.settings.trusted_proxies)
}

struct Call {
    verb: Method,
    method: String,
    query: Option<String>,
    headers: HeaderMap,
    from: Option<IpAddr>,
}

impl Call {
    /// A path that is not even text names no method.
    fn new(
        verb: Method,
        method: Result<Path<String>, PathRejection>,
        query: Option<String>,
        headers: HeaderMap,
        from: Option<IpAddr>,
    ) -> Self {
        Self { verb, method: method.map(|Path(method)| method).unwrap_or_default(), query, headers, from }
    }

    async fn pass(self, app: &Arc<App>, body: Body) -> Result<Response, SlackShaped> {
        self.may_pass()?;
        // Before anything is read: a caller without a key is not worth the memory. (A key in the body is.)
        let early = match auth::bearer(&self.headers) {
            Some(key) => Some(acting_for(app, key, &self.headers, self.from).await?),
            None => None,
        };
        let body = to_bytes(body, limits::PROXY_BODY_BYTES).await;
        let body = body
            .map_err(|_| refusal("request_too_large", "the body is larger than 1 MiB, or was cut short"))?;
        let Bare { key, query, body } = credential::take(&self.headers, self.query.as_deref(), body)
            .map_err(|_| refusal("json_not_object", "the body is not a JSON object"))?;
        let key = key.ok_or_else(|| refusal("not_authed", "send a gateway key in place of a Slack token"))?;
        let acting = match early {
            Some(acting) => acting,
            None => acting_for(app, &key, &self.headers, self.from).await?,
        };
        // Bodies come in more shapes than anybody can list; what still holds the key does not leave.
        let bare = key.split('.').next().unwrap_or(&key).as_bytes();
        if body.windows(bare.len()).any(|part| part == bare) {
            let error = "the gateway key stands in the body, where Slack would see it";
            return Err(refusal("invalid_arguments", error));
        }
        let token = acting.token().await?;
        let token = token.ok_or_else(|| {
            refusal("account_inactive", "the installation has no bot token: connect it again")
        })?;
        let query = query.as_deref();
        let call = pacing::turn(app, &acting, &self.method, &self.headers, &body).await?;
        let answer = self.send(app, &token, query, body.clone()).await?;
        if let Some(call) = call.filter(|_| answer.is_limited()) {
            pacing::refused(app, &call, answer.headers()).await;
        }
        // Most answers are no more looked at than that they are none of these.
        let (answer, word) = answer.word_about_the_token().await;
        let Some(word) = word else { return Ok(answer.into_response()) };
        match acting.conclude(token, &word).await? {
            Verdict::Another(another) => Ok(self.send(app, &another, query, body).await?.into_response()),
            Verdict::Renewing => {
                Err(unavailable(StatusCode::SERVICE_UNAVAILABLE, "the token is being renewed; try again"))
            }
            Verdict::Dead { .. } | Verdict::Elsewhere => Ok(answer.into_response()),
        }
    }

    async fn send(
        &self,
        app: &App,
        token: &LiveToken,
        query: Option<&str>,
        body: Bytes,
    ) -> Result<Answer, SlackShaped> {
        let mut headers = passed_on(&self.headers);
        headers.insert(header::AUTHORIZATION, bearer(&token.token));
        match app.slack.send(self.verb.clone(), &self.method, query, headers, body).await {
            Ok(answer) => Ok(Answer::new(answer)),
            Err(error) => {
                let (timed_out, error) = (error.is_timeout(), describe(error));
                tracing::warn!(
                    method = self.method,
                    error,
                    "a proxied call did not reach Slack, or had no answer"
                );
                let status = if timed_out { StatusCode::GATEWAY_TIMEOUT } else { StatusCode::BAD_GATEWAY };
                Err(unavailable(status, "Slack did not answer"))
            }
        }
    }

    fn may_pass(&self) -> Result<(), SlackShaped> {
        let method = self.method.as_str();
        let is_word =
            |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !method.split('.').all(is_word) {
            return Err(refusal("unknown_method", "this is no method name"));
        }
        let lower = method.to_ascii_lowercase();
        let method = lower.as_str();
        let withholds = |entry: &str| method == entry || (entry.ends_with('.') && method.starts_with(entry));
        if WITHHELD.into_iter().any(withholds) {
            return Err(refusal("not_allowed_token_type", format!("{method} is the gateway's own business")));
        }
        Ok(())
    }
}
