//! `cargo xtask test`: all tests, offline once `setup` has run.

use anyhow::Result;

use crate::run::{cargo, run, say};
use crate::setup;

pub(crate) fn test(filter: &[String]) -> Result<()> {
    if !setup::is_done() {
        say("the first time: running setup");
        setup::setup()?;
    }
    run(cargo(&["test", "--workspace", "--all-features"]).args(filter))?;
    if filter.is_empty() {
        say("the outside tests again, on PostgreSQL");
        let outside = ["test", "--package", "tautline", "--test", "outside", "--all-features"];
        run(cargo(&outside).env("TAUTLINE_TEST_STORE", "postgres"))?;
        // The library without the command line is what Rust programs use; its tree is smaller, and must build.
        run(&mut cargo(&["check", "--package", "tautline", "--no-default-features"]))?;
    }
    Ok(())
}

/// The long versions.
pub(crate) fn soak() -> Result<()> {
    for store in ["sqlite", "postgres"] {
        say(&format!("200 kills under load, on {store}"));
        let killed = [
            "test",
            "--release",
            "--package",
            "tautline",
            "--test",
            "outside",
            "--all-features",
            "again_and_again",
        ];
        run(cargo(&killed).env("TAUTLINE_TEST_STORE", store).env("TAUTLINE_TEST_KILLS", "200"))?;
    }
    Ok(())
}

/// Tests that compare a generated file write it instead.
pub(crate) fn references() -> Result<()> {
    run(cargo(&["test", "--package", "tautline-server", "openapi"]).env("TAUTLINE_WRITE_REFERENCES", "1"))
}
