//! A Slack on your desk.
//!
//! It shows a consent screen, hands out tokens, answers the Web API, and sends what people do (messages,
//! commands, clicks) signed, with Slack's retries. It refuses what Slack would refuse. `tautline dev` runs it,
//! and so do the tests.
//!
//! It is deliberately a stranger to the gateway: it knows Slack's protocol and nothing of tenants, and its
//! tolerances are drawn from a seed, so that nothing comes to depend on one lucky number. It is no place for
//! real data: what people say in it lies in plain text, though of the secrets it hands out only hashes do.

mod acts;
mod app;
mod blocks;
mod desk;
mod face;
mod guard;
mod journal;
mod limits;
mod oauth;
mod response_url;
mod rotation;
mod sender;
mod state;
mod temper;
mod time;
mod weather;
mod web_api;
mod world;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{get, post};
use tautline_slack::signing::SigningSecret;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use url::Url;

pub use app::Sim;
pub use temper::RetryWaits;

/// How an app is registered with this Slack.
#[derive(Clone)]
pub struct Registration {
    /// Its client id: public.
    pub client_id: String,
    /// Its client secret.
    pub client_secret: String,
    /// What requests to it are signed with.
    pub signing_secret: SigningSecret,
    /// Where people may be sent back to.
    pub redirect_urls: Vec<String>,
    /// Where events, commands and interactions are sent.
    pub request_url: Url,
    /// How the bot is called.
    pub bot_name: String,
}

/// How the simulation behaves.
#[derive(Clone)]
pub struct Options {
    /// Where people and programs reach it.
    pub public_url: Url,
    /// The one app it knows.
    pub registration: Registration,
    /// Where it keeps its state between runs; `None` forgets.
    pub state_file: Option<PathBuf>,
    /// What its tolerances and ids are drawn from.
    pub seed: u64,
    /// How long it waits before each of its three retries.
    pub retry_waits: RetryWaits,
    /// How long it waits for an answer; `None` is Slack's own three seconds. Tests on a busy machine wait longer.
    pub patience: Option<Duration>,
    /// How long tokens live, where they end and are renewed; `None`: they do not end.
    pub token_life_s: Option<i64>,
    /// What the composer offers to say.
    pub suggestions: Vec<String>,
}

impl Sim {
    /// Sets the simulation up, with the state of the last run if there is any.
    pub fn new(options: Options) -> io::Result<Arc<Self>> {
        let state = state::State::open(options.state_file.as_deref(), options.seed)?;
        Ok(Arc::new(app::Sim::with(options, state)))
    }

    /// Every token that was handed out since it was set up: for tests that look for them where they must not be.
    pub fn issued(&self) -> Vec<String> {
        self.state().issued.clone()
    }

    /// Serves until told to stop.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, stop: CancellationToken) -> io::Result<()> {
        let router = Router::new()
            .route("/", get(face::index))
            .route("/oauth/v2/authorize", get(oauth::consent).post(oauth::decide))
            .route("/api/{method}", get(web_api::by_get).post(web_api::by_post))
            .route("/response/{id}", post(response_url::respond))
            .route("/say", post(acts::say))
            .route("/command", post(acts::command))
            .route("/compose", post(acts::compose))
            .route("/use", post(acts::used))
            .route("/click", post(acts::click))
            .route("/shortcut", post(acts::shortcut))
            .route("/home", post(acts::home))
            .route("/event", post(acts::event))
            .route("/uninstall", post(acts::uninstall))
            .route("/tokens/expire", post(acts::expire))
            .route("/lose", post(acts::lose))
            .route("/weather", get(acts::looked_at).post(acts::weather))
            .route("/channels", post(acts::channels))
            .route("/upload/{id}", post(web_api::upload).layer(DefaultBodyLimit::disable()))
            .route("/files-pri/{id}", get(web_api::download))
            .route("/interaction", post(acts::interaction))
            .route("/version", get(face::version))
            .route("/style.css", get(face::style))
            .route("/live.js", get(face::script))
            .route("/messages", get(face::messages))
            .route("/log", get(face::log))
            .route("/teams", get(face::teams))
            .fallback(face::nothing_here)
            .layer(middleware::from_fn_with_state(self.clone(), guard::same_site))
            .with_state(self.clone());
        axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
    }
}
