//! The commands, one file each.

use std::io::Write as _;

pub(crate) mod alert;
pub(crate) mod backup;
pub(crate) mod dev;
pub(crate) mod endpoints;
pub(crate) mod inbox;
pub(crate) mod installations;
pub(crate) mod keys;
pub(crate) mod migrate;
pub(crate) mod serve;
pub(crate) mod tenants;

/// Says what was asked for. Whoever reads may have read enough (`| head`): that is no failure.
fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}
