//! To the product's endpoints, in Slack's own form.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use tautline_core::delivery::{Answer, AttemptResult, Leased};
use tautline_core::{Timestamp, limits};
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
            Ok(response) => read_answer(response, leased.answers).await,
            // Before the connection stood, nothing can have run.
            Err(error) if error.is_connect() => AttemptResult::NotReached { error: describe(error) },
            Err(error) => AttemptResult::Unknown { error: describe(error) },
        }
    }
}

async fn read_answer(response: reqwest::Response, answers: bool) -> AttemptResult {
    let status = response.status();
    let text = |name: HeaderName| {
        response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
    };
    let content_type = text(header::CONTENT_TYPE);
    let retry_after =
        text(header::RETRY_AFTER).and_then(|seconds| seconds.trim().parse().ok()).map(Duration::from_secs);
    let body = match read_limited(response, limits::ENDPOINT_ANSWER_BYTES).await {
        Ok(Some(body)) => body,
        // Half an answer would be nonsense to Slack. Where nobody reads the answer, its length is no matter.
        Ok(None) if answers => {
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
    ];
    let set = facts.into_iter().filter(|(_, value)| !value.is_empty());
    set.filter_map(|(name, value)| Some((HeaderName::from_static(name), HeaderValue::try_from(value).ok()?)))
        .collect()
}
