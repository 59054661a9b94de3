//! The few commands everybody needs. `cargo xtask help` lists them.

mod lint;
mod run;
mod setup;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Work on Tautline.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install what the tests need. Says what it installs; needs the network.
    Setup,
    /// Run all tests; the first time after `setup`, then offline.
    Test {
        /// Passed on to `cargo test`, such as the name of a test.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        filter: Vec<String>,
    },
    /// Check formatting, lints, licences and dependencies.
    Lint,
    /// Write the generated references anew: docs/openapi.json.
    References,
}

fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::Setup => setup::setup(),
        Task::Test { filter } => test::test(&filter),
        Task::Lint => lint::lint(),
        Task::References => test::references(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            run::say(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}
