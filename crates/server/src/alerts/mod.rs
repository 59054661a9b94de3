//! Operational alerts to the company's own Slack.

use serde_json::Value;
use tautline_core::limits;
use tautline_slack::incoming_webhook;

/// Posts an alert to an incoming webhook, and says whether Slack took it.
///
/// Never fails its caller: whatever goes wrong is logged as a warning, within ten seconds. The URL is a secret;
/// the warning names its host only. `blocks` is Block Kit as JSON; `text` is what notifications show.
pub async fn post(url: &str, text: &str, blocks: Option<&Value>) -> bool {
    match try_post(url, text, blocks).await {
        Ok(()) => true,
        Err(why) => {
            tracing::warn!(webhook = redacted(url), "an alert was not delivered: {why}");
            false
        }
    }
}

async fn try_post(url: &str, text: &str, blocks: Option<&Value>) -> Result<(), String> {
    let url = url::Url::parse(url).map_err(|error| format!("the webhook's URL is not valid: {error}"))?;
    let client =
        crate::egress::builder().timeout(limits::ALERT_TIMEOUT).build().map_err(crate::egress::describe)?;
    let json = incoming_webhook::payload(text, blocks).to_string();
    let request = client.post(url).header(http::header::CONTENT_TYPE, "application/json").body(json);
    let response = request.send().await.map_err(crate::egress::describe)?;
    let status = response.status();
    if incoming_webhook::accepted(status.as_u16()) {
        return Ok(());
    }
    let body = crate::egress::read_limited(response, limits::ALERT_ANSWER_BYTES)
        .await
        .ok()
        .flatten()
        .unwrap_or_default();
    match incoming_webhook::error_word(&body) {
        Some(word) => Err(format!("Slack answered {status}: {word}")),
        None => Err(format!("Slack answered {status}")),
    }
}

/// A webhook's URL without its secret.
fn redacted(url: &str) -> String {
    match url::Url::parse(url) {
        Ok(url) => format!("{}://{}/…", url.scheme(), url.host_str().unwrap_or_default()),
        Err(_) => "…".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_host_of_a_webhook_is_shown() {
        assert_eq!(
            redacted("https://u:p@hooks.slack.com/services/T1/B1/secret?x=y"),
            "https://hooks.slack.com/…"
        );
        assert_eq!(redacted("services/T1/B1/secret"), "…");
    }
}
