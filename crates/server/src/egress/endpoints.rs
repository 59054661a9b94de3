//! To the product's endpoints, in Slack's own form.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use tautline_core::delivery::{Answer, AttemptResult, Leased};
use tautline_core::inbox::Request;
use tautline_core::kinds::Policy;
use tautline_core::{Timestamp, limits};
use tautline_slack::request::Kind;
use tautline_slack::signing::{SIGNATURE_HEADER, SigningSecret, TIMESTAMP_HEADER};
use url::Url;

use super::guard::{self, GuardedResolver};
use super::{builder, describe, read_limited};

/// Brings requests to endpoints.
pub(crate) struct EndpointClient {
    http: reqwest::Client,
}

impl EndpointClient {
    pub(crate) fn new() -> reqwest::Result<Self> {
        let http = builder()
            .connect_timeout(limits::ENDPOINT_CONNECT_TIMEOUT)
            .timeout(limits::ENDPOINT_TIMEOUT)
            .dns_resolver(GuardedResolver)
            .build()?;
        Ok(Self { http })
    }

    /// One attempt: the original bytes, signed afresh, so that an unmodified Bolt app takes them for Slack's.
    pub(crate) async fn ask(
        &self,
        url: &Url,
        secret: &SigningSecret,
        leased: &Leased,
        now: Timestamp,
    ) -> AttemptResult {
        if guard::names_metadata(url) {
            return AttemptResult::NotReached { error: "an endpoint may not have this address".to_owned() };
        }
        let request = self.http.post(url.clone()).headers(headers(secret, leased, now));
        match request.body(leased.request.body.clone()).send().await {
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
        Ok(None) => bytes::Bytes::new(),
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

fn headers(secret: &SigningSecret, leased: &Leased, now: Timestamp) -> HeaderMap {
    let request = &leased.request;
    let now_s = now.as_secs();
    let facts = [
        (TIMESTAMP_HEADER, now_s.to_string()),
        (SIGNATURE_HEADER, secret.sign(now_s, &request.body)),
        ("content-type", request.content_type.clone().unwrap_or_default()),
        ("tautline-tenant", request.tenant.as_ref().map(ToString::to_string).unwrap_or_default()),
        ("tautline-request-id", request.id.to_string()),
        ("tautline-attempt", leased.attempt.to_string()),
        ("tautline-answer", if leased.answers { "yes" } else { "no" }.to_owned()),
        ("tautline-trigger", if trigger_is_gone(request, now) { "expired" } else { "" }.to_owned()),
    ];
    let set = facts.into_iter().filter(|(_, value)| !value.is_empty());
    set.filter_map(|(name, value)| Some((HeaderName::from_static(name), HeaderValue::try_from(value).ok()?)))
        .collect()
}

/// A `trigger_id` is good for three seconds; a handler that gets it later need not try to open a modal.
fn trigger_is_gone(request: &Request, now: Timestamp) -> bool {
    request.kind != Kind::Event && now.since(request.received_at) > limits::TRIGGER_LIFE
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
