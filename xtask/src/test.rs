//! `cargo xtask test`: all tests, offline once `setup` has run.

use anyhow::{Result, bail};

use crate::run::{cargo, first_line, run, say};
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
pub(crate) fn soak(only_fuzz: bool, seconds: u32) -> Result<()> {
    if only_fuzz {
        return fuzz(seconds);
    }
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
        say(&format!("50,000 messages through a storm, on {store}"));
        let storm =
            ["test", "--release", "--package", "tautline", "--test", "outside", "--all-features", "storm::"];
        run(cargo(&storm).env("TAUTLINE_TEST_STORE", store).env("TAUTLINE_TEST_MESSAGES", "50000"))?;
    }
    say("1,000 lives of a token, on both stores");
    let renewal = ["test", "--release", "--package", "tautline-store", "--test", "contract", "renewal"];
    run(cargo(&renewal).env("TAUTLINE_TEST_SEEDS", "1000"))?;
    fuzz(seconds)
}

/// Slack's headers, forms and JSON, as a fuzzer thinks them up.
fn fuzz(seconds: u32) -> Result<()> {
    if first_line("cargo", &["fuzz", "--version"]).is_none() {
        bail!("fuzzing needs cargo-fuzz: cargo install cargo-fuzz --locked");
    }
    for target in ["signature", "form", "json"] {
        say(&format!("{seconds} s of fuzzing: {target}"));
        let limit = format!("-max_total_time={seconds}");
        let fuzz = ["fuzz", "run", "--fuzz-dir", "crates/slack/fuzz", "--sanitizer", "none", target, "--"];
        // Coverage is an unstable option of the compiler; the code is safe Rust, so no sanitizer is needed.
        run(cargo(&fuzz).arg(limit).env("RUSTC_BOOTSTRAP", "1"))?;
    }
    Ok(())
}

/// Tests that compare a generated file write it instead.
pub(crate) fn references() -> Result<()> {
    for (package, tests) in [("tautline-server", "openapi"), ("tautline-store", "found_by_an_index")] {
        run(cargo(&["test", "--package", package, tests]).env("TAUTLINE_WRITE_REFERENCES", "1"))?;
    }
    Ok(())
}
