//! Configuration: the environment and `.env`, read once.

mod environment;
mod gateway;
mod keys;

pub(crate) use environment::{Environment, Problems};
pub(crate) use gateway::{Database, GatewayConfig, MAKE_KEY};
#[cfg(feature = "cli")]
pub(crate) use gateway::{data_dir, database, local_url};
#[cfg(feature = "cli")]
pub(crate) use keys::{has_made_key, write_private};
pub(crate) use keys::{keyring, make_private};
