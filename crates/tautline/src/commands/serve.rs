//! `tautline serve`.

use crate::config::{Environment, GatewayConfig};
use crate::{gateway, lifecycle, logging};

pub(crate) async fn run(environment: &Environment) -> anyhow::Result<()> {
    logging::start(environment, "info")?;
    let config = GatewayConfig::read(environment)?;
    gateway::serve(config, Vec::new(), lifecycle::stop_on_signal()?).await
}
