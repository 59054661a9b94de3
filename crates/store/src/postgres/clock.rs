//! The database's clock, by which leases run and lanes keep their pace: the one clock that all replicas share.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tautline_core::{Clock, Timestamp};

/// How far the database's clock is ahead of the caller's.
#[derive(Default)]
pub(super) struct DatabaseClock {
    /// The caller's; without one (in tests that own the time) the two are taken for the same.
    own: Option<Arc<dyn Clock>>,
    ahead_us: AtomicI64,
}

impl DatabaseClock {
    pub(super) fn new(own: Option<Arc<dyn Clock>>) -> Self {
        Self { own, ahead_us: AtomicI64::new(0) }
    }

    /// What the caller's clock says now, if there is one to compare.
    pub(super) fn own_now(&self) -> Option<Timestamp> {
        self.own.as_ref().map(|clock| clock.now())
    }

    /// Sets it from a reading of the database's clock, made between two of the caller's.
    pub(super) fn compare(&self, before: Timestamp, database_us: i64, after: Timestamp) {
        let middle = before.as_micros() + (after.as_micros() - before.as_micros()) / 2;
        self.ahead_us.store(database_us - middle, Ordering::Relaxed);
    }

    /// An instant of the caller's, in microseconds by the database's clock.
    pub(super) fn database_us(&self, at: Timestamp) -> i64 {
        at.as_micros().saturating_add(self.ahead_us.load(Ordering::Relaxed))
    }

    /// An instant by the database's clock, by the caller's.
    pub(super) fn own(&self, database_us: i64) -> Timestamp {
        Timestamp::from_micros(database_us.saturating_sub(self.ahead_us.load(Ordering::Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_move_by_what_the_database_is_ahead() {
        let clock = DatabaseClock::default();
        let at = Timestamp::from_micros(1_000);
        assert_eq!(clock.database_us(at), 1_000);
        clock.compare(Timestamp::from_micros(100), 5_110, Timestamp::from_micros(120));
        assert_eq!(clock.database_us(at), 6_000);
        assert_eq!(clock.own(6_000), at);
        assert_eq!(clock.database_us(Timestamp::from_micros(i64::MAX)), i64::MAX, "the end of time stays");
    }
}
