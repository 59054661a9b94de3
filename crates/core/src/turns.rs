//! Turns: in which order first attempts go to an endpoint when more wait than it takes.
//!
//! **Theory of operation.** Each tenant has a place in the queue a second ahead of its next: what comes at once from one
//! tenant is spread over the time to come, and what comes from another goes in between. So a flood of 100,000 stands before
//! nobody else's first word, and each keeps its own order. A turn is no time to wait for: with slots free, all go.

use std::collections::HashMap;

use tautline_slack::request::Kind;

use crate::{EndpointId, TenantId, Timestamp, limits};

/// The turns given last, as one server remembers them. Only those ahead of the present matter.
#[derive(Debug, Default)]
pub struct Turns {
    queues: HashMap<EndpointId, HashMap<(TenantId, bool), Timestamp>>,
}

impl Turns {
    /// The turn of something that has to wait. What people do does not queue behind their workspace's events.
    pub fn next(&mut self, endpoint: EndpointId, tenant: &TenantId, kind: Kind, now: Timestamp) -> Timestamp {
        let queue = self.queues.entry(endpoint).or_default();
        let key = (tenant.clone(), kind == Kind::Event);
        if let Some(last) = queue.get_mut(&key) {
            *last = last.after(limits::TURN).max(now);
            return *last;
        }
        // Beyond that many at once fairness is a lesser worry than memory.
        if queue.len() < limits::TURNS {
            queue.insert(key, now);
        }
        now
    }

    /// Nothing waits for an endpoint: whoever flooded it has been served, and queues like everybody else.
    pub fn is_empty(&mut self, endpoint: EndpointId) {
        self.queues.remove(&endpoint);
    }

    /// Forgets what no longer matters. To be called now and then.
    pub fn tidy(&mut self, now: Timestamp) {
        self.queues.retain(|_, queue| {
            queue.retain(|_, last| last.after(limits::TURN) > now);
            !queue.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_000_000_000);
    const ENDPOINT: EndpointId = EndpointId::from_bytes([7; 16]);

    #[test]
    fn a_flood_keeps_its_own_order_and_others_go_in_between() {
        let [acme, globex]: [TenantId; 2] = ["acme", "globex"].map(|id| id.parse().unwrap());
        let mut turns = Turns::default();
        let flood = (0..1000).map(|_| turns.next(ENDPOINT, &acme, Kind::Event, NOW)).collect::<Vec<_>>();
        assert!(flood.is_sorted_by(|a, b| a < b), "in its own order");
        let later = NOW.after(limits::TURN * 5);
        let other = turns.next(ENDPOINT, &globex, Kind::Event, later);
        assert_eq!(flood.iter().filter(|turn| **turn < other).count(), 5);
        let click = turns.next(ENDPOINT, &acme, Kind::BlockAction, later);
        assert_eq!(click, later, "a click does not queue behind events");
        let elsewhere = turns.next(EndpointId::from_bytes([8; 16]), &acme, Kind::Event, later);
        assert_eq!(elsewhere, later, "each endpoint has its queue");
    }

    #[test]
    fn what_is_past_and_what_is_served_is_forgotten() {
        let acme: TenantId = "acme".parse().unwrap();
        let mut turns = Turns::default();
        turns.next(ENDPOINT, &acme, Kind::Event, NOW);
        turns.next(ENDPOINT, &acme, Kind::Event, NOW);
        turns.tidy(NOW.after(limits::TURN));
        assert_eq!(turns.queues.len(), 1, "the second is ahead");
        turns.tidy(NOW.after(limits::TURN * 2));
        assert_eq!(turns.queues.len(), 0);
        for _ in 0..1000 {
            turns.next(ENDPOINT, &acme, Kind::Event, NOW);
        }
        turns.is_empty(ENDPOINT);
        assert_eq!(turns.next(ENDPOINT, &acme, Kind::Event, NOW), NOW, "a flood that was served is over");
    }
}
