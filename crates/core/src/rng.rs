//! Randomness as an argument.

use rand::Rng as _;

/// A source of random bytes, good enough for keys.
pub trait Rng: Send + Sync + 'static {
    /// Fills the buffer.
    fn fill(&self, buffer: &mut [u8]);
}

impl dyn Rng {
    /// Random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// A number in `0..=max`. The bias of the remainder is of no matter where this is used: for jitter.
    pub fn up_to(&self, max: u64) -> u64 {
        u64::from_le_bytes(self.bytes()) % max.saturating_add(1).max(1)
    }
}

/// A generator on each thread that the operating system's seeds, and seeds anew as it goes: at the front door three
/// calls of the system's for every request would be a fiftieth of what it takes.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRng;

impl SystemRng {
    /// Random bytes.
    pub fn array<const N: usize>(self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }
}

impl Rng for SystemRng {
    fn fill(&self, buffer: &mut [u8]) {
        rand::rng().fill_bytes(buffer);
    }
}
