//! Configuration: the environment and `.env`, read once.

mod environment;
mod gateway;
mod keys;

pub(crate) use environment::{Environment, Problems};
pub(crate) use gateway::{Database, GatewayConfig, MAKE_KEY, data_dir, database, local_url};
pub(crate) use keys::{has_made_key, keyring, make_private, write_private};
