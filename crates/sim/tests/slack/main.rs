//! The simulated Slack refuses what Slack would refuse, and retries as Slack does.

mod oauth;
mod requests;
mod scene;
mod surfaces;
mod web_api;
