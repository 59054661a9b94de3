//! `tautline installations import`.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use crate::admin::Admin;
use crate::commands::say;
use crate::config::Environment;
use crate::logging;

/// Look after installations: the workspaces of tenants.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Take over the installations that a Bolt app keeps.
    ///
    /// FILE is the directory of a file store, or a file with rows of an installation store as JSON: a list, or one object a
    /// line. Each token is tried at Slack first. What is here already is left as it is: after a break, run it again.
    Import(Import),
    /// Give a workspace to another tenant.
    Move {
        /// The installation: ins_… .
        id: String,
        /// The tenant's id.
        tenant: String,
    },
}

#[derive(Args)]
pub(crate) struct Import {
    /// A directory of Bolt's file store, or a file of JSON.
    #[arg(value_name = "FILE")]
    from: PathBuf,
    /// Whose the workspaces are: a file of lines `T0123,tenant`. (A row may also say so itself, in a field `tenant`.)
    #[arg(long, value_name = "FILE")]
    tenants: Option<PathBuf>,
    /// All of them are this tenant's.
    #[arg(long, conflicts_with = "tenants")]
    tenant: Option<String>,
    /// Make the tenants that are not known yet.
    #[arg(long)]
    make_tenants: bool,
    /// Only say what would be done. Slack is asked all the same whether the tokens live.
    #[arg(long)]
    dry_run: bool,
    /// The report as JSON.
    #[arg(long)]
    json: bool,
}

/// Rows of one call.
const PART: usize = 20;

pub(crate) async fn run(environment: &Environment, command: Command) -> anyhow::Result<()> {
    logging::start(environment, "warn")?;
    match command {
        Command::Import(import) => take_over(environment, &import).await,
        Command::Move { id, tenant } => {
            let path = format!("/api/v1/integrations/slack/installations/{}/move", segment(&id)?);
            let admin = Admin::reach(environment).await?;
            let moved = admin.ask(Method::POST, &path, None, Some(json!({ "tenant": tenant }))).await?;
            say(&match moved["from"].as_str() {
                Some(from) => format!("it went from {from} to {tenant}, and is {} now", text(&moved, "id")),
                None => format!("it is {tenant}'s already"),
            });
            Ok(())
        }
    }
}

/// An id, as a part of a path: nothing that would lead elsewhere.
fn segment(id: &str) -> anyhow::Result<&str> {
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        bail!("{id:?} is no installation's id: ins_…");
    }
    Ok(id)
}

async fn take_over(environment: &Environment, import: &Import) -> anyhow::Result<()> {
    let found = read(&import.from)?;
    let tenants = import.tenants.as_deref().map(read_tenants).transpose()?.unwrap_or_default();
    let (rows, older) = latest(found);
    let rows = rows.into_iter().map(|row| owned(row, import.tenant.as_deref(), &tenants));
    let rows = rows.collect::<anyhow::Result<Vec<_>>>()?;
    let admin = Admin::reach(environment).await?;
    let mut report = Vec::new();
    for part in rows.chunks(PART) {
        let body = json!({
            "installations": part, "dry_run": import.dry_run, "make_tenants": import.make_tenants,
        });
        let path = "/api/v1/integrations/slack/installations/import";
        let said = admin.ask(Method::POST, path, None, Some(body)).await?;
        let results = said["results"].as_array().cloned().unwrap_or_default();
        if !import.json {
            let numbered = (report.len() + 1..).zip(&results);
            numbered.for_each(|(number, result)| say(&line(number, result)));
        }
        report.extend(results);
        show(report.len(), rows.len());
    }
    let mut counts = BTreeMap::new();
    for result in &report {
        *counts.entry(text(result, "result")).or_insert(0) += 1;
    }
    say(&if import.json {
        json!({ "results": report, "older": older }).to_string()
    } else {
        let counted = counts.iter().map(|(result, count)| format!("{count} {result}"));
        let older = (older > 0).then(|| format!("{older} older rows of the same workspaces were left out"));
        counted.chain(older).collect::<Vec<_>>().join(", ")
    });
    let failed = ["refused", "taken", "later"].iter().filter_map(|result| counts.get(*result)).sum::<i32>();
    if failed > 0 {
        bail!(
            "{failed} of {} were not taken over; mend what the report says, and run it again",
            report.len()
        );
    }
    Ok(())
}

fn line(number: usize, result: &Value) -> String {
    let named = match (result["place"].as_str(), result["name"].as_str()) {
        (Some(place), Some(name)) => format!("{place} ({name})"),
        (Some(place), None) => place.to_owned(),
        (None, _) => format!("row {number}"),
    };
    let why = result["error"].as_str().map(|why| format!(": {why}")).unwrap_or_default();
    format!("{named} of {}: {}{why}", text(result, "tenant"), text(result, "result"))
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

/// Progress, for a person who watches.
#[expect(clippy::print_stderr, reason = "this is what a person at a terminal reads")]
fn show(done: usize, of: usize) {
    if std::io::stderr().is_terminal() {
        eprint!("\r{done} of {of}\u{1b}[K\r");
    }
}

fn read(from: &Path) -> anyhow::Result<Vec<Value>> {
    let mut found = if from.is_file() { read_file(from)? } else { Vec::new() };
    for directory in directories(from)? {
        found.extend(read_directory(&directory, DEPTH)?);
    }
    if found.is_empty() {
        let what =
            if from.exists() { "there is no installation in" } else { "there is no file or directory" };
        bail!("{what} {}", from.display());
    }
    Ok(found)
}

/// The directory itself; and those beside it whose names begin with its own: Bolt for JavaScript puts what is of no org into
/// `{directory}T0123`, without a slash.
fn directories(from: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if from.is_file() {
        return Ok(Vec::new());
    }
    let within = from.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // `.` and `..` have no name, and nothing beside them is theirs.
    let Some(name) = from.file_name().map(|name| name.to_string_lossy().into_owned()) else {
        return Ok(vec![from.to_owned()]);
    };
    let entries = fs::read_dir(within).with_context(|| format!("cannot read {}", from.display()))?;
    let begins = |path: &PathBuf| {
        let rest = path.file_name().and_then(|found| found.to_str()?.strip_prefix(&name));
        rest.is_some_and(|rest| rest.starts_with(['T', 'E'])) && path.is_dir()
    };
    let mut beside = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(begins).collect::<Vec<_>>();
    beside.sort();
    Ok(Some(from.to_owned()).filter(|from| from.is_dir()).into_iter().chain(beside).collect())
}

/// A list, or an object a line.
fn read_file(file: &Path) -> anyhow::Result<Vec<Value>> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    if bytes.starts_with(b"SQLite format 3") {
        bail!(
            "{} is a SQLite database: write its rows as JSON first, with sqlite3 -json {} 'SELECT * FROM slack_installations'",
            file.display(),
            file.display()
        );
    }
    // Of an error only the place: its text could repeat a token.
    let wrong = |error: serde_json::Error| {
        anyhow::anyhow!("{} is no JSON in line {}, column {}", file.display(), error.line(), error.column())
    };
    let mut rows = Vec::new();
    for value in serde_json::Deserializer::from_slice(&bytes).into_iter::<Value>() {
        match value.map_err(wrong)? {
            Value::Array(list) => rows.extend(list),
            value => rows.push(value),
        }
    }
    Ok(rows)
}

/// Of both file stores: the app's id, then the workspace.
const DEPTH: usize = 3;
/// What both file stores call the newest, the best first.
const NEWEST: [&str; 3] = ["app-latest", "installer-latest", "bot-latest"];

fn read_directory(directory: &Path, depth: usize) -> anyhow::Result<Vec<Value>> {
    let newest = NEWEST.iter().map(|name| directory.join(name)).find(|file| file.is_file());
    let mut rows = newest.map(|file| read_file(&file)).transpose()?.unwrap_or_default();
    if depth > 0 {
        let entries =
            fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
        let mut below = entries.filter_map(|entry| Some(entry.ok()?.path())).collect::<Vec<_>>();
        below.sort();
        for directory in below.into_iter().filter(|path| path.is_dir()) {
            rows.extend(read_directory(&directory, depth - 1)?);
        }
    }
    Ok(rows)
}

/// Stores keep every install of a workspace. The newest counts; of those that do not say when, the last. And how many were
/// left out.
fn latest(rows: Vec<Value>) -> (Vec<Value>, usize) {
    let all = rows.len();
    let (mut newest, mut known) = (Vec::<Value>::new(), HashMap::new());
    for row in rows {
        let at = place(&row).map(|place| *known.entry((app(&row), place)).or_insert(newest.len()));
        match at.and_then(|at| newest.get_mut(at)) {
            Some(before) if installed_at(&row) >= installed_at(before) => *before = row,
            Some(_) => {}
            None => newest.push(row),
        }
    }
    let older = all - newest.len();
    (newest, older)
}

/// Numbers sort as numbers, texts of dates as texts; a store writes one or the other.
/// One without a bot's token, of a person who installed something of their own, is older than any.
fn installed_at(row: &Value) -> (bool, i64, &str) {
    let row = inner(row);
    let has_bot = row["bot_token"].as_str().or_else(|| row["bot"]["token"].as_str()).is_some();
    let at = &row["installed_at"];
    (has_bot, at.as_f64().map_or(0, |seconds| (seconds * 1000.0) as i64), at.as_str().unwrap_or_default())
}

/// A row, or what is in one that names a tenant beside it.
fn inner(row: &Value) -> &Value {
    row.get("installation").unwrap_or(row)
}

fn app(row: &Value) -> String {
    let row = inner(row);
    row["appId"].as_str().or(row["app_id"].as_str()).unwrap_or_default().to_owned()
}

fn place(row: &Value) -> Option<String> {
    let row = inner(row);
    let text = |pointers: [&str; 2]| pointers.iter().find_map(|pointer| row.pointer(pointer)?.as_str());
    let is_org = row.get("isEnterpriseInstall").or_else(|| row.get("is_enterprise_install"));
    let is_org = is_org.is_some_and(|flag| *flag == true || *flag == 1 || *flag == "true" || *flag == "1");
    let (team, org) = (text(["/team/id", "/team_id"]), text(["/enterprise/id", "/enterprise_id"]));
    team.filter(|_| !is_org).or(org).map(str::to_owned)
}

/// A row with its tenant, as the API takes it.
fn owned(row: Value, all: Option<&str>, tenants: &HashMap<String, String>) -> anyhow::Result<Value> {
    let place = place(&row).unwrap_or_else(|| "a row that names no workspace".to_owned());
    let own = row["tenant"].as_str().map(str::to_owned);
    let tenant = all.map(str::to_owned).or_else(|| tenants.get(&place).cloned()).or(own);
    let tenant = tenant.with_context(|| {
        format!("whose is {place}? Say so by --tenants, --tenant, or a field \"tenant\" in the row")
    })?;
    Ok(json!({ "tenant": tenant, "installation": inner(&row) }))
}

/// Lines of a workspace and its tenant.
fn read_tenants(file: &Path) -> anyhow::Result<HashMap<String, String>> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut tenants = HashMap::new();
    // Spreadsheets begin with a byte order mark.
    for (number, line) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (place, tenant) = line
            .split_once(',')
            .with_context(|| format!("line {number} of {} is not T0123,tenant", file.display()))?;
        if tenant.contains(',') {
            bail!("line {number} of {} has more than two columns: T0123,tenant", file.display());
        }
        tenants.insert(place.trim().to_owned(), tenant.trim().to_owned());
    }
    Ok(tenants)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_installs_of_a_workspace_the_newest_counts() {
        let python = |team: &str, at: &str, token: &str| json!({ "team_id": team, "installed_at": at, "bot_token": token });
        let rows = vec![
            python("T1", "2026-01-02 00:00:00", "new"),
            python("T1", "2026-01-01 00:00:00", "old"),
            python("T2", "2026-01-01 00:00:00", "other"),
            json!({ "team": { "id": "T3" }, "bot": { "token": "first" } }),
            json!({ "team": { "id": "T3" }, "bot": { "token": "last" } }),
        ];
        let (rows, older) = latest(rows);
        assert_eq!(older, 2);
        let tokens =
            rows.iter().map(|row| row["bot_token"].as_str().or(row["bot"]["token"].as_str()).unwrap());
        assert_eq!(tokens.collect::<Vec<_>>(), ["new", "other", "last"]);
    }

    #[test]
    fn a_row_finds_its_tenant_by_the_list_or_in_itself() {
        let tenants = HashMap::from([("T1".to_owned(), "acme".to_owned())]);
        let row = |team: &str| json!({ "team_id": team, "tenant": "own" });
        assert_eq!(owned(row("T1"), None, &tenants).unwrap()["tenant"], "acme");
        assert_eq!(owned(row("T2"), None, &tenants).unwrap()["tenant"], "own");
        assert_eq!(owned(row("T2"), Some("all"), &tenants).unwrap()["tenant"], "all");
        let nobody = owned(json!({ "team_id": "T2" }), None, &tenants).unwrap_err().to_string();
        assert!(nobody.contains("whose is T2?"), "{nobody}");
        let wrapped = json!({ "tenant": "acme", "installation": { "team_id": "T9" } });
        assert_eq!(owned(wrapped, None, &tenants).unwrap()["installation"]["team_id"], "T9");
        assert!(segment("../x").is_err() && segment("ins_1").is_ok());
    }
}
