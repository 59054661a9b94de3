//! How fast the gateway is, beside others. `cargo xtask bench` runs it; `docs/performance.md` says what it means.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is a command line tool")]

mod ground;
mod hand_over;
mod inbound;
mod load;
mod measure;
mod outbound;
mod reference;
mod report;
mod servers;
mod slack;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Compare how fast events are acknowledged.
    Inbound(inbound::Options),
    /// How soon what was sent is at the product's endpoint.
    HandOver(hand_over::Options),
    /// How fast messages are accepted, and how they go out.
    Outbound(outbound::Options),
    /// The reference: the rows that the gateway writes, by the same batch rule, and nothing else.
    Reference {
        /// Where to listen, on loopback.
        #[arg(long)]
        port: u16,
        /// The file to write; its tables are the gateway's.
        #[arg(long)]
        store: PathBuf,
    },
    /// A server that checks signatures, and nothing else.
    Bare {
        /// Where to listen, on loopback.
        #[arg(long)]
        port: u16,
    },
}

/// As the gateway: no server here has an advantage by its allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    match Cli::parse().what {
        What::Inbound(options) => inbound::run(&options),
        What::HandOver(options) => hand_over::run(&options),
        What::Outbound(options) => outbound::run(&options),
        What::Reference { port, store } => reference::serve(port, Some(&store)),
        What::Bare { port } => reference::serve(port, None),
    }
}
