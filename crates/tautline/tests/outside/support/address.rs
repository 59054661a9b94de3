//! A loopback address for each test: all of 127.0.0.0/8 is this machine.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU8, Ordering};

static NEXT: AtomicU8 = AtomicU8::new(1);

/// An address that no other test of this run has, nor (by the process's number) one of another run.
#[derive(Clone, Copy)]
pub struct Address(Ipv4Addr);

impl Address {
    pub fn new() -> Self {
        let [low, high, ..] = std::process::id().to_le_bytes();
        let mine = NEXT.fetch_add(1, Ordering::Relaxed);
        assert_ne!(mine, 0, "more tests than addresses");
        Self(Ipv4Addr::new(127, 1 + high % 254, low, mine))
    }

    pub fn port(self, port: u16) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(self.0), port)
    }

    pub fn url(self, port: u16) -> String {
        format!("http://{}:{port}", self.0)
    }
}
