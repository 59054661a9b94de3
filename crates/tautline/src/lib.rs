//! Tautline: the Slack channel of a product that has customers.
//!
//! The command line is the feature `cli`, on by default. Without it this is a library for Rust programs, with
//! neither the command line nor the simulated Slack in its tree:
//!
//! ```no_run
//! # async fn deployed() {
//! let webhook = "https://hooks.slack.com/services/…";
//! tautline::alerts::post(webhook, "deploy finished", None).await;
//! # }
//! ```

pub use tautline_server::alerts;

#[cfg(feature = "cli")]
mod admin;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "cli")]
mod commands;
#[cfg(feature = "cli")]
mod config;
#[cfg(feature = "cli")]
mod lifecycle;
#[cfg(feature = "cli")]
mod logging;
#[cfg(feature = "cli")]
mod postgres_tools;
#[cfg(feature = "cli")]
mod store;
