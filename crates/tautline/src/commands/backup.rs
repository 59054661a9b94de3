//! `tautline backup` and `tautline restore`.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;
use tautline_server::core::SystemRng;
use tautline_store::Keyring;

use crate::commands::say;
use crate::config::{Database, Environment, Problems, data_dir, database, make_private};
use crate::{logging, postgres_tools};

/// Write a copy of the whole store to a file, beside whoever is at work on it.
///
/// What is sealed stays sealed: keep the encryption keys as well, and elsewhere. From PostgreSQL it is what pg_dump
/// writes.
#[derive(Args)]
pub(crate) struct Backup {
    /// The file; it must not be there.
    file: PathBuf,
}

/// Bring back what `tautline backup` wrote, to where there is no store yet.
///
/// Messages that were queued or on their way are held, as they may have been sent since. Into PostgreSQL it is psql
/// that runs the file: restore only what you wrote yourself.
#[derive(Args)]
pub(crate) struct Restore {
    /// The file.
    file: PathBuf,
}

fn configured(environment: &Environment) -> anyhow::Result<(PathBuf, Database)> {
    let mut problems = Problems::default();
    let dir = data_dir(environment, &mut problems);
    let database = database(environment, &dir, &mut problems);
    Ok(problems.or((dir, database))?)
}

pub(crate) async fn backup(environment: &Environment, options: Backup) -> anyhow::Result<()> {
    logging::start(environment, "warn")?;
    let (_, database) = configured(environment)?;
    let file = &options.file;
    match &database {
        Database::Sqlite(path) => {
            tautline_store::sqlite::backup(path, file).context("no backup was made")?;
        }
        Database::Postgres(url) => {
            let (schema, _) = tautline_store::postgres::schema(url).await?;
            if schema == 0 {
                bail!("there is no store in this database: nothing to back up");
            }
            postgres_tools::dump(url, schema, file).context("no backup was made")?;
        }
    }
    say(&format!(
        "the store as it was is in {}; keep TAUTLINE_ENCRYPTION_KEYS as well, and elsewhere",
        file.display()
    ));
    Ok(())
}

pub(crate) async fn restore(environment: &Environment, options: Restore) -> anyhow::Result<()> {
    logging::start(environment, "warn")?;
    let (dir, database) = configured(environment)?;
    let file = &options.file;
    // Nothing sealed is opened for this.
    let vault = Arc::new(Keyring::single("none", SystemRng.array(), Arc::new(SystemRng)));
    match database {
        Database::Sqlite(path) => {
            make_private(&dir)?;
            let held =
                tautline_store::sqlite::restore(file, path, vault).await.context("nothing was restored")?;
            say(&format!("restored; {held} messages that were queued or on their way are held"));
        }
        Database::Postgres(url) => {
            let (found, _) = tautline_store::postgres::schema(&url).await?;
            if found > 0 {
                bail!("there is a store in this database; restore into an empty one");
            }
            postgres_tools::restore(&url, file).context("nothing was restored")?;
            say("restored; messages that were queued or on their way are held");
        }
    }
    Ok(())
}
