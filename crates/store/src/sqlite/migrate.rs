//! Migrations: numbered files, each applied once, in one transaction with its number.

use rusqlite::{Connection, TransactionBehavior};

const MIGRATIONS: [&str; 7] = [
    include_str!("migrations/0001_the_line.sql"),
    include_str!("migrations/0002_the_dashboard.sql"),
    include_str!("migrations/0003_keeping.sql"),
    include_str!("migrations/0004_the_front_door.sql"),
    include_str!("migrations/0005_bad_days.sql"),
    include_str!("migrations/0006_installations.sql"),
    include_str!("migrations/0007_outbound.sql"),
];

/// The schema that this version knows.
pub(super) const KNOWN: u32 = MIGRATIONS.len() as u32;

#[derive(Debug)]
pub(super) enum Error {
    FromTheFuture { found: u32, known: u32 },
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// What is wrong, without the two hundred lines in which it is.
fn without_script(error: rusqlite::Error) -> rusqlite::Error {
    match error {
        rusqlite::Error::SqlInputError { error, msg, .. } => rusqlite::Error::SqliteFailure(error, Some(msg)),
        other => other,
    }
}

pub(super) fn migrate(connection: &mut Connection) -> Result<(), Error> {
    // A table that is made anew is dropped in between, and with references on, all that refers to its rows with it.
    connection.pragma_update(None, "foreign_keys", false)?;
    let migrated = migrate_without_references(connection);
    connection.pragma_update(None, "foreign_keys", true)?;
    migrated
}

fn migrate_without_references(connection: &mut Connection) -> Result<(), Error> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let found: u32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let known = KNOWN;
    // One version ahead is expected during an upgrade: migrations expand first and contract a version later.
    if found > known + 1 {
        return Err(Error::FromTheFuture { found, known });
    }
    for (number, migration) in (1..).zip(MIGRATIONS).skip(found as usize) {
        transaction.execute_batch(migration).map_err(without_script)?;
        transaction.pragma_update(None, "user_version", number)?;
    }
    transaction.commit()?;
    Ok(())
}
