//! `tautline serve`.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use tautline_server::core::{SystemClock, SystemRng};
use tautline_server::{Ports, Server};
use tautline_store::SqliteStore;
use tautline_store::sqlite::SqliteOptions;

use crate::config::{Database, Environment, GatewayConfig, keyring, make_private};
use crate::{lifecycle, logging};

pub(crate) async fn run(environment: &Environment) -> anyhow::Result<()> {
    logging::start(environment, "info")?;
    let config = GatewayConfig::read(environment)?;
    for off in &config.off {
        tracing::info!("{} is off: {}", off.what, off.fix);
    }
    if config.settings.single_workspace {
        tracing::info!("one workspace: every signed request is home's, as SLACK_CLIENT_ID is not set");
    }
    let listener = lifecycle::bind(config.listen, "TAUTLINE_LISTEN").await?;
    make_private(&config.data_dir)?;
    let rng = Arc::new(SystemRng);
    let vault = Arc::new(keyring(config.encryption_keys.as_ref(), &config.data_dir, rng.clone())?);
    let Database::Sqlite(path) = config.database;
    let path = path.unwrap_or_else(|| config.data_dir.join("tautline.db"));
    let store = Arc::new(open_store(&path, vault.clone())?);
    let ports = Ports { store, vault, clock: Arc::new(SystemClock), rng };
    let server = Server::new(config.settings, ports, HashMap::new()).await?;
    let stop = lifecycle::stop_on_signal()?;
    let address = listener.local_addr()?;
    tracing::info!(address = %address, store = %path.display(), "serving");
    server.serve(listener, stop).await;
    Ok(())
}

/// Opens the embedded store.
pub(crate) fn open_store(path: &Path, vault: Arc<tautline_store::Keyring>) -> anyhow::Result<SqliteStore> {
    let options = SqliteOptions { path: path.to_owned(), commit_gate: None };
    SqliteStore::open(options, vault).context("cannot open the store")
}
