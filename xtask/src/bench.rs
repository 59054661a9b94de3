//! `cargo xtask bench`: how fast it is, beside others.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::run::{cargo, program, root, run};

/// Builds everything, installs the peers outside the tree, measures, and writes the page's table.
pub(crate) fn inbound(arguments: &[String]) -> Result<()> {
    run(&mut cargo(&["build", "--release", "--package", "tautline", "--package", "tautline-bench"]))?;
    let peers = peers()?;
    let release = root().join("target/release");
    let mut bench = program(&release.join("tautline-bench").to_string_lossy(), &["inbound"]);
    bench.arg("--tautline").arg(release.join("tautline")).arg("--peers").arg(&peers);
    bench.arg("--ground").arg(root().join("target/bench"));
    if arguments.is_empty() {
        // Anything else is a question of one's own, and not what the page tells.
        bench.arg("--report").arg(root().join("docs/performance.md"));
    }
    run(bench.args(arguments))
}

/// The apps on Bolt JS, in a cache of their own: nothing of theirs belongs into the tree.
fn peers() -> Result<PathBuf> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    let cache = variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")));
    let peers = cache.context("HOME is not set")?.join("tautline-bench");
    std::fs::create_dir_all(&peers)?;
    for file in ["package.json", "package-lock.json", "app.js"] {
        std::fs::copy(root().join("crates/bench/peers").join(file), peers.join(file))?;
    }
    run(program("npm", &["ci", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(&peers))?;
    Ok(peers)
}
