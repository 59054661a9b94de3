//! `cargo xtask bench`: how fast it is, beside others.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::run::{cargo, program, root, run};

/// Builds everything, installs the peers outside the tree, measures, and writes the page's table.
pub(crate) fn inbound(arguments: &[String]) -> Result<()> {
    let peers = peers()?;
    let mut bench = bench("inbound", arguments)?;
    run(bench.arg("--peers").arg(peers).args(arguments))
}

/// The same, for messages to Slack.
pub(crate) fn outbound(arguments: &[String]) -> Result<()> {
    let peers = peers()?;
    let mut bench = bench("outbound", arguments)?;
    run(bench.arg("--peers").arg(peers).args(arguments))
}

/// The same, for how soon requests are at the product's endpoint.
pub(crate) fn hand_over(arguments: &[String]) -> Result<()> {
    run(bench("hand-over", arguments)?.args(arguments))
}

fn bench(what: &str, arguments: &[String]) -> Result<Command> {
    run(&mut cargo(&["build", "--release", "--package", "tautline", "--package", "tautline-bench"]))?;
    let release = root().join("target/release");
    let mut bench = program(&release.join("tautline-bench").to_string_lossy(), &[what]);
    bench.arg("--tautline").arg(release.join("tautline"));
    bench.arg("--ground").arg(root().join("target/bench"));
    if arguments.is_empty() {
        // Anything else is a question of one's own, and not what the page tells.
        bench.arg("--report").arg(root().join("docs/performance.md"));
    }
    Ok(bench)
}

/// The apps on Bolt JS, in a cache of their own: nothing of theirs belongs into the tree.
fn peers() -> Result<PathBuf> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    let cache = variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")));
    let peers = cache.context("HOME is not set")?.join("tautline-bench");
    std::fs::create_dir_all(&peers)?;
    for file in ["package.json", "package-lock.json", "app.js", "send.js"] {
        std::fs::copy(root().join("crates/bench/peers").join(file), peers.join(file))?;
    }
    run(program("npm", &["ci", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(&peers))?;
    Ok(peers)
}
