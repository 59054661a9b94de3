//! The only ways out: to Slack, to the product's endpoints, and to the issuer of its tokens.
//!
//! Neither follows redirects, uses the environment's proxies, waits without limit or reads without limit.

mod address;
mod endpoints;
mod guard;
mod issuer;
mod slack;
mod standard;

pub(crate) use address::Address;
pub(crate) use endpoints::EndpointClient;
pub use guard::names_metadata;
pub(crate) use issuer::{IssuerClient, IssuerError};
pub(crate) use slack::{CallError, Reply, SlackClient, bearer, is_slacks, is_slacks_file};
pub(crate) use standard::StandardSecret;

use bytes::{Bytes, BytesMut};

/// Reads a body up to a limit. `None`: it is longer.
pub(crate) async fn read_limited(
    mut response: reqwest::Response,
    limit: usize,
) -> reqwest::Result<Option<Bytes>> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > limit {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body.freeze()))
}

/// What all our clients have in common.
pub(crate) fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .user_agent(concat!("Tautline/", env!("CARGO_PKG_VERSION")))
}

/// An error of the transport with its causes. Without the URL: it may be a secret.
pub(crate) fn describe(error: reqwest::Error) -> String {
    crate::error::chain(&error.without_url())
}
