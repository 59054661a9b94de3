//! `cargo xtask setup`: what the tests need besides Rust.

use anyhow::{Result, bail};

use crate::run::{cargo, first_line, program, root, run, say};

/// Node below this lacks what the SDKs use.
const NODE_MAJOR: u32 = 20;
/// Folders with an npm lockfile.
const NPM: [&str; 1] = ["examples/bolt-js"];

pub(crate) fn setup() -> Result<()> {
    node()?;
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
    node_major().is_some_and(|major| major >= NODE_MAJOR) && NPM.iter().all(|folder| is_installed(folder))
}

fn is_installed(folder: &str) -> bool {
    let modified =
        |file: &str| root().join(folder).join(file).metadata().and_then(|found| found.modified()).ok();
    match (modified("package-lock.json"), modified("node_modules/.package-lock.json")) {
        (Some(locked), Some(installed)) => installed >= locked,
        _ => false,
    }
}

fn node() -> Result<()> {
    if node_major().is_none() {
        say("installing Node.js and npm from the system's packages");
        let apt = "apt-get update && apt-get install --yes --no-install-recommends nodejs npm";
        if run(&mut program("sh", &["-c", apt])).is_err() {
            bail!("Node.js {NODE_MAJOR} or newer is needed; as root: {apt}");
        }
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
