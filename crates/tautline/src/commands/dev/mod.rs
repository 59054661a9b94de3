//! `tautline dev`: a gateway and a simulated Slack, with nothing to configure.

mod data;
mod echo;
mod table;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use tautline_server::core::access::{ApiKey, Scope};
use tautline_server::core::pace::Paces;
use tautline_server::core::session::DashboardLink;
use tautline_server::core::{
    Clock as _, KeyId, LinkId, PageRequest, Rng, SecretHash, Store, SystemClock, SystemRng, Tenant, TenantId,
    limits, new_secret,
};
use tautline_server::dispatch::Registered;
use tautline_server::slack::{Token, below, oauth, scopes};
use tautline_server::{CALLBACK_PATH, Forward, INBOUND_PATH, OAuth, Ports, Server, Settings, Tuning};
use tautline_sim::{Registration, RetryWaits, Sim};
use tautline_store::Keyring;
use tokio_util::sync::CancellationToken;
use url::Url;

use self::data::DevData;
use crate::config::{Database, Environment, local_url};
use crate::{lifecycle, logging, store};

/// Run a gateway and a simulated Slack, with nothing to configure.
#[derive(Args)]
pub(crate) struct Options {
    /// The gateway's port.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// The simulated Slack's port.
    #[arg(long, default_value_t = 8081)]
    slack_port: u16,
    /// Where state is kept between runs.
    #[arg(long, value_name = "DIR", default_value = ".tautline-dev")]
    data: PathBuf,
    /// Forget the state of earlier runs.
    #[arg(long)]
    fresh: bool,
    /// Your Bolt app's URL, such as http://localhost:3000/slack/events; without it, a built-in echo answers.
    #[arg(long, value_name = "URL", value_parser = http_url)]
    forward: Option<Url>,
}

fn http_url(text: &str) -> Result<Url, String> {
    match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => Ok(url),
        _ => Err("not an http URL; write it whole, such as http://localhost:3000/slack/events".to_owned()),
    }
}

const TENANT: &str = "acme";
const BOT_NAME: &str = "tautline";

pub(crate) async fn run(environment: &Environment, options: Options) -> anyhow::Result<()> {
    logging::start(environment, "warn,tautline=info,tautline_server=info")?;
    let gateway = lifecycle::bind(loopback(options.port), "--port").await?;
    let slack = lifecycle::bind(loopback(options.slack_port), "--slack-port").await?;
    // Port 0 asks for any: what was given counts.
    let public_url = local_url(gateway.local_addr()?.port());
    let slack_url = local_url(slack.local_addr()?.port());
    let data = DevData::open(&options.data, options.fresh)?;
    let settings = settings(&data, &public_url, &slack_url, options.forward.as_ref());
    let sim = Sim::new(tautline_sim::Options {
        public_url: slack_url.clone(),
        registration: Registration {
            client_id: data.client_id(),
            client_secret: data.client_secret(),
            signing_secret: data.signing_secret(),
            redirect_urls: vec![settings.redirect_uri.to_string()],
            request_url: below(&public_url, INBOUND_PATH.trim_start_matches('/')),
            bot_name: BOT_NAME.to_owned(),
        },
        state_file: Some(data.file("slack.json")),
        seed: u64::from_le_bytes(SystemRng.array()),
        retry_waits: RetryWaits::SLACKS,
        patience: None,
        token_life_s: None,
        suggestions: suggestions(options.forward.is_none()),
    })
    .context("cannot use what the simulated Slack kept in slack.json; start over with --fresh")?;
    let rng: Arc<dyn Rng> = Arc::new(SystemRng);
    let vault = Arc::new(Keyring::single("dev", data.encryption_key(), rng.clone()));
    let store =
        store::open(&Database::Sqlite(data.file("tautline.db")), vault.clone(), public_url.as_str()).await?;
    let dashboard = furnish(store.as_ref(), &data, &public_url, rng.as_ref()).await?;
    let connected = connected(store.as_ref()).await?;
    let handlers = match options.forward {
        Some(_) => Vec::new(),
        None => vec![Registered::for_everything("echo", Arc::new(echo::Echo))],
    };
    let ports = Ports { store, vault, clock: Arc::new(SystemClock), rng };
    let server = Server::new(settings, ports, handlers).await?;
    let stop = lifecycle::stop_on_signal()?;
    table::print(&table::Facts {
        public_url: &public_url,
        slack_url: &slack_url,
        dashboard: &dashboard,
        connected: &connected,
        tenant: TENANT,
        bot_name: BOT_NAME,
        forward: options.forward.as_ref(),
        data: &data,
    });
    // The simulation has nothing to finish: it goes when the gateway has.
    tokio::select! {
        () = server.serve(gateway, stop) => Ok(()),
        ended = sim.serve(slack, CancellationToken::new()) => Ok(ended?),
    }
}

/// What the simulated Slack's composer offers to say.
fn suggestions(echo_answers: bool) -> Vec<String> {
    let mut suggestions = vec![format!("@{BOT_NAME} hello"), "/hello".to_owned()];
    if echo_answers {
        suggestions.push("/demo".to_owned());
    }
    suggestions
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn settings(data: &DevData, public_url: &Url, slack_url: &Url, forward: Option<&Url>) -> Settings {
    Settings {
        public_url: public_url.clone(),
        slack_url: slack_url.clone(),
        signing_secrets: vec![data.signing_secret()],
        single_workspace: false,
        oauth: OAuth::On(oauth::Client { id: data.client_id(), secret: Token::new(data.client_secret()) }),
        // Everything can be tried here.
        bot_scopes: scopes::parse(&format!("{},reactions:write,files:read", scopes::DEFAULT_BOT_SCOPES)),
        redirect_uri: below(public_url, CALLBACK_PATH.trim_start_matches('/')),
        return_origins: Vec::new(),
        admin_key: Some(SecretHash::of(&data.admin_key())),
        issuer: None,
        trusted_proxies: Vec::new(),
        bot_token: None,
        forward: forward.map(|url| Forward { url: url.clone(), secret: data.forward_secret() }),
        paces: Paces::default(),
        ops_webhook: None,
        tuning: Tuning::default(),
    }
}

/// The names of the workspaces that earlier runs connected.
async fn connected(store: &dyn Store) -> anyhow::Result<Vec<String>> {
    let page = PageRequest { limit: limits::PAGE_DEFAULT, after: None };
    let found = store.installations(&TENANT.parse()?, page).await?.items;
    Ok(found.into_iter().filter_map(|installation| installation.facts.team_name).collect())
}

/// A tenant, its API key, and a link to its dashboard.
async fn furnish(store: &dyn Store, data: &DevData, public_url: &Url, rng: &dyn Rng) -> anyhow::Result<Url> {
    let now = SystemClock.now();
    let tenant: TenantId = TENANT.parse()?;
    store
        .tenant_record(Tenant { id: tenant.clone(), name: Some("Acme".into()), created_at: now }, None)
        .await?;
    let id = KeyId::generate(now, rng);
    let key = ApiKey {
        id,
        tenant: Some(tenant.clone()),
        scopes: Scope::ALL.to_vec(),
        created_at: now,
        expires_at: None,
        last_used_at: None,
    };
    store.key_store(key, SecretHash::of(&data.api_key()), None).await?;
    let secret = new_secret(rng);
    let link = DashboardLink {
        id: LinkId::generate(now, rng),
        tenant,
        scopes: Scope::ALL.to_vec(),
        key: None,
        return_to: None,
        // Terminals and browsers fetch links on their own; and one's own dashboard may be opened twice.
        single_use: false,
        expires_at: now.after(data::DASHBOARD_LINK_LIFE),
    };
    store.dashboard_link_store(link, SecretHash::of(&secret), now, None).await?;
    Ok(below(public_url, &format!("api/v1/dashboard-links/{secret}")))
}
