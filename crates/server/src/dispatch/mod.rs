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
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) use attempt::{Held, Verdict, attempt};
pub use handler::{Handler, HandlerAnswer, HandlerCall};
pub(crate) use sweep::sweep;
use tautline_core::endpoint::{Endpoint, Target};
use tautline_core::{DeliveryId, EndpointId, limits};
use tautline_slack::signing::SigningSecret;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

use crate::egress::EndpointClient;

/// The ways to the endpoints, and how much is under way on each.
pub(crate) struct Dispatcher {
    ways: HashMap<EndpointId, Arc<Way>>,
    client: EndpointClient,
    /// Where Slack waits for the words of a delivery that found no slot. The sweep may yet be in time.
    held: Mutex<HashMap<DeliveryId, Held>>,
}

/// The way to one endpoint.
pub(crate) struct Way {
    via: Via,
    slots: Arc<Semaphore>,
}

enum Via {
    Slack { url: Url, secret: SigningSecret },
    InProcess(Arc<dyn Handler>),
}

/// The right to make one attempt at an endpoint.
pub(crate) struct Slot {
    way: Arc<Way>,
    _permit: OwnedSemaphorePermit,
}

impl Dispatcher {
    /// `handlers` are the in-process endpoints by name; `secret` signs what goes to the others.
    pub(crate) fn new(
        endpoints: &[Endpoint],
        handlers: &HashMap<String, Arc<dyn Handler>>,
        secret: Option<&SigningSecret>,
        client: EndpointClient,
    ) -> Self {
        let way = |endpoint: &Endpoint| {
            let via = match &endpoint.target {
                Target::InProcess => Via::InProcess(handlers.get(&endpoint.name)?.clone()),
                Target::Slack { url } => Via::Slack { url: url.clone(), secret: secret?.clone() },
            };
            let slots = Arc::new(Semaphore::new(limits::IN_FLIGHT_PER_ENDPOINT));
            Some((endpoint.id, Arc::new(Way { via, slots })))
        };
        Self { ways: endpoints.iter().filter_map(way).collect(), client, held: Mutex::default() }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<DeliveryId, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves word where Slack waits. Whoever waits takes it away again.
    pub(crate) fn hold(&self, delivery: DeliveryId, held: Held) {
        self.held().insert(delivery, held);
    }

    /// Where Slack waits for this delivery's words, if it does.
    pub(crate) fn take_held(&self, delivery: DeliveryId) -> Option<Held> {
        self.held().remove(&delivery)
    }

    /// A slot at an endpoint, if one is free.
    pub(crate) fn slot(&self, endpoint: EndpointId) -> Option<Slot> {
        let way = self.ways.get(&endpoint)?.clone();
        let permit = way.slots.clone().try_acquire_owned().ok()?;
        Some(Slot { way, _permit: permit })
    }

    /// Every slot that is free, for the sweep.
    fn free_slots(&self) -> HashMap<EndpointId, Vec<Slot>> {
        let free = |endpoint: &EndpointId| (*endpoint, std::iter::from_fn(|| self.slot(*endpoint)).collect());
        self.ways.keys().map(free).filter(|(_, slots): &(_, Vec<Slot>)| !slots.is_empty()).collect()
    }
}
