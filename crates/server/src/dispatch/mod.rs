//! Dispatch: from the inbox to the product's handlers.
//!
//! A request that comes while its endpoint has a free slot is committed already leased and handed over in
//! memory, so that a click reaches its handler in milliseconds. Everything else (no slot, a retry, what a dead
//! process left) is found by the sweep: the rare path and the common one end in the same [`attempt`].

mod attempt;
mod handler;
mod late;
mod sweep;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

pub(crate) use attempt::{Held, Verdict, attempt};
use handler::Ear;
pub use handler::{Handler, HandlerAnswer, HandlerCall, Registered};
use secrecy::ExposeSecret as _;
pub(crate) use sweep::sweep;
use tautline_core::endpoint::{Endpoint, Kept, Target};
use tautline_core::{DeliveryId, EndpointId, limits};
use tautline_slack::signing::SigningSecret;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use url::Url;

use crate::egress::EndpointClient;

/// The ways to the endpoints, and how much is under way on each.
pub(crate) struct Dispatcher {
    ways: RwLock<Arc<HashMap<EndpointId, Arc<Way>>>>,
    client: EndpointClient,
    /// Calls the sweep before its time.
    wake: Arc<Notify>,
    /// Where Slack waits for the words of a delivery that found no slot. The sweep may yet be in time.
    held: Mutex<HashMap<DeliveryId, Waiting>>,
}

/// Where Slack waits for the words of a delivery that was stored without a slot.
pub(crate) struct Waiting {
    pub(crate) held: Held,
    /// Says that Slack still waited when the request was durable. The sweep may find the delivery before that is known;
    /// without that word it is not run.
    pub(crate) confirmed: oneshot::Receiver<()>,
}

/// The way to one endpoint.
pub(crate) struct Way {
    via: Via,
    /// Of an endpoint that this process declares.
    is_declared: bool,
    slots: Arc<Semaphore>,
    /// Something was stored without a slot. Until it had its turn, nobody passes it by the fast path.
    queued: AtomicBool,
    wake: Arc<Notify>,
}

impl Way {
    fn new(via: Via, is_declared: bool, wake: &Arc<Notify>) -> Arc<Self> {
        let slots = Arc::new(Semaphore::new(limits::IN_FLIGHT_PER_ENDPOINT));
        // What the last run left has its turn first.
        Arc::new(Self { via, is_declared, slots, queued: AtomicBool::new(true), wake: wake.clone() })
    }
}

enum Via {
    Slack { url: Url, secret: SigningSecret },
    InProcess(Arc<dyn Handler>),
}

/// The right to make one attempt at an endpoint.
pub(crate) struct Slot {
    way: Arc<Way>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Slot {
    fn drop(&mut self) {
        drop(self.permit.take());
        if self.way.queued.load(Ordering::Relaxed) {
            self.way.wake.notify_one();
        }
    }
}

impl Dispatcher {
    /// `handlers` are the in-process endpoints; `secret` signs what goes to the others.
    pub(crate) fn new(
        endpoints: &[Endpoint],
        handlers: &[Registered],
        secret: Option<&SigningSecret>,
        client: EndpointClient,
    ) -> Self {
        let wake = Arc::new(Notify::new());
        let way = |endpoint: &Endpoint| {
            if !endpoint.is_declared {
                return None; // its secret comes with [`Self::keep_ways`]
            }
            let via = match &endpoint.target {
                Target::InProcess => {
                    let registered = handlers.iter().find(|registered| registered.name == endpoint.name)?;
                    Via::InProcess(registered.handler.clone())
                }
                Target::Slack { url } => Via::Slack { url: url.clone(), secret: secret?.clone() },
            };
            Some((endpoint.id, Way::new(via, true, &wake)))
        };
        let ways = RwLock::new(Arc::new(endpoints.iter().filter_map(way).collect()));
        Self { ways, client, wake, held: Mutex::default() }
    }

    /// Makes the ways to endpoints that the API made since, and gives up those that it removed. What is under way goes on.
    pub(crate) fn keep_ways(&self, kept: &[Kept]) {
        let before = self.ways();
        let way = |kept: &Kept| {
            let id = kept.endpoint.id;
            if let Some(way) = before.get(&id) {
                return Some((id, way.clone()));
            }
            let (Target::Slack { url }, Some(secret)) = (&kept.endpoint.target, &kept.secret) else {
                return None;
            };
            let secret = SigningSecret::new(secret.expose_secret())?;
            Some((id, Way::new(Via::Slack { url: url.clone(), secret }, false, &self.wake)))
        };
        let made = kept.iter().filter_map(way);
        let declared = before.iter().filter(|(_, way)| way.is_declared).map(|(id, way)| (*id, way.clone()));
        let ways = Arc::new(declared.chain(made).collect());
        *self.ways.write().unwrap_or_else(PoisonError::into_inner) = ways;
    }

    fn ways(&self) -> Arc<HashMap<EndpointId, Arc<Way>>> {
        self.ways.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn way(&self, endpoint: EndpointId) -> Option<Arc<Way>> {
        self.ways.read().unwrap_or_else(PoisonError::into_inner).get(&endpoint).cloned()
    }

    fn held(&self) -> MutexGuard<'_, HashMap<DeliveryId, Waiting>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves word where Slack waits. Whoever waits takes it away again.
    pub(crate) fn hold(&self, delivery: DeliveryId, waiting: Waiting) {
        self.held().insert(delivery, waiting);
    }

    /// Where Slack waits for this delivery's words, if it does.
    pub(crate) fn take_held(&self, delivery: DeliveryId) -> Option<Waiting> {
        self.held().remove(&delivery)
    }

    /// A slot at an endpoint for something that arrives, if one is free and nothing waits for it.
    pub(crate) fn slot(&self, endpoint: EndpointId) -> Option<Slot> {
        let way = self.way(endpoint)?;
        let free = if way.queued.load(Ordering::Relaxed) { None } else { take_slot(&way) };
        if free.is_none() {
            way.queued.store(true, Ordering::Relaxed);
        }
        free
    }

    /// Something was stored for an endpoint without a slot. If it could take more, as after a start or at the end of a
    /// backlog, the sweep comes at once and sees whether anything else waits.
    pub(crate) fn nudge(&self, endpoint: EndpointId) {
        if self.way(endpoint).is_some_and(|way| way.slots.available_permits() > 0) {
            self.wake.notify_one();
        }
    }

    /// The endpoints there is a way to.
    pub(crate) fn endpoints(&self) -> Vec<EndpointId> {
        self.ways().keys().copied().collect()
    }

    /// How many deliveries each endpoint could take; at least one is looked for, to know whether any waits.
    fn free(&self) -> Vec<(EndpointId, usize)> {
        self.ways().iter().map(|(endpoint, way)| (*endpoint, way.slots.available_permits().max(1))).collect()
    }

    /// Slots for what has waited. With nothing left to wait, arrivals may pass again.
    fn slots_for(&self, endpoint: EndpointId, waiting: usize) -> Vec<Slot> {
        let Some(way) = self.way(endpoint) else { return Vec::new() };
        // Fewer than could be taken: these are all.
        let is_more = waiting >= way.slots.available_permits().max(1);
        way.queued.store(is_more, Ordering::Relaxed);
        std::iter::from_fn(|| take_slot(&way)).take(waiting).collect()
    }
}

fn take_slot(way: &Arc<Way>) -> Option<Slot> {
    let permit = way.slots.clone().try_acquire_owned().ok()?;
    Some(Slot { way: way.clone(), permit: Some(permit) })
}
