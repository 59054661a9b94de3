//! People in Slack.

pub(crate) mod erase;
