//! What all rooms share, behind one `Arc`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use http::StatusCode;
use tautline_core::endpoint::Endpoint;
use tautline_core::event_share::EventShare;
use tautline_core::{Clock, EndpointId, Rng, Store, StoreResult, Timestamp, Vault};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::auth::{Failures, Issuer};
use crate::dispatch::{self, Dispatcher};
use crate::egress::SlackClient;
use crate::error::{ApiError, ApiResult};
use crate::installations::upkeep;
use crate::metrics::Metrics;
use crate::outbound::{People, Sender};
use crate::settings::Settings;

/// A running gateway's parts.
pub(crate) struct App {
    pub(crate) settings: Settings,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) vault: Arc<dyn Vault>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) slack: SlackClient,
    /// Who gets requests; see [`App::endpoints`].
    pub(crate) endpoints: RwLock<Arc<Vec<Endpoint>>>,
    /// Held from reading to taking over: of two refreshes the later reading must win.
    pub(crate) refreshing: tokio::sync::Mutex<()>,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) sender: Sender,
    /// Places for proxied calls that wait for their turn.
    pub(crate) waiting: Semaphore,
    /// People by their e-mail addresses.
    pub(crate) people: People,
    /// Places for requests that wait for the store: what they hold in memory is bounded.
    pub(crate) accepting: Arc<Semaphore>,
    pub(crate) metrics: Metrics,
    /// The last hour's answers to Slack.
    pub(crate) answers: Mutex<EventShare>,
    /// Who signs the product's own tokens.
    pub(crate) issuer: Option<Issuer>,
    /// Wrong credentials of this minute.
    pub(crate) failures: Failures,
    /// Places for installs without a state, while Slack is asked what they are.
    pub(crate) parking: Semaphore,
    /// Work that a stopping server finishes.
    pub(crate) tasks: TaskTracker,
}

impl App {
    /// Who gets requests, as it is now.
    pub(crate) fn endpoints(&self) -> Arc<Vec<Endpoint>> {
        self.endpoints.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes over what the store says of those that the API made, at this server or at another. What is declared is
    /// this process's own affair, but for how it does: another that started since may declare other things.
    pub(crate) async fn refresh_endpoints(&self) -> StoreResult<()> {
        let _one_at_a_time = self.refreshing.lock().await;
        let kept = self.store.endpoints().await?;
        let recovered = self.dispatcher.keep_ways(&kept, self.clock.now());
        let health =
            |id| kept.iter().find(|kept| kept.endpoint.id == id).map(|kept| kept.endpoint.health.clone());
        let own =
            |known: &Endpoint| Endpoint { health: health(known.id).unwrap_or_default(), ..known.clone() };
        let declared = self.endpoints().iter().filter(|known| known.is_declared).map(own).collect::<Vec<_>>();
        let made = kept.into_iter().map(|kept| kept.endpoint).filter(|endpoint| !endpoint.is_declared);
        let all = declared.into_iter().chain(made).collect();
        *self.endpoints.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(all);
        for endpoint in recovered {
            dispatch::recovered(self, endpoint).await;
        }
        Ok(())
    }

    /// Takes over that an endpoint said it is gone, before the next look at the store.
    pub(crate) fn set_disabled(&self, id: EndpointId, at: Timestamp) {
        let mut all = self.endpoints.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(endpoint) = Arc::make_mut(&mut all).iter_mut().find(|endpoint| endpoint.id == id) {
            endpoint.health.disabled_at = Some(at);
        }
    }

    /// Does something to its end, in a task of its own: whoever asked for it may hang up, and what was begun must not be left
    /// half done.
    pub(crate) async fn to_the_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = ApiResult<T>> + Send + 'static,
    ) -> ApiResult<T> {
        self.tasks.spawn(work).await.unwrap_or_else(|_| {
            let broken = ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "something broke off");
            Err(broken.fix("ask again; the log says more"))
        })
    }

    /// Whether the product has any; the gateway's own does not count.
    pub(crate) fn has_endpoints(&self) -> bool {
        self.endpoints().iter().any(|endpoint| endpoint.name != upkeep::NAME)
    }

    pub(crate) fn event_share(&self) -> MutexGuard<'_, EventShare> {
        lock(&self.answers)
    }
}

/// Takes a lock; what a panic of another's left is as good as any.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
