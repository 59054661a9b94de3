//! An issuer of tokens, with keys of its own: what Clerk or another OpenID provider is to the product.

use std::sync::{Arc, Mutex};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use serde_json::{Value, json};

use super::{Address, Received, Receiver, Reply, response};

/// What signs.
pub enum SigningKey {
    Rs256(RsaKeyPair),
    Es256(EcdsaKeyPair),
}

impl SigningKey {
    pub fn rs256() -> Self {
        Self::Rs256(RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    pub fn es256() -> Self {
        Self::Es256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap())
    }

    /// As an issuer publishes it.
    pub fn public(&self, kid: &str) -> Value {
        match self {
            Self::Rs256(pair) => {
                let PublicKeyComponents { n, e } = PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                let (n, e) = (BASE64.encode(n), BASE64.encode(e));
                json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": n, "e": e })
            }
            Self::Es256(pair) => {
                let point = pair.public_key().as_ref();
                let (x, y) = (BASE64.encode(&point[1..33]), BASE64.encode(&point[33..]));
                json!({ "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": kid, "x": x, "y": y })
            }
        }
    }

    /// A token with these claims.
    pub fn token(&self, kid: Option<&str>, claims: &Value) -> String {
        let algorithm = match self {
            Self::Rs256(_) => "RS256",
            Self::Es256(_) => "ES256",
        };
        let mut header = json!({ "alg": algorithm, "typ": "JWT" });
        if let Some(kid) = kid {
            header["kid"] = kid.into();
        }
        self.token_with(header, claims)
    }

    /// The same with a header of one's own.
    pub fn token_with(&self, header: Value, claims: &Value) -> String {
        let signed = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()));
        let rng = SystemRandom::new();
        let signature = match self {
            Self::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &rng, signed.as_bytes(), &mut signature).unwrap();
                signature
            }
            Self::Es256(pair) => pair.sign(&rng, signed.as_bytes()).unwrap().as_ref().to_vec(),
        };
        format!("{signed}.{}", BASE64.encode(signature))
    }
}

/// A running issuer.
pub struct TokenIssuer {
    pub url: String,
    pub receiver: Receiver,
    keys: Arc<Mutex<Vec<Value>>>,
}

impl TokenIssuer {
    pub async fn start(address: Address) -> Self {
        let (url, keys) = (address.url(8090), Arc::new(Mutex::new(Vec::<Value>::new())));
        let (issuer, published) = (url.clone(), keys.clone());
        let answer = move |got: Received| {
            let body = match got.path.as_str() {
                "/.well-known/openid-configuration" => {
                    json!({ "issuer": issuer, "jwks_uri": format!("{issuer}/keys") })
                }
                _ => json!({ "keys": *published.lock().unwrap() }),
            };
            async move { response(200, "content-type: application/json\r\n", &body.to_string()) }
        };
        let receiver = Receiver::start(address.port(8090), Reply::of(answer)).await;
        Self { url, receiver, keys }
    }

    /// Publishes these keys and no others.
    pub fn publish(&self, keys: &[Value]) {
        *self.keys.lock().unwrap() = keys.to_vec();
    }

    /// How often its keys were asked for.
    pub fn asked(&self) -> usize {
        self.receiver.received().iter().filter(|got| got.path == "/keys").count()
    }
}
