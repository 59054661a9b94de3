//! `cargo xtask setup`: what the tests need besides Rust.

use anyhow::{Result, bail};

use crate::run::{cargo, first_line, program, root, run, say};

/// Node below this lacks what the SDKs use.
const NODE_MAJOR: u32 = 20;
/// Folders with an npm lockfile.
const NPM: [&str; 3] = ["examples/bolt-js", "crates/tautline/tests/browser", "crates/tautline/tests/apps"];
/// The folder with a list of Python packages, each with its hashes.
const PYTHON: &str = "crates/tautline/tests/apps";
/// The browser that the tests drive, and what drives it.
const BROWSER: [&str; 2] = ["chromium", "chromedriver"];

/// The pooler that stands between some tests and the database.
const POOLER: &str = "pgbouncer";

/// What counts the times that a file is brought to the disk.
const STRACE: &str = "strace";

pub(crate) fn setup() -> Result<()> {
    node()?;
    browser()?;
    postgres()?;
    strace()?;
    python()?;
    for folder in NPM {
        let mut install = program("npm", &["ci", "--no-audit", "--no-fund", "--loglevel=error"]);
        run(install.current_dir(root().join(folder)))?;
    }
    run(&mut cargo(&["fetch", "--locked"]))?;
    say("ready: cargo xtask test works offline from here on");
    Ok(())
}

/// Whether everything is there. A lockfile that changed asks for a new setup.
pub(crate) fn is_done() -> bool {
    node_major().is_some_and(|major| major >= NODE_MAJOR)
        && BROWSER.iter().all(|program| is_there(program))
        && tautline_testing::is_there()
        && is_there(POOLER)
        && is_there(STRACE)
        && NPM.iter().all(|folder| is_installed(folder))
        && is_newer(&format!("{PYTHON}/requirements.txt"), &format!("{PYTHON}/.venv/installed"))
}

fn is_there(program: &str) -> bool {
    first_line(program, &["--version"]).is_some()
}

fn is_installed(folder: &str) -> bool {
    is_newer(&format!("{folder}/package-lock.json"), &format!("{folder}/node_modules/.package-lock.json"))
}

/// Whether the second file is there, and no older than the first.
fn is_newer(locked: &str, installed: &str) -> bool {
    let modified = |file: &str| root().join(file).metadata().and_then(|found| found.modified()).ok();
    match (modified(locked), modified(installed)) {
        (Some(locked), Some(installed)) => installed >= locked,
        _ => false,
    }
}

/// Installs Debian packages, or says how.
fn apt(what: &str, packages: &str) -> Result<()> {
    say(&format!("installing {what} from the system's packages"));
    let apt = format!("apt-get update && apt-get install --yes --no-install-recommends {packages}");
    if run(&mut program("sh", &["-c", &apt])).is_err() {
        bail!("{what} is needed; as root: {apt}");
    }
    Ok(())
}

fn browser() -> Result<()> {
    if BROWSER.iter().all(|program| is_there(program)) {
        return Ok(());
    }
    apt("Chromium with its driver", "chromium chromium-driver")
}

fn postgres() -> Result<()> {
    if tautline_testing::is_there() && is_there(POOLER) {
        return Ok(());
    }
    apt("PostgreSQL with a pooler", "postgresql pgbouncer")
}

fn strace() -> Result<()> {
    if is_there(STRACE) { Ok(()) } else { apt("strace", "strace") }
}

/// Python packages, in an environment of their own: nothing of the system's is touched.
fn python() -> Result<()> {
    let folder = root().join(PYTHON);
    let venv = || run(program("python3", &["-m", "venv", "--clear", ".venv"]).current_dir(&folder));
    if venv().is_err() {
        apt("Python with venv", "python3 python3-venv")?;
        venv()?;
    }
    let pip = folder.join(".venv/bin/python");
    let install =
        ["-m", "pip", "install", "--quiet", "--require-hashes", "--requirement", "requirements.txt"];
    run(program(&pip.to_string_lossy(), &install).current_dir(&folder))?;
    std::fs::write(folder.join(".venv/installed"), "")?;
    Ok(())
}

fn node() -> Result<()> {
    if node_major().is_none() {
        apt("Node.js with npm", "nodejs npm")?;
    }
    match node_major() {
        Some(major) if major >= NODE_MAJOR => Ok(()),
        Some(major) => bail!(
            "Node.js {NODE_MAJOR} or newer is needed, and this is {major}; install a newer one and run this again"
        ),
        None => bail!("Node.js {NODE_MAJOR} or newer is needed"),
    }
}

fn node_major() -> Option<u32> {
    first_line("node", &["--version"])?.trim_start_matches('v').split('.').next()?.parse().ok()
}
