//! How fast events are acknowledged.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::Args;
use tautline_testing::{Cluster, Database};
use tempfile::TempDir;

use crate::ground::{furnish_postgres, furnish_sqlite};
use crate::load::{Load, closed_loop, open_loop};
use crate::report::{self, Row};
use crate::servers::{SERVER_CORE, Server, Store, silent_endpoint};

#[derive(Args)]
pub(crate) struct Options {
    /// The gateway's program.
    #[arg(long)]
    tautline: PathBuf,
    /// Where the apps on Bolt JS are installed.
    #[arg(long)]
    peers: PathBuf,
    /// Where databases are put: on a disk, not in memory.
    #[arg(long)]
    ground: PathBuf,
    /// How often everything is measured, one after the other.
    #[arg(long, default_value_t = 5)]
    passes: usize,
    /// How long each is measured, in seconds.
    #[arg(long, default_value_t = 6)]
    seconds: u64,
    /// Rows behind, for what is measured with a backlog.
    #[arg(long, default_value_t = 1_000_000)]
    rows: usize,
    /// Only those whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// Where the table is written, between its marks.
    #[arg(long)]
    report: Option<PathBuf>,
}

/// Those that are measured.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Subject {
    Sqlite,
    Backlog,
    Postgres,
    Reference,
    Bare,
    BoltJs,
    BoltJsDurable,
}

const SUBJECTS: [Subject; 7] = [
    Subject::Sqlite,
    Subject::Reference,
    Subject::BoltJs,
    Subject::BoltJsDurable,
    Subject::Backlog,
    Subject::Postgres,
    Subject::Bare,
];

/// Tenants behind a backlog.
const TENANTS: usize = 10_000;
/// The open loop's rate.
const PER_SECOND: u32 = 1_000;

impl Subject {
    fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "Tautline, SQLite",
            Self::Backlog => "Tautline, SQLite, a backlog behind",
            Self::Postgres => "Tautline, PostgreSQL on the same core",
            Self::Reference => "the reference: the same rows, nothing else",
            Self::Bare => "axum that checks the signature and stores nothing",
            Self::BoltJs => "Bolt JS that stores nothing",
            Self::BoltJsDurable => "Bolt JS with one durable insert",
        }
    }

    /// Whether its latency is measured too.
    fn at_a_rate(self) -> bool {
        !matches!(self, Self::Bare)
    }
}

struct Bench<'a> {
    options: &'a Options,
    endpoint: u16,
    /// A file with nothing behind, and one with a backlog.
    empty: TempDir,
    backlog: TempDir,
    cluster: Option<Cluster>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let wanted =
        SUBJECTS.into_iter().filter(|subject| subject.name().contains(&options.only)).collect::<Vec<_>>();
    fs::create_dir_all(&options.ground)?;
    let ground = || tempfile::tempdir_in(&options.ground);
    let mut bench =
        Bench { options, endpoint: silent_endpoint()?, empty: ground()?, backlog: ground()?, cluster: None };
    bench.prepare(&wanted)?;
    let mut rows = wanted.iter().map(|subject| Row::new(subject.name())).collect::<Vec<_>>();
    for pass in 1..=options.passes {
        for (subject, row) in wanted.iter().zip(&mut rows) {
            bench.measure(*subject, row).with_context(|| subject.name())?;
            eprintln!("pass {pass} of {}: {}: {row}", options.passes, subject.name());
        }
    }
    let table = report::inbound(&rows);
    println!("{table}");
    if let Some(path) = &options.report { report::write(path, "inbound", &table) } else { Ok(()) }
}

impl Bench<'_> {
    /// Lets the gateway make its tables, and fills them.
    fn prepare(&mut self, wanted: &[Subject]) -> Result<()> {
        for (dir, tenants, rows) in [(&self.empty, 1, 0), (&self.backlog, TENANTS, self.options.rows)] {
            if rows > 0 && !wanted.contains(&Subject::Backlog) {
                continue;
            }
            let path = dir.path().join("tautline.db");
            Server::tautline(&self.options.tautline, &Store::Sqlite(&path), dir.path(), self.endpoint)?
                .stop()?;
            furnish_sqlite(&path, tenants, rows)?;
            // A gigabyte that is still on its way to the disk would be measured with the first pass.
            fs::File::open(&path)?.sync_all()?;
        }
        if wanted.contains(&Subject::Postgres) {
            self.cluster = Some(Cluster::start_pinned(true, SERVER_CORE));
        }
        Ok(())
    }

    fn measure(&self, subject: Subject, row: &mut Row) -> Result<()> {
        let dir = tempfile::tempdir_in(&self.options.ground)?;
        let (path, tautline) = (dir.path().join("tautline.db"), &self.options.tautline);
        let database: Database;
        let begun;
        let server = match subject {
            Subject::Bare => Server::own("bare", None)?,
            Subject::BoltJs => Server::bolt_js(&self.options.peers, None)?,
            Subject::BoltJsDurable => Server::bolt_js(&self.options.peers, Some(&path))?,
            Subject::Reference => {
                self.copy_empty(&path)?;
                Server::own("reference", Some(&path))?
            }
            Subject::Sqlite => {
                self.copy_empty(&path)?;
                begun = Instant::now();
                let server = Server::tautline(tautline, &Store::Sqlite(&path), dir.path(), self.endpoint)?;
                first_answer(&server, begun, 1, row)?;
                server
            }
            Subject::Backlog => {
                // The file grows with each pass, by far less than what is behind.
                let path = self.backlog.path().join("tautline.db");
                begun = Instant::now();
                let server =
                    Server::tautline(tautline, &Store::Sqlite(&path), self.backlog.path(), self.endpoint)?;
                first_answer(&server, begun, TENANTS, row)?;
                server
            }
            Subject::Postgres => {
                database = self.cluster.as_ref().context("a cluster was started")?.database();
                let store = Store::Postgres(&database);
                Server::tautline(tautline, &store, dir.path(), self.endpoint)?.stop()?;
                furnish_postgres(&database, 1);
                begun = Instant::now();
                let server = Server::tautline(tautline, &store, dir.path(), self.endpoint)?;
                first_answer(&server, begun, 1, row)?;
                server
            }
        };
        let mut load = Load::on(server.port);
        if subject == Subject::Backlog {
            load.tenants = TENANTS;
        }
        if matches!(subject, Subject::BoltJs | Subject::BoltJsDurable) {
            load.path = "/slack/events";
        }
        row.idle_mib.add(server.memory_mib()?.0 as f64);
        let measured = Duration::from_secs(self.options.seconds);
        row.per_second.add(closed_loop(&load, Duration::from_secs(1), measured)?);
        row.loaded_mib.add(server.memory_mib()?.1 as f64);
        if subject.at_a_rate() {
            let latencies = open_loop(&load, PER_SECOND, measured)?;
            row.median_us.add(latencies.median.as_micros() as f64);
            row.p99_us.add(latencies.p99.as_micros() as f64);
        }
        server.stop()
    }

    fn copy_empty(&self, to: &Path) -> Result<()> {
        fs::copy(self.empty.path().join("tautline.db"), to)?;
        Ok(())
    }
}

/// From the start of the process to its first acknowledgement.
fn first_answer(server: &Server, begun: Instant, tenants: usize, row: &mut Row) -> Result<()> {
    let load = Load { connections: 1, tenants, ..Load::on(server.port) };
    open_loop(&load, 1, Duration::from_secs(1))?;
    row.start_ms.add((begun.elapsed()).as_millis() as f64);
    Ok(())
}
