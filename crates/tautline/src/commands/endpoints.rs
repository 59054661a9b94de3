//! `tautline endpoints …`.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Map, Value, json};
use tautline_server::core::EndpointId;

use crate::admin::Admin;
use crate::commands::say;
use crate::config::Environment;
use crate::logging;

const PATH: &str = "/api/v1/endpoints";

/// Look after endpoints: who gets what Slack sends.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// List the endpoints, those of the environment among them.
    List {
        #[command(flatten)]
        form: Output,
    },
    /// Make an endpoint. Its secret is shown this once.
    Create {
        /// Where it is, such as https://app.internal/slack/events.
        url: String,
        /// slack for Bolt apps, standard (Standard Webhooks) for programs that know nothing of Slack.
        #[arg(long, default_value = "slack")]
        form: String,
        #[command(flatten)]
        what: What,
        #[command(flatten)]
        output: Output,
    },
    /// Change an endpoint. What is left out stays.
    Change {
        /// end_…
        id: EndpointId,
        /// Where it is now.
        #[arg(long)]
        url: Option<String>,
        #[command(flatten)]
        what: What,
        #[command(flatten)]
        output: Output,
    },
    /// Send it nothing for now: what comes waits.
    Pause {
        /// end_…
        id: EndpointId,
        #[command(flatten)]
        output: Output,
    },
    /// Send it what waits, and what comes. Also one that answered 410.
    Resume {
        /// end_…
        id: EndpointId,
        #[command(flatten)]
        output: Output,
    },
    /// Ask an endpoint now, and see what it says. Exit code 1 if it does not take it.
    Test {
        /// end_…
        id: EndpointId,
        #[command(flatten)]
        output: Output,
    },
    /// Give an endpoint a new secret. The one before is good for a day, as well.
    RotateSecret {
        /// end_…
        id: EndpointId,
        #[command(flatten)]
        output: Output,
    },
    /// Remove an endpoint. What waits for it becomes dead letters.
    Remove {
        /// end_…
        id: EndpointId,
        /// Remove it: what waits for it can go nowhere else.
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        output: Output,
    },
}

/// What an endpoint gets, and how much of it.
#[derive(Args)]
pub(crate) struct What {
    /// What it wants, such as event.app_mention or command./deploy; any one of several. A new endpoint: everything, unless
    /// said.
    #[arg(long = "filter", value_name = "FILTER")]
    filters: Vec<String>,
    /// Whose requests; several may be named. A new endpoint: everybody's, unless said.
    #[arg(long = "tenant", value_name = "TENANT")]
    tenants: Vec<String>,
    /// Attempts under way at once.
    #[arg(long, value_name = "NUMBER")]
    in_flight: Option<u32>,
}

/// How the answer is shown.
#[derive(Args)]
pub(crate) struct Output {
    /// As JSON, as the API answers.
    #[arg(long)]
    json: bool,
}

impl What {
    fn fields(self) -> Map<String, Value> {
        let mut fields = Map::new();
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                fields.insert(name.to_owned(), value);
            }
        };
        set("filters", (!self.filters.is_empty()).then(|| json!(self.filters)));
        set("tenants", (!self.tenants.is_empty()).then(|| json!(self.tenants)));
        set("in_flight", self.in_flight.map(|most| json!(most)));
        fields
    }
}

pub(crate) async fn run(environment: &Environment, command: Command) -> anyhow::Result<()> {
    logging::start(environment, "warn")?;
    if let Command::Remove { id, yes: false, .. } = &command {
        anyhow::bail!("what waits for {id} would become dead letters: say --yes if that is meant");
    }
    let admin = Admin::reach(environment).await?;
    let ask = async |method, path: &str, body| admin.ask(method, &format!("{PATH}{path}"), None, body).await;
    match command {
        Command::List { form } => {
            let listed = ask(Method::GET, "", None).await?;
            if form.json {
                return show(&listed, true, |_| {});
            }
            listed["endpoints"].as_array().into_iter().flatten().for_each(line);
            Ok(())
        }
        Command::Create { url, form, what, output } => {
            let mut new = what.fields();
            new.insert("url".to_owned(), json!(url));
            new.insert("form".to_owned(), json!(form));
            for all in ["filters", "tenants"] {
                new.entry(all).or_insert(json!(["*"]));
            }
            let made = ask(Method::POST, "", Some(Value::Object(new))).await?;
            show(&made, output.json, |made| {
                line(made);
                say(&format!("its secret, shown this once: {}", text(made, "secret")));
            })
        }
        Command::Change { id, url, what, output } => {
            let mut change = what.fields();
            change.extend(url.map(|url| ("url".to_owned(), json!(url))));
            let changed = ask(Method::PATCH, &format!("/{id}"), Some(Value::Object(change))).await?;
            show(&changed, output.json, line)
        }
        Command::Pause { id, output } => {
            let paused = ask(Method::PATCH, &format!("/{id}"), Some(json!({ "paused": true }))).await?;
            show(&paused, output.json, line)
        }
        Command::Resume { id, output } => {
            let resumed = ask(Method::PATCH, &format!("/{id}"), Some(json!({ "paused": false }))).await?;
            show(&resumed, output.json, line)
        }
        Command::Test { id, output } => {
            let said = ask(Method::POST, &format!("/{id}/test"), None).await?;
            show(&said, output.json, |said| {
                let what = said["status"]
                    .as_u64()
                    .map_or("no answer".to_owned(), |status| format!("answered {status}"));
                say(&format!("{what} after {} ms", said["duration_ms"]));
            })?;
            if said["ok"] == true {
                return Ok(());
            }
            anyhow::bail!("{}; {}", text(&said, "error"), text(&said, "fix"))
        }
        Command::RotateSecret { id, output } => {
            let rotated = ask(Method::POST, &format!("/{id}/rotate-secret"), None).await?;
            show(&rotated, output.json, |rotated| {
                say(&format!("its secret, shown this once: {}", text(rotated, "secret")));
                say(&format!("the one before is good until {}", text(rotated, "previous_secret_until")));
            })
        }
        Command::Remove { id, output, .. } => {
            ask(Method::DELETE, &format!("/{id}"), None).await?;
            show(&json!({ "removed": id }), output.json, |_| say(&format!("{id} is removed")))
        }
    }
}

fn text<'a>(json: &'a Value, name: &str) -> &'a str {
    json[name].as_str().unwrap_or_default()
}

fn show(answer: &Value, as_json: bool, plainly: impl FnOnce(&Value)) -> anyhow::Result<()> {
    if as_json {
        say(&serde_json::to_string_pretty(answer)?);
    } else {
        plainly(answer);
    }
    Ok(())
}

/// An endpoint, for a person.
fn line(endpoint: &Value) {
    let list = |name: &str| {
        let items = endpoint[name].as_array().into_iter().flatten().filter_map(Value::as_str);
        items.collect::<Vec<_>>().join(",")
    };
    let place = endpoint["url"].as_str().unwrap_or_else(|| text(endpoint, "name"));
    let (id, state, form) = (text(endpoint, "id"), text(endpoint, "state"), text(endpoint, "form"));
    let why = endpoint["because"].as_str().map(|why| format!("  ({why})")).unwrap_or_default();
    say(&format!(
        "{id}  {state:<8}  {form:<10}  {place}  {}  tenants: {}{why}",
        list("filters"),
        list("tenants")
    ));
}
