//! Connections: taken, served over HTTP/1.1, and let go.
//!
//! Not `axum::serve`, because that sets no timer: a half-sent head would hold its connection for ever.

use std::io;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tautline_core::limits;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::address::Peer;

/// The pause after a connection that could not be taken, as when there are no file descriptors left.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until told to stop; then takes no more connections, and waits until those there are have ended.
pub(crate) async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let open = TaskTracker::new();
    loop {
        let (stream, peer) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    if !is_the_peers(&error) {
                        tracing::error!(%error, "a connection could not be taken");
                        tokio::time::sleep(PAUSE).await;
                    }
                    continue;
                }
            },
        };
        open.spawn(connection(stream, Peer(peer.ip()), router.clone(), stop.clone()));
    }
    drop(listener);
    open.close();
    open.wait().await;
}

async fn connection(stream: TcpStream, peer: Peer, router: Router, stop: CancellationToken) {
    // Answers are small and waited for.
    let _ = stream.set_nodelay(true);
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request| {
        hyper::Request::extensions_mut(&mut request).insert(peer);
        router.call(request)
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HEAD_READ)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(served);
    let ended = tokio::select! {
        ended = &mut served => ended,
        () = stop.cancelled() => {
            // The request in hand is answered; a connection that only waits is closed.
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

fn is_the_peers(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
