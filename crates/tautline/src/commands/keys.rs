//! `tautline keys rotate`.

use std::io::IsTerminal as _;

use anyhow::bail;
use clap::Subcommand;

use crate::admin::Admin;
use crate::commands::say;
use crate::config::Environment;
use crate::logging;

/// Look after the encryption keys.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Seal everything anew under the first of TAUTLINE_ENCRYPTION_KEYS.
    ///
    /// Put the new key before the old one, restart every server, then run this, beside the servers: it may be stopped
    /// at any time and run again. When it says that nothing is left under older keys, they can be taken out.
    Rotate,
}

/// Rows that are named when they do not open: want of a key shows in all of them.
const SHOWN: usize = 20;

pub(crate) async fn run(environment: &Environment, command: Command) -> anyhow::Result<()> {
    let Command::Rotate = command;
    logging::start(environment, "warn")?;
    let admin = Admin::reach(environment).await?;
    let (mut looked_at, mut resealed, mut failed, mut total) = (0, 0, Vec::new(), 0);
    let mut cursor = None;
    loop {
        let part = admin.reseal(cursor.as_deref()).await?;
        looked_at += part.looked_at;
        resealed += part.resealed;
        failed.extend(part.failed);
        total = part.total.unwrap_or(total).max(looked_at);
        show(looked_at, total, resealed);
        cursor = part.next;
        if cursor.is_none() {
            break;
        }
    }
    say(&format!("{looked_at} rows looked at, {resealed} values sealed anew"));
    if failed.is_empty() {
        say(
            "nothing is left under older keys: once every server was started with the new one first, and this was run after that, they can be taken out of TAUTLINE_ENCRYPTION_KEYS",
        );
        return Ok(());
    }
    for row in failed.iter().take(SHOWN) {
        say(&format!("does not open: {row}"));
    }
    if failed.len() > SHOWN {
        say(&format!("and {} more", failed.len() - SHOWN));
    }
    bail!("{} values do not open and were left as they are; keep the older keys", failed.len())
}

/// Progress, for a person who watches.
#[expect(clippy::print_stderr, reason = "this is what a person at a terminal reads")]
fn show(looked_at: u64, total: u64, resealed: u64) {
    if std::io::stderr().is_terminal() {
        eprint!("\r{looked_at} of about {total} rows looked at, {resealed} values sealed anew\u{1b}[K\r");
    }
}
