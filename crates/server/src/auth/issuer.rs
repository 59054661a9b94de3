//! Tokens (JWTs) of the one configured issuer: whose key signed them, and whether they count.
//!
//! The issuer's keys are fetched when a token needs one that is not known, at most every half minute, so that nobody makes us ask
//! by naming keys that there are not. What was fetched is used for ten minutes, and on when the issuer cannot be asked.

use std::sync::{Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::Value;
use tautline_core::{Timestamp, limits};
use url::Url;

use super::claims::{self, Person, Unfit};
use crate::egress::{IssuerClient, IssuerError};
use crate::settings;

/// What signs, and nothing else: neither secrets that could be public keys, nor nothing at all.
const ALGORITHMS: [Algorithm; 2] = [Algorithm::RS256, Algorithm::ES256];

/// The issuer, and its keys as they were last seen.
pub(crate) struct Issuer {
    settings: settings::Issuer,
    client: IssuerClient,
    keys: Mutex<Keys>,
    /// Held by whoever asks the issuer.
    asking: tokio::sync::Mutex<()>,
}

/// What is known of a key.
enum Known {
    Good(Jwk),
    /// It is time to look again.
    Old(Jwk),
    None,
}

#[derive(Default)]
struct Keys {
    set: Vec<Jwk>,
    fetched_at: Option<Timestamp>,
    /// When the last try began, however it ended.
    asked_at: Option<Timestamp>,
}

/// Why a token does not count.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    #[error("this token cannot be read")]
    Unreadable,
    #[error("tokens are signed with RS256 or ES256, and this one is not")]
    Algorithm,
    #[error("this token was signed by nobody we know")]
    Signature,
    #[error(transparent)]
    Unfit(#[from] Unfit),
    #[error("the issuer's keys cannot be fetched")]
    Keys(#[source] IssuerError),
}

impl Issuer {
    pub(crate) fn new(settings: settings::Issuer) -> reqwest::Result<Self> {
        Ok(Self {
            settings,
            client: IssuerClient::new()?,
            keys: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        })
    }

    /// Whether a credential looks like a token at all; API keys have no dots.
    pub(crate) fn could_be(credential: &str) -> bool {
        credential.split('.').count() == 3
    }

    /// Whether orgs become tenants that are not known yet.
    pub(crate) fn provisions(&self) -> bool {
        self.settings.provision
    }

    /// Whose token this is, if it counts now.
    pub(super) async fn person(&self, token: &str, now: Timestamp) -> Result<Person, TokenError> {
        if token.len() > limits::TOKEN_BYTES {
            return Err(TokenError::Unreadable);
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Unreadable)?;
        if !ALGORITHMS.contains(&header.alg) || has_critical(token) {
            return Err(TokenError::Algorithm);
        }
        // Before anything is fetched: whoever's token is not of our issuer makes us ask nobody.
        let claims = jsonwebtoken::dangerous::insecure_decode::<Value>(token);
        let claims = claims.map_err(|_| TokenError::Unreadable)?.claims;
        if claims["iss"].as_str() != Some(self.settings.issuer.as_str()) {
            return Err(Unfit::Issuer.into());
        }
        let key = self.key(header.kid.as_deref(), header.alg, now).await?.ok_or(TokenError::Signature)?;
        let key = DecodingKey::from_jwk(&key).map_err(|_| TokenError::Signature)?;
        let mut only_the_signature = Validation::new(header.alg);
        // Times are ours to judge, by our own clock.
        only_the_signature.validate_exp = false;
        only_the_signature.validate_nbf = false;
        only_the_signature.validate_aud = false;
        only_the_signature.required_spec_claims.clear();
        let signed = jsonwebtoken::decode::<Value>(token, &key, &only_the_signature);
        let claims = signed.map_err(|_| TokenError::Signature)?.claims;
        Ok(claims::read(&claims, &self.settings, now)?)
    }

    /// The key of that name. A token without one is signed with the only key there is.
    async fn key(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
        now: Timestamp,
    ) -> Result<Option<Jwk>, TokenError> {
        let found = match self.known(kid, algorithm, now) {
            Known::Good(key) => return Ok(Some(key)),
            Known::Old(key) => Some(key),
            Known::None => None,
        };
        // Of those that need another look one asks; those that have a key, if an old one, do not wait for it.
        let asking = match (&found, self.asking.try_lock()) {
            (_, Ok(asking)) => asking,
            (Some(_), Err(_)) => return Ok(found),
            (None, Err(_)) => self.asking.lock().await,
        };
        // Somebody may have asked while we waited.
        match self.known(kid, algorithm, now) {
            Known::Good(key) => return Ok(Some(key)),
            Known::Old(_) | Known::None => {}
        }
        {
            let mut keys = self.keys();
            if keys.asked_at.is_some_and(|at| now.since(at) < limits::ISSUER_KEYS_AGAIN) {
                return match (found, keys.fetched_at) {
                    // What is not known yet cannot be said to be nobody's.
                    (None, None) => Err(TokenError::Keys(IssuerError::Lately)),
                    (found, _) => Ok(found),
                };
            }
            keys.asked_at = Some(now);
        }
        let fetched = self.fetch().await;
        drop(asking);
        match fetched {
            Ok(set) => {
                let mut keys = self.keys();
                keys.set = set.keys;
                keys.fetched_at = Some(now);
                Ok(find(&keys.set, kid, algorithm))
            }
            Err(error) if found.is_some() => {
                tracing::warn!(%error, "the issuer's keys cannot be fetched; going by those of before");
                Ok(found)
            }
            Err(error) => Err(TokenError::Keys(error)),
        }
    }

    fn known(&self, kid: Option<&str>, algorithm: Algorithm, now: Timestamp) -> Known {
        let keys = self.keys();
        let is_old = keys.fetched_at.is_none_or(|at| now.since(at) >= limits::ISSUER_KEYS_LIFE);
        match find(&keys.set, kid, algorithm) {
            Some(key) if is_old => Known::Old(key),
            Some(key) => Known::Good(key),
            None => Known::None,
        }
    }

    fn keys(&self) -> MutexGuard<'_, Keys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// By discovery; an issuer without it has its keys in the usual place.
    async fn fetch(&self) -> Result<JwkSet, IssuerError> {
        #[derive(Deserialize)]
        struct Discovered {
            issuer: String,
            jwks_uri: String,
        }
        let below = |path: &str| {
            let base = self.settings.issuer.trim_end_matches('/');
            Url::parse(&format!("{base}/.well-known/{path}")).expect("the issuer was read as a URL")
        };
        let discovered = self.client.get::<Discovered>(&below("openid-configuration")).await;
        let keys = match discovered {
            Ok(discovered) if discovered.issuer == self.settings.issuer => {
                let keys = Url::parse(&discovered.jwks_uri).map_err(|_| IssuerError::Unreadable)?;
                // Keys that come in the clear could be anybody's.
                if keys.scheme() != below("").scheme() {
                    return Err(IssuerError::Unreadable);
                }
                keys
            }
            Ok(_) => return Err(IssuerError::Another),
            Err(_) => below("jwks.json"),
        };
        self.client.get::<JwkSet>(&keys).await
    }
}

/// Whether its header insists on something that we do not know. Source: RFC 7515, "crit".
fn has_critical(token: &str) -> bool {
    let header = token.split('.').next().and_then(|header| BASE64.decode(header).ok());
    let header = header.and_then(|header| serde_json::from_slice::<Value>(&header).ok());
    header.is_none_or(|header| header.get("crit").is_some())
}

fn find(keys: &[Jwk], kid: Option<&str>, algorithm: Algorithm) -> Option<Jwk> {
    use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve};
    // A key signs in its own way only, whatever a token's header says.
    let signs = |key: &Jwk| !matches!(key.common.public_key_use, Some(PublicKeyUse::Encryption));
    let fits = |key: &&Jwk| {
        signs(key)
            && match &key.algorithm {
                AlgorithmParameters::RSA(_) => algorithm == Algorithm::RS256,
                AlgorithmParameters::EllipticCurve(curve) => {
                    algorithm == Algorithm::ES256 && curve.curve == EllipticCurve::P256
                }
                _ => false,
            }
    };
    match kid {
        Some(kid) => keys.iter().filter(fits).find(|key| key.common.key_id.as_deref() == Some(kid)).cloned(),
        None => match keys.iter().filter(fits).collect::<Vec<_>>().as_slice() {
            [only] => Some((*only).clone()),
            _ => None,
        },
    }
}
