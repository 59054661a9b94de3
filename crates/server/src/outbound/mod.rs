//! What the product says to Slack.

mod calls;
mod credential;
pub(crate) mod proxy;

pub use calls::SlackCalls;
