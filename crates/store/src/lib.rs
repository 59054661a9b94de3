//! The gateway's memory: the ports of `tautline-core` on SQLite, and the sealing of what rests there.
//!
//! The store owns the vault's use: rows go in and come out as plain values, and nothing secret touches the
//! disk unsealed.

mod keyring;
mod limits;
pub mod sqlite;

pub use keyring::{Keyring, KeyringError};
pub use sqlite::SqliteStore;
