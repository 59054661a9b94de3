//! `tautline alert TEXT`.

use clap::Args;
use serde_json::Value;

use crate::alerts;
use crate::config::{Environment, Problems};
use crate::logging;

/// Post an alert to SLACK_OPS_WEBHOOK_URL.
///
/// Whatever becomes of it, the exit code is 0, so that a deploy does not fail by its own announcement; what
/// went wrong is on standard error. Only a wrong command or configuration is 2.
#[derive(Args)]
pub(crate) struct Options {
    /// What to say.
    text: String,
    /// Block Kit, as a JSON list.
    #[arg(long, value_name = "JSON", value_parser = blocks)]
    blocks: Option<Value>,
}

fn blocks(json: &str) -> Result<Value, String> {
    match serde_json::from_str(json) {
        Ok(blocks @ Value::Array(_)) => Ok(blocks),
        Ok(_) => Err("not a list of blocks".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

pub(crate) async fn run(environment: &Environment, options: Options) -> anyhow::Result<()> {
    logging::start(environment, "warn")?;
    let mut problems = Problems::default();
    let url = environment.secret("SLACK_OPS_WEBHOOK_URL", &mut problems);
    if url.is_none() {
        problems.add("SLACK_OPS_WEBHOOK_URL is not set; make an incoming webhook in Slack and set its URL");
    }
    let url = problems.or(url)?.unwrap_or_default();
    alerts::post(&url, &options.text, options.blocks.as_ref()).await;
    Ok(())
}
