//! The way to one endpoint: where it is, and how much may be under way.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tautline_core::circuit::{Circuit, CircuitChange, Room};
use tautline_core::delivery::{AttemptResult, Places};
use tautline_core::endpoint::{Endpoint, Health};
use tautline_core::{EndpointId, Timestamp, limits};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use url::Url;

use super::Handler;
use crate::egress::Address;

/// Where an endpoint is.
pub(super) enum Via {
    InProcess(Arc<dyn Handler>),
    Http(Address),
}

impl Via {
    fn url(&self) -> Option<&Url> {
        match self {
            Self::InProcess(_) => None,
            Self::Http(address) => Some(&address.url),
        }
    }
}

/// The way to one endpoint.
pub(crate) struct Way {
    pub(super) via: Via,
    endpoint: EndpointId,
    /// Of an endpoint that this process declares.
    pub(super) is_declared: bool,
    /// Paused, or gone.
    is_shut: bool,
    load: Arc<Load>,
}

/// How much is under way. It outlives a change of the endpoint: what was begun before it counts after it.
struct Load {
    in_flight: usize,
    slots: Arc<Semaphore>,
    /// Those of the slots that retries may take.
    again: Arc<Semaphore>,
    /// Functions of this process have none: what fails there fails for reasons of its own.
    circuit: Option<Mutex<Circuit>>,
    /// When it last succeeded, in microseconds.
    succeeded_us: AtomicI64,
    /// First attempts wait. Until they had their turn, nobody passes them by the fast path.
    is_queued: AtomicBool,
    /// Retries are due that found no slot.
    is_behind: AtomicBool,
    wake: Arc<Notify>,
}

impl Load {
    fn new(endpoint: &Endpoint, is_remote: bool, wake: &Arc<Notify>, now: Timestamp) -> Arc<Self> {
        let in_flight = in_flight(endpoint);
        let reserved = if in_flight > 1 { in_flight.div_ceil(limits::SLOTS_PER_RESERVED) } else { 0 };
        let circuit =
            if endpoint.health.failing_since.is_some() { Circuit::open(now) } else { Circuit::default() };
        Arc::new(Self {
            in_flight: in_flight as usize,
            slots: Arc::new(Semaphore::new(in_flight as usize)),
            again: Arc::new(Semaphore::new((in_flight - reserved) as usize)),
            circuit: is_remote.then(|| Mutex::new(circuit)),
            succeeded_us: AtomicI64::new(i64::MIN),
            // What the last run left has its turn first.
            is_queued: AtomicBool::new(true),
            is_behind: AtomicBool::new(true),
            wake: wake.clone(),
        })
    }

    fn circuit(&self) -> Option<MutexGuard<'_, Circuit>> {
        Some(self.circuit.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn in_flight(endpoint: &Endpoint) -> u32 {
    endpoint.in_flight.unwrap_or(limits::IN_FLIGHT_PER_ENDPOINT)
}

impl Way {
    /// The way to an endpoint as it is now; `before` is the one that there was.
    pub(super) fn new(
        via: Via,
        endpoint: &Endpoint,
        before: Option<&Self>,
        wake: &Arc<Notify>,
        now: Timestamp,
    ) -> Arc<Self> {
        let is_same = |way: &&Self| way.load.in_flight == in_flight(endpoint) as usize;
        let load = match before.filter(is_same) {
            Some(way) => way.load.clone(),
            None => Load::new(endpoint, matches!(via, Via::Http(_)), wake, now),
        };
        let (is_declared, is_shut) = (endpoint.is_declared, endpoint.is_shut());
        if let Some(before) = before
            && ((before.is_shut && !is_shut) || before.via.url() != via.url())
            && let Some(mut circuit) = load.circuit()
        {
            // Resumed, or moved.
            circuit.probe_at(now);
        }
        Arc::new(Self { via, endpoint: endpoint.id, is_declared, is_shut, load })
    }

    /// The same way, shut.
    pub(super) fn shut(&self) -> Option<Arc<Self>> {
        let via = match &self.via {
            Via::InProcess(_) => return None,
            Via::Http(address) => Via::Http(address.clone()),
        };
        let load = self.load.clone();
        let Self { endpoint, is_declared, .. } = *self;
        Some(Arc::new(Self { via, endpoint, is_declared, is_shut: true, load }))
    }

    /// Whether it succeeded since it was found to fail, by whichever server: that one may be gone, and would never say so.
    pub(super) fn has_recovered(&self, health: &Health) -> bool {
        let succeeded_us = self.load.succeeded_us.load(Ordering::Relaxed);
        health.failing_since.is_some_and(|since| since.as_micros() < succeeded_us)
    }

    fn room(&self, now: Timestamp, somebody_waits: bool) -> Room {
        if self.is_shut {
            return Room::None;
        }
        self.load.circuit().map_or(Room::All, |circuit| circuit.room(now, somebody_waits))
    }

    /// How much of what waits it could take.
    pub(super) fn places(&self, now: Timestamp) -> Option<Places> {
        let endpoint = self.endpoint;
        let slots = self.load.slots.available_permits();
        match self.room(now, false) {
            Room::None => None,
            // Either will do to see how it does.
            Room::Probe => Some(Places { endpoint, first: 1, again: 1 }),
            // At least one is looked for, to know whether any waits.
            Room::All => {
                let again = slots.min(self.load.again.available_permits());
                Some(Places { endpoint, first: slots.max(1), again: again.max(1) })
            }
        }
    }

    /// A slot for something that arrives, if one is free and nothing waits for it.
    pub(super) fn slot(self: &Arc<Self>, now: Timestamp, somebody_waits: bool) -> Option<Slot> {
        let load = &self.load;
        let slot = match self.room(now, somebody_waits) {
            Room::None => None,
            Room::Probe => self.take(false, true),
            Room::All if load.is_queued.load(Ordering::Relaxed) => None,
            Room::All => self.take(false, false),
        };
        if slot.is_none() {
            load.is_queued.store(true, Ordering::Relaxed);
        }
        slot
    }

    /// Slots for what was found waiting. With nothing left to wait, arrivals may pass again.
    pub(super) fn slots_for(self: &Arc<Self>, due: Places, now: Timestamp) -> Slots {
        let load = &self.load;
        let mut slots = Slots::default();
        match self.room(now, false) {
            Room::None => {}
            Room::Probe => {
                if due.first > 0 {
                    slots.first.extend(self.take(false, true));
                } else if due.again > 0 {
                    slots.again.extend(self.take(true, true));
                }
            }
            Room::All => {
                // Fewer than could be taken: these are all.
                let (free, free_again) = (load.slots.available_permits(), load.again.available_permits());
                load.is_queued.store(due.first >= free.max(1), Ordering::Relaxed);
                load.is_behind.store(due.again >= free.min(free_again).max(1), Ordering::Relaxed);
                // Retries first: they have no more than their part, and what is new finds the rest.
                slots.again = std::iter::from_fn(|| self.take(true, false)).take(due.again).collect();
                slots.first = std::iter::from_fn(|| self.take(false, false)).take(due.first).collect();
            }
        }
        slots
    }

    fn take(self: &Arc<Self>, is_again: bool, is_probe: bool) -> Option<Slot> {
        let permit = self.load.slots.clone().try_acquire_owned().ok()?;
        let again = if is_again { Some(self.load.again.clone().try_acquire_owned().ok()?) } else { None };
        if is_probe && let Some(mut circuit) = self.load.circuit() {
            circuit.probe();
        }
        Some(Slot { way: self.clone(), permits: Some((permit, again)), is_probe })
    }

    /// Whether the sweep could begin something at once.
    pub(super) fn is_free(&self, now: Timestamp) -> bool {
        self.load.slots.available_permits() > 0 && self.room(now, false) != Room::None
    }
}

/// Slots for what waits.
#[derive(Default)]
pub(super) struct Slots {
    pub(super) first: Vec<Slot>,
    pub(super) again: Vec<Slot>,
}

/// The right to make one attempt at an endpoint.
pub(crate) struct Slot {
    pub(super) way: Arc<Way>,
    permits: Option<(OwnedSemaphorePermit, Option<OwnedSemaphorePermit>)>,
    is_probe: bool,
}

impl Slot {
    /// How the attempt ended, for the circuit.
    pub(super) fn ended(&self, result: &AttemptResult, now: Timestamp) -> Option<CircuitChange> {
        let is_success = matches!(result, AttemptResult::Answered(_));
        if is_success {
            self.way.load.succeeded_us.store(now.as_micros(), Ordering::Relaxed);
        }
        let mut circuit = self.way.load.circuit()?;
        let change = circuit.ended(is_success, self.is_probe, result.retry_after(), now);
        drop(circuit);
        if change == Some(CircuitChange::Closed) {
            // What waited through the rest has its turn now.
            self.way.load.wake.notify_one();
        }
        change
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        drop(self.permits.take());
        let load = &self.way.load;
        if self.is_probe
            && let Some(mut circuit) = load.circuit()
        {
            circuit.probe_over();
        }
        if load.is_queued.load(Ordering::Relaxed) || load.is_behind.load(Ordering::Relaxed) {
            load.wake.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use tautline_core::delivery::Answer;
    use tautline_core::endpoint::{Target, TenantSet};
    use tautline_slack::signing::SigningSecret;

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_000_000_000);
    const ID: EndpointId = EndpointId::from_bytes([7; 16]);

    fn endpoint(in_flight: u32) -> Endpoint {
        let target = Target::Slack { url: Url::parse("http://app/").unwrap() };
        Endpoint { in_flight: Some(in_flight), ..Endpoint::made(ID, target, Vec::new(), TenantSet::All, NOW) }
    }

    fn via(url: &str) -> Via {
        Via::Http(Address::slack(Url::parse(url).unwrap(), SigningSecret::new("s").unwrap()))
    }

    fn way_to(endpoint: &Endpoint, before: Option<&Way>) -> Arc<Way> {
        Way::new(via("http://app/"), endpoint, before, &Arc::new(Notify::new()), NOW)
    }

    fn due(first: usize, again: usize) -> Places {
        Places { endpoint: ID, first, again }
    }

    fn refused() -> AttemptResult {
        AttemptResult::Refused { answer: Answer { status: 500, ..Answer::default() }, retry_after: None }
    }

    #[test]
    fn a_storm_of_retries_leaves_a_quarter_to_what_is_new() {
        let way = way_to(&endpoint(8), None);
        assert_eq!(way.places(NOW), Some(due(8, 6)));
        let storm = way.slots_for(due(0, 6), NOW);
        assert_eq!((storm.first.len(), storm.again.len()), (0, 6));
        assert_eq!(way.slots_for(due(0, 1), NOW).again.len(), 0, "however many are due");
        let arrived = way.slot(NOW, false).expect("what is new passes");
        assert_eq!(way.slots_for(due(9, 9), NOW).first.len(), 1, "and what was new before finds the rest");
        drop((storm, arrived));
        assert_eq!(way.places(NOW), Some(due(8, 6)), "all are given back");
        assert_eq!(way_to(&endpoint(1), None).places(NOW), Some(due(1, 1)), "one slot serves both");
    }

    #[test]
    fn what_arrives_waits_behind_what_waits() {
        let way = way_to(&endpoint(8), None);
        assert!(way.slot(NOW, false).is_none(), "what the last run left comes first");
        drop(way.slots_for(due(3, 0), NOW));
        assert!(way.slot(NOW, false).is_some(), "with nothing left, arrivals pass");
        drop(way.slots_for(due(8, 0), NOW));
        assert!(way.slot(NOW, false).is_none(), "there may be more than were found");
    }

    #[test]
    fn one_that_fails_is_probed_by_one_and_opens_to_all_with_the_first_success() {
        let way = way_to(&endpoint(8), None);
        for _ in 0..limits::CIRCUIT_FAILURES {
            way.slots_for(due(1, 0), NOW).first[0].ended(&refused(), NOW);
        }
        assert_eq!(way.places(NOW), None, "it rests");
        let waits = way.slot(NOW, true).expect("a person who waits is worth a try");
        assert!(way.slot(NOW, true).is_none(), "one at a time");
        drop(waits);
        let later = NOW.after(limits::CIRCUIT_RESTS.0);
        assert_eq!(way.places(later), Some(due(1, 1)));
        let mut probe = way.slots_for(due(1, 1), later);
        assert_eq!((probe.first.len(), probe.again.len()), (1, 0));
        assert_eq!(way.slots_for(due(1, 1), later).first.len(), 0);
        let answered = AttemptResult::Answered(Answer::default());
        assert_eq!(probe.first.remove(0).ended(&answered, later), Some(CircuitChange::Closed));
        assert_eq!(way.places(later), Some(due(8, 6)));
    }

    #[test]
    fn a_change_keeps_what_is_under_way_and_a_move_ends_the_rest() {
        let first = way_to(&endpoint(2), None);
        let held = first.slots_for(due(2, 0), NOW);
        let paused = way_to(&Endpoint { is_paused: true, ..endpoint(2) }, Some(&first));
        assert_eq!(paused.places(NOW), None);
        let resumed = way_to(&endpoint(2), Some(&paused));
        assert!(!resumed.is_free(NOW), "what was begun before counts");
        held.first
            .iter()
            .for_each(|slot| drop((0..5).map(|_| slot.ended(&refused(), NOW)).collect::<Vec<_>>()));
        drop(held);
        assert_eq!(resumed.places(NOW), None, "it rests");
        let wake = Arc::new(Notify::new());
        let moved = Way::new(via("http://elsewhere/"), &endpoint(2), Some(&resumed), &wake, NOW);
        assert_eq!(moved.places(NOW), Some(due(1, 1)), "and is probed at its new address");
    }
}
