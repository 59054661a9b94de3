//! `tautline migrate`.

use std::sync::Arc;

use anyhow::bail;
use clap::Args;
use tautline_server::core::{Clock as _, SystemClock, SystemRng};
use tautline_store::Keyring;

use crate::config::{Database, Environment, Problems, data_dir, database, make_private};
use crate::{logging, store};

/// Bring the store to the schema that this version knows.
///
/// A server does the same when it starts, and of several that start together one does it while the others wait: this
/// is for those who want it done before.
#[derive(Args)]
pub(crate) struct Options {
    /// Change nothing; say what would be done, and exit with 3 if that is anything.
    #[arg(long)]
    check: bool,
}

/// What `--check` found: neither well nor a failure.
#[derive(Debug)]
pub(crate) struct Needed {
    found: u32,
    known: u32,
}

impl std::fmt::Display for Needed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { found, known } = self;
        write!(f, "the store has schema {found}, and this version brings it to {known}: run tautline migrate")
    }
}

impl std::error::Error for Needed {}

#[expect(clippy::print_stdout, reason = "this is what was asked for")]
pub(crate) async fn run(environment: &Environment, options: Options) -> anyhow::Result<()> {
    logging::start(environment, "warn")?;
    let mut problems = Problems::default();
    let dir = data_dir(environment, &mut problems);
    let database = database(environment, &dir, &mut problems);
    problems.or(())?;
    let (found, known) = match &database {
        Database::Sqlite(path) => tautline_store::sqlite::schema(path)?,
        Database::Postgres(url) => tautline_store::postgres::schema(url).await?,
    };
    // One ahead is how an upgrade looks from the version before.
    if found > known + 1 {
        bail!(
            "the store has schema {found}, and this version knows {known}; use the newer version that wrote it"
        );
    }
    if found >= known {
        println!("the store has schema {found}, and this version knows {known}: there is nothing to do");
        return Ok(());
    }
    if options.check {
        return Err(Needed { found, known }.into());
    }
    if let Database::Sqlite(_) = database {
        make_private(&dir)?;
    }
    // Tables are made without opening anything sealed; any key does.
    let vault = Arc::new(Keyring::single("none", SystemRng.array(), Arc::new(SystemRng)));
    let store = store::open(&database, vault, "tautline migrate").await?;
    let readiness = store.readiness(SystemClock.now()).await?;
    println!("the store had schema {found}; it is {} now, with {}", readiness.engine, readiness.durability);
    Ok(())
}
