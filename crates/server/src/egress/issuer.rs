//! To the issuer of the product's own tokens, for its keys.

use serde::de::DeserializeOwned;
use tautline_core::limits;
use url::Url;

use super::{builder, describe, read_limited};

/// Reads what an issuer publishes.
pub(crate) struct IssuerClient(reqwest::Client);

/// Why there is nothing to read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IssuerError {
    #[error("it cannot be reached: {0}")]
    Unreachable(String),
    #[error("it answered {0}")]
    Refused(u16),
    #[error("its answer is no JSON that could be read")]
    Unreadable,
    #[error("it could not be asked just now, and is asked again soon")]
    Lately,
    #[error("its discovery names another issuer than TAUTLINE_AUTH_ISSUER")]
    Another,
}

impl IssuerClient {
    pub(crate) fn new() -> reqwest::Result<Self> {
        builder().timeout(limits::ISSUER_TIMEOUT).build().map(Self)
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, url: &Url) -> Result<T, IssuerError> {
        let lost = |error| IssuerError::Unreachable(describe(error));
        let response = self.0.get(url.clone()).send().await.map_err(lost)?;
        if !response.status().is_success() {
            return Err(IssuerError::Refused(response.status().as_u16()));
        }
        let body = read_limited(response, limits::ISSUER_ANSWER_BYTES).await.map_err(lost)?;
        let body = body.ok_or(IssuerError::Unreadable)?;
        serde_json::from_slice(&body).map_err(|_| IssuerError::Unreadable)
    }
}
