//! PostgreSQL's own tools, which do backups better than we could.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use secrecy::{ExposeSecret as _, SecretString};
use tautline_store::postgres::HOLD_MESSAGES;
use url::Url;

/// Writes everything in a database to a file that only its owner can read. It is there whole, or not at all.
pub(crate) fn dump(url: &SecretString, to: &Path) -> anyhow::Result<()> {
    ensure!(!to.exists(), "{} is there already", to.display());
    let unfinished = to.with_added_extension("new");
    let _ = fs::remove_file(&unfinished);
    let file = File::options().write(true).create_new(true).mode(0o600).open(&unfinished);
    let file = file.with_context(|| format!("cannot write {}", unfinished.display()))?;
    let dumped =
        run(tool("pg_dump", url)?.args(["--no-owner", "--no-privileges", "--file"]).arg(&unfinished));
    if let Err(error) = dumped.and_then(|()| Ok(file.sync_all()?)) {
        let _ = fs::remove_file(&unfinished);
        return Err(error);
    }
    fs::rename(&unfinished, to).with_context(|| format!("cannot write {}", to.display()))
}

/// Brings it back, and holds the messages, in one transaction: no server sees one without the other.
pub(crate) fn restore(url: &SecretString, from: &Path) -> anyhow::Result<()> {
    is_whole(from)?;
    let mut psql = tool("psql", url)?;
    psql.args(["--no-psqlrc", "--quiet", "--single-transaction", "--set", "ON_ERROR_STOP=1", "--file"])
        .arg(from);
    run(psql.args(["--command", "RESET search_path", "--command", HOLD_MESSAGES]))
}

/// What is cut off between two statements would run without an error, and leave a store without its indexes.
fn is_whole(file: &Path) -> anyhow::Result<()> {
    let mut end = Vec::new();
    let read = || -> std::io::Result<()> {
        let mut file = File::open(file)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(1024)))?;
        file.read_to_end(&mut end).map(|_| ())
    };
    let mut read = read;
    read().with_context(|| format!("cannot read {}", file.display()))?;
    let is_ended = String::from_utf8_lossy(&end).contains("-- PostgreSQL database dump complete");
    ensure!(is_ended, "{} is no whole backup of PostgreSQL: its last line is missing", file.display());
    Ok(())
}

/// A tool that is told of the database by its environment: arguments can be read by others.
fn tool(name: &str, url: &SecretString) -> anyhow::Result<Command> {
    let url: Url = url.expose_secret().parse().context("the database URL cannot be read")?;
    let mut command = Command::new(name);
    let plain = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let mut set = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            command.env(name, value);
        }
    };
    set("PGHOST", url.host_str().map(plain));
    set("PGPORT", url.port().map(|port| port.to_string()));
    set("PGUSER", Some(plain(url.username())));
    set("PGPASSWORD", url.password().map(plain));
    set("PGDATABASE", Some(plain(url.path().trim_start_matches('/'))));
    for (key, value) in url.query_pairs() {
        match key.as_ref() {
            "host" => set("PGHOST", Some(value.into_owned())),
            "port" => set("PGPORT", Some(value.into_owned())),
            "sslmode" => set("PGSSLMODE", Some(value.into_owned())),
            "sslrootcert" => set("PGSSLROOTCERT", Some(value.into_owned())),
            _ => {}
        }
    }
    Ok(command)
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).stdout(Stdio::null()).output();
    let output = output.with_context(|| {
        format!("{name} cannot be run: install PostgreSQL's client, as new as the server")
    })?;
    if !output.status.success() {
        bail!("{name} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
