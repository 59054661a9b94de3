//! From a listener to a stop.

use std::net::SocketAddr;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Binds an address. A port that is taken is named together with what changes it.
pub(crate) async fn bind(address: SocketAddr, changed_by: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            anyhow::anyhow!("port {} is in use; choose another with {changed_by}", address.port())
        }
        _ => anyhow::Error::new(error).context(format!("cannot listen on {address}; see {changed_by}")),
    })
}

/// A token that is cancelled by the first SIGINT or SIGTERM. The second ends the process at once.
pub(crate) fn stop_on_signal() -> anyhow::Result<CancellationToken> {
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(async move {
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        stopped.cancel();
        tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        // By convention 128 and the number of SIGINT.
        std::process::exit(130);
    });
    Ok(stop)
}
