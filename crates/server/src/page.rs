//! Pages for people: the few there are, and the headers they all carry.

use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};

/// The style sheet, served from our own origin: the pages' policy allows no other.
pub(crate) const STYLE: &str = include_str!("../templates/style.css");

/// Nothing is loaded but our own style; nothing runs; nobody frames the confirming button.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; \
    base-uri 'none'; frame-ancestors 'none'";

/// How a page feels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Bad,
}

/// Where a page leads on.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) href: String,
    pub(crate) text: String,
}

/// A page that says what happened and what to do.
#[derive(Debug, Template)]
#[template(path = "notice.html")]
pub(crate) struct Notice {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) tone: Tone,
    pub(crate) title: String,
    pub(crate) lead: String,
    pub(crate) next: String,
    pub(crate) link: Option<Link>,
}

/// The page that asks before a code from another browser is redeemed.
#[derive(Template)]
#[template(path = "confirm.html")]
pub(crate) struct Confirm {
    pub(crate) action: String,
    pub(crate) confirmation: String,
    pub(crate) code: String,
    pub(crate) tenant: String,
    pub(crate) user: String,
}

impl IntoResponse for Notice {
    fn into_response(self) -> Response {
        render(self.status, &self)
    }
}

impl IntoResponse for Confirm {
    fn into_response(self) -> Response {
        render(StatusCode::OK, &self)
    }
}

/// A page with its headers.
pub(crate) fn render(status: StatusCode, page: &impl Template) -> Response {
    let html = page.render().expect("templates render from plain values");
    let mut response = (status, Html(html)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    response
}

/// Whether a person is looking, not a program.
pub(crate) fn wants_html(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accept.contains("text/html")
}
