//! `tautline inbox replay`.

use std::io::IsTerminal as _;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Map, Value, json};
use tautline_server::core::{EndpointId, RequestId};

use crate::admin::Admin;
use crate::commands::say;
use crate::config::{Environment, Problems};
use crate::logging;

/// Look after the inbox: what Slack sent.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Have dead letters, or single requests, delivered again.
    ///
    /// It may be stopped at any time and run again: what is on its way already is left. What may have run and must not run
    /// twice (a command that timed out) is left, too, unless its request is named.
    Replay(Replay),
}

#[derive(Args)]
pub(crate) struct Replay {
    /// Single requests: req_… . Without any, all dead letters that fit.
    #[arg(value_name = "REQUEST", conflicts_with_all = ["endpoint", "kind", "name", "since"])]
    requests: Vec<RequestId>,
    /// Of this tenant. Everybody's, unless said; single requests need to know.
    #[arg(long)]
    tenant: Option<String>,
    /// To this endpoint: end_… .
    #[arg(long)]
    endpoint: Option<EndpointId>,
    /// Of this kind, such as event.
    #[arg(long)]
    kind: Option<String>,
    /// Of this type within the kind, such as app_mention.
    #[arg(long = "type", value_name = "TYPE")]
    name: Option<String>,
    /// Received then or later: 2026-01-31T12:00:00Z, or how long ago: 8h.
    #[arg(long)]
    since: Option<String>,
    /// What matched no installation when it came, and does by now.
    #[arg(long, conflicts_with_all = ["tenant", "endpoint"])]
    unclaimed: bool,
    /// The outcome as JSON.
    #[arg(long)]
    json: bool,
}

/// What one call looks at.
const PAGE: u32 = 200;

pub(crate) async fn run(environment: &Environment, command: Command) -> anyhow::Result<()> {
    let Command::Replay(replay) = command;
    logging::start(environment, "warn")?;
    let mut problems = Problems::default();
    let since = replay.since.as_deref().map(|text| since(text, jiff::Timestamp::now()));
    let since = since.transpose().map_err(|error| problems.add(error)).ok().flatten();
    problems.or(())?;
    let admin = Admin::reach(environment).await?;
    if replay.requests.is_empty() { many(&admin, &replay, since).await } else { named(&admin, &replay).await }
}

/// A time, or how long ago.
fn since(text: &str, now: jiff::Timestamp) -> Result<String, String> {
    if let Ok(at) = text.parse::<jiff::Timestamp>() {
        return Ok(at.to_string());
    }
    let ago = text.parse::<jiff::Span>().ok();
    let ago = ago.and_then(|ago| ago.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok());
    let at = ago.and_then(|ago| now.checked_sub(ago.abs()).ok());
    let at = at.ok_or_else(|| {
        format!("--since {text:?} is no time: write 2026-01-31T12:00:00Z, or 8h, 30m, 2d 4h")
    })?;
    Ok(at.to_string())
}

async fn named(admin: &Admin, replay: &Replay) -> anyhow::Result<()> {
    for request in &replay.requests {
        let query = if replay.unclaimed { "?unclaimed=true" } else { "" };
        let path = format!("/api/v1/inbox/{request}/replay{query}");
        let said = admin.ask(Method::POST, &path, replay.tenant.as_deref(), None).await?;
        say(&if replay.json {
            said.to_string()
        } else {
            format!("{request} is on its way to {} endpoints", said["deliveries"])
        });
    }
    Ok(())
}

async fn many(admin: &Admin, replay: &Replay, since: Option<String>) -> anyhow::Result<()> {
    let path = if replay.unclaimed { "/api/v1/inbox/replay" } else { "/api/v1/dead-letters/replay" };
    let mut which = Map::new();
    which.extend(replay.endpoint.map(|id| ("endpoint".to_owned(), json!(id))));
    for (name, value) in [("kind", &replay.kind), ("type", &replay.name), ("since", &since)] {
        which.extend(value.as_ref().map(|value| (name.to_owned(), json!(value))));
    }
    which.insert("limit".to_owned(), json!(PAGE));
    if replay.unclaimed {
        which.insert("unclaimed".to_owned(), json!(true));
    }
    let (mut replayed, mut left) = (0, 0);
    loop {
        let page = admin
            .ask(Method::POST, path, replay.tenant.as_deref(), Some(Value::Object(which.clone())))
            .await?;
        replayed += page["replayed"].as_u64().unwrap_or(0);
        left += page["left"].as_u64().unwrap_or(0);
        show(replayed, left);
        match page["next_cursor"].as_str() {
            Some(next) => which.insert("cursor".to_owned(), json!(next)),
            None => break,
        };
    }
    say(&if replay.json {
        json!({ "replayed": replayed, "left": left }).to_string()
    } else {
        format!("{replayed} are on their way, {left} were left")
    });
    Ok(())
}

/// Progress, for a person who watches.
#[expect(clippy::print_stderr, reason = "this is what a person at a terminal reads")]
fn show(replayed: u64, left: u64) {
    if std::io::stderr().is_terminal() {
        eprint!("\r{} looked at, {replayed} on their way\u{1b}[K\r", replayed + left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_whole_or_as_how_long_ago() {
        let now: jiff::Timestamp = "2026-01-31T12:00:00Z".parse().unwrap();
        assert_eq!(since("8h", now).unwrap(), "2026-01-31T04:00:00Z");
        assert_eq!(since("30m ago", now).unwrap(), "2026-01-31T11:30:00Z");
        assert_eq!(since("2d 4h", now).unwrap(), "2026-01-29T08:00:00Z");
        assert_eq!(since("2026-01-30T00:00:00+02:00", now).unwrap(), "2026-01-29T22:00:00Z");
        assert!(since("yesterday", now).unwrap_err().contains("8h"));
    }
}
