//! What all rooms share, behind one `Arc`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tautline_core::endpoint::Endpoint;
use tautline_core::event_share::EventShare;
use tautline_core::{Clock, Rng, Store, Vault};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::dispatch::Dispatcher;
use crate::egress::SlackClient;
use crate::metrics::Metrics;
use crate::outbound::Sender;
use crate::settings::Settings;

/// A running gateway's parts.
pub(crate) struct App {
    pub(crate) settings: Settings,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) vault: Arc<dyn Vault>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rng: Arc<dyn Rng>,
    pub(crate) slack: SlackClient,
    /// Who gets requests.
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) dispatcher: Dispatcher,
    pub(crate) sender: Sender,
    /// Places for requests that wait for the store: what they hold in memory is bounded.
    pub(crate) accepting: Arc<Semaphore>,
    pub(crate) metrics: Metrics,
    /// The last hour's answers to Slack.
    pub(crate) answers: Mutex<EventShare>,
    /// Work that a stopping server finishes.
    pub(crate) tasks: TaskTracker,
}

impl App {
    pub(crate) fn event_share(&self) -> MutexGuard<'_, EventShare> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
