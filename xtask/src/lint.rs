//! `cargo xtask lint`: what a reviewer should not have to look for.

use anyhow::Result;

use crate::run::{cargo, first_line, run, say};

pub(crate) fn lint() -> Result<()> {
    run(&mut cargo(&["fmt", "--all", "--check"]))?;
    run(&mut cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
        "--deny",
        "warnings",
    ]))?;
    if first_line("cargo", &["deny", "--version"]).is_some() {
        run(&mut cargo(&["deny", "--all-features", "check", "bans", "licenses", "sources"]))
    } else {
        say(
            "cargo-deny is not installed, so dependencies were not checked: cargo install cargo-deny --locked",
        );
        Ok(())
    }
}
