//! The doors and the workers.
//!
//! `inbound/` takes what Slack sends, `dispatch/` brings it to the product's handlers, `installations/`
//! connects workspaces, `outbound/` carries calls to Slack, `api/` is for programs, `dashboard/` for people,
//! `egress/` holds the only ways out.

pub mod alerts;
mod api;
mod app;
mod audit;
mod auth;
mod cookie;
mod dashboard;
mod desk;
pub mod dispatch;
mod egress;
mod error;
mod health;
mod home;
mod inbound;
mod installations;
mod keeping;
mod locked;
mod metrics;
mod openapi;
mod outbound;
mod own_events;
mod page;
mod router;
mod serve;
mod server;
mod settings;

/// The gateway's rules and ports, for whoever puts a server together.
pub use tautline_core as core;
/// Slack's protocol, for the same.
pub use tautline_slack as slack;

pub use desk::Desk;
pub use egress::names_metadata;
pub use inbound::CANONICAL_PATH as INBOUND_PATH;
pub use installations::callback::PATH as CALLBACK_PATH;
pub use locked::serve_locked;
pub use openapi::document as openapi;
pub use outbound::{SlackCallError, SlackCalls};
pub use server::{Ports, Server, ServerError};
pub use settings::{Forward, Issuer, OAuth, Settings, Tuning};
