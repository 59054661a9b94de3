//! The Web API proxy: any official Slack SDK, pointed here with a gateway key in place of a token, works, and
//! never holds a Slack token. The token is put in; everything else stays as it came.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, Method, StatusCode, header};
use serde_json::json;
use tautline_core::access::Scope;
use tautline_core::installation::{CredentialKind, Installation};
use tautline_core::{PageRequest, StoreError, StoreResult, TenantId, limits};
use tautline_slack::request::Origin;
use tautline_slack::{EnterpriseId, TeamId, Token};

use super::credential::{self, Bare};
use crate::app::App;
use crate::auth;
use crate::egress::{bearer, describe};
use crate::error::chain;

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

/// Headers of one hop, those that we set ourselves, and those that would tell Slack of our surroundings.
const NOT_PASSED_ON: [HeaderName; 14] = [
    header::HOST,
    header::AUTHORIZATION,
    header::COOKIE,
    header::CONTENT_LENGTH,
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
    header::PROXY_AUTHORIZATION,
    header::FORWARDED,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("cf-connecting-ip"),
    HeaderName::from_static("true-client-ip"),
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
    headers: HeaderMap,
) -> Response {
    let call = Call::new(Method::GET, method, query, headers);
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
    headers: HeaderMap,
    body: Body,
) -> Response {
    let call = Call::new(Method::POST, method, query, headers);
    call.pass(&app, body).await.unwrap_or_else(IntoResponse::into_response)
}

/// A refusal of ours, in Slack's shape: SDKs look for nothing else.
struct SlackShaped {
    status: StatusCode,
    error: &'static str,
    message: String,
}

fn refusal(error: &'static str, message: impl Into<String>) -> SlackShaped {
    SlackShaped { status: StatusCode::OK, error, message: message.into() }
}

fn unavailable(status: StatusCode, message: &str) -> SlackShaped {
    SlackShaped { status, error: "service_unavailable", message: message.to_owned() }
}

impl IntoResponse for SlackShaped {
    fn into_response(self) -> Response {
        let messages = [format!("[ERROR] Tautline: {}", self.message)];
        let body = json!({ "ok": false, "error": self.error, "response_metadata": { "messages": messages } });
        (self.status, Json(body)).into_response()
    }
}

impl From<StoreError> for SlackShaped {
    fn from(error: StoreError) -> Self {
        tracing::error!(error = %chain(&error), "a proxied call could not have its token");
        let why = match error {
            StoreError::Sealed { .. } => {
                "the stored token does not open with the gateway's keys; its log names the fix"
            }
            _ => "the store is unavailable; the call was not made",
        };
        unavailable(StatusCode::SERVICE_UNAVAILABLE, why)
    }
}

/// The headers that Slack gets. Those that one hop names as its own (`Connection: x`), `X-Forwarded-…` and ours
/// say nothing that Slack should know.
fn passed_on(headers: &HeaderMap) -> HeaderMap {
    let hop = headers.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let hop =
        hop.flat_map(|list| list.split(',')).map(|name| name.trim().to_ascii_lowercase()).collect::<Vec<_>>();
    let passes = |name: &HeaderName| {
        let text = name.as_str();
        !NOT_PASSED_ON.contains(name)
            && !hop.iter().any(|hop| hop == text)
            && !["x-forwarded-", "x-real-ip", "tautline-"].iter().any(|beginning| text.starts_with(beginning))
    };
    let mut kept = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers.iter().filter(|(name, _)| passes(name)) {
        kept.append(name.clone(), value.clone());
    }
    kept
}

struct Call {
    verb: Method,
    method: String,
    query: Option<String>,
    headers: HeaderMap,
}

impl Call {
    /// A path that is not even text names no method.
    fn new(
        verb: Method,
        method: Result<Path<String>, PathRejection>,
        query: Option<String>,
        headers: HeaderMap,
    ) -> Self {
        Self { verb, method: method.map(|Path(method)| method).unwrap_or_default(), query, headers }
    }

    async fn pass(self, app: &App, body: Body) -> Result<Response, SlackShaped> {
        self.may_pass()?;
        // Before anything is read: a caller without a key is not worth the memory. (A key in the body is.)
        let early = match auth::bearer(&self.headers) {
            Some(key) => Some(token_for(app, key, &self.headers).await?),
            None => None,
        };
        let body = to_bytes(body, limits::PROXY_BODY_BYTES).await;
        let body = body
            .map_err(|_| refusal("request_too_large", "the body is larger than 1 MiB, or was cut short"))?;
        let Bare { key, query, body } = credential::take(&self.headers, self.query.as_deref(), body)
            .map_err(|_| refusal("json_not_object", "the body is not a JSON object"))?;
        let key = key.ok_or_else(|| refusal("not_authed", "send a gateway key in place of a Slack token"))?;
        let token = match early {
            Some(token) => token,
            None => token_for(app, &key, &self.headers).await?,
        };
        // Bodies come in more shapes than anybody can list; what still holds the key does not leave.
        let bare = key.split('.').next().unwrap_or(&key).as_bytes();
        if body.windows(bare.len()).any(|part| part == bare) {
            let error = "the gateway key stands in the body, where Slack would see it";
            return Err(refusal("invalid_arguments", error));
        }
        let mut headers = passed_on(&self.headers);
        headers.insert(header::AUTHORIZATION, bearer(&token));
        match app.slack.send(self.verb, &self.method, query.as_deref(), headers, body).await {
            Ok(answer) => Ok(as_it_is(answer)),
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

/// The token that a key stands for: `KEY`, or `KEY.T0123` where several workspaces are possible.
async fn token_for(app: &App, credential: &str, headers: &HeaderMap) -> Result<Token, SlackShaped> {
    let (key, place) = match credential.split_once('.') {
        Some((key, place)) => (key, Some(place)),
        None => (credential, None),
    };
    let caller = auth::caller(app, key).await?;
    let caller = caller.ok_or_else(|| refusal("invalid_auth", "this gateway key is unknown"))?;
    if !caller.may(Scope::Send) {
        return Err(refusal("missing_scope", "this gateway key lacks the scope \"send\""));
    }
    let named_tenant = headers.get(auth::TENANT_HEADER).and_then(|value| value.to_str().ok()?.parse().ok());
    let installation = match (caller.tenant.as_ref().or(named_tenant.as_ref()), place) {
        (Some(tenant), place) => of_tenant(app, tenant, place).await?,
        (None, Some(place)) => named(app, place).await?.ok_or_else(no_such_place)?,
        (None, None) => {
            return Err(refusal(
                "invalid_auth",
                "a platform key names a workspace (KEY.T0123) or a tenant (the header Tautline-Tenant)",
            ));
        }
    };
    let token =
        app.store.installation_token(&installation.tenant, installation.id, CredentialKind::Bot).await?;
    token.ok_or_else(|| refusal("account_inactive", "the installation has no bot token: connect it again"))
}

fn no_such_place() -> SlackShaped {
    refusal("team_not_found", "the workspace that the key names is not connected")
}

async fn of_tenant(app: &App, tenant: &TenantId, place: Option<&str>) -> Result<Installation, SlackShaped> {
    if let Some(place) = place {
        return app.store.installation_at(tenant, place).await?.ok_or_else(no_such_place);
    }
    let mut few = app.store.installations(tenant, PageRequest { limit: 2, after: None }).await?.items;
    match (few.pop(), few.pop()) {
        (Some(only), None) => Ok(only),
        (None, _) => Err(refusal("account_inactive", "this tenant has connected no workspace")),
        (Some(_), Some(_)) => {
            let error = "this tenant has several workspaces: write KEY.T0123 in place of the key";
            Err(refusal("team_not_found", error))
        }
    }
}

async fn named(app: &App, place: &str) -> StoreResult<Option<Installation>> {
    let mut origin = Origin::default();
    if place.starts_with('E') {
        origin.enterprise = Some(EnterpriseId::new(place));
    } else {
        origin.team = Some(TeamId::new(place));
    }
    app.store.installation_named(&origin).await
}

/// Slack's answer: status, headers, body, streamed.
fn as_it_is(answer: reqwest::Response) -> Response {
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    for name in NOT_PASSED_ON.iter().chain(&[header::SET_COOKIE]) {
        headers.remove(name);
    }
    let mut response = Response::new(Body::from_stream(answer.bytes_stream()));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
