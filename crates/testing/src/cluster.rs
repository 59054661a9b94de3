//! A PostgreSQL of our own, for as long as somebody holds it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::programs::{as_postgres, postgres_program};

/// A cluster in a directory of its own. It ends with whoever holds it, even when that is killed.
pub struct Cluster {
    dir: PathBuf,
    keeper: Mutex<Keeper>,
    made: AtomicU32,
}

struct Keeper {
    process: Child,
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Keeper {
    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the keeper answers");
        assert!(!line.is_empty(), "PostgreSQL did not start; `cargo xtask setup` installs it");
        line.trim().to_owned()
    }
}

impl Cluster {
    /// Starts one. Without `durable` it does not wait for the disk: enough where nothing is said of that.
    pub fn start(durable: bool) -> Self {
        Self::start_as(durable, as_postgres("sh"))
    }

    /// Starts one on certain of the machine's cores, as `taskset` names them.
    pub fn start_pinned(durable: bool, cores: &str) -> Self {
        let mut pinned = as_postgres("taskset");
        pinned.args(["-c", cores, "sh"]);
        Self::start_as(durable, pinned)
    }

    fn start_as(durable: bool, mut keeper: Command) -> Self {
        let bin = postgres_program("postgres");
        let bin =
            bin.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("/usr/bin"));
        keeper.args(["-c", include_str!("keeper.sh"), "keeper"]).arg(bin).arg(if durable {
            "on"
        } else {
            "off"
        });
        keeper.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = keeper.spawn().expect("sh runs");
        let commands = process.stdin.take();
        let answers = BufReader::new(process.stdout.take().expect("it is piped"));
        let mut keeper = Keeper { process, commands, answers };
        let dir = PathBuf::from(keeper.answer());
        Self { dir, keeper: Mutex::new(keeper), made: AtomicU32::new(0) }
    }

    /// The one that all tests of a process share.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(false))
    }

    /// A new, empty database.
    pub fn database(&self) -> Database {
        let name = format!("t{}", self.made.fetch_add(1, Ordering::Relaxed));
        psql(&self.dir, "postgres", &format!("CREATE DATABASE {name}"));
        Database { dir: self.dir.clone(), name }
    }

    /// Where its socket is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Stops it, as an administrator would; connections are cut.
    pub fn stop(&self) {
        self.tell("stop");
    }

    /// Stops it at once, as when it crashes: what was not written ahead is gone.
    pub fn crash(&self) {
        self.tell("crash");
    }

    /// Starts it again.
    pub fn start_again(&self) {
        self.tell("start");
    }

    fn tell(&self, command: &str) {
        let mut keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        let commands = keeper.commands.as_mut().expect("open until the end");
        writeln!(commands, "{command}").expect("the keeper listens");
        assert_eq!(keeper.answer(), "done");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let keeper = self.keeper.get_mut().unwrap_or_else(PoisonError::into_inner);
        drop(keeper.commands.take());
        let _ = keeper.process.wait();
    }
}

/// A database of a cluster. It goes with the cluster.
#[derive(Clone)]
pub struct Database {
    dir: PathBuf,
    name: String,
}

impl Database {
    /// Its URL.
    pub fn url(&self) -> String {
        format!("postgres://postgres@localhost/{}?host={}", self.name, self.dir.display())
    }

    /// Where its cluster's socket is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Everything in it, as SQL.
    pub fn dump(&self) -> Vec<u8> {
        let mut dump = Command::new(postgres_program("pg_dump"));
        dump.args(["-U", "postgres", "-d", &self.name, "-h"]).arg(&self.dir);
        let output = dump.output().expect("pg_dump runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// Runs SQL, and returns what it says: a line for each row, columns parted by `|`.
    pub fn sql(&self, text: &str) -> String {
        psql(&self.dir, &self.name, text)
    }
}

/// The first line that a child says; empty if it says none.
pub(crate) fn first_line(output: ChildStdout) -> String {
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line).expect("a child's output can be read");
    line.trim().to_owned()
}

fn psql(dir: &Path, database: &str, text: &str) -> String {
    let mut psql = Command::new(postgres_program("psql"));
    psql.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database, "-h"])
        .arg(dir);
    let output = psql.arg("-c").arg(text).output().expect("psql runs");
    assert!(output.status.success(), "{text}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}
