//! The shared store: one PostgreSQL database, several servers.

mod accept;
mod attempts;
mod audit;
mod changes;
mod channels;
mod claim;
mod clock;
mod connects;
mod database;
mod deliveries;
mod directory;
mod due;
mod endpoints;
mod enqueue;
mod erase;
mod erase_user;
mod failure;
mod finish;
mod forget;
mod group;
mod idempotency;
mod inbox;
mod installations;
mod keeping;
mod keys;
mod lanes;
mod listed;
mod lookups;
mod migrate;
mod moves;
mod outbox;
mod paces;
mod parked;
mod reap;
mod refreshes;
mod reseal;
mod routes;
mod sessions;
mod settle;
mod standings;
mod tenants;
mod turns;
mod unsent;
mod value;

use std::sync::Arc;

use async_trait::async_trait;
use secrecy::SecretString;
use sqlx::Row as _;
use tautline_core::{Clock, Readiness, Store, StoreError, StoreResult, Timestamp, Vault};
use tokio::task::AbortHandle;

use accept::Accepting;
use clock::DatabaseClock;
use database::{Database, Whose, sql};
use enqueue::Enqueuing;
use finish::Finishing;
use group::Group;
use keys::KeyLookups;
use lookups::{Naming, OnlyOnes};
use settle::Settling;
use tenants::TenantLookups;

pub use keeping::HOLD_MESSAGES;

use crate::limits::{
    POSTGRES_CLOCK, POSTGRES_CONNECTIONS, POSTGRES_INBOUND_CONNECTIONS, POSTGRES_LIST_CONNECTIONS,
    POSTGRES_READING,
};

/// The store in a PostgreSQL database.
pub struct PostgresStore {
    /// The connections on Slack's way, apart from the others: nothing else must keep Slack waiting.
    inbound: Database,
    /// Those for lists, apart as well: a long one must keep nobody waiting but other lists.
    lists: Database,
    database: Database,
    named: Group<Naming>,
    accepting: Group<Accepting>,
    finishing: Group<Finishing>,
    enqueuing: Group<Enqueuing>,
    settling: Group<Settling>,
    keys: Group<KeyLookups>,
    tenants: Group<TenantLookups>,
    only: Group<OnlyOnes>,
    clock: Arc<DatabaseClock>,
    comparing: AbortHandle,
    vault: Arc<dyn Vault>,
}

/// How to open a store.
pub struct PostgresOptions {
    /// `postgres://user:password@host/database`.
    pub url: SecretString,
    /// The clock of those who call, compared with the database's now and then. `None` takes the two for the
    /// same: for tests that own the time.
    pub clock: Option<Arc<dyn Clock>>,
}

/// Why a store does not open. None of these repeats the URL: it holds a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The URL cannot be read.
    #[error("the database URL cannot be used: {0}; expected postgres://user:password@host:5432/database")]
    Url(String),
    /// The database does not answer as it should.
    #[error("cannot use the database at {place}")]
    Unavailable {
        /// Host, port and name.
        place: String,
        /// Why.
        #[source]
        source: StoreError,
    },
    /// A newer Tautline wrote it.
    #[error(
        "the database at {place} has schema {found}, and this version knows {known}; use the newer version that wrote it"
    )]
    FromTheFuture {
        /// Host, port and name.
        place: String,
        /// Its schema.
        found: u32,
        /// Ours.
        known: u32,
    },
}

impl PostgresStore {
    /// Opens the store, migrating it as needed.
    pub async fn open(options: PostgresOptions, vault: Arc<dyn Vault>) -> Result<Self, OpenError> {
        let connect = database::options(&options.url).map_err(OpenError::Url)?;
        let place = database::place(&connect);
        let unavailable = |source| OpenError::Unavailable { place: place.clone(), source };
        let durable =
            database::is_durable_as_set(&connect).await.map_err(|failure| unavailable(failure.into()))?;
        let pool = |whose, connections| Database::new(&connect, whose, connections, durable);
        let database = pool(Whose::Others, POSTGRES_CONNECTIONS);
        migrate::migrate(&database).await.map_err(|error| match error {
            migrate::Error::FromTheFuture { found } => {
                OpenError::FromTheFuture { place: place.clone(), found, known: migrate::KNOWN }
            }
            migrate::Error::Postgres(failure) => unavailable(failure.into()),
        })?;
        let inbound = pool(Whose::Slacks, POSTGRES_INBOUND_CONNECTIONS);
        let clock = Arc::new(DatabaseClock::new(options.clock));
        compare(&database, &clock).await.map_err(unavailable)?;
        let comparing = tokio::spawn(keep_comparing(database.clone(), clock.clone())).abort_handle();
        Ok(Self {
            named: Group::start(inbound.clone(), Naming),
            accepting: Group::start(inbound.clone(), Accepting { clock: clock.clone() }),
            finishing: Group::start(inbound.clone(), Finishing),
            settling: Group::start(database.clone(), Settling { clock: clock.clone() }),
            enqueuing: Group::start(database.clone(), Enqueuing { clock: clock.clone() }),
            keys: Group::start(database.clone(), KeyLookups),
            tenants: Group::start(database.clone(), TenantLookups),
            only: Group::start(database.clone(), OnlyOnes),
            lists: pool(Whose::Others, POSTGRES_LIST_CONNECTIONS),
            inbound,
            database,
            clock,
            comparing,
            vault,
        })
    }
}

/// The schema of a database, and the one that this version knows. An empty database has schema 0.
pub async fn schema(url: &SecretString) -> Result<(u32, u32), OpenError> {
    let connect = database::options(url).map_err(OpenError::Url)?;
    let unavailable = |source| OpenError::Unavailable { place: database::place(&connect), source };
    let found = async {
        database::is_durable_as_set(&connect).await?;
        let mut tx = Database::new(&connect, Whose::Others, 1, true).read().await?;
        let found = migrate::found(&mut tx).await?;
        tx.finish(found).await
    };
    Ok((found.await.map_err(unavailable)?, migrate::KNOWN))
}

/// The same database as PostgreSQL's own programs are told of it, by variables of their environment.
pub fn libpq_variables(url: &SecretString) -> Result<Vec<(&'static str, String)>, OpenError> {
    database::libpq_variables(url).map_err(OpenError::Url)
}

impl Drop for PostgresStore {
    fn drop(&mut self) {
        self.comparing.abort();
    }
}

/// Asks the database what time it is.
async fn compare(database: &Database, clock: &DatabaseClock) -> StoreResult<()> {
    let mut tx = database.read().await?;
    let Some(before) = clock.own_now() else { return tx.finish(()).await };
    let time = sql("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now_us");
    let now_us = tx.one(time, |row| row.try_get("now_us")).await?;
    let after = clock.own_now().unwrap_or(before);
    // What took long says little: when in between it was read, nobody knows.
    if after.since(before) < POSTGRES_READING {
        clock.compare(before, now_us, after);
    }
    tx.finish(()).await
}

async fn keep_comparing(database: Database, clock: Arc<DatabaseClock>) {
    loop {
        tokio::time::sleep(POSTGRES_CLOCK).await;
        if let Err(error) = compare(&database, &clock).await {
            tracing::warn!(%error, "the database's clock could not be read; going by the last reading");
        }
    }
}

#[async_trait]
impl Store for PostgresStore {
    fn is_shared(&self) -> bool {
        true
    }

    async fn readiness(&self, now: Timestamp) -> StoreResult<Readiness> {
        let mut tx = self.inbound.write().await?;
        // A database that can only be read is not ready: a row is written, and the commit waits for the disk.
        let written = sql(
            "INSERT INTO readiness (id, at) VALUES (1, $1) ON CONFLICT (id) DO UPDATE SET at = excluded.at",
        );
        tx.execute(written.bind(now.as_micros())).await?;
        let schema = migrate::found(&mut tx).await?;
        let settings = sql("SELECT current_setting('server_version') AS version, format(
                              'fsync=%s synchronous_commit=%s full_page_writes=%s', current_setting('fsync'),
                              current_setting('synchronous_commit'), current_setting('full_page_writes')) AS durability");
        let readiness = tx.one(settings, |row| {
            let version: String = row.try_get("version")?;
            Ok(Readiness {
                engine: format!("PostgreSQL {version}, schema {schema}"),
                durability: row.try_get("durability")?,
            })
        });
        let readiness = readiness.await?;
        tx.finish(readiness).await
    }
}
