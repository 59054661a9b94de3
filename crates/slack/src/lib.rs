//! Slack's protocol as types and decisions.
//!
//! This crate reads and writes what Slack says; it never speaks. There is no socket, no clock and no database
//! in it: bytes and the present time come in as arguments, calls to Slack go out as values ([`WebApiCall`])
//! that somebody else sends. So every rule of the protocol can be tested without a network.
//!
//! What Slack sends is carried, not modelled: the few fields that decide where a request goes are read, the
//! bytes stay as they came, and what is unknown passes through.

pub mod errors;
pub mod history;
mod ids;
pub mod incoming_webhook;
pub mod message;
pub mod oauth;
pub mod outgoing;
pub mod payload;
pub mod request;
pub mod scopes;
pub mod signing;
mod token;
pub mod web_api;

pub use ids::{AppId, EnterpriseId, TeamId};
pub use token::Token;
pub use web_api::{AuthTest, Authorization, Refusal, WebApiAnswer, WebApiCall};

/// The URL of a path below a base, whether or not the base ends in a slash.
pub fn below(base: &url::Url, path: &str) -> url::Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
    url
}
