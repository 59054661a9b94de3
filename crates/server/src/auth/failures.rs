//! How often somebody came with a wrong credential: counted by address and by credential, minute by minute.
//!
//! Beyond the limit the answer is 429, and a right credential still passes: whoever shares an address with somebody who guesses
//! is not locked out. Credentials have 256 random bits; this is about noise and load, and about seeing it.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tautline_core::{Timestamp, limits};

const MINUTE_US: i64 = 60_000_000;

#[derive(Default)]
pub(crate) struct Failures {
    hasher: RandomState,
    minute: Mutex<Minute>,
}

#[derive(Default)]
struct Minute {
    number: i64,
    counts: HashMap<u64, u32>,
}

impl Failures {
    /// Counts a wrong credential. How long to wait, if there were too many.
    pub(crate) fn count(
        &self,
        address: Option<IpAddr>,
        credential: &str,
        now: Timestamp,
    ) -> Option<Duration> {
        let number = now.as_micros().div_euclid(MINUTE_US);
        let mut minute = self.minute.lock().unwrap_or_else(PoisonError::into_inner);
        if minute.number != number {
            *minute = Minute { number, counts: HashMap::new() };
        }
        let keys = [address.map(|address| self.key(&network(address))), Some(self.key(&credential))];
        let mut is_over = false;
        for key in keys.into_iter().flatten() {
            // Whoever is over brings no more credentials onto the list: its room is everybody's.
            if is_over {
                break;
            }
            let has_room = minute.counts.len() < limits::FAILURES_KNOWN;
            let count = match minute.counts.get_mut(&key) {
                Some(count) => count,
                None if has_room => minute.counts.entry(key).or_default(),
                None => continue,
            };
            *count = count.saturating_add(1);
            is_over |= *count > limits::FAILURES_PER_MINUTE;
        }
        let left_us = (number + 1) * MINUTE_US - now.as_micros();
        is_over.then(|| Duration::from_micros(u64::try_from(left_us).unwrap_or(0)))
    }

    /// Whether an address has failed too often within this minute.
    pub(crate) fn is_over(&self, address: Option<IpAddr>, now: Timestamp) -> bool {
        let minute = self.minute.lock().unwrap_or_else(PoisonError::into_inner);
        let key = address.map(|address| self.key(&network(address)));
        minute.number == now.as_micros().div_euclid(MINUTE_US)
            && key.is_some_and(|key| {
                minute.counts.get(&key).is_some_and(|count| *count > limits::FAILURES_PER_MINUTE)
            })
    }

    fn key(&self, what: &impl Hash) -> u64 {
        self.hasher.hash_one(what)
    }
}

/// Of IPv6 whoever has one address has the rest of its /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64)).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

    #[test]
    fn three_hundred_a_minute_by_address_and_by_credential() {
        let failures = Failures::default();
        let address = |last: u32| Some(IpAddr::from([192, 0, 2, last as u8]));
        for number in 0..limits::FAILURES_PER_MINUTE {
            assert_eq!(failures.count(address(1), &format!("guess {number}"), NOW), None);
        }
        let wait = failures.count(address(1), "another guess", NOW).expect("too many of one address");
        assert_eq!(wait, Duration::from_secs(60));
        assert_eq!(failures.count(address(2), "another guess", NOW), None, "another address");
        for number in 0..limits::FAILURES_PER_MINUTE {
            assert_eq!(failures.count(address(3 + number % 200), "the same", NOW), None);
        }
        assert!(failures.count(address(250), "the same", NOW).is_some(), "too many of one credential");
        let next = NOW.after(Duration::from_secs(60));
        assert_eq!(failures.count(address(1), "the same", next), None, "a new minute");
    }

    #[test]
    fn an_ipv6_network_counts_as_one() {
        let v6 = |text: &str| network(text.parse().unwrap());
        assert_eq!(v6("2001:db8::1"), v6("2001:db8::ffff:1"));
        assert_ne!(v6("2001:db8::1"), v6("2001:db8:0:1::1"));
        assert_eq!(v6("::ffff:192.0.2.1"), IpAddr::from([192, 0, 2, 1]));
    }
}
