//! Installs that began at Slack and not here: they belong to nobody until somebody claims them, and are never given to anybody
//! by themselves.

use async_trait::async_trait;
use secrecy::SecretSlice;

use crate::{InstallationId, SecretHash, StoreResult, Timestamp};

/// An install that waits.
#[derive(Debug)]
pub struct Parked {
    /// The id that the installation takes.
    pub id: InstallationId,
    /// What Slack answered.
    pub answers: SecretSlice<u8>,
}

/// The store's record of installs that wait.
#[async_trait]
pub trait Parking {
    /// Keeps what Slack answered, sealed, by the hash of a secret that whoever installed it has. Forgets those that are
    /// too old.
    async fn install_park(
        &self,
        parked: Parked,
        secret: SecretHash,
        expires_at: Timestamp,
        now: Timestamp,
    ) -> StoreResult<()>;

    /// The install behind a secret, if it still waits.
    async fn install_parked(&self, secret: SecretHash, now: Timestamp) -> StoreResult<Option<Parked>>;

    /// It waits no more: somebody claimed it.
    async fn install_unpark(&self, id: InstallationId) -> StoreResult<()>;
}
