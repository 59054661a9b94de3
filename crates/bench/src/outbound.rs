//! How fast messages are accepted, and how they go out.

use std::cell::RefCell;
use std::path::PathBuf;
use std::process::Command;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use serde_json::{Value, json};
use tautline_testing::{Cluster, Database};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::LocalSet;

use crate::ground::{ADMIN_KEY, APP, messages_postgres, messages_sqlite, team};
use crate::load::{Connection, Load, closed_loop, runtime, until};
use crate::measure::Passes;
use crate::report;
use crate::servers::{SERVER_CORE, Server, Store, silent_endpoint};
use crate::slack::Slack;

#[derive(Args)]
pub(crate) struct Options {
    /// The gateway's program.
    #[arg(long)]
    tautline: PathBuf,
    /// Where Slack's SDK for Node is installed.
    #[arg(long)]
    peers: PathBuf,
    /// Where databases are put: on a disk, not in memory.
    #[arg(long)]
    ground: PathBuf,
    /// How often everything is measured, one after the other.
    #[arg(long, default_value_t = 5)]
    passes: usize,
    /// How long accepting is measured, in seconds.
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Messages that wait, for what is measured with a backlog.
    #[arg(long, default_value_t = 1_000_000)]
    waiting: u32,
    /// Where the table is written, between its marks.
    #[arg(long)]
    report: Option<PathBuf>,
}

const LANES: usize = 1_000;
/// PostgreSQL shares the server's core: so many lanes can be filled faster than they are emptied.
const POSTGRES_LANES: usize = 200;
/// Messages that go out in each lane.
const EACH: usize = 20;
const PACE: Duration = Duration::from_secs(1);
/// What Slack's own SDK is given: messages to each of so many channels.
const SDK: (usize, usize) = (50, 10);

/// What is measured of one store.
#[derive(Clone)]
struct Line {
    on_postgres: bool,
    inbound: Passes,
    accepted: Passes,
    accepted_behind: Passes,
    sent: Passes,
    least_gap_ms: Passes,
    alone_ms: Passes,
    beside_flood_ms: Passes,
    memory_mib: Passes,
    memory_behind_mib: Passes,
    like_sdk_s: Passes,
}

impl Line {
    fn new(on_postgres: bool) -> Self {
        let none = Passes::new;
        Self {
            on_postgres,
            inbound: none(),
            accepted: none(),
            accepted_behind: none(),
            sent: none(),
            least_gap_ms: none(),
            alone_ms: none(),
            beside_flood_ms: none(),
            memory_mib: none(),
            memory_behind_mib: none(),
            like_sdk_s: none(),
        }
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    std::fs::create_dir_all(&options.ground)?;
    let cluster = Cluster::start_pinned(true, SERVER_CORE);
    let (mut lines, mut sdk_s) = ([Line::new(false), Line::new(true)], Passes::new());
    for pass in 1..=options.passes {
        sdk_s.add(sdk(options)?);
        for line in &mut lines {
            measure(options, &cluster, line)?;
            eprintln!(
                "pass {pass}: {}: {:.0}/s accepted of {:.0}/s inbound, {:.0}/s behind a backlog; {:.3} of what lanes allow, {:.0} ms least gap; {:.1} ms, beside a flood {:.1} ms; {:.0} MiB, {:.0} MiB; like the SDK {:.1} s ({:.1} s)",
                if line.on_postgres { "PostgreSQL" } else { "SQLite" },
                line.accepted.median(),
                line.inbound.median(),
                line.accepted_behind.median(),
                line.sent.median(),
                line.least_gap_ms.median(),
                line.alone_ms.median(),
                line.beside_flood_ms.median(),
                line.memory_mib.median(),
                line.memory_behind_mib.median(),
                line.like_sdk_s.median(),
                sdk_s.median(),
            );
        }
    }
    let table = table(&lines, &sdk_s);
    println!("{table}");
    if let Some(path) = &options.report { report::write(path, "outbound", &table) } else { Ok(()) }
}

fn table(lines: &[Line], sdk_s: &Passes) -> String {
    let mut table = String::from("| | SQLite | PostgreSQL |\n| --- | --: | --: |\n");
    let mut row = |name: &str, value: &dyn Fn(&Line) -> String| {
        let values = lines.iter().map(value).collect::<Vec<_>>().join(" | ");
        table += &format!("| {name} | {values} |\n");
    };
    row("accepted, durable, per second", &|line| format!("{:.0}", line.accepted.median()));
    row("spread", &|line| {
        let (least, most) = line.accepted.spread();
        format!("{:+.0} … {:+.0} %", least * 100.0, most * 100.0)
    });
    row("of what the same server acknowledges inbound", &|line| {
        format!("{:.2} ×", line.accepted.median() / line.inbound.median())
    });
    row("accepted per second with 1,000,000 waiting", &|line| {
        format!("{:.0}", line.accepted_behind.median())
    });
    row("sent, of what 1,000 lanes (PostgreSQL: 200) allow", &|line| format!("{:.3}", line.sent.median()));
    row("the least time between two messages of a lane (1,000 allowed)", &|line| {
        format!("{:.0} ms", line.least_gap_ms.median())
    });
    row("from accepted to Slack, median, alone", &|line| format!("{:.1} ms", line.alone_ms.median()));
    row("the same beside another tenant's flood over 1,000 lanes", &|line| {
        format!("{:.1} ms", line.beside_flood_ms.median())
    });
    row("memory after the flood", &|line| format!("{:.0} MiB", line.memory_mib.median()));
    row("memory with 1,000,000 waiting", &|line| format!("{:.0} MiB", line.memory_behind_mib.median()));
    row("10 messages to each of 50 channels, a Slack that takes one a second", &|line| {
        format!("{:.1} s", line.like_sdk_s.median())
    });
    row("the same by the queue of `@slack/web-api`", &|_| format!("{:.1} s", sdk_s.median()));
    table
}

/// By Slack's own SDK, against a Slack that takes one message a second and channel.
fn sdk(options: &Options) -> Result<f64> {
    let (channels, each) = SDK;
    runtime()?.block_on(LocalSet::new().run_until(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://127.0.0.1:{}/api/", listener.local_addr()?.port());
        let slack = Slack::new(Some(PACE.mul_f64(0.99)));
        tokio::task::spawn_local(slack.clone().serve(listener));
        let mut command = Command::new("taskset");
        command.args(["-c", SERVER_CORE, "node"]).arg(options.peers.join("send.js"));
        command.args([url, channels.to_string(), each.to_string()]).current_dir(&options.peers);
        let ended = tokio::task::spawn_blocking(move || command.output()).await??;
        ensure!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        ensure!(slack.count() == channels * each, "the SDK lost some");
        let micros: f64 = String::from_utf8_lossy(&ended.stdout).trim().parse()?;
        Ok(micros / 1e6)
    }))
}

/// A store of its own, where servers come and go.
struct Site<'o> {
    options: &'o Options,
    dir: TempDir,
    path: PathBuf,
    database: Option<Database>,
    endpoint: u16,
}

impl<'o> Site<'o> {
    fn new(options: &'o Options, cluster: &Cluster, on_postgres: bool) -> Result<Self> {
        let dir = tempfile::tempdir_in(&options.ground)?;
        let path = dir.path().join("tautline.db");
        let database = on_postgres.then(|| cluster.database());
        Ok(Self { options, dir, path, database, endpoint: silent_endpoint()? })
    }

    fn store(&self) -> Store<'_> {
        self.database.as_ref().map_or(Store::Sqlite(&self.path), Store::Postgres)
    }

    /// Starts a server whose Slack is at this port.
    fn start(&self, slack: u16, more: &[(&str, &str)]) -> Result<Server> {
        let slack = format!("http://127.0.0.1:{slack}");
        let more = more.iter().copied().chain([("TAUTLINE_SLACK_URL", slack.as_str())]).collect::<Vec<_>>();
        Server::tautline_with(&self.options.tautline, &self.store(), self.dir.path(), self.endpoint, &more)
    }

    fn seconds(&self) -> Duration {
        Duration::from_secs(self.options.seconds)
    }
}

/// Lanes rest, so that accepting is all there is to do.
const SLOW: [(&str, &str); 1] = [("TAUTLINE_CHANNEL_PACE_MS", "600000")];
/// No workspace is held back; its lanes are.
const FAST: [(&str, &str); 1] = [("TAUTLINE_WORKSPACE_POSTS_PER_MINUTE", "6000000")];

/// Each in a store of its own: what one has left undone must not be at work in the next.
fn measure(options: &Options, cluster: &Cluster, line: &mut Line) -> Result<()> {
    let site = || Site::new(options, cluster, line.on_postgres);
    let (accepting, sending, behind, inbound) = (site()?, site()?, site()?, site()?);
    runtime()?.block_on(LocalSet::new().run_until(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (slack, port) = (Slack::new(Some(PACE.mul_f64(0.99))), listener.local_addr()?.port());
        tokio::task::spawn_local(slack.clone().serve(listener));
        accepted(&accepting, port, line).await?;
        sent(&sending, port, &slack, line).await?;
        accepted_behind(&behind, port, line).await
    }))?;
    let server = Server::tautline(&options.tautline, &inbound.store(), inbound.dir.path(), inbound.endpoint)?;
    line.inbound.add(closed_loop(&Load::on(server.port), Duration::from_secs(1), inbound.seconds())?);
    server.stop()
}

async fn accepted(site: &Site<'_>, slack: u16, line: &mut Line) -> Result<()> {
    let server = site.start(slack, &SLOW)?;
    let key = Key::of(server.port, 0).await?;
    line.accepted.add(accept(server.port, &key, site.seconds()).await?);
    server.stop()
}

async fn sent(site: &Site<'_>, port: u16, slack: &Slack, line: &mut Line) -> Result<()> {
    let server = site.start(port, &FAST)?;
    let keys = [Key::of(server.port, 0).await?, Key::of(server.port, 1).await?];
    let own = Key { name: "own", ..keys[1].clone() };
    line.alone_ms.add(delays(server.port, &own, slack).await?);
    let lanes = if line.on_postgres { POSTGRES_LANES } else { LANES };
    let (sent, least_gap) = send(lanes, server.port, &keys[1], slack).await?;
    line.sent.add(sent);
    line.least_gap_ms.add(least_gap.as_secs_f64() * 1000.0);
    slack.forget();
    let like = Key { name: "like", ..keys[1].clone() };
    line.like_sdk_s.add(like_sdk(server.port, &like, slack).await?);
    slack.forget();
    flood(server.port, &keys[0], LANES * 5, LANES).await?;
    line.beside_flood_ms.add(delays(server.port, &own, slack).await?);
    line.memory_mib.add(server.memory_mib()?.1 as f64);
    server.stop()
}

async fn accepted_behind(site: &Site<'_>, slack: u16, line: &mut Line) -> Result<()> {
    // Whose messages wait must be there first.
    let server = site.start(slack, &SLOW)?;
    let keys = [Key::of(server.port, 0).await?, Key::of(server.port, 1).await?];
    server.stop()?;
    match site.store() {
        Store::Sqlite(path) => messages_sqlite(path, site.options.waiting)?,
        Store::Postgres(database) => messages_postgres(database, site.options.waiting),
    }
    let server = site.start(slack, &SLOW)?;
    line.accepted_behind.add(accept(server.port, &keys[1], site.seconds()).await?);
    line.memory_behind_mib.add(server.memory_mib()?.1 as f64);
    server.stop()
}

/// A tenant's key, and how its channels are called.
#[derive(Clone)]
struct Key {
    key: String,
    name: &'static str,
}

impl Key {
    /// Of a new tenant with a workspace.
    async fn of(port: u16, number: usize) -> Result<Self> {
        let (tenant, team) = (format!("tenant-{number}"), team(number));
        let mut connection = Connection::open(port).await?;
        let installation = json!({
            "team": { "id": team, "name": "Bench" }, "isEnterpriseInstall": false, "appId": APP, "tokenType": "bot",
            "bot": { "token": format!("xoxb-{team}"), "scopes": ["chat:write"], "id": "B0BENCH", "userId": "U0BENCH" },
            "user": { "id": "U0", "scopes": [] },
        });
        let rows = json!({ "installations": [{ "tenant": tenant, "installation": installation }], "make_tenants": true });
        let path = "/api/v1/integrations/slack/installations/import";
        let report = call(&mut connection, ADMIN_KEY, "POST", path, &rows).await?;
        ensure!(report["results"][0]["result"] == "imported", "{report}");
        let wanted = json!({ "tenant": tenant, "scopes": ["send", "read"] });
        let made = call(&mut connection, ADMIN_KEY, "POST", "/api/v1/keys", &wanted).await?;
        let key = made["key"].as_str().context("a key")?.to_owned();
        Ok(Self { key, name: if number == 0 { "zero" } else { "one" } })
    }

    /// A message to one of its channels.
    fn message(&self, number: usize, lane: usize) -> Vec<u8> {
        let body = json!({
            "to": { "channel": format!("C{}{lane}", self.name.to_uppercase()) },
            "text": format!("The invoice {number} of customer {lane} was paid this morning, and needs no further attention."),
        });
        request(&self.key, "POST", "/api/v1/integrations/slack/messages", &body)
    }
}

fn request(key: &str, method: &str, path: &str, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

async fn call(
    connection: &mut Connection,
    key: &str,
    method: &str,
    path: &str,
    body: &Value,
) -> Result<Value> {
    let (status, answer) = connection.send(&request(key, method, path, body)).await?;
    ensure!((200..300).contains(&status), "{path}: {status} {}", String::from_utf8_lossy(&answer));
    Ok(serde_json::from_slice(&answer)?)
}

/// Messages over many lanes, each connection again as soon as it was answered. Accepted in a second.
async fn accept(port: u16, key: &Key, measured: Duration) -> Result<f64> {
    let (accepted, over) = (Rc::new(RefCell::new(0_usize)), Rc::new(RefCell::new(false)));
    let mut asking = Vec::new();
    for _ in 0..256 {
        let mut connection = Connection::open(port).await?;
        let (key, accepted, over) = (key.clone(), accepted.clone(), over.clone());
        asking.push(tokio::task::spawn_local(async move {
            while !*over.borrow() {
                let number = *accepted.borrow();
                let (status, answer) =
                    connection.send(&key.message(number, fastrand::usize(..LANES))).await?;
                ensure!(status == 202, "{status}: {}", String::from_utf8_lossy(&answer));
                *accepted.borrow_mut() += 1;
            }
            Ok::<(), anyhow::Error>(())
        }));
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (before, begun) = (*accepted.borrow(), Instant::now());
    tokio::time::sleep(measured).await;
    let rate = (*accepted.borrow() - before) as f64 / begun.elapsed().as_secs_f64();
    *over.borrow_mut() = true;
    for asked in asking {
        asked.await??;
    }
    Ok(rate)
}

/// So many messages over the lanes of a tenant, as fast as they are taken.
async fn flood(port: u16, key: &Key, messages: usize, lanes: usize) -> Result<()> {
    let next = Rc::new(RefCell::new(0_usize));
    let mut asking = Vec::new();
    for _ in 0..64 {
        let mut connection = Connection::open(port).await?;
        let (key, next) = (key.clone(), next.clone());
        asking.push(tokio::task::spawn_local(async move {
            loop {
                let number = next.replace_with(|number| *number + 1);
                if number >= messages {
                    return Ok::<(), anyhow::Error>(());
                }
                let (status, answer) = connection.send(&key.message(number, number % lanes)).await?;
                ensure!(status == 202, "{status}: {}", String::from_utf8_lossy(&answer));
            }
        }));
    }
    for asked in asking {
        asked.await??;
    }
    Ok(())
}

/// How much of what its lanes allow is sent, and the least time between two messages of a lane.
async fn send(lanes: usize, port: u16, key: &Key, slack: &Slack) -> Result<(f64, Duration)> {
    slack.forget();
    let messages = lanes * EACH;
    flood(port, key, messages, lanes).await?;
    // Accepting takes the core as well: what comes from here on is sending alone.
    let prefix = format!("C{}", key.name.to_uppercase());
    let before = slack
        .came()
        .iter()
        .filter(|(channel, _)| channel.starts_with(&prefix))
        .map(|(_, came)| came.len())
        .sum::<usize>();
    slack.forget();
    arrived_of(slack, &prefix, messages - before, PACE * u32::try_from(EACH * 3)?).await?;
    let came = slack.came();
    let of_lanes = came.iter().filter(|(channel, _)| channel.starts_with(&prefix)).map(|(_, came)| came);
    let (mut allowed, mut took, mut least) = (Duration::ZERO, Duration::ZERO, Duration::MAX);
    for came in of_lanes {
        allowed += PACE * u32::try_from(came.len() - 1)?;
        took += came[came.len() - 1] - came[0];
        least = came.windows(2).map(|two| two[1] - two[0]).min().unwrap_or(least).min(least);
    }
    Ok((allowed.as_secs_f64() / took.as_secs_f64(), least))
}

async fn arrived_of(slack: &Slack, prefix: &str, count: usize, patience: Duration) -> Result<()> {
    let give_up = Instant::now() + patience;
    loop {
        let came = slack.came();
        let of = came.iter().filter(|(channel, _)| channel.starts_with(prefix)).map(|(_, came)| came.len());
        let of = of.sum::<usize>();
        if of >= count {
            return Ok(());
        }
        ensure!(Instant::now() < give_up, "{of} of {count} messages arrived");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The median of how long messages to channels of their own take to Slack, in milliseconds.
async fn delays(port: u16, key: &Key, slack: &Slack) -> Result<f64> {
    let (mut connection, mut took) = (Connection::open(port).await?, Vec::new());
    let begun = Instant::now();
    for number in 0..100_u32 {
        until(begun + Duration::from_millis(20) * number).await;
        let lane = fastrand::usize(LANES..);
        let asked = Instant::now();
        let (status, accepted) = connection.send(&key.message(0, lane)).await?;
        ensure!(status == 202, "{status}");
        let channel = format!("C{}{lane}", key.name.to_uppercase());
        let at = loop {
            if let Some(came) = slack.came_to(&channel) {
                break came;
            }
            if asked.elapsed() > Duration::from_secs(60) {
                let id: Value = serde_json::from_slice(&accepted)?;
                let path =
                    format!("/api/v1/integrations/slack/messages/{}", id["id"].as_str().unwrap_or_default());
                // The first has been let go by now.
                let mut connection = Connection::open(port).await?;
                let stands = call(&mut connection, &key.key, "GET", &path, &Value::Null).await?;
                anyhow::bail!("a message did not arrive: {stands}");
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
        took.push(at.saturating_duration_since(asked));
    }
    took.sort_unstable();
    Ok(took[took.len() / 2].as_secs_f64() * 1000.0)
}

/// What Slack's SDK is given, given to the gateway. How long until all of it is at Slack, in seconds.
async fn like_sdk(port: u16, key: &Key, slack: &Slack) -> Result<f64> {
    let ((channels, each), begun) = (SDK, Instant::now());
    let mut connection = Connection::open(port).await?;
    for number in 0..each {
        for lane in 0..channels {
            let (status, _) = connection.send(&key.message(number, lane)).await?;
            ensure!(status == 202, "{status}");
        }
    }
    let prefix = format!("C{}", key.name.to_uppercase());
    arrived_of(slack, &prefix, channels * each, Duration::from_secs(120)).await?;
    Ok(begun.elapsed().as_secs_f64())
}
