//! What the gateway *is*: its tenants, their installations, the inbox and its deliveries, the rules by which
//! they move, and the ports ([`Store`], [`Vault`], [`Clock`], [`Rng`]) through which it reaches the world.
//!
//! Nothing here does I/O. Time and randomness are arguments ([`SystemClock`] and [`SystemRng`] are the ones that
//! a program passes in); what rests on disk and what crosses the network is somebody else's business.

pub mod access;
pub mod audit;
pub mod channel;
pub mod circuit;
pub mod connect;
pub mod delivery;
pub mod endpoint;
pub mod event_share;
pub mod idempotency;
pub mod inbox;
pub mod installation;
pub mod keeping;
pub mod kinds;
pub mod limits;
pub mod looking;
pub mod operation;
pub mod outbox;
pub mod pace;
pub mod parked;
pub mod refresh;
pub mod route;
pub mod schedule;
pub mod sending;
pub mod session;
pub mod settlement;
pub mod standing;
pub mod turns;

mod clock;
mod filter;
mod ids;
mod names;
mod page;
mod rng;
mod secret;
mod store;
mod tenant;
mod vault;

pub use clock::{Clock, SystemClock, Timestamp};
pub use ids::{
    DeliveryId, EndpointId, IdError, InstallationId, KeyId, LinkId, MessageId, RequestId, least_at,
};
pub use page::{Cursor, Page, PageRequest};
pub use rng::{Rng, SystemRng};
pub use secret::{SecretHash, new_secret};
pub use store::{Readiness, Store, StoreError, StoreResult};
pub use tenant::{Tenant, TenantId, TenantIdError, TenantRecorded, Tenants};
pub use vault::{Place, Purpose, Vault, VaultError};
