//! The server: put together, run, stopped.

use std::sync::{Arc, Mutex, RwLock};

use tautline_core::delivery::Reap;
use tautline_core::endpoint::{Declared, Endpoint, Filter, Target};
use tautline_core::{Clock, EndpointId, Rng, Store, StoreError, Vault, limits};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::App;
use crate::auth::{Failures, Issuer};
use crate::dispatch::{self, Dispatcher, Registered};
use crate::egress::{EndpointClient, SlackClient};
use crate::installations::{directory, refresh, upkeep};
use crate::metrics::Metrics;
use crate::outbound::{People, Sender};
use crate::serve::serve;
use crate::settings::Settings;
use crate::{home, keeping, outbound, router};

/// What the server stands on.
pub struct Ports {
    /// Where everything rests.
    pub store: Arc<dyn Store>,
    /// What seals it.
    pub vault: Arc<dyn Vault>,
    /// The present.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub rng: Arc<dyn Rng>,
}

/// A gateway, ready to serve.
pub struct Server {
    app: Arc<App>,
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The store does not take part.
    #[error("the store cannot be used")]
    Store(#[from] StoreError),
    /// No client for the network can be made.
    #[error("no HTTP client can be made")]
    Client(#[from] reqwest::Error),
    /// Nothing can be counted.
    #[error("no metrics can be kept")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
}

/// The name under which `TAUTLINE_FORWARD_URL` is known, so that what waits for it survives a new address.
const FORWARD: &str = "TAUTLINE_FORWARD_URL";

impl Server {
    /// Puts a server together, with the functions of this process that take requests.
    pub async fn new(
        settings: Settings,
        ports: Ports,
        handlers: Vec<Registered>,
    ) -> Result<Self, ServerError> {
        let handlers = handlers.into_iter().chain([upkeep::registered()]).collect::<Vec<_>>();
        let Ports { store, clock, rng, .. } = &ports;
        let endpoints = declare(&settings, store.as_ref(), clock.as_ref(), rng.as_ref(), &handlers).await?;
        let app = app(settings, ports, endpoints, &handlers)?;
        app.refresh_endpoints().await?;
        home::record_tenant(&app).await?;
        // Where nobody else serves the store, whoever held a lease is gone.
        let which = if app.store.is_shared() { Reap::RunOut } else { Reap::All };
        let reaped = app.store.delivery_reap(app.clock.now(), which).await?;
        let changed = reaped.changed + app.store.message_reap(app.clock.now(), which).await?;
        if !app.store.is_shared() {
            app.store.refresh_reap().await?;
        }
        if changed > 0 {
            tracing::info!(changed, "took back what the last run left unfinished");
        }
        let app = Arc::new(app);
        for endpoint in reaped.expired {
            dispatch::gave_up(&app, endpoint, "what waited for it grew too old").await;
        }
        Ok(Self { app })
    }

    /// Whether anything takes what Slack sends; the gateway's own handler does not count.
    pub fn has_endpoints(&self) -> bool {
        self.app.has_endpoints()
    }

    /// Serves until told to stop; then finishes what is in hand for [`limits::SHUTDOWN_GRACE`], and leaves the
    /// rest to leases.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) {
        let app = self.app;
        let work = TaskTracker::new();
        work.spawn(dispatch::sweep(app.clone(), stop.clone()));
        work.spawn(outbound::send_all(app.clone(), stop.clone()));
        work.spawn(refresh::sweep(app.clone(), stop.clone()));
        work.spawn(directory::crawl(app.clone(), stop.clone()));
        work.spawn(keeping::forget(app.clone(), stop.clone()));
        if let Some(token) = app.settings.bot_token.clone() {
            work.spawn(home::install(app.clone(), token, stop.clone()));
        }
        work.close();
        let serving = tokio::spawn(serve(listener, router::router(app.clone()), stop.clone()));
        stop.cancelled().await;
        tracing::info!("stopping: finishing what is in hand");
        let finish = async {
            let _ = serving.await;
            work.wait().await;
            app.tasks.close();
            app.tasks.wait().await;
        };
        if tokio::time::timeout(limits::SHUTDOWN_GRACE, finish).await.is_err() {
            tracing::warn!("stopped with work unfinished; it will be taken up again");
        }
    }
}

/// The parts of a server, put together.
pub(crate) fn app(
    settings: Settings,
    ports: Ports,
    endpoints: Vec<Endpoint>,
    handlers: &[Registered],
) -> Result<App, ServerError> {
    let Ports { store, vault, clock, rng } = ports;
    let secret = settings.forward.as_ref().map(|forward| &forward.secret);
    let dispatcher = Dispatcher::new(&endpoints, handlers, secret, EndpointClient::new()?, clock.now());
    let slack = SlackClient::new(settings.slack_url.clone())?;
    let issuer = settings.issuer.clone().map(Issuer::new).transpose()?;
    Ok(App {
        settings,
        store,
        vault,
        clock,
        rng,
        slack,
        endpoints: RwLock::new(Arc::new(endpoints)),
        refreshing: tokio::sync::Mutex::default(),
        dispatcher,
        sender: Sender::new(),
        waiting: Semaphore::new(limits::PROXY_WAITING),
        people: People::default(),
        accepting: Arc::new(Semaphore::new(limits::ACCEPTING)),
        metrics: Metrics::new()?,
        answers: Mutex::default(),
        issuer,
        failures: Failures::default(),
        parking: Semaphore::new(limits::PARKING),
        tasks: TaskTracker::new(),
    })
}

async fn declare(
    settings: &Settings,
    store: &dyn Store,
    clock: &dyn Clock,
    rng: &dyn Rng,
    handlers: &[Registered],
) -> Result<Vec<Endpoint>, StoreError> {
    let in_process = handlers.iter().map(|registered| Declared {
        name: registered.name.clone(),
        target: Target::InProcess,
        filters: registered.filters.clone(),
    });
    let forward = settings.forward.iter().map(|forward| Declared {
        name: FORWARD.to_owned(),
        target: Target::Slack { url: forward.url.clone() },
        filters: vec![Filter::everything()],
    });
    let declared = in_process.chain(forward).collect::<Vec<_>>();
    let now = clock.now();
    let ids = declared.iter().map(|_| EndpointId::generate(now, rng)).collect();
    store.endpoints_declare(declared, ids, now).await
}
