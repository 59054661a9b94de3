//! How soon what Slack sent is at the product's endpoint: a `trigger_id` lives three seconds, and a person waits.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Args;
use tautline_testing::Cluster;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;

use crate::ground::{furnish_postgres, furnish_sqlite, waiting_postgres, waiting_sqlite};
use crate::load::{Connection, Latencies, Load, Maker, number_in, runtime, until};
use crate::measure::Passes;
use crate::report;
use crate::servers::{SERVER_CORE, Server, Store, command, free_port};

#[derive(Args)]
pub(crate) struct Options {
    /// The gateway's program.
    #[arg(long)]
    tautline: PathBuf,
    /// Where databases are put: on a disk, not in memory.
    #[arg(long)]
    ground: PathBuf,
    /// How often everything is measured, one after the other.
    #[arg(long, default_value_t = 5)]
    passes: usize,
    /// How long each is measured, in seconds.
    #[arg(long, default_value_t = 6)]
    seconds: u32,
    /// Events a second.
    #[arg(long, default_value_t = 500)]
    per_second: u32,
    /// Where the table is written, between its marks.
    #[arg(long)]
    report: Option<PathBuf>,
}

/// What else there is, besides the endpoint whose delay is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beside {
    Nothing,
    /// An endpoint that wants the same and cannot be reached.
    Dead,
    /// The same, with a million deliveries waiting for it.
    DeadWithBacklog,
}

/// One line of the table.
struct Line {
    on_postgres: bool,
    beside: Beside,
    median: Passes,
    p99: Passes,
    memory: Passes,
}

impl Line {
    fn name(&self) -> String {
        let store = if self.on_postgres { "PostgreSQL" } else { "SQLite" };
        let beside = match self.beside {
            Beside::Nothing => "",
            Beside::Dead => ", beside a dead endpoint",
            Beside::DeadWithBacklog => ", beside a dead endpoint for which a million wait",
        };
        format!("{store}{beside}")
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    std::fs::create_dir_all(&options.ground)?;
    let cluster = Cluster::start_pinned(true, SERVER_CORE);
    let besides = [Beside::Nothing, Beside::Dead, Beside::DeadWithBacklog];
    let line = |(on_postgres, beside)| Line {
        on_postgres,
        beside,
        median: Passes::new(),
        p99: Passes::new(),
        memory: Passes::new(),
    };
    let each = [false, true].into_iter().flat_map(|postgres| besides.map(|beside| (postgres, beside)));
    let mut lines = each.map(line).collect::<Vec<_>>();
    for pass in 1..=options.passes {
        for line in &mut lines {
            let dir = tempfile::tempdir_in(&options.ground)?;
            let (path, database) = (dir.path().join("tautline.db"), cluster.database());
            let store = if line.on_postgres { Store::Postgres(&database) } else { Store::Sqlite(&path) };
            let endpoint = free_port()?;
            Server::tautline(&options.tautline, &store, dir.path(), endpoint)?.stop()?;
            match &store {
                Store::Sqlite(path) => furnish_sqlite(path, 1, 0)?,
                Store::Postgres(database) => furnish_postgres(database, 1),
            }
            if line.beside != Beside::Nothing {
                let dead = format!("http://127.0.0.1:{}/", free_port()?);
                command(&options.tautline, &store, dir.path(), &["endpoints", "create", &dead])?;
            }
            if line.beside == Beside::DeadWithBacklog {
                match &store {
                    Store::Sqlite(path) => waiting_sqlite(path, BACKLOG)?,
                    Store::Postgres(database) => waiting_postgres(database, BACKLOG),
                }
            }
            let server = Server::tautline(&options.tautline, &store, dir.path(), endpoint)?;
            let took = measure(&Load::on(server.port), endpoint, options)?;
            let (_, memory_mib) = server.memory_mib()?;
            let (median_us, p99_us) = (took.median.as_micros(), took.p99.as_micros());
            eprintln!(
                "pass {pass}: {}: {median_us} µs median, {p99_us} µs p99, {memory_mib} MiB",
                line.name()
            );
            line.median.add(median_us as f64);
            line.p99.add(p99_us as f64);
            line.memory.add(memory_mib as f64);
            server.stop()?;
        }
    }
    let mut table = String::from(
        "| store | median | p99 | p99, least … most | memory |\n| --- | --: | --: | --: | --: |\n",
    );
    for line in &lines {
        let (least, most) = line.p99.spread();
        table += &format!(
            "| {} | {:.0} µs | {:.0} µs | {:+.0} … {:+.0} % | {:.0} MiB |\n",
            line.name(),
            line.median.median(),
            line.p99.median(),
            least * 100.0,
            most * 100.0,
            line.memory.median()
        );
    }
    println!("{table}");
    if let Some(path) = &options.report { report::write(path, "hand-over", &table) } else { Ok(()) }
}

/// Deliveries that wait.
const BACKLOG: u32 = 1_000_000;

/// Events at a fixed rate; the time from when each was due to when it was at the endpoint, whole.
fn measure(load: &Load, endpoint: u16, options: &Options) -> Result<Latencies> {
    let count = (options.per_second * options.seconds) as usize;
    let arrived = Rc::new(RefCell::new(vec![None; count]));
    let mut due_at = Vec::with_capacity(count);
    runtime()?.block_on(LocalSet::new().run_until(async {
        let listener = TcpListener::bind(("127.0.0.1", endpoint)).await?;
        tokio::task::spawn_local(receive(listener, arrived.clone()));
        let (maker, mut free) = (Maker::new(load), Vec::new());
        for _ in 0..64 {
            free.push(Connection::open(load.port).await?);
        }
        let free = Rc::new(RefCell::new(free));
        let (begun, pause) = (Instant::now(), Duration::from_secs(1) / options.per_second);
        let mut asking = Vec::with_capacity(count);
        for number in 0..u32::try_from(count)? {
            let due = begun + pause * number;
            until(due).await;
            due_at.push(due);
            // Made here, so that the numbers are those of the due times.
            let (request, free, port) = (maker.request(), free.clone(), load.port);
            asking.push(tokio::task::spawn_local(async move {
                let taken = free.borrow_mut().pop();
                let mut connection = match taken {
                    Some(connection) => connection,
                    None => Connection::open(port).await?,
                };
                ensure!(connection.ask(&request).await?, "a request was not answered 200");
                free.borrow_mut().push(connection);
                Ok(())
            }));
        }
        for asked in asking {
            asked.await??;
        }
        let give_up = Instant::now() + Duration::from_secs(10);
        while arrived.borrow().iter().any(Option::is_none) {
            ensure!(Instant::now() < give_up, "not everything arrived at the endpoint");
            tokio::task::yield_now().await;
        }
        Ok(())
    }))?;
    let arrived = arrived.borrow();
    let took = due_at.iter().zip(arrived.iter()).filter_map(|(due, at)| Some((*at)?.duration_since(*due)));
    Ok(Latencies::of(took.collect()))
}

type Arrived = Rc<RefCell<Vec<Option<Instant>>>>;

async fn receive(listener: TcpListener, arrived: Arrived) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::task::spawn_local(serve(stream, arrived.clone()));
    }
}

/// An app that is done at once.
async fn serve(mut stream: TcpStream, arrived: Arrived) -> Option<()> {
    let _ = stream.set_nodelay(true);
    let mut bytes = Vec::with_capacity(8192);
    loop {
        bytes.clear();
        loop {
            if stream.read_buf(&mut bytes).await.ok()? == 0 {
                return None;
            }
            let Some(head) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
            let text = std::str::from_utf8(&bytes[..head]).ok()?.to_ascii_lowercase();
            let length = text.split("\r\n").find_map(|line| line.strip_prefix("content-length:"));
            if bytes.len() >= head + 4 + length?.trim().parse::<usize>().ok()? {
                break;
            }
        }
        let now = Instant::now();
        if let Some(number) = number_in(&bytes)
            && let Some(at) = arrived.borrow_mut().get_mut(number)
        {
            at.get_or_insert(now);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.ok()?;
    }
}
