//! Migrations: numbered files, each applied once, in one transaction with its number.

use std::time::Duration;

use sqlx::Row as _;

use super::database::{Database, Tx, sql};
use super::failure::{Failure, Work, unavailable};
use super::value;

const MIGRATIONS: [&str; 7] = [
    include_str!("migrations/0001_the_line.sql"),
    include_str!("migrations/0002_the_dashboard.sql"),
    include_str!("migrations/0003_keeping.sql"),
    include_str!("migrations/0004_the_front_door.sql"),
    include_str!("migrations/0005_bad_days.sql"),
    include_str!("migrations/0006_installations.sql"),
    include_str!("migrations/0007_outbound.sql"),
];

/// Of all that take this lock (of PostgreSQL's advisory ones) one goes on. The number is arbitrary.
const LOCK: i64 = 7_419_051_902_617;

/// How long a migration waits for a table: less than Slack's requests have for their commit.
const MIGRATE_LOCKS: &str = "SET LOCAL lock_timeout = '300ms'";

/// The pause before it tries again.
const MIGRATE_AGAIN: Duration = Duration::from_secs(2);

/// The schema that this version knows.
pub(super) const KNOWN: u32 = MIGRATIONS.len() as u32;

#[derive(Debug)]
pub(super) enum Error {
    FromTheFuture { found: u32 },
    Postgres(Failure),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Postgres(failure)
    }
}

/// The schema of a database; 0 for an empty one.
pub(super) async fn found(tx: &mut Tx) -> Work<u32> {
    let there = sql("SELECT to_regclass('schema_version') IS NOT NULL AS there");
    if !tx.one(there, |row| row.try_get::<bool, _>("there")).await? {
        return Ok(0);
    }
    let version = sql("SELECT version FROM schema_version");
    let version = tx.maybe(version, |row| value::number(row, "version")).await?;
    version.ok_or_else(|| {
        unavailable("a backup is being restored into it, or that broke off: then make the database anew, and restore again")
            .into()
    })
}

/// Brings a database to the schema that this version knows. Of several replicas that start together one does it,
/// and the others wait for it.
///
/// A migration changes tables that others read and write. Whoever reads one for long (a `pg_dump`, a report) would have it
/// wait for the table, and everybody else, Slack's requests too, behind it. So it waits briefly, lets them pass, and tries again.
pub(super) async fn migrate(database: &Database) -> Result<(), Error> {
    loop {
        match try_migrate(database).await {
            Err(Error::Postgres(failure)) if failure.is_locked() => {
                tracing::warn!(
                    "a table is in use, and cannot be brought to this version's schema: trying again; \
                     see pg_stat_activity for a dump or a report that runs for long"
                );
                tokio::time::sleep(MIGRATE_AGAIN).await;
            }
            done => return done,
        }
    }
}

async fn try_migrate(database: &Database) -> Result<(), Error> {
    let mut tx = database.write_patiently().await?;
    tx.execute(sql("SELECT pg_advisory_xact_lock($1)").bind(LOCK)).await?;
    let found = found(&mut tx).await?;
    // One version ahead is expected during an upgrade: migrations expand first and contract a version later.
    if found > KNOWN + 1 {
        return Err(Error::FromTheFuture { found });
    }
    tx.script(MIGRATE_LOCKS).await?;
    if found == 0 {
        tx.script(
            "CREATE TABLE schema_version (version bigint NOT NULL); INSERT INTO schema_version VALUES (0)",
        )
        .await?;
    }
    for (number, migration) in (1_i64..).zip(MIGRATIONS).skip(found as usize) {
        tx.script(migration).await?;
        tx.execute(sql("UPDATE schema_version SET version = $1").bind(number)).await?;
    }
    Ok(tx.finish(()).await.map_err(Failure::from)?)
}
