//! The way to one endpoint: where it is, and how much may be under way.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tautline_core::circuit::{Circuit, CircuitChange, Room};
use tautline_core::delivery::{AttemptResult, Places};
use tautline_core::endpoint::{Endpoint, Health};
use tautline_core::{EndpointId, Timestamp, limits};
use tokio::sync::Notify;
use url::Url;

use super::Handler;
use crate::egress::Address;

/// What 410 means.
const GONE: u16 = 410;

/// Where an endpoint is.
#[derive(Clone)]
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
    pub(super) is_shut: bool,
    /// Attempts under way at once, and how many of them may be retries.
    in_flight: usize,
    in_flight_again: usize,
    load: Arc<Load>,
}

/// How much is under way. It outlives a change of the endpoint: what was begun before it counts after it.
struct Load {
    state: Mutex<State>,
    wake: Arc<Notify>,
}

struct State {
    under_way: usize,
    /// Those of them that are retries.
    again: usize,
    /// Functions of this process have none: what fails there fails for reasons of its own.
    circuit: Option<Circuit>,
    /// When the last attempt began that succeeded: what was begun before a failure says nothing of what came after.
    succeeded_at: Option<Timestamp>,
    /// First attempts wait. Until they had their turn, nobody passes them by the fast path.
    is_queued: bool,
    /// Retries are due that found no slot.
    is_behind: bool,
}

impl State {
    fn room(&self, way: &Way, now: Timestamp, somebody_waits: bool) -> Room {
        if way.is_shut {
            return Room::None;
        }
        self.circuit.as_ref().map_or(Room::All, |circuit| circuit.room(now, somebody_waits))
    }

    /// How many first attempts, and how many retries, could be begun. Each takes from the other.
    fn free(&self, way: &Way) -> (usize, usize) {
        let free = way.in_flight.saturating_sub(self.under_way);
        (free, free.min(way.in_flight_again.saturating_sub(self.again)))
    }

    fn take(&mut self, way: &Arc<Way>, is_again: bool, probe_at: Option<Timestamp>) -> Option<Slot> {
        let (free, free_again) = self.free(way);
        if free == 0 || (is_again && free_again == 0) {
            return None;
        }
        self.under_way += 1;
        self.again += usize::from(is_again);
        if let (Some(now), Some(circuit)) = (probe_at, &mut self.circuit) {
            circuit.probe(now);
        }
        Some(Slot { way: way.clone(), is_again, is_probe: probe_at.is_some() })
    }
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
        let load = match before {
            Some(way) => way.load.clone(),
            None => Load::new(matches!(via, Via::Http(_)), &endpoint.health, wake, now),
        };
        let in_flight = endpoint.in_flight.unwrap_or(limits::IN_FLIGHT_PER_ENDPOINT);
        let reserved = if in_flight > 1 { in_flight.div_ceil(limits::SLOTS_PER_RESERVED) } else { 0 };
        let way = Self {
            via,
            endpoint: endpoint.id,
            is_declared: endpoint.is_declared,
            is_shut: endpoint.is_shut(),
            in_flight: in_flight as usize,
            in_flight_again: (in_flight - reserved) as usize,
            load,
        };
        if let Some(before) = before
            && !before.is_to_where(&way)
        {
            way.probe_at(now);
        }
        Arc::new(way)
    }

    /// The same way, shut or open.
    pub(super) fn with_shut(&self, is_shut: bool) -> Arc<Self> {
        let (via, load) = (self.via.clone(), self.load.clone());
        Arc::new(Self { via, load, is_shut, ..*self })
    }

    /// Somebody did something about it: it need not rest any longer.
    pub(super) fn probe_at(&self, now: Timestamp) {
        if let Some(circuit) = &mut self.state().circuit {
            circuit.probe_at(now);
        }
    }

    /// Whether both lead to the same place.
    pub(super) fn is_to_where(&self, other: &Self) -> bool {
        self.via.url() == other.via.url()
    }

    /// Whether the endpoint says that it is gone. A function of this process is not, whatever it answers.
    pub(super) fn says_it_is_gone(&self, result: &AttemptResult) -> bool {
        let is_gone = matches!(result, AttemptResult::Refused { answer, .. } if answer.status == GONE);
        is_gone && matches!(self.via, Via::Http(_))
    }

    /// Whether it succeeded since it was found to fail, by whichever server: that one may be gone, and would never say so.
    pub(super) fn has_recovered(&self, health: &Health) -> bool {
        let succeeded_at = self.state().succeeded_at;
        health.failing_since.is_some_and(|since| succeeded_at.is_some_and(|at| since < at))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.load.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much of what waits is looked for.
    pub(super) fn places(&self, now: Timestamp) -> Option<Places> {
        let (endpoint, state) = (self.endpoint, self.state());
        let (free, free_again) = state.free(self);
        match state.room(self, now, false) {
            Room::None => None,
            // Either will do to see how it does.
            Room::Probe => Some(Places { endpoint, first: 1, again: 1 }),
            // At least one is looked for, to know whether any waits.
            Room::All => Some(Places { endpoint, first: free.max(1), again: free_again.max(1) }),
        }
    }

    /// A slot for something that arrives, if one is free and nothing waits for it.
    pub(super) fn slot(self: &Arc<Self>, now: Timestamp, somebody_waits: bool) -> Option<Slot> {
        let mut state = self.state();
        let slot = match state.room(self, now, somebody_waits) {
            Room::None => None,
            Room::Probe => state.take(self, false, Some(now)),
            Room::All if state.is_queued => None,
            Room::All => state.take(self, false, None),
        };
        if slot.is_none() {
            state.is_queued = true;
        }
        slot
    }

    /// Slots for what was found waiting, of what was looked for. With nothing left to wait, arrivals may pass again.
    pub(super) fn slots_for(self: &Arc<Self>, asked: Places, due: Places, now: Timestamp) -> Slots {
        let (mut state, mut slots) = (self.state(), Slots::default());
        match state.room(self, now, false) {
            Room::None => {}
            Room::Probe if due.first > 0 => slots.first.extend(state.take(self, false, Some(now))),
            Room::Probe if due.again > 0 => slots.again.extend(state.take(self, true, Some(now))),
            Room::Probe => {}
            Room::All => {
                // Fewer than were looked for: these are all.
                state.is_queued = due.first >= asked.first;
                state.is_behind = due.again >= asked.again;
                // Retries first: they have no more than their part, and what is new finds the rest.
                slots.again = std::iter::from_fn(|| state.take(self, true, None)).take(due.again).collect();
                slots.first = std::iter::from_fn(|| state.take(self, false, None)).take(due.first).collect();
            }
        }
        slots
    }

    /// Whether the sweep could begin something at once.
    pub(super) fn is_free(&self, now: Timestamp) -> bool {
        let state = self.state();
        state.free(self).0 > 0 && state.room(self, now, false) != Room::None
    }
}

impl Load {
    fn new(is_remote: bool, health: &Health, wake: &Arc<Notify>, now: Timestamp) -> Arc<Self> {
        let is_failing = health.failing_since.is_some();
        let circuit = || if is_failing { Circuit::open(now) } else { Circuit::default() };
        let state = State {
            under_way: 0,
            again: 0,
            circuit: is_remote.then(circuit),
            succeeded_at: None,
            // What the last run left has its turn first.
            is_queued: true,
            is_behind: true,
        };
        Arc::new(Self { state: Mutex::new(state), wake: wake.clone() })
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
    is_again: bool,
    is_probe: bool,
}

impl Slot {
    /// How the attempt ended that began at a time, for the circuit.
    pub(super) fn ended(
        &self,
        result: &AttemptResult,
        began_at: Timestamp,
        now: Timestamp,
    ) -> Option<CircuitChange> {
        let is_success = matches!(result, AttemptResult::Answered(_));
        let mut state = self.way.state();
        if is_success {
            state.succeeded_at = state.succeeded_at.max(Some(began_at));
        }
        let circuit = state.circuit.as_mut()?;
        let change = circuit.ended(is_success, self.is_probe, result.retry_after(), now);
        if self.way.says_it_is_gone(result) {
            circuit.trip(now);
        }
        drop(state);
        if change == Some(CircuitChange::Closed) {
            // What waited through the rest has its turn now.
            self.way.load.wake.notify_one();
        }
        change
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut state = self.way.state();
        state.under_way -= 1;
        state.again -= usize::from(self.is_again);
        if self.is_probe
            && let Some(circuit) = &mut state.circuit
        {
            circuit.probe_over();
        }
        let is_awaited = state.is_queued || state.is_behind;
        drop(state);
        if is_awaited {
            self.way.load.wake.notify_one();
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

    /// As if so much was looked for as could be taken.
    fn slots(way: &Arc<Way>, due: Places, now: Timestamp) -> Slots {
        way.slots_for(way.places(now).unwrap_or(due), due, now)
    }

    fn refused() -> AttemptResult {
        AttemptResult::Refused { answer: Answer { status: 500, ..Answer::default() }, retry_after: None }
    }

    #[test]
    fn a_storm_of_retries_leaves_a_quarter_to_what_is_new() {
        let way = way_to(&endpoint(8), None);
        assert_eq!(way.places(NOW), Some(due(8, 6)));
        let storm = slots(&way, due(0, 6), NOW);
        assert_eq!((storm.first.len(), storm.again.len()), (0, 6));
        assert_eq!(slots(&way, due(0, 1), NOW).again.len(), 0, "however many are due");
        let arrived = way.slot(NOW, false).expect("what is new passes");
        assert_eq!(slots(&way, due(9, 9), NOW).first.len(), 1, "and what was new before finds the rest");
        drop((storm, arrived));
        assert_eq!(way.places(NOW), Some(due(8, 6)), "all are given back");
        assert_eq!(way_to(&endpoint(1), None).places(NOW), Some(due(1, 1)), "one slot serves both");
    }

    #[test]
    fn what_arrives_waits_behind_what_waits() {
        let way = way_to(&endpoint(8), None);
        assert!(way.slot(NOW, false).is_none(), "what the last run left comes first");
        drop(slots(&way, due(3, 0), NOW));
        assert!(way.slot(NOW, false).is_some(), "with nothing left, arrivals pass");
        drop(slots(&way, due(8, 0), NOW));
        assert!(way.slot(NOW, false).is_none(), "there may be more than were found");
        drop(way.slots_for(due(2, 2), due(2, 0), NOW));
        assert!(way.slot(NOW, false).is_none(), "also where more came free than was looked for");
    }

    #[test]
    fn one_that_fails_is_probed_by_one_and_opens_to_all_with_the_first_success() {
        let way = way_to(&endpoint(8), None);
        for _ in 0..limits::CIRCUIT_FAILURES {
            slots(&way, due(1, 0), NOW).first[0].ended(&refused(), NOW, NOW);
        }
        assert_eq!(way.places(NOW), None, "it rests");
        let waits = way.slot(NOW, true).expect("a person who waits is worth a try");
        assert!(way.slot(NOW, true).is_none(), "one at a time");
        drop(waits);
        let later = NOW.after(limits::CIRCUIT_RESTS.0);
        assert_eq!(way.places(later), Some(due(1, 1)));
        let mut probe = slots(&way, due(1, 1), later);
        assert_eq!((probe.first.len(), probe.again.len()), (1, 0));
        assert_eq!(slots(&way, due(1, 1), later).first.len(), 0);
        let answered = AttemptResult::Answered(Answer::default());
        assert_eq!(probe.first.remove(0).ended(&answered, later, later), Some(CircuitChange::Closed));
        assert_eq!(way.places(later), Some(due(8, 6)));
    }

    #[test]
    fn a_change_keeps_what_is_under_way_and_a_move_ends_the_rest() {
        let first = way_to(&endpoint(2), None);
        let held = slots(&first, due(2, 0), NOW);
        let paused = way_to(&Endpoint { is_paused: true, ..endpoint(2) }, Some(&first));
        assert_eq!(paused.places(NOW), None);
        let resumed = way_to(&endpoint(2), Some(&paused));
        assert!(!resumed.is_free(NOW), "what was begun before counts");
        assert!(way_to(&endpoint(3), Some(&paused)).is_free(NOW), "also against another limit");
        held.first
            .iter()
            .for_each(|slot| drop((0..5).map(|_| slot.ended(&refused(), NOW, NOW)).collect::<Vec<_>>()));
        drop(held);
        assert_eq!(resumed.places(NOW), None, "it rests");
        let wake = Arc::new(Notify::new());
        let moved = Way::new(via("http://elsewhere/"), &endpoint(2), Some(&resumed), &wake, NOW);
        assert_eq!(moved.places(NOW), Some(due(1, 1)), "and is probed at its new address");
    }

    #[test]
    fn one_that_says_it_is_gone_has_to_recover() {
        let way = way_to(&endpoint(8), None);
        let gone =
            AttemptResult::Refused { answer: Answer { status: 410, ..Answer::default() }, retry_after: None };
        slots(&way, due(1, 0), NOW).first[0].ended(&gone, NOW, NOW);
        let resumed = way_to(&endpoint(8), Some(&way.with_shut(true)));
        resumed.probe_at(NOW);
        let probe = slots(&resumed, due(1, 0), NOW);
        let answered = AttemptResult::Answered(Answer::default());
        assert_eq!(probe.first[0].ended(&answered, NOW, NOW), Some(CircuitChange::Closed), "which is told");
    }

    #[test]
    fn a_success_that_began_before_it_failed_is_no_recovery() {
        let (way, answered) = (way_to(&endpoint(8), None), AttemptResult::Answered(Answer::default()));
        let later = |seconds| NOW.after(std::time::Duration::from_secs(seconds));
        let health = Health { failing_since: Some(later(5)), ..Health::default() };
        let slot = slots(&way, due(1, 0), NOW);
        slot.first[0].ended(&answered, NOW, later(6));
        assert!(!way.has_recovered(&health));
        slot.first[0].ended(&answered, later(6), later(7));
        assert!(way.has_recovered(&health));
    }

    struct Nothing;

    #[async_trait::async_trait]
    impl Handler for Nothing {
        async fn handle(&self, _: super::super::HandlerCall) -> super::super::HandlerAnswer {
            super::super::HandlerAnswer::ok()
        }
    }

    #[test]
    fn a_function_of_this_process_is_never_gone() {
        let gone =
            AttemptResult::Refused { answer: Answer { status: 410, ..Answer::default() }, retry_after: None };
        let here = Endpoint { target: Target::InProcess, ..endpoint(8) };
        let way = Way::new(Via::InProcess(Arc::new(Nothing)), &here, None, &Arc::new(Notify::new()), NOW);
        assert!(!way.says_it_is_gone(&gone));
        assert!(way_to(&endpoint(8), None).says_it_is_gone(&gone));
    }
}
