//! The command line.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::commands::{alert, backup, dev, endpoints, inbox, installations, keys, migrate, serve, tenants};
use crate::config::{Environment, Problems};
use crate::traces;

/// The Slack channel of a product that has customers.
#[derive(Parser)]
#[command(version, about, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the gateway, configured by the environment and .env.
    Serve,
    /// Run a gateway and a simulated Slack, with nothing to configure.
    Dev(dev::Options),
    /// Post an alert to SLACK_OPS_WEBHOOK_URL. Never fails what it reports on.
    Alert(alert::Options),
    /// Bring the store to the schema that this version knows, or see whether that is needed.
    Migrate(migrate::Options),
    /// Write a copy of the store to a file, beside whoever is at work on it.
    Backup(backup::Backup),
    /// Bring a backup back, to where there is no store yet.
    Restore(backup::Restore),
    /// Look after the encryption keys.
    #[command(subcommand)]
    Keys(keys::Command),
    /// Look after tenants.
    #[command(subcommand)]
    Tenants(tenants::Command),
    /// Look after endpoints: who gets what Slack sends.
    #[command(subcommand)]
    Endpoints(endpoints::Command),
    /// Look after the inbox: what Slack sent.
    #[command(subcommand)]
    Inbox(inbox::Command),
    /// Look after installations: the workspaces of tenants.
    #[command(subcommand)]
    Installations(installations::Command),
}

/// What the process says when it ends. These numbers do not change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It went well. An alert that Slack did not take counts as well: it is said, and harms nobody.
    Success = 0,
    /// Something failed while running: a port in use, a store that does not open.
    Failed = 1,
    /// The command or the configuration is wrong. (Also what the argument parser uses.)
    Misconfigured = 2,
    /// Nothing went wrong, and there is something to do: `tautline migrate --check` found an older schema.
    Needed = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&anyhow::Error::new(error).context("cannot start")),
    };
    let ended = Environment::of_process().map_err(anyhow::Error::new).and_then(|environment| {
        runtime.block_on(async {
            match cli.command {
                Command::Serve => serve::run(&environment).await,
                Command::Dev(options) => dev::run(&environment, options).await,
                Command::Alert(options) => alert::run(&environment, options).await,
                Command::Migrate(options) => migrate::run(&environment, options).await,
                Command::Backup(options) => backup::backup(&environment, options).await,
                Command::Restore(options) => backup::restore(&environment, options).await,
                Command::Keys(command) => keys::run(&environment, command).await,
                Command::Tenants(command) => tenants::run(&environment, command).await,
                Command::Endpoints(command) => endpoints::run(&environment, command).await,
                Command::Inbox(command) => inbox::run(&environment, command).await,
                Command::Installations(command) => installations::run(&environment, command).await,
            }
        })
    });
    traces::flush();
    match ended {
        Ok(()) => Exit::Success.into(),
        Err(error) => fail(&error),
    }
}

#[expect(clippy::print_stderr, reason = "this is what a person at a terminal reads")]
fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("tautline: {error:#}");
    if error.is::<Problems>() {
        Exit::Misconfigured.into()
    } else if error.is::<migrate::Needed>() {
        Exit::Needed.into()
    } else {
        Exit::Failed.into()
    }
}
