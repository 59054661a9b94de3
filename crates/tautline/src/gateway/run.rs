//! From a configuration to a server, and to its end.

use std::sync::Arc;

use anyhow::Context as _;
use tautline_server::core::{Clock as _, SystemClock, SystemRng};
use tautline_server::dispatch::Registered;
use tautline_server::{Ports, Server};
use tokio_util::sync::CancellationToken;

use crate::config::{Database, GatewayConfig, MAKE_KEY, keyring, make_private};
use crate::{lifecycle, store};

/// What is off where nothing takes what Slack sends.
const DISPATCH: &str = "dispatch";

/// Serves until it is told to stop.
pub(crate) async fn serve(
    config: GatewayConfig,
    handlers: Vec<Registered>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    for off in config.off.iter().filter(|off| off.what != DISPATCH) {
        tracing::info!("{} is off: {}", off.what, off.fix);
    }
    if config.settings.single_workspace {
        tracing::info!("one workspace: every signed request is home's, as SLACK_CLIENT_ID is not set");
    }
    let listener = lifecycle::bind(config.listen, "TAUTLINE_LISTEN").await?;
    make_private(&config.data_dir)?;
    let rng = Arc::new(SystemRng);
    if config.encryption_keys.is_none() && matches!(config.database, Database::Postgres(_)) {
        // A key made here would be one that no other replica has.
        tracing::error!("serving 503 only, as nothing may be stored unsealed: set {MAKE_KEY}");
        tautline_server::serve_locked(listener, format!("set {MAKE_KEY}"), stop).await;
        return Ok(());
    }
    let vault = Arc::new(keyring(config.encryption_keys.as_ref(), &config.data_dir, rng.clone())?);
    let store =
        store::open(&config.database, vault.clone(), &format!("http://{}", listener.local_addr()?)).await?;
    let ports = Ports { store, vault, clock: Arc::new(SystemClock), rng };
    let readiness =
        ports.store.readiness(SystemClock.now()).await.context("the store cannot be written to")?;
    let server = Server::new(config.settings, ports, handlers).await?;
    // With handlers in this process, or endpoints that were made, there is dispatch whatever is set.
    if let Some(off) = config.off.iter().find(|off| off.what == DISPATCH && !server.has_endpoints()) {
        tracing::info!("{} is off: {}, or make an endpoint", off.what, off.fix);
    }
    let address = listener.local_addr()?;
    tracing::info!(%address, store = readiness.engine, durability = readiness.durability, "serving");
    server.serve(listener, stop).await;
    Ok(())
}
