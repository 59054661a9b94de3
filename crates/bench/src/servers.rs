//! Servers: each a process of its own, on a core of its own.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use tautline_testing::Database;

use crate::ground::{ADMIN_KEY, ENCRYPTION_KEYS, SIGNING_SECRET};

/// The core that servers, and databases, get; the generator has another.
pub(crate) const SERVER_CORE: &str = "0";

/// A server that is up.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
}

/// Which gateway, and what it stands on.
pub(crate) enum Store<'a> {
    Sqlite(&'a Path),
    Postgres(&'a Database),
}

pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

impl Server {
    /// Starts a server, and waits until it says that it serves.
    fn start(program: &Path, port: u16, set_up: impl FnOnce(&mut Command)) -> Result<Self> {
        let mut command = Command::new("sh");
        command.args(["-c", "exec taskset -c \"$@\" 2>&1", "sh", SERVER_CORE]).arg(program);
        set_up(&mut command);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        let mut said = String::new();
        let mut lines = BufReader::new(child.stdout.take().context("piped")?).lines();
        loop {
            match lines.next() {
                Some(line) => {
                    let line = line?;
                    if line.contains("serving") {
                        break;
                    }
                    said = said + &line + "\n";
                }
                None => bail!("{} does not serve: {said}", program.display()),
            }
        }
        // What it says from here on goes nowhere, and must not block it.
        std::thread::spawn(move || for _ in lines {});
        Ok(Self { child, port })
    }

    /// Ours.
    pub(crate) fn tautline(program: &Path, store: &Store<'_>, data: &Path, forward: u16) -> Result<Self> {
        Self::tautline_with(program, store, data, forward, &[])
    }

    /// Ours, told more.
    pub(crate) fn tautline_with(
        program: &Path,
        store: &Store<'_>,
        data: &Path,
        forward: u16,
        more: &[(&str, &str)],
    ) -> Result<Self> {
        let port = free_port()?;
        Self::start(program, port, |command| {
            configure(command.arg("serve"), store, data);
            command
                .env("TAUTLINE_LISTEN", format!("127.0.0.1:{port}"))
                .env("TAUTLINE_FORWARD_URL", format!("http://127.0.0.1:{forward}/"))
                .env("TAUTLINE_FORWARD_SECRET", "s")
                .envs(more.iter().copied());
        })
    }

    /// One of this program's own.
    pub(crate) fn own(name: &str, store: Option<&Path>) -> Result<Self> {
        let port = free_port()?;
        Self::start(&std::env::current_exe()?, port, |command| {
            command.args([name, "--port", &port.to_string()]);
            if let Some(store) = store {
                command.arg("--store").arg(store);
            }
        })
    }

    /// An app on Bolt JS.
    pub(crate) fn bolt_js(peers: &Path, store: Option<&Path>) -> Result<Self> {
        let port = free_port()?;
        Self::start(&PathBuf::from("node"), port, |command| {
            command.arg(peers.join("app.js")).args(["--port", &port.to_string()]);
            command.env("SLACK_SIGNING_SECRET", SIGNING_SECRET).env("NODE_ENV", "production");
            if let Some(store) = store {
                command.arg("--store").arg(store);
            }
        })
    }

    /// Resident memory in MiB: now, and the most there was.
    pub(crate) fn memory_mib(&self) -> Result<(u64, u64)> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let kib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0)
        };
        Ok((kib("VmRSS:") / 1024, kib("VmHWM:") / 1024))
    }

    /// Asks it to stop, and waits.
    pub(crate) fn stop(mut self) -> Result<()> {
        Command::new("kill").arg(self.child.id().to_string()).status()?;
        let begun = Instant::now();
        while self.child.try_wait()?.is_none() {
            if begun.elapsed() > Duration::from_secs(15) {
                self.child.kill()?;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How the gateway is told what it stands on.
fn configure(command: &mut Command, store: &Store<'_>, data: &Path) {
    command.env_clear().env("PATH", "/usr/bin:/bin").current_dir(data);
    command
        .env("TAUTLINE_DATA_DIR", data)
        .env("TAUTLINE_ADMIN_KEY", ADMIN_KEY)
        .env("TAUTLINE_ENCRYPTION_KEYS", ENCRYPTION_KEYS)
        .env("SLACK_SIGNING_SECRET", SIGNING_SECRET)
        .env("SLACK_CLIENT_ID", "1.2")
        .env("SLACK_CLIENT_SECRET", "s")
        .env("TAUTLINE_LOG", "warn,tautline::gateway=info");
    match store {
        Store::Sqlite(path) => command.env("TAUTLINE_DATABASE_URL", format!("sqlite://{}", path.display())),
        Store::Postgres(database) => command.env("TAUTLINE_DATABASE_URL", database.url()),
    };
}

/// A command of ours, on a store that nobody serves.
pub(crate) fn command(program: &Path, store: &Store<'_>, data: &Path, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new(program);
    configure(command.args(arguments), store, data);
    let said = command.output()?;
    anyhow::ensure!(said.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&said.stderr));
    Ok(())
}

/// An endpoint that takes connections and never answers: its places are taken for as long as a pass lasts, so that
/// what is measured is inbound alone. The same three rows are written as for one that answers.
pub(crate) fn silent_endpoint() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || {
        let held = listener.incoming().flatten().collect::<Vec<_>>();
        drop(held);
    });
    Ok(port)
}
