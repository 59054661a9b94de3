//! The circuit of an endpoint: one that fails is given a rest, and probed.
//!
//! **Theory of operation.** A closed circuit lets everything pass. When [`limits::CIRCUIT_FAILURES`] attempts failed with
//! no success between them it opens: nothing is begun until its rest is over, then one attempt, the probe. A probe that
//! fails begins a longer rest; any success closes the circuit. What waits meanwhile costs no attempt, so that a night's
//! outage uses up a few deliveries' schedules and not everybody's.

use std::time::Duration;

use crate::{Timestamp, limits};

/// An endpoint's circuit, as one server sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Circuit {
    failures: u32,
    open: Option<Open>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Open {
    rests: u32,
    rest_until: Timestamp,
    /// The probe that is under way.
    probe: Option<Probe>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Probe {
    /// It was made during the rest, as somebody waited: if it fails, that says nothing of how long to rest.
    is_early: bool,
}

/// What may be begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// As much as there are slots for.
    All,
    /// One attempt, to see how the endpoint does.
    Probe,
    /// Nothing, for now.
    None,
}

/// What an attempt's end changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CircuitChange {
    /// It opened.
    Opened,
    /// It closed.
    Closed,
}

impl Circuit {
    /// That of an endpoint that was failing when this server learned of it: probed at once.
    pub fn open(now: Timestamp) -> Self {
        Self { failures: 0, open: Some(Open { rests: 0, rest_until: now, probe: None }) }
    }

    /// Whether it lets everything pass.
    pub fn is_closed(&self) -> bool {
        self.open.is_none()
    }

    /// What may be begun now. A person who waits is worth a probe during the rest, too.
    pub fn room(&self, now: Timestamp, somebody_waits: bool) -> Room {
        match &self.open {
            None => Room::All,
            Some(open) if open.probe.is_some() => Room::None,
            Some(open) if somebody_waits || now >= open.rest_until => Room::Probe,
            Some(_) => Room::None,
        }
    }

    /// Opens it, whatever was before: the endpoint itself said that it is not there.
    pub fn trip(&mut self, now: Timestamp) {
        self.open.get_or_insert(Open { rests: 0, rest_until: now, probe: None });
    }

    /// Somebody did something about it: it need not rest any longer.
    pub fn probe_at(&mut self, now: Timestamp) {
        if let Some(open) = &mut self.open {
            open.rest_until = open.rest_until.min(now);
        }
    }

    /// A probe begins.
    pub fn probe(&mut self, now: Timestamp) {
        if let Some(open) = &mut self.open {
            open.probe = Some(Probe { is_early: now < open.rest_until });
        }
    }

    /// The probe is over, whether or not it came to an attempt.
    pub fn probe_over(&mut self) {
        if let Some(open) = &mut self.open {
            open.probe = None;
        }
    }

    /// An attempt ended. `asked` is the rest that the endpoint itself asked for.
    pub fn ended(
        &mut self,
        is_success: bool,
        is_probe: bool,
        asked: Option<Duration>,
        now: Timestamp,
    ) -> Option<CircuitChange> {
        if is_success {
            let was_open = self.open.is_some();
            *self = Self::default();
            return was_open.then_some(CircuitChange::Closed);
        }
        match &mut self.open {
            None => {
                self.failures += 1;
                if self.failures < limits::CIRCUIT_FAILURES {
                    return None;
                }
                self.open = Some(Open { rests: 1, rest_until: now.after(rest(0, asked)), probe: None });
                Some(CircuitChange::Opened)
            }
            Some(open) => {
                // What was under way when it opened says nothing new.
                if is_probe && open.probe.is_some_and(|probe| !probe.is_early) {
                    open.rest_until = now.after(rest(open.rests, asked));
                    open.rests += 1;
                }
                None
            }
        }
    }
}

fn rest(before: u32, asked: Option<Duration>) -> Duration {
    let (first, longest) = limits::CIRCUIT_RESTS;
    let rest = first.saturating_mul(1_u32.checked_shl(before).unwrap_or(u32::MAX));
    rest.max(asked.unwrap_or_default()).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_000_000_000);

    fn later(seconds: u64) -> Timestamp {
        NOW.after(Duration::from_secs(seconds))
    }

    fn opened() -> Circuit {
        let mut circuit = Circuit::default();
        for _ in 1..limits::CIRCUIT_FAILURES {
            assert_eq!(circuit.ended(false, false, None, NOW), None);
        }
        assert_eq!(circuit.ended(false, false, None, NOW), Some(CircuitChange::Opened));
        circuit
    }

    #[test]
    fn a_success_in_between_keeps_it_closed() {
        let mut circuit = Circuit::default();
        for _ in 0..50 {
            assert_eq!(circuit.ended(false, false, None, NOW), None);
            assert_eq!(circuit.ended(true, false, None, NOW), None);
        }
        assert_eq!(circuit.room(NOW, false), Room::All);
    }

    #[test]
    fn it_rests_is_probed_by_one_and_rests_longer() {
        let mut circuit = opened();
        let (mut now, mut before) = (NOW, Duration::ZERO);
        for _ in 0..20 {
            let rest =
                (0..).map(Duration::from_secs).find(|s| circuit.room(now.after(*s), false) == Room::Probe);
            let rest = rest.unwrap();
            assert!(rest >= before && rest <= limits::CIRCUIT_RESTS.1, "{rest:?} after {before:?}");
            assert!(before > Duration::ZERO || rest <= Duration::from_secs(15), "the first is short");
            (now, before) = (now.after(rest), rest);
            circuit.probe(now);
            assert_eq!(circuit.room(now, true), Room::None, "one at a time");
            assert_eq!(circuit.ended(false, true, None, now), None, "said once");
            circuit.probe_over();
        }
        assert_eq!(before, limits::CIRCUIT_RESTS.1);
        assert_eq!(circuit.ended(true, true, None, now), Some(CircuitChange::Closed));
        assert_eq!(circuit.room(now, false), Room::All);
    }

    #[test]
    fn what_was_under_way_when_it_opened_makes_no_rest_longer_and_may_close_it() {
        let mut circuit = opened();
        let before = circuit.clone();
        for _ in 0..60 {
            assert_eq!(circuit.ended(false, false, None, later(1)), None);
        }
        assert_eq!(circuit, before);
        assert_eq!(circuit.ended(true, false, None, later(1)), Some(CircuitChange::Closed));
    }

    #[test]
    fn somebody_who_waits_is_a_probe_and_a_rest_that_is_asked_for_is_given() {
        let mut circuit = opened();
        assert_eq!(circuit.room(NOW, false), Room::None);
        assert_eq!(circuit.room(NOW, true), Room::Probe);
        let end = NOW.after(limits::CIRCUIT_RESTS.0);
        for _ in 0..20 {
            circuit.probe(NOW);
            circuit.ended(false, true, None, NOW);
            circuit.probe_over();
        }
        assert_eq!(circuit.room(end, false), Room::Probe, "people who wait make no rest longer");
        circuit.probe(end);
        circuit.ended(false, true, Some(Duration::from_secs(90)), NOW);
        circuit.probe_over();
        assert_eq!(circuit.room(later(89), false), Room::None);
        assert_eq!(circuit.room(later(90), false), Room::Probe);
        circuit.probe(later(90));
        circuit.ended(false, true, Some(Duration::from_secs(9_000_000)), later(90));
        circuit.probe_over();
        assert_eq!(
            circuit.room(later(90).after(limits::CIRCUIT_RESTS.1), false),
            Room::Probe,
            "within reason"
        );
    }
}
