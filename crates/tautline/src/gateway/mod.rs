//! The library face: a gateway in a program of one's own, with handlers that are functions.

mod context;
mod register;
mod run;

use std::error::Error;
use std::future::Future;

use tautline_server::core::endpoint::Filter;
use tautline_server::dispatch::Registered;
use tautline_server::slack::payload::{Action, Command, Event, Options, Shortcut, View};
use tautline_server::slack::request::Kind;
use tokio_util::sync::CancellationToken;

pub use context::{Context, Message};
pub(crate) use run::serve;

use crate::config::{Environment, GatewayConfig, Problems};
use crate::lifecycle;
use register::{filters, handler};

/// What a handler returns. An error is put on record, and the handler is asked again where the kind allows.
pub type HandlerResult = Result<(), Box<dyn Error + Send + Sync>>;

/// A gateway with handlers in its own process.
///
/// It is configured as `tautline serve` is: by the environment and `.env`. Handlers get what Slack sends under the same
/// promises as HTTP endpoints: durable before Slack is answered, at least once, with a stable id
/// ([`Context::request_id`]), by the kind's own rule. What several handlers want goes to each; the most specific answers.
///
/// ```no_run
/// use tautline::{Context, Gateway, HandlerResult, payload::Command};
///
/// async fn deploy(ctx: Context<Command>) -> HandlerResult {
///     ctx.ack_with("On it.");
///     ctx.say("A deploy begins.").await?;
///     Ok(())
/// }
///
/// #[tokio::main]
/// async fn main() -> Result<(), tautline::GatewayError> {
///     Gateway::from_env()?.on_command("/deploy", deploy).serve().await
/// }
/// ```
pub struct Gateway {
    config: GatewayConfig,
    handlers: Vec<Registered>,
    /// What is wrong with what handlers want; said when it is to serve.
    problems: Problems,
}

/// One of the gateway's own events: which installation or endpoint it is about, and what happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GatewayEvent {
    /// As an endpoint of the form `standard` gets it in `data`.
    pub data: serde_json::Value,
}

impl From<&serde_json::Value> for GatewayEvent {
    fn from(data: &serde_json::Value) -> Self {
        Self { data: data.clone() }
    }
}

/// Why there is no gateway, with its causes: `{:#}` shows all of them.
pub type GatewayError = anyhow::Error;

impl Gateway {
    /// A gateway as the environment and `.env` configure it. Says everything that is wrong with them at once.
    pub fn from_env() -> Result<Self, GatewayError> {
        Self::configured(&Environment::of_process()?)
    }

    /// A gateway configured by these variables alone, by the names that the environment has for them.
    pub fn from_vars<N, V>(variables: impl IntoIterator<Item = (N, V)>) -> Result<Self, GatewayError>
    where
        N: Into<String>,
        V: Into<String>,
    {
        Self::configured(&Environment::of(variables))
    }

    fn configured(environment: &Environment) -> Result<Self, GatewayError> {
        let config = GatewayConfig::read(environment)?;
        Ok(Self { config, handlers: Vec::new(), problems: Problems::default() })
    }

    /// Takes events of a type: `app_mention`; `*` stands for any rest, as in `channel_*`.
    #[must_use]
    pub fn on_event<F, R>(self, event_type: &str, handle: F) -> Self
    where
        F: Fn(Context<Event>) -> R + Send + Sync + 'static,
        R: Future<Output = HandlerResult> + Send + 'static,
    {
        self.register(&[Kind::Event], event_type, handle)
    }

    /// Takes a slash command: `/deploy`, with its slash. Slack waits for what [`Context::ack_with`] says.
    #[must_use]
    pub fn on_command<F, R>(self, command: &str, handle: F) -> Self
    where
        F: Fn(Context<Command>) -> R + Send + Sync + 'static,
        R: Future<Output = HandlerResult> + Send + 'static,
    {
        self.register(&[Kind::Command], command, handle)
    }

    /// Takes what is done to an element, by its `action_id`: `approve`, `approve_*`. Legacy buttons go by their
    /// message's `callback_id`.
    #[must_use]
    pub fn on_action<F, R>(self, action_id: &str, handle: F) -> Self
    where
        F: Fn(Context<Action>) -> R + Send + Sync + 'static,
        R: Future<Output = HandlerResult> + Send + 'static,
    {
        self.register(&[Kind::BlockAction, Kind::InteractiveMessage], action_id, handle)
    }

    /// Takes modals that are submitted, by their `callback_id`. Slack waits for a `response_action`; with none, the
    /// modal closes.
    #[must_use]
    pub fn on_view<F, R>(self, callback_id: &str, handle: F) -> Self
    where
        F: Fn(Context<View>) -> R + Send + Sync + 'static,
        R: Future<Output = HandlerResult> + Send + 'static,
    {
        self.register(&[Kind::ViewSubmission], callback_id, handle)
    }

    /// Takes modals that are closed (with `notify_on_close`), by their `callback_id`.
    #[must_use]
    pub fn on_view_closed<F, R>(self, callback_id: &str, handle: F) -> Self
    where
        F: Fn(Context<View>) -> R + Send + Sync + 'static,
        R: Future<Output = HandlerResult> + Send + 'static,
    {
        self.register(&[Kind::ViewClosed], callback_id, handle)
    }

    /// Takes shortcuts, global ones and those on messages, by their `callback_id`.
    #[must_use]
    pub fn on_shortcut<F, R>(self, callback_id: &str, handle: F) -> Self
    where
        F: Fn(Context<Shortcut>) -> R + Send + Sync + 'static,
        R: Future<Output = HandlerResult> + Send + 'static,
    {
        self.register(&[Kind::Shortcut, Kind::MessageAction], callback_id, handle)
    }

    /// Takes menus that ask for their options, by their `action_id`. Slack waits for `options`.
    #[must_use]
    pub fn on_options<F, R>(self, action_id: &str, handle: F) -> Self
    where
        F: Fn(Context<Options>) -> R + Send + Sync + 'static,
        R: Future<Output = HandlerResult> + Send + 'static,
    {
        self.register(&[Kind::BlockSuggestion, Kind::DialogSuggestion], action_id, handle)
    }

    /// Takes the gateway's own events: `installation.connected`, `.broken` and `.removed`, `endpoint.failing`, `.recovered` and
    /// `.exhausted`; `installation.*` is all of the first.
    #[must_use]
    pub fn on_gateway_event<F, R>(mut self, name: &str, handle: F) -> Self
    where
        F: Fn(Context<GatewayEvent>) -> R + Send + Sync + 'static,
        R: Future<Output = HandlerResult> + Send + 'static,
    {
        for kind in [Kind::Installation, Kind::Endpoint] {
            if let Some(rest) = name.strip_prefix(kind.as_str()).and_then(|rest| rest.strip_prefix('.')) {
                return self.register(&[kind], rest, handle);
            }
        }
        self.problems
            .add(format!("{name:?} is no event of the gateway's: write installation.… or endpoint.…"));
        self
    }

    fn register<P, F, R>(mut self, kinds: &[Kind], name: &str, handle: F) -> Self
    where
        P: for<'p> From<&'p serde_json::Value> + Send + Sync + 'static,
        F: Fn(Context<P>) -> R + Send + Sync + 'static,
        R: Future<Output = HandlerResult> + Send + 'static,
    {
        // What waits for a handler is found again by this name, so it must be the same from run to run.
        let filters = filters(kinds, name);
        for filter in &filters {
            if let Err(error) = filter.to_string().parse::<Filter>() {
                self.problems.add(format!("a handler would never be called: {error}; {}", error.fix()));
            }
        }
        let mut name = format!("on {}", filters[0]);
        let alike = self.handlers.iter().filter(|registered| registered.filters == filters).count();
        if alike > 0 {
            name = format!("{name} ({})", alike + 1);
        }
        self.handlers.push(Registered { name, filters, handler: handler(handle) });
        self
    }

    /// Serves until SIGINT or SIGTERM, then finishes what is in hand. Logs by [`tracing`], to whatever subscriber the
    /// program has set.
    pub async fn serve(self) -> Result<(), GatewayError> {
        let stop = lifecycle::stop_on_signal()?;
        self.serve_until(stop).await
    }

    /// Serves until it is told to stop, then finishes what is in hand.
    pub async fn serve_until(self, stop: CancellationToken) -> Result<(), GatewayError> {
        self.problems.or(())?;
        serve(self.config, self.handlers, stop).await
    }
}
