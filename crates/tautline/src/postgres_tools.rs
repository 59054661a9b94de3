//! PostgreSQL's own tools, which do backups better than we could.

use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use secrecy::SecretString;
use tautline_store::postgres::HOLD_MESSAGES;

/// Ends what [`dump`] writes, with the schema. What is cut off before has no such line.
const LAST_LINE: &str = "-- Tautline, schema ";

/// Writes everything in a database to a file that only its owner can read. It is there whole, or not at all. The
/// schema's number is left out of the data, and comes last: a server refuses a database that has none yet.
pub(crate) fn dump(url: &SecretString, schema: u32, to: &Path) -> anyhow::Result<()> {
    ensure!(!to.exists(), "{} is there already; move it away first", to.display());
    let unfinished = to.with_added_extension("new");
    let _ = fs::remove_file(&unfinished);
    let write = || -> anyhow::Result<()> {
        let file = File::options().append(true).create_new(true).mode(0o600).open(&unfinished);
        let mut file = file.with_context(|| format!("cannot write {}", unfinished.display()))?;
        let mut dump = tool("pg_dump", url)?;
        dump.args(["--no-owner", "--no-privileges", "--exclude-table-data=schema_version", "--file"]);
        run(dump.arg(&unfinished))?;
        writeln!(file, "{LAST_LINE}{schema}")?;
        file.sync_all()?;
        fs::rename(&unfinished, to).with_context(|| format!("cannot write {}", to.display()))
    };
    write().inspect_err(|_| drop(fs::remove_file(&unfinished)))
}

/// Brings it back. Not in one transaction: of many tenants' schemas that would hold more locks than there are. Until
/// the messages are held and the schema's number is there, no server uses it.
pub(crate) fn restore(url: &SecretString, from: &Path) -> anyhow::Result<()> {
    let schema = schema_of(from)?;
    let mut psql = tool("psql", url)?;
    psql.args(["--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--file"]).arg(from);
    let end = format!(
        "RESET search_path; BEGIN; {HOLD_MESSAGES}; INSERT INTO schema_version VALUES ({schema}); COMMIT"
    );
    run(psql.args(["--command", &end])).context("make the database anew before you try again")
}

/// The schema of a backup that is whole.
fn schema_of(file: &Path) -> anyhow::Result<u32> {
    let mut end = Vec::new();
    let mut read = || -> std::io::Result<()> {
        let mut file = File::open(file)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(64)))?;
        file.read_to_end(&mut end).map(|_| ())
    };
    read().with_context(|| format!("cannot read {}", file.display()))?;
    let end = String::from_utf8_lossy(&end);
    let schema = end.lines().last().and_then(|line| line.strip_prefix(LAST_LINE)?.parse().ok());
    schema.with_context(|| {
        format!("{} is no whole backup of PostgreSQL: its last line is missing", file.display())
    })
}

/// A tool that is told of the database by its environment, as arguments can be read by others; and told what we read
/// ourselves, so that it does not look at another database.
fn tool(name: &str, url: &SecretString) -> anyhow::Result<Command> {
    let mut command = Command::new(name);
    command.envs(tautline_store::postgres::libpq_variables(url)?);
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
