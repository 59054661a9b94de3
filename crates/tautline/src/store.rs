//! The store that the configuration names, opened.

use std::sync::Arc;

use anyhow::Context as _;
use tautline_server::core::{Store, SystemClock};
use tautline_store::postgres::PostgresOptions;
use tautline_store::sqlite::SqliteOptions;
use tautline_store::{Keyring, PostgresStore, SqliteStore};

use crate::config::Database;

/// Opens the store, migrating it as needed. The holder is named to those who find a file in use.
pub(crate) async fn open(
    database: &Database,
    vault: Arc<Keyring>,
    holder: &str,
) -> anyhow::Result<Arc<dyn Store>> {
    let opened: anyhow::Result<Arc<dyn Store>> = match database {
        Database::Sqlite(path) => {
            let options = SqliteOptions { path: path.clone(), holder: holder.to_owned(), commit_gate: None };
            SqliteStore::open(options, vault).map(|store| Arc::new(store) as _).map_err(Into::into)
        }
        Database::Postgres(url) => {
            let options = PostgresOptions { url: url.clone(), clock: Some(Arc::new(SystemClock)) };
            PostgresStore::open(options, vault).await.map(|store| Arc::new(store) as _).map_err(Into::into)
        }
    };
    opened.context("cannot open the store")
}
