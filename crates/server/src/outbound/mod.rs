//! What the product says to Slack.

pub(crate) mod accept;
mod answer;
mod calls;
pub(crate) mod check;
mod credential;
pub(crate) mod files;
mod headers;
mod look_up;
mod pacing;
mod people;
mod perform;
pub(crate) mod proxy;
mod refusal;
mod respond;
pub(crate) mod routing;
mod sender;
mod standing;
pub(crate) mod upload;
pub(crate) mod workspace;

pub use calls::{SlackCallError, SlackCalls};
pub(crate) use people::People;
pub(crate) use respond::respond;
pub(crate) use sender::{Sender, send_all};
