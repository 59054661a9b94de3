//! To the product's endpoints.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use tautline_core::delivery::{Answer, AttemptResult, Leased};
use tautline_core::inbox::Request;
use tautline_core::kinds::Policy;
use tautline_core::{Timestamp, limits};
use tautline_slack::request::Kind;
use tautline_slack::signing::{SIGNATURE_HEADER, SigningSecret, TIMESTAMP_HEADER};
use tokio::time::Instant;
use url::Url;

use super::address::{Address, Form};
use super::guard::{self, GuardedResolver};
use super::{builder, describe, read_limited, standard};

/// Brings requests to endpoints.
pub(crate) struct EndpointClient {
    http: reqwest::Client,
}

impl EndpointClient {
    pub(crate) fn new() -> reqwest::Result<Self> {
        let http = builder()
            .connect_timeout(limits::ENDPOINT_CONNECT_TIMEOUT)
            .dns_resolver(GuardedResolver)
            .build()?;
        Ok(Self { http })
    }

    /// One attempt, in the endpoint's form, within [`limits::ENDPOINT_TIMEOUT`].
    pub(crate) async fn ask(&self, address: &Address, leased: &Leased, now: Timestamp) -> AttemptResult {
        if guard::names_metadata(&address.url) {
            return AttemptResult::NotReached { error: "an endpoint may not have this address".to_owned() };
        }
        let deadline = Instant::now() + limits::ENDPOINT_TIMEOUT;
        let post = |headers, body| self.post(address.url.clone(), headers, body, leased, now, deadline);
        let body = &leased.request.body;
        match &address.form {
            // The original bytes, signed afresh: an unmodified Bolt app takes them for Slack's.
            Form::Slack(secrets) => {
                let result = post(slack_headers(&secrets.now, leased, now), body.clone()).await;
                match secrets.before(now) {
                    // It may not have been told of its new secret, and then it did nothing.
                    Some(before) if is_unauthorized(&result) => {
                        post(slack_headers(before, leased, now), body.clone()).await
                    }
                    _ => result,
                }
            }
            Form::Standard(secrets) => {
                let body = standard::envelope(&leased.request);
                let (id, at_s) = (leased.request.id.to_string(), now.as_secs());
                let signed = std::iter::once(&secrets.now).chain(secrets.before(now));
                let signatures = signed.map(|secret| secret.sign(&id, at_s, &body)).collect::<Vec<_>>();
                let own = [
                    ("webhook-id", id),
                    ("webhook-timestamp", at_s.to_string()),
                    ("webhook-signature", signatures.join(" ")),
                    ("content-type", "application/json".to_owned()),
                ];
                post(headers(own, leased, now), body).await
            }
        }
    }

    async fn post(
        &self,
        url: Url,
        headers: HeaderMap,
        body: Bytes,
        leased: &Leased,
        now: Timestamp,
        deadline: Instant,
    ) -> AttemptResult {
        let within = deadline.saturating_duration_since(Instant::now());
        match self.http.post(url).headers(headers).body(body).timeout(within).send().await {
            Ok(response) => {
                let awaited = leased.answers && Policy::of(leased.request.kind).held;
                read_answer(response, awaited, now).await
            }
            // Before the connection stood, nothing can have run.
            Err(error) if error.is_connect() => AttemptResult::NotReached { error: describe(error) },
            Err(error) => AttemptResult::Unknown { error: describe(error) },
        }
    }
}

fn is_unauthorized(result: &AttemptResult) -> bool {
    matches!(result, AttemptResult::Refused { answer, .. } if answer.status == StatusCode::UNAUTHORIZED)
}

/// Reads what an endpoint says. Only a 2xx that somebody waits for can be too long: half of it would be nonsense
/// to Slack. Of everything else only the status counts.
async fn read_answer(response: reqwest::Response, awaited: bool, now: Timestamp) -> AttemptResult {
    let status = response.status();
    let text = |name: HeaderName| {
        response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    };
    let content_type = text(header::CONTENT_TYPE);
    let retry_after = text(header::RETRY_AFTER).and_then(|text| read_retry_after(text.trim(), now));
    let body = match read_limited(response, limits::ENDPOINT_ANSWER_BYTES).await {
        Ok(Some(body)) => body,
        Ok(None) if awaited && status.is_success() => {
            let limit = limits::ENDPOINT_ANSWER_BYTES;
            return AttemptResult::Unknown { error: format!("the answer is longer than {limit} bytes") };
        }
        Ok(None) => Bytes::new(),
        Err(_) if !(awaited && status.is_success()) => Bytes::new(),
        Err(error) => return AttemptResult::Unknown { error: describe(error) },
    };
    let answer = Answer { status: status.as_u16(), content_type, body };
    if status.is_success() {
        AttemptResult::Answered(answer)
    } else {
        AttemptResult::Refused { answer, retry_after }
    }
}

/// Seconds, or a date.
fn read_retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(Timestamp::from_micros(date.timestamp().as_microsecond()).since(now))
}

fn slack_headers(secret: &SigningSecret, leased: &Leased, now: Timestamp) -> HeaderMap {
    let (request, now_s) = (&leased.request, now.as_secs());
    let own = [
        (TIMESTAMP_HEADER, now_s.to_string()),
        (SIGNATURE_HEADER, secret.sign(now_s, &request.body)),
        ("content-type", request.content_type.clone().unwrap_or_default()),
    ];
    headers(own, leased, now)
}

/// The headers of a form, and our own facts.
fn headers<const N: usize>(
    of_form: [(&'static str, String); N],
    leased: &Leased,
    now: Timestamp,
) -> HeaderMap {
    let request = &leased.request;
    let facts = [
        ("tautline-tenant", request.tenant.as_ref().map(ToString::to_string).unwrap_or_default()),
        ("tautline-request-id", request.id.to_string()),
        ("tautline-attempt", leased.attempt.to_string()),
        ("tautline-answer", if leased.answers { "yes" } else { "no" }.to_owned()),
        ("tautline-trigger", if trigger_is_gone(request, now) { "expired" } else { "" }.to_owned()),
    ];
    let set = of_form.into_iter().chain(facts).filter(|(_, value)| !value.is_empty());
    set.filter_map(|(name, value)| Some((HeaderName::from_static(name), HeaderValue::try_from(value).ok()?)))
        .collect()
}

/// A `trigger_id` is good for three seconds; a handler that gets it later need not try to open a modal.
fn trigger_is_gone(request: &Request, now: Timestamp) -> bool {
    !matches!(request.kind, Kind::Event | Kind::Installation | Kind::Endpoint)
        && now.since(request.received_at) > limits::TRIGGER_LIFE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Timestamp::from_micros(784_111_777_000_000); // Sun, 06 Nov 1994 08:49:37 GMT
        assert_eq!(read_retry_after("120", now), Some(Duration::from_secs(120)));
        assert_eq!(read_retry_after("Sun, 06 Nov 1994 08:50:37 GMT", now), Some(Duration::from_secs(60)));
        assert_eq!(read_retry_after("Sun, 06 Nov 1994 08:40:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(read_retry_after("soon", now), None);
    }
}
