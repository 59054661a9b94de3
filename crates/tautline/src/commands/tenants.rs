//! `tautline tenants erase`.

use clap::Subcommand;

use crate::admin::Admin;
use crate::config::{Environment, Problems};
use crate::logging;

/// Look after tenants.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Erase a tenant with everything of it, and print a receipt.
    ///
    /// Slack is not told: where the app shall leave the workspace, uninstall it there.
    Erase {
        /// The tenant's id.
        id: String,
        /// Erase it: what is gone does not come back.
        #[arg(long)]
        yes: bool,
    },
}

#[expect(clippy::print_stdout, reason = "the receipt is what was asked for")]
pub(crate) async fn run(environment: &Environment, command: Command) -> anyhow::Result<()> {
    let Command::Erase { id, yes } = command;
    logging::start(environment, "warn")?;
    let mut problems = Problems::default();
    let tenant = id.parse().map_err(|error| problems.add(format!("{id:?}: {error}"))).ok();
    if !yes {
        problems.add(format!(
            "everything of the tenant {id:?} would be gone for good: say --yes if that is meant"
        ));
    }
    let Some(tenant) = problems.or(tenant)? else { return Ok(()) };
    let receipt = Admin::reach(environment).await?.erase(&tenant).await?;
    println!("{}", serde_json::to_string_pretty(&receipt)?);
    Ok(())
}
