//! What the product says to Slack.

mod calls;
mod credential;
mod headers;
pub(crate) mod proxy;
mod refusal;
mod token;

pub use calls::SlackCalls;
