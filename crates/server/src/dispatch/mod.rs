//! Dispatch: from the inbox to the product's handlers.
//!
//! A request that comes while its endpoint has a free slot is committed already leased and handed over in
//! memory, so that a click reaches its handler in milliseconds. Everything else (no slot, a retry, what a dead
//! process left) is found by the sweep: the rare path and the common one end in the same [`attempt`].

mod attempt;
mod handler;
mod health;
mod late;
mod sweep;
mod way;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

pub(crate) use attempt::{Held, Verdict, attempt, told};
use handler::Ear;
pub use handler::{Handler, HandlerAnswer, HandlerCall, Registered};
pub(crate) use health::{gave_up, recovered};
pub(crate) use sweep::sweep;
use tautline_core::delivery::{Hand, Places};
use tautline_core::endpoint::{Endpoint, Kept, Target};
use tautline_core::turns::Turns;
use tautline_core::{DeliveryId, EndpointId, TenantId, Timestamp};
use tautline_slack::request::Kind;
use tautline_slack::signing::SigningSecret;
use tokio::sync::{Notify, oneshot};
pub(crate) use way::Slot;
use way::{Slots, Via, Way};

use crate::egress::{Address, EndpointClient};

/// The ways to the endpoints, and how much is under way on each.
pub(crate) struct Dispatcher {
    ways: RwLock<Arc<HashMap<EndpointId, Arc<Way>>>>,
    pub(crate) client: EndpointClient,
    /// Calls the sweep before its time.
    wake: Arc<Notify>,
    /// Where Slack waits for the words of a delivery that found no slot. The sweep may yet be in time.
    held: Mutex<HashMap<DeliveryId, Waiting>>,
    turns: Mutex<Turns>,
    /// Endpoints whose secret does not open, of which that was said.
    locked: Mutex<HashSet<EndpointId>>,
}

/// Where Slack waits for the words of a delivery that was stored without a slot.
pub(crate) struct Waiting {
    pub(crate) held: Held,
    /// Says that Slack still waited when the request was durable. The sweep may find the delivery before that is known;
    /// without that word it is not run.
    pub(crate) confirmed: oneshot::Receiver<()>,
}

impl Dispatcher {
    /// `handlers` are the in-process endpoints; `secret` signs what goes to those that the environment declares.
    pub(crate) fn new(
        endpoints: &[Endpoint],
        handlers: &[Registered],
        secret: Option<&SigningSecret>,
        client: EndpointClient,
        now: Timestamp,
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
                Target::Slack { url } => Via::Http(Address::slack(url.clone(), secret?.clone())),
                Target::Standard { .. } => return None, // the environment declares none
            };
            Some((endpoint.id, Way::new(via, endpoint, None, &wake, now)))
        };
        let ways = RwLock::new(Arc::new(endpoints.iter().filter_map(way).collect()));
        Self { ways, client, wake, held: Mutex::default(), turns: Mutex::default(), locked: Mutex::default() }
    }

    /// Makes the ways to endpoints that the API made, as they are now, and gives up those that it removed. What is under
    /// way goes on. Says which endpoints, declared or made, are on record as failing and have succeeded since.
    pub(crate) fn keep_ways(&self, kept: &[Kept], now: Timestamp) -> Vec<EndpointId> {
        let mut all = self.ways.write().unwrap_or_else(PoisonError::into_inner);
        let (mut recovered, mut ways) = (Vec::new(), HashMap::new());
        for Kept { endpoint, .. } in kept {
            let Some(way) = all.get(&endpoint.id) else { continue };
            if way.has_recovered(&endpoint.health) {
                recovered.push(endpoint.id);
            }
            // What is declared is this process's own affair, but for what another server learned of it.
            if way.is_declared && way.is_shut != endpoint.is_shut() {
                ways.insert(endpoint.id, way.with_shut(endpoint.is_shut()));
            }
        }
        for (id, way) in all.iter().filter(|(_, way)| way.is_declared) {
            ways.entry(*id).or_insert_with(|| way.clone());
        }
        for kept in kept.iter().filter(|kept| !kept.endpoint.is_declared) {
            let Some(address) = Address::of(kept) else {
                if !self.is_known_as_locked(kept.endpoint.id) {
                    tracing::error!(
                        endpoint = %kept.endpoint.id,
                        "nothing goes to an endpoint whose secret does not open: start the server with the key that sealed \
                         it, or give it another with tautline endpoints rotate-secret"
                    );
                }
                continue;
            };
            let before = all.get(&kept.endpoint.id).map(AsRef::as_ref);
            let way = Way::new(Via::Http(address), &kept.endpoint, before, &self.wake, now);
            ways.insert(kept.endpoint.id, way);
        }
        *all = Arc::new(ways);
        drop(all);
        // What waited for one that was resumed is due.
        self.wake.notify_one();
        recovered
    }

    fn is_known_as_locked(&self, endpoint: EndpointId) -> bool {
        !self.locked.lock().unwrap_or_else(PoisonError::into_inner).insert(endpoint)
    }

    /// Has an endpoint probed that rests: somebody did something about it.
    pub(crate) fn probe(&self, endpoint: EndpointId, now: Timestamp) {
        if let Some(way) = self.way(endpoint) {
            way.probe_at(now);
            self.wake.notify_one();
        }
    }

    /// Begins nothing more at an endpoint that said it is gone, until it is resumed or declared anew. False: that was said at
    /// an address that it has no more.
    fn shut(&self, endpoint: EndpointId, said_by: &Way) -> bool {
        let mut all = self.ways.write().unwrap_or_else(PoisonError::into_inner);
        let shut = all.get(&endpoint).filter(|way| way.is_to_where(said_by)).map(|way| way.with_shut(true));
        let is_shut = shut.is_some();
        Arc::make_mut(&mut all).extend(shut.map(|way| (endpoint, way)));
        is_shut
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

    fn turns(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
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
    pub(crate) fn slot(&self, endpoint: EndpointId, now: Timestamp, somebody_waits: bool) -> Option<Slot> {
        self.way(endpoint)?.slot(now, somebody_waits)
    }

    /// The turn of something that is replayed: behind what is replayed of the same tenant, and not before what arrives.
    pub(crate) fn turn_again(&self, tenant: &TenantId, kind: Kind, now: Timestamp) -> Timestamp {
        const REPLAYED: EndpointId = EndpointId::from_bytes([0; 16]);
        self.turns().next(REPLAYED, tenant, kind, now)
    }

    /// Something waits for an endpoint: it has its turn.
    pub(crate) fn queue(&self, endpoint: EndpointId, tenant: &TenantId, kind: Kind, now: Timestamp) -> Hand {
        Hand::Ready { turn: self.turns().next(endpoint, tenant, kind, now) }
    }

    /// Something was stored for an endpoint without a slot. If it could take more, as after a start or at the end of a
    /// backlog, the sweep comes at once and sees whether anything else waits.
    pub(crate) fn nudge(&self, endpoint: EndpointId, now: Timestamp) {
        if self.way(endpoint).is_some_and(|way| way.is_free(now)) {
            self.wake.notify_one();
        }
    }

    /// The endpoints there is a way to.
    pub(crate) fn endpoints(&self) -> Vec<EndpointId> {
        self.ways().keys().copied().collect()
    }

    /// How many deliveries each endpoint could take.
    fn places(&self, now: Timestamp) -> Vec<Places> {
        self.ways().values().filter_map(|way| way.places(now)).collect()
    }

    fn slots_for(&self, asked: Places, due: Places, now: Timestamp) -> Slots {
        if due.first == 0 {
            self.turns().is_empty(due.endpoint);
        }
        self.way(due.endpoint).map(|way| way.slots_for(asked, due, now)).unwrap_or_default()
    }

    /// Forgets what no longer matters.
    fn tidy(&self, now: Timestamp) {
        self.turns().tidy(now);
    }
}
