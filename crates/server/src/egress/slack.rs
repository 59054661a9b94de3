//! To Slack.

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use secrecy::zeroize::Zeroize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tautline_core::limits;
use tautline_slack::web_api::{self, Authorization};
use tautline_slack::{Refusal, Token, WebApiCall, below};
use url::Url;

use super::{builder, describe, read_limited};

/// Speaks to Slack.
pub(crate) struct SlackClient {
    http: reqwest::Client,
    /// For files that come, which take their time, and may not stand still.
    files: reqwest::Client,
    /// For files that go. Whether they stand still is seen where they come from.
    uploads: reqwest::Client,
    base: Url,
}

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The call surely did not reach Slack.
    #[error("Slack cannot be reached: {0}")]
    Unreachable(String),
    /// The call may have reached Slack, but no complete answer came back.
    #[error("Slack gave no complete answer: {0}")]
    NoAnswer(String),
    /// An answer, but not the wanted one.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// An answer with what its headers tell.
pub(crate) struct Reply<T> {
    pub(crate) answer: T,
    /// The scopes of the token that was used (`X-OAuth-Scopes`).
    pub(crate) scopes: Option<String>,
}

impl SlackClient {
    pub(crate) fn new(base: Url) -> reqwest::Result<Self> {
        Ok(Self {
            http: builder()
                .timeout(limits::SLACK_TIMEOUT)
                .connect_timeout(limits::SLACK_CONNECT_TIMEOUT)
                .build()?,
            uploads: builder()
                .timeout(limits::UPLOAD)
                .connect_timeout(limits::SLACK_CONNECT_TIMEOUT)
                .build()?,
            files: builder()
                .read_timeout(limits::FILE_PAUSE)
                .connect_timeout(limits::SLACK_CONNECT_TIMEOUT)
                .build()?,
            base,
        })
    }

    /// Asks for a file, of which the answer is still to be read. Whether it is Slack's is the caller's to know: see
    /// [`is_slacks_file`].
    pub(crate) async fn file(
        &self,
        url: Url,
        token: &Token,
        range: Option<HeaderValue>,
    ) -> reqwest::Result<reqwest::Response> {
        let mut request = self.files.get(url).header(header::AUTHORIZATION, bearer(token));
        if let Some(range) = range {
            request = request.header(header::RANGE, range);
        }
        request.send().await
    }

    /// Passes a file on to an address that Slack gave for it.
    pub(crate) async fn put_file(&self, url: Url, length: u64, body: Body) -> reqwest::Result<StatusCode> {
        let body = reqwest::Body::wrap_stream(body.into_data_stream());
        let binary = HeaderValue::from_static("application/octet-stream");
        let request = self.uploads.post(url).header(header::CONTENT_TYPE, binary);
        let response = request.header(header::CONTENT_LENGTH, length).body(body).send().await?;
        Ok(response.status())
    }

    /// Makes a call of ours.
    pub(crate) async fn call<T: DeserializeOwned>(&self, call: WebApiCall) -> Result<Reply<T>, CallError> {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(&call.form).finish();
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, authorization(&call.authorization));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        let response =
            self.send(Method::POST, call.method, None, headers, form.into()).await.map_err(lost)?;
        let status = response.status().as_u16();
        let text = |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let (retry_after, scopes) = (text("retry-after"), text("x-oauth-scopes"));
        let body = read_limited(response, limits::SLACK_ANSWER_BYTES).await.map_err(lost)?;
        let body = body.ok_or(Refusal::Unreadable { status })?;
        Ok(Reply { answer: web_api::read(status, retry_after.as_deref(), &body)?, scopes })
    }

    /// Sends a call as it is.
    pub(crate) async fn send(
        &self,
        method: Method,
        api_method: &str,
        query: Option<&str>,
        headers: HeaderMap,
        body: Bytes,
    ) -> reqwest::Result<reqwest::Response> {
        let mut url = below(&self.base, &format!("api/{api_method}"));
        url.set_query(query.filter(|query| !query.is_empty()));
        self.http.request(method, url).headers(headers).body(body).send().await
    }

    /// Sends words to a `response_url`. Whether it may be used is the caller's to know: see [`is_slacks`].
    pub(crate) async fn respond(&self, url: Url, words: &Value) -> Result<(), CallError> {
        let json = HeaderValue::from_static("application/json");
        let request = self.http.post(url).header(header::CONTENT_TYPE, json).body(words.to_string());
        let response = request.send().await.map_err(lost)?;
        let status = response.status();
        if status.is_success() { Ok(()) } else { Err(Refusal::Unreadable { status: status.as_u16() }.into()) }
    }
}

/// Before the connection stood, nothing can have reached Slack.
fn lost(error: reqwest::Error) -> CallError {
    let before = error.is_connect();
    let why = describe(error);
    if before { CallError::Unreachable(why) } else { CallError::NoAnswer(why) }
}

/// A bearer header that is left out of debug output.
pub(crate) fn bearer(token: &Token) -> HeaderValue {
    sensitive(format!("Bearer {}", token.expose()))
}

fn authorization(authorization: &Authorization) -> HeaderValue {
    match authorization {
        Authorization::Bearer(token) => bearer(token),
        Authorization::Basic { id, secret } => {
            let mut pair = format!("{id}:{}", secret.expose());
            let encoded = BASE64.encode(&pair);
            pair.zeroize();
            sensitive(format!("Basic {encoded}"))
        }
    }
}

fn sensitive(mut text: String) -> HeaderValue {
    // A secret with a line break in it is no secret of Slack's; Slack will say so.
    let mut value = HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""));
    text.zeroize();
    value.set_sensitive(true);
    value
}

/// Whether a `response_url` leads to Slack: to the configured base's own host, or to one of Slack's. A request
/// is signed, but the signing secret alone must not make the gateway post to any address.
pub(crate) fn is_slacks(url: &Url, slack: &Url) -> bool {
    if url.origin() == slack.origin() {
        return true;
    }
    let hosts = ["hooks.slack.com", "hooks.slack-gov.com"];
    url.scheme() == "https"
        && url.port().is_none()
        && url.host_str().is_some_and(|host| hosts.contains(&host))
}

/// Whether a URL is one of a file of Slack's.
pub(crate) fn is_slacks_file(url: &Url, slack: &Url) -> bool {
    if url.origin() == slack.origin() {
        // A simulated Slack has but one address. Its other pages, and those of the real one, are no files: a token opens them.
        let is_file = ["/files-pri/", "/upload/"].iter().any(|path| url.path().starts_with(path));
        return slack.scheme() == "http" && is_file;
    }
    let hosts = ["files.slack.com", "files.slack-gov.com"];
    url.scheme() == "https"
        && url.port().is_none()
        && url.username().is_empty()
        && url.host_str().is_some_and(|host| hosts.contains(&host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn response_urls_lead_to_slack_or_nowhere() {
        let slack = Url::parse("http://127.0.0.1:8081").unwrap();
        let ok = |url: &str| is_slacks(&url.parse().unwrap(), &slack);
        assert!(ok("https://hooks.slack.com/commands/T1/2/3"));
        assert!(ok("https://hooks.slack-gov.com/actions/T1/2/3"));
        assert!(ok("http://127.0.0.1:8081/response/1"));
        for foreign in [
            "http://hooks.slack.com/commands/1",
            "https://hooks.slack.com.evil.example/1",
            "https://hooks.slack.com:8443/1",
            "http://127.0.0.1:8082/response/1",
            "http://169.254.169.254/",
            "file:///etc/passwd",
        ] {
            assert!(!ok(foreign), "{foreign}");
        }
    }

    #[test]
    fn tokens_go_to_slacks_files_or_nowhere() {
        let slack = Url::parse("https://slack.com").unwrap();
        let ok = |url: &str| is_slacks_file(&url.parse().unwrap(), &slack);
        assert!(ok("https://files.slack.com/files-pri/T1-F1/a.pdf") && ok("https://files.slack-gov.com/x"));
        for foreign in [
            "http://files.slack.com/x",
            "https://files.slack.com.evil.example/x",
            "https://files.slack.com:8443/x",
            "https://files.slack.com@evil.example/x",
            "https://u@files.slack.com/x",
            "https://slack.com/api/auth.revoke",
        ] {
            assert!(!ok(foreign), "{foreign}");
        }
        let simulated = Url::parse("http://127.0.0.1:8081").unwrap();
        let ok = |path: &str| is_slacks_file(&simulated.join(path).unwrap(), &simulated);
        assert!(ok("/files-pri/F1") && ok("/upload/F1"));
        for page in ["/api/auth.revoke", "/files-pri/../api/auth.revoke", "/files-pri/%2e%2e/api/auth.revoke"]
        {
            assert!(!ok(page), "{page}");
        }
    }

    #[test]
    fn authorization_headers_are_not_printed() {
        let value = authorization(&Authorization::Bearer(Token::new("xoxb-1")));
        assert_eq!(format!("{value:?}"), "Sensitive");
        let basic = Authorization::Basic { id: "a".into(), secret: Token::new("b") };
        assert_eq!(authorization(&basic).as_bytes(), b"Basic YTpi");
    }
}
