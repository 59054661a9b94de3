//! Requests to the app: signed, with Slack's patience and Slack's retries.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use serde_json::Value;
use tautline_slack::signing::{SIGNATURE_HEADER, TIMESTAMP_HEADER};

use crate::app::Sim;
use crate::journal::Entry;
use crate::time::now_s;

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: Option<String>,
    pub(crate) body: Bytes,
    no_retry: bool,
}

/// What is sent.
pub(crate) struct Outgoing {
    pub(crate) what: String,
    pub(crate) name: String,
    pub(crate) event_id: Option<String>,
    pub(crate) content_type: &'static str,
    pub(crate) body: String,
}

impl Outgoing {
    /// An event.
    pub(crate) fn event(envelope: &Value) -> Self {
        Self {
            what: "event".to_owned(),
            name: envelope["event"]["type"].as_str().unwrap_or_default().to_owned(),
            event_id: envelope["event_id"].as_str().map(str::to_owned),
            content_type: "application/json",
            body: envelope.to_string(),
        }
    }

    /// A form.
    pub(crate) fn form(what: &str, fields: &[(&str, &str)]) -> Self {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let value = |wanted: &str| fields.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value);
        let payload = value("payload").and_then(|payload| serde_json::from_str::<Value>(payload).ok());
        let named = payload.and_then(|payload| {
            let at = ["/actions/0/action_id", "/view/callback_id", "/callback_id", "/action_id"];
            at.into_iter().find_map(|at| payload.pointer(at)?.as_str().map(str::to_owned))
        });
        let name = value("command").map(str::to_owned).or(named).unwrap_or_default();
        Self {
            what: what.to_owned(),
            name,
            event_id: None,
            content_type: "application/x-www-form-urlencoded",
            body,
        }
    }
}

/// Sends an event in the background, three times more if it is not acknowledged.
pub(crate) fn send_event(sim: &Arc<Sim>, envelope: &Value) {
    let (sim, outgoing) = (sim.clone(), Outgoing::event(envelope));
    // Retries may be minutes away: nobody waits for them.
    tokio::spawn(async move {
        let mut reason = match send(&sim, &outgoing, None).await {
            Ok(answer) if (200..300).contains(&answer.status) || answer.no_retry => return,
            Ok(_) => "http_error",
            Err(reason) => reason,
        };
        for (retry, wait) in (1..).zip(sim.options.retry_waits.0) {
            tokio::time::sleep(wait).await;
            reason = match send(&sim, &outgoing, Some((retry, reason))).await {
                Ok(answer) if (200..300).contains(&answer.status) || answer.no_retry => return,
                Ok(_) => "http_error",
                Err(reason) => reason,
            };
        }
    });
}

/// Sends once. Each sending is signed afresh, with the time of sending.
pub(crate) async fn send(
    sim: &Sim,
    outgoing: &Outgoing,
    retry: Option<(u32, &'static str)>,
) -> Result<Answer, &'static str> {
    let temper = sim.state().temper;
    let timestamp = now_s() + temper.clock_offset_s;
    let registration = &sim.options.registration;
    let signature = registration.signing_secret.sign(timestamp, outgoing.body.as_bytes());
    let mut headers = HeaderMap::new();
    let mut set = |name: &'static str, value: &str| {
        headers.insert(name, HeaderValue::from_str(value).expect("plain text"));
    };
    set(TIMESTAMP_HEADER, &timestamp.to_string());
    set(SIGNATURE_HEADER, &signature);
    set(CONTENT_TYPE.as_str(), outgoing.content_type);
    if let Some((number, reason)) = retry {
        set("x-slack-retry-num", &number.to_string());
        set("x-slack-retry-reason", reason);
    }
    let began = Instant::now();
    let request = sim
        .http
        .post(registration.request_url.clone())
        .timeout(sim.options.patience.unwrap_or(temper.patience))
        .headers(headers);
    let answer = answer(request.body(outgoing.body.clone())).await;
    let mut entry = Entry {
        what: outgoing.what.clone(),
        name: outgoing.name.clone(),
        sent: readable(outgoing),
        event_id: outgoing.event_id.clone(),
        retry: retry.map_or(0, |(number, _)| number),
        took_ms: began.elapsed().as_millis(),
        ..Entry::default()
    };
    match &answer {
        Ok(answer) => {
            entry.status = Some(answer.status);
            entry.content_type.clone_from(&answer.content_type);
            entry.answer = String::from_utf8_lossy(&answer.body).into_owned();
        }
        Err(reason) => entry.error = Some((*reason).to_owned()),
    }
    sim.journal().add(entry);
    answer
}

/// What was sent, as a person would read it.
fn readable(outgoing: &Outgoing) -> String {
    let json = if outgoing.content_type == "application/json" {
        Some(outgoing.body.clone())
    } else {
        let mut fields = form_urlencoded::parse(outgoing.body.as_bytes());
        fields.find(|(name, _)| name == "payload").map(|(_, payload)| payload.into_owned())
    };
    let pretty = json.and_then(|json| serde_json::from_str::<Value>(&json).ok());
    match pretty.and_then(|value| serde_json::to_string_pretty(&value).ok()) {
        Some(pretty) => pretty,
        None => {
            let fields = form_urlencoded::parse(outgoing.body.as_bytes());
            fields.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("\n")
        }
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Result<Answer, &'static str> {
    let reason = |error: reqwest::Error| match error {
        error if error.is_timeout() => "http_timeout",
        error if error.is_redirect() => "too_many_redirects",
        error if error.is_connect() => "connection_failed",
        _ => "unknown_error",
    };
    let response = request.send().await.map_err(reason)?;
    let text = |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let status = response.status().as_u16();
    Ok(Answer {
        status,
        content_type: text("content-type"),
        // Only on what is not a 200: there is nothing to retry otherwise.
        no_retry: status != 200 && text("x-slack-no-retry").as_deref() == Some("1"),
        body: response.bytes().await.map_err(reason)?,
    })
}
