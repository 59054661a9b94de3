//! Standard Webhooks: what is sent to programs that know nothing of Slack, and how it is signed.
//!
//! Source: standardwebhooks.com, the specification. Signed is `{id}.{timestamp}.{body}` with HMAC-SHA256 under the bytes
//! that the secret is in base64; several signatures stand side by side while a secret is replaced.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderValue;
use secrecy::{ExposeSecret as _, SecretSlice};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::Sha256;
use tautline_core::inbox::Request;
use tautline_core::{InstallationId, RequestId, Rng, TenantId};
use tautline_slack::request::payload;

/// What the text form of a secret begins with.
const PREFIX: &str = "whsec_";

/// A secret of Standard Webhooks.
#[derive(Clone)]
pub(crate) struct StandardSecret(SecretSlice<u8>);

impl StandardSecret {
    /// A new one, as it is shown.
    pub(crate) fn make(rng: &dyn Rng) -> String {
        format!("{PREFIX}{}", BASE64.encode(rng.bytes::<32>()))
    }

    /// Reads the text form.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let bytes = BASE64.decode(text.strip_prefix(PREFIX)?).ok()?;
        (!bytes.is_empty()).then(|| Self(bytes.into()))
    }

    /// One signature, with its version.
    pub(super) fn sign(&self, id: &str, at_s: i64, body: &[u8]) -> String {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(self.0.expose_secret()).expect("HMAC takes keys of every length");
        for part in [id.as_bytes(), b".", at_s.to_string().as_bytes(), b".", body] {
            mac.update(part);
        }
        format!("v1,{}", BASE64.encode(mac.finalize().into_bytes()))
    }
}

/// What is sent.
#[derive(Serialize)]
struct Envelope<'a, D> {
    id: RequestId,
    r#type: String,
    tenant: Option<&'a TenantId>,
    installation: Option<InstallationId>,
    received_at: String,
    data: D,
}

/// A request as one JSON object. JSON of Slack's stays as it came, to the byte.
pub(super) fn envelope(request: &Request) -> Bytes {
    let content_type = request.content_type.as_deref().and_then(|text| HeaderValue::from_str(text).ok());
    match serde_json::from_slice::<&RawValue>(&request.body) {
        Ok(json) => write(request, json),
        // A form: fields, or a payload in one of them.
        Err(_) => write(request, payload(content_type.as_ref(), &request.body).unwrap_or(Value::Null)),
    }
}

fn write(request: &Request, data: impl Serialize) -> Bytes {
    let envelope = Envelope {
        id: request.id,
        r#type: format!("{}.{}", request.kind, request.name),
        tenant: request.tenant.as_ref(),
        installation: request.installation,
        received_at: request.received_at.to_string(),
        data,
    };
    serde_json::to_vec(&envelope).expect("texts and JSON are JSON").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_the_specification() {
        let secret = StandardSecret::read("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_is_read_as_it_was_shown_and_nothing_else_is_one() {
        let made = StandardSecret::make(&tautline_core::SystemRng);
        assert!(made.starts_with("whsec_") && StandardSecret::read(&made).is_some());
        for other in ["", "whsec_", "whsec_!", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] {
            assert!(StandardSecret::read(other).is_none(), "{other:?}");
        }
    }
}
