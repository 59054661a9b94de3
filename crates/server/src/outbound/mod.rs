//! What the product says to Slack.

pub(crate) mod accept;
mod answer;
mod calls;
mod credential;
mod headers;
pub(crate) mod proxy;
mod refusal;
mod respond;
mod sender;
mod standing;
mod workspace;

pub use calls::{SlackCallError, SlackCalls};
pub(crate) use respond::respond;
pub(crate) use sender::{Sender, send_all};
