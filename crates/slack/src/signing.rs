//! Request signing, version `v0`.
//!
//! Slack signs `v0:{timestamp}:{raw body}` with HMAC-SHA256 under the app's signing secret, which is used as
//! text (it looks like hex and must not be decoded). Source: docs.slack.dev,
//! `authentication/verifying-requests-from-slack`.

use std::fmt;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderValue, header};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// Carries the signature: `v0=` and 64 lowercase hex digits.
pub const SIGNATURE_HEADER: &str = "x-slack-signature";
/// Carries the time of signing, in seconds since 1970.
pub const TIMESTAMP_HEADER: &str = "x-slack-request-timestamp";
/// How far a timestamp may be from now, in either direction. The limit of Slack's documentation; Bolt JS and
/// Java forget the future half, which lets a captured request be kept for later.
pub const MAX_SKEW_S: u64 = 300;

/// A signing secret.
#[derive(Clone)]
pub struct SigningSecret(SecretString);

impl SigningSecret {
    /// Wraps a secret; `None` if it is empty, because an empty key would verify anybody's signature.
    pub fn new(secret: impl Into<String>) -> Option<Self> {
        let secret = secret.into();
        (!secret.is_empty()).then(|| Self(SecretString::from(secret)))
    }

    fn mac(&self, timestamp: &[u8], body: &[u8]) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose_secret().as_bytes())
            .expect("HMAC takes keys of every length");
        for part in [b"v0:".as_slice(), timestamp, b":", body] {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    /// The value of [`SIGNATURE_HEADER`] for a body sent at `timestamp_s`.
    pub fn sign(&self, timestamp_s: i64, body: &[u8]) -> String {
        let mac = self.mac(timestamp_s.to_string().as_bytes(), body);
        let digits = mac.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        let digit = |digit: u8| char::from_digit(u32::from(digit), 16).expect("below 16");
        "v0=".chars().chain(digits.map(digit)).collect()
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(…)")
    }
}

/// A request whose signature was checked. Only [`verify`] makes one, so whoever holds it need not ask.
#[derive(Clone, Debug)]
pub struct VerifiedRequest {
    body: Bytes,
    content_type: Option<HeaderValue>,
    signature: [u8; 32],
}

impl VerifiedRequest {
    /// The bytes as they came.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The content type as it came.
    pub fn content_type(&self) -> Option<&HeaderValue> {
        self.content_type.as_ref()
    }

    /// The signature that was checked: names this very request, as a retry is signed afresh.
    pub fn signature(&self) -> &[u8; 32] {
        &self.signature
    }
}

/// Why a request is not believed. For the log; the sender learns only that the signature is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// One of the two headers is absent.
    #[error("a signature header is missing")]
    Missing,
    /// A header came twice, or is not of the documented form.
    #[error("a signature header is repeated or malformed")]
    Malformed,
    /// The timestamp is more than [`MAX_SKEW_S`] from now.
    #[error("the timestamp is {skew_s} s from now, more than {MAX_SKEW_S} s: a replay, or a wrong clock")]
    Skewed {
        /// Positive when the sender's clock is ahead.
        skew_s: i64,
    },
    /// No secret of ours made this signature.
    #[error("the signature does not match: another signing secret, or a changed body")]
    Mismatch,
}

/// Checks a request against every secret in force, in constant time.
///
/// `now_s` is the present, in seconds since 1970. Several secrets overlap while one is being rolled over:
/// Slack documents no overlap of its own.
pub fn verify(
    secrets: &[SigningSecret],
    headers: &HeaderMap,
    body: Bytes,
    now_s: i64,
) -> Result<VerifiedRequest, SignatureError> {
    let timestamp = single(headers, TIMESTAMP_HEADER)?;
    let claimed = read_signature(single(headers, SIGNATURE_HEADER)?)?;
    let skew_s = read_timestamp(timestamp)?.saturating_sub(now_s);
    if skew_s.unsigned_abs() > MAX_SKEW_S {
        return Err(SignatureError::Skewed { skew_s });
    }
    // Every secret is tried, whichever matches: the time taken tells nothing.
    let matches = secrets
        .iter()
        .fold(subtle::Choice::from(0), |found, secret| found | secret.mac(timestamp, &body).ct_eq(&claimed));
    if !bool::from(matches) {
        return Err(SignatureError::Mismatch);
    }
    let content_type = headers.get(header::CONTENT_TYPE).cloned();
    Ok(VerifiedRequest { body, content_type, signature: claimed })
}

fn single<'h>(headers: &'h HeaderMap, name: &str) -> Result<&'h [u8], SignatureError> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().ok_or(SignatureError::Missing)?;
    if values.next().is_some() {
        return Err(SignatureError::Malformed);
    }
    Ok(value.as_bytes())
}

fn read_timestamp(text: &[u8]) -> Result<i64, SignatureError> {
    // `parse` alone would take a sign; Slack sends digits.
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return Err(SignatureError::Malformed);
    }
    std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(SignatureError::Malformed)
}

/// Lowercase only: were both cases taken, one request would have two names, and a replay could pass as new.
fn read_signature(text: &[u8]) -> Result<[u8; 32], SignatureError> {
    let digits = text.strip_prefix(b"v0=").ok_or(SignatureError::Malformed)?;
    let mut mac = [0; 32];
    if digits.len() != 2 * mac.len() {
        return Err(SignatureError::Malformed);
    }
    for (byte, pair) in mac.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Ok(mac)
}

fn nibble(digit: u8) -> Result<u8, SignatureError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(SignatureError::Malformed),
    }
}

#[cfg(test)]
mod tests;
