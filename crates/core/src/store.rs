//! The store: everything that must survive. A port; each aggregate's half stands beside its types.

use crate::access::Keys;
use crate::audit::Audit;
use crate::channel::{Channels, Directory};
use crate::connect::Connects;
use crate::delivery::Deliveries;
use crate::endpoint::Endpoints;
use crate::inbox::Inbox;
use crate::installation::Installations;
use crate::keeping::Keeping;
use crate::outbox::Outbox;
use crate::parked::Parking;
use crate::refresh::Refreshes;
use crate::route::Routes;
use crate::session::Sessions;
use crate::{Tenants, Timestamp, VaultError};

/// Why the store did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database cannot be reached, is full, locked, read-only …: nothing was stored.
    #[error("the store is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A row is not what it should be.
    #[error("the store holds a row that cannot be read")]
    Corrupt(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A sealed value does not open.
    #[error("a sealed value in {table} {row} does not open")]
    Sealed {
        /// The table.
        table: &'static str,
        /// The row, by its id.
        row: String,
        /// Why, and what to do.
        #[source]
        source: VaultError,
    },
}

/// The result of a store's method.
pub type StoreResult<T> = Result<T, StoreError>;

/// The whole store.
#[async_trait::async_trait]
pub trait Store:
    Tenants
    + Keys
    + Sessions
    + Installations
    + Refreshes
    + Parking
    + Channels
    + Directory
    + Routes
    + Connects
    + Endpoints
    + Inbox
    + Deliveries
    + Outbox
    + Audit
    + Keeping
    + Send
    + Sync
    + 'static
{
    /// Whether other servers may be at work on it at the same time.
    fn is_shared(&self) -> bool;

    /// Writes something small, to see that writing works, and says which durability settings are in force.
    async fn readiness(&self, now: Timestamp) -> StoreResult<Readiness>;
}

/// What the store says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// The engine, and the version of its schema.
    pub engine: String,
    /// The durability settings, read from the running connection.
    pub durability: String,
}
