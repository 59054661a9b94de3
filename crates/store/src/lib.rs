//! The gateway's memory: the ports of `tautline-core` on SQLite and on PostgreSQL, and the sealing of what rests there.
//!
//! The store owns the vault's use: rows go in and come out as plain values, and nothing secret touches the
//! disk unsealed.

mod columns;
mod keyring;
mod limits;
#[cfg(test)]
mod plans;
pub mod postgres;
mod sealed;
pub mod sqlite;

pub use keyring::{Keyring, KeyringError};
pub use postgres::PostgresStore;
pub use sqlite::SqliteStore;
