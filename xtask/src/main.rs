//! The few commands everybody needs. `cargo xtask help` lists them.

mod bench;
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
    /// The long versions of tests: 200 kills under load and 50,000 messages through a storm on each store, 1,000 lives of a
    /// token, ten minutes of fuzzing for each target.
    Soak {
        /// Fuzz, and nothing else.
        #[arg(long)]
        fuzz: bool,
        /// How long each target is fuzzed, in seconds.
        #[arg(long, default_value_t = 600)]
        seconds: u32,
    },
    /// Measure, beside others: everything about speed. Writes docs/performance.md.
    #[command(subcommand)]
    Bench(Bench),
    /// Write the generated references anew: docs/openapi.json.
    References,
}

#[derive(Subcommand)]
enum Bench {
    /// How fast events are acknowledged.
    Inbound {
        /// For the bench itself, such as `--passes 1 --only SQLite`; then the page is left alone.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// How fast messages are accepted, and how they go out to Slack.
    Outbound {
        /// For the bench itself, such as `--passes 1`; then the page is left alone.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// How soon what was sent is at the product's endpoint.
    HandOver {
        /// For the bench itself, such as `--passes 1`; then the page is left alone.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::Setup => setup::setup(),
        Task::Test { filter } => test::test(&filter),
        Task::Soak { fuzz, seconds } => test::soak(fuzz, seconds),
        Task::Bench(Bench::Inbound { arguments }) => bench::inbound(&arguments),
        Task::Bench(Bench::Outbound { arguments }) => bench::outbound(&arguments),
        Task::Bench(Bench::HandOver { arguments }) => bench::hand_over(&arguments),
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
