//! Tautline: the Slack channel of a product that has customers.
//!
//! This is the library for Rust programs. [`Gateway`] is a gateway with handlers in the program's own process
//! (feature `gateway`); [`alerts::post`] raises an operational alert from anywhere:
//!
//! ```no_run
//! # async fn deployed() {
//! let webhook = "https://hooks.slack.com/services/…";
//! tautline::alerts::post(webhook, "deploy finished", None).await;
//! # }
//! ```
//!
//! The command line is the feature `cli`, on by default. A program that brings its own `main` leaves it out
//! (`default-features = false, features = ["gateway"]`), and has neither the command line nor the simulated Slack in its
//! tree.

pub use tautline_server::alerts;
#[cfg(feature = "gateway")]
pub use tautline_server::core::{InstallationId, MessageId, RequestId, TenantId};
#[cfg(feature = "gateway")]
pub use tautline_server::slack::payload;
#[cfg(feature = "gateway")]
pub use tautline_server::{SlackCallError, SlackCalls};

#[cfg(feature = "gateway")]
pub use gateway::{Context, Gateway, GatewayError, GatewayEvent, HandlerResult, Message};

#[cfg(feature = "cli")]
mod admin;
#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "cli")]
mod commands;
#[cfg(feature = "gateway")]
mod config;
#[cfg(feature = "gateway")]
mod gateway;
#[cfg(feature = "gateway")]
mod lifecycle;
#[cfg(feature = "cli")]
mod logging;
#[cfg(feature = "cli")]
mod postgres_tools;
#[cfg(feature = "gateway")]
mod store;
#[cfg(feature = "cli")]
mod traces;
