//! Secrets of our own making: shown once, then known by their hash.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use sha2::{Digest, Sha256};

use crate::Rng;

/// What a secret of ours is known by, once it was given away: its hash. (The secrets are 32 random bytes;
/// there is nothing to guess, so a plain hash is enough.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecretHash(pub [u8; 32]);

impl SecretHash {
    /// The hash of a secret.
    pub fn of(secret: &str) -> Self {
        Self(Sha256::digest(secret).into())
    }
}

/// A new secret: 32 random bytes as URL-safe text without a dot.
pub fn new_secret(rng: &dyn Rng) -> String {
    BASE64.encode(rng.bytes::<32>())
}
