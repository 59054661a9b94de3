//! Pages for people: the few there are, and the headers they all carry.

use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tautline_core::StoreError;
use url::Origin;

use crate::error::ApiError;

/// The style sheet, served from our own origin: the pages' policy allows no other.
pub(crate) const STYLE: &str = include_str!("../templates/style.css");

/// Nothing is loaded but our own style; nothing runs; nobody frames the confirming button.
const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; \
    base-uri 'none'; frame-ancestors 'none'";

/// How something feels. Colour is never alone: words say the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Good,
    Bad,
    Waiting,
    Plain,
}

impl Tone {
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Waiting => "waiting",
            Self::Plain => "plain",
        }
    }
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

/// A page that could not be made.
pub(crate) struct PageError(ApiError);

pub(crate) type PageResult<T> = Result<T, PageError>;

impl From<ApiError> for PageError {
    fn from(error: ApiError) -> Self {
        Self(error)
    }
}

impl From<StoreError> for PageError {
    fn from(error: StoreError) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let Self(error) = self;
        error.log();
        let title = match error.status() {
            StatusCode::NOT_FOUND => "Not here",
            StatusCode::FORBIDDEN => "Not allowed",
            status if status.is_client_error() => "That did not work",
            _ => "Something went wrong",
        };
        let notice = Notice {
            status: error.status(),
            code: error.code(),
            tone: Tone::Bad,
            title: title.into(),
            lead: sentence(error.text()),
            next: sentence(error.fix_text().unwrap_or_default()),
            link: Some(Link { href: "/".into(), text: "To the overview".into() }),
        };
        notice.into_response()
    }
}

/// The API's errors are half sentences; people get whole ones.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let Some(first) = chars.next() else { return String::new() };
    let end = if text.ends_with(['.', '?', '!']) { "" } else { "." };
    format!("{}{}{end}", first.to_uppercase(), chars.as_str())
}

/// A page with its headers.
pub(crate) fn render(status: StatusCode, page: &impl Template) -> Response {
    with_policy(status, page, HeaderValue::from_static(POLICY))
}

/// A page whose form may lead on to another origin: browsers hold what a form's answer redirects to against
/// the page's own policy.
pub(crate) fn render_leading_to(status: StatusCode, page: &impl Template, origin: &Origin) -> Response {
    let policy =
        POLICY.replace("form-action 'self'", &format!("form-action 'self' {}", origin.ascii_serialization()));
    with_policy(status, page, HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static(POLICY)))
}

fn with_policy(status: StatusCode, page: &impl Template, policy: HeaderValue) -> Response {
    let html = page.render().expect("templates render from plain values");
    let mut response = (status, Html(html)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    response
}

/// Whether a person is looking, not a program.
pub(crate) fn wants_html(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accept.contains("text/html")
}
