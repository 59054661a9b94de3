//! The vault's keys, and the sealing itself.
//!
//! A sealed value is `version 1 | key id length | key id | nonce | ciphertext and tag`: XChaCha20-Poly1305
//! under a key derived (HKDF-SHA256) from the named master key for one tenant. The 24-byte nonce is random:
//! large enough that a tenant's traffic of many years does not repeat one. Tenant, table, row and field are
//! associated data, so that a value copied to another place does not open.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use secrecy::SecretSlice;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use tautline_core::{Place, Purpose, Rng, TenantId, Vault, VaultError};

const VERSION: u8 = 1;
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
const MAX_ID_CHARS: usize = 32;

/// The keys in force. The first seals; all open and verify.
pub struct Keyring {
    keys: Vec<Key>,
    rng: Arc<dyn Rng>,
}

struct Key {
    id: String,
    /// HKDF's extract of the master key: once, as all keys are derived from it.
    extract: Hkdf<Sha256>,
}

/// Why a text is no keyring. None of these repeats any of a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// Nothing there.
    #[error("there is no key; expected id:base64")]
    Empty,
    /// No colon, or a bad id before it.
    #[error(
        "key {position} has no id; expected id:base64, the id being 1 to {MAX_ID_CHARS} of A-Z a-z 0-9 _ -"
    )]
    BadId {
        /// Which one, from 1.
        position: usize,
    },
    /// Not base64.
    #[error("the key {id:?} is not base64")]
    NotBase64 {
        /// Its id.
        id: String,
    },
    /// Not 32 bytes.
    #[error(
        "the key {id:?} has {bytes} bytes; expected {KEY_BYTES} (make one with: openssl rand -base64 32)"
    )]
    WrongLength {
        /// Its id.
        id: String,
        /// How many it has.
        bytes: usize,
    },
    /// An id twice.
    #[error("the key id {id:?} is there twice")]
    Repeated {
        /// The id.
        id: String,
    },
}

impl Keyring {
    /// Reads `id:base64[,older:base64]`.
    pub fn parse(text: &str, rng: Arc<dyn Rng>) -> Result<Self, KeyringError> {
        let mut keys: Vec<Key> = Vec::new();
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        for (index, entry) in entries.enumerate() {
            let (id, key) = entry.split_once(':').unwrap_or_default();
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
            if id.is_empty() || id.len() > MAX_ID_CHARS || !id.bytes().all(allowed) {
                return Err(KeyringError::BadId { position: index + 1 });
            }
            let id = id.to_owned();
            if keys.iter().any(|key| key.id == id) {
                return Err(KeyringError::Repeated { id });
            }
            let Ok(bytes) = BASE64.decode(key.trim()) else {
                return Err(KeyringError::NotBase64 { id });
            };
            let Ok(master) = <[u8; KEY_BYTES]>::try_from(bytes.as_slice()) else {
                return Err(KeyringError::WrongLength { id, bytes: bytes.len() });
            };
            keys.push(Key { id, extract: Hkdf::new(None, &master) });
        }
        if keys.is_empty() { Err(KeyringError::Empty) } else { Ok(Self { keys, rng }) }
    }

    /// A keyring of one key.
    pub fn single(id: &str, master: [u8; KEY_BYTES], rng: Arc<dyn Rng>) -> Self {
        let key = Key { id: id.to_owned(), extract: Hkdf::new(None, &master) };
        Self { keys: vec![key], rng }
    }
}

impl Key {
    fn derive(&self, info: &[&[u8]]) -> [u8; KEY_BYTES] {
        let mut derived = [0; KEY_BYTES];
        self.extract.expand_multi_info(info, &mut derived).expect("32 bytes are within HKDF's reach");
        derived
    }

    fn cipher(&self, tenant: Option<&TenantId>) -> XChaCha20Poly1305 {
        // "t:" and "none" cannot meet: whatever a tenant is called, it shares no key with the tenantless.
        let key = match tenant {
            Some(tenant) => self.derive(&[b"tautline/seal/1/t:", tenant.as_str().as_bytes()]),
            None => self.derive(&[b"tautline/seal/1/none"]),
        };
        XChaCha20Poly1305::new(&key.into())
    }

    fn tag(&self, purpose: Purpose, message: &[u8]) -> [u8; 32] {
        let info: &[u8] = match purpose {
            Purpose::OAuthState => b"tautline/tag/1/oauth-state",
            Purpose::Fingerprint => b"tautline/tag/1/fingerprint",
            Purpose::FormToken => b"tautline/tag/1/form-token",
            Purpose::EmailAddress => b"tautline/tag/1/email-address",
            Purpose::InstallConfirmation => b"tautline/tag/1/install-confirmation",
        };
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.derive(&[info])).expect("HMAC takes keys of every length");
        mac.update(message);
        mac.finalize().into_bytes().into()
    }
}

/// The place as associated data; lengths first, so that no two places read alike.
fn associated(place: Place<'_>) -> Vec<u8> {
    let tenant = place.tenant.map_or("", TenantId::as_str);
    let parts = [tenant.as_bytes(), place.table.as_bytes(), place.row, place.field.as_bytes()];
    parts.iter().fold(Vec::with_capacity(96), |mut data, part| {
        data.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
        data.extend(*part);
        data
    })
}

impl Vault for Keyring {
    fn seal(&self, place: Place<'_>, plain: &[u8]) -> Vec<u8> {
        let key = &self.keys[0];
        let nonce = self.rng.bytes::<NONCE_BYTES>();
        let payload = Payload { msg: plain, aad: &associated(place) };
        let sealed = key
            .cipher(place.tenant)
            .encrypt(&XNonce::from(nonce), payload)
            .expect("values are far smaller than the cipher's limit");
        let id_length = u8::try_from(key.id.len()).expect("ids are short");
        [&[VERSION, id_length], key.id.as_bytes(), &nonce, &sealed].concat()
    }

    fn open(&self, place: Place<'_>, sealed: &[u8]) -> Result<SecretSlice<u8>, VaultError> {
        let (id, rest) = match sealed {
            [VERSION, id_length, rest @ ..] => {
                rest.split_at_checked(usize::from(*id_length)).ok_or(VaultError::Broken)?
            }
            _ => return Err(VaultError::Broken),
        };
        let key = self
            .keys
            .iter()
            .find(|key| key.id.as_bytes() == id)
            .ok_or_else(|| VaultError::UnknownKey { key: String::from_utf8_lossy(id).into_owned() })?;
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(VaultError::Broken)?;
        let payload = Payload { msg: ciphertext, aad: &associated(place) };
        let plain = key.cipher(place.tenant).decrypt(&XNonce::from(*nonce), payload);
        plain.map(SecretSlice::from).map_err(|_| VaultError::Broken)
    }

    fn first_key(&self) -> String {
        let [a, b, c, ..] = self.tag(Purpose::Fingerprint, b"first");
        format!("{} ({a:02x}{b:02x}{c:02x})", self.keys[0].id)
    }

    fn is_current(&self, sealed: &[u8]) -> bool {
        matches!(sealed, [VERSION, length, rest @ ..]
            if rest.get(..usize::from(*length)) == Some(self.keys[0].id.as_bytes()))
    }

    fn tag(&self, purpose: Purpose, message: &[u8]) -> [u8; 32] {
        self.keys[0].tag(purpose, message)
    }

    fn is_tag(&self, purpose: Purpose, message: &[u8], tag: &[u8]) -> bool {
        let any = self.keys.iter().fold(subtle::Choice::from(0), |found, key| {
            found | key.tag(purpose, message).as_slice().ct_eq(tag)
        });
        any.into()
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| &key.id)).finish()
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;
    use tautline_core::SystemRng;

    use super::*;

    const OLD: &str = "old:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    const NEW: &str = "new:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

    fn keyring(text: &str) -> Keyring {
        Keyring::parse(text, Arc::new(SystemRng)).unwrap()
    }

    fn refused(text: &str) -> KeyringError {
        Keyring::parse(text, Arc::new(SystemRng)).unwrap_err()
    }

    fn place<'a>(tenant: &'a Option<TenantId>, row: &'a [u8], field: &'static str) -> Place<'a> {
        Place { tenant: tenant.as_ref(), table: "credentials", row, field }
    }

    #[test]
    fn a_value_opens_in_its_own_place_only() {
        let (keys, acme, globex) = (keyring(NEW), "acme".parse().ok(), "globex".parse().ok());
        let sealed = keys.seal(place(&acme, b"1", "token"), b"xoxb-secret");
        assert!(!sealed.windows(4).any(|part| part == b"xoxb"));
        let open = |place| keys.open(place, &sealed).map(|plain| plain.expose_secret().to_vec());
        assert_eq!(open(place(&acme, b"1", "token")), Ok(b"xoxb-secret".to_vec()));
        for elsewhere in [
            place(&globex, b"1", "token"),
            place(&None, b"1", "token"),
            place(&acme, b"2", "token"),
            place(&acme, b"1", "refresh_token"),
            Place { table: "inbox", ..place(&acme, b"1", "token") },
        ] {
            assert_eq!(open(elsewhere), Err(VaultError::Broken), "{elsewhere:?}");
        }
    }

    #[test]
    fn every_single_changed_byte_is_noticed() {
        let (keys, acme) = (keyring(NEW), "acme".parse().ok());
        let sealed = keys.seal(place(&acme, b"1", "token"), b"secret");
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(keys.open(place(&acme, b"1", "token"), &changed).is_err(), "byte {index}");
            assert!(keys.open(place(&acme, b"1", "token"), &sealed[..index]).is_err(), "cut at {index}");
        }
    }

    #[test]
    fn the_first_key_seals_and_all_open() {
        let acme = "acme".parse().ok();
        let here = place(&acme, b"1", "token");
        let sealed = keyring(OLD).seal(here, b"secret");
        assert!(keyring(&format!("{NEW},{OLD}")).open(here, &sealed).is_ok());
        let unknown = keyring(NEW).open(here, &sealed).unwrap_err();
        assert_eq!(unknown, VaultError::UnknownKey { key: "old".into() });
        let tag = keyring(OLD).tag(Purpose::OAuthState, b"m");
        let both = keyring(&format!("{NEW},{OLD}"));
        assert!(both.is_tag(Purpose::OAuthState, b"m", &tag));
        assert!(!both.is_tag(Purpose::InstallConfirmation, b"m", &tag), "another purpose");
        assert!(!both.is_tag(Purpose::OAuthState, b"n", &tag));
        assert!(!both.is_tag(Purpose::OAuthState, b"m", &tag[..31]));
    }

    #[test]
    fn a_bad_keyring_is_named_without_repeating_it() {
        assert_eq!(refused(""), KeyringError::Empty);
        assert_eq!(refused("c2VjcmV0"), KeyringError::BadId { position: 1 });
        assert_eq!(refused(&format!("{NEW},a b:x")), KeyringError::BadId { position: 2 });
        assert_eq!(refused("k:?"), KeyringError::NotBase64 { id: "k".into() });
        assert_eq!(refused("k:c2VjcmV0"), KeyringError::WrongLength { id: "k".into(), bytes: 6 });
        assert_eq!(refused(&format!("{NEW},{NEW}")), KeyringError::Repeated { id: "new".into() });
        assert_eq!(format!("{:?}", keyring(NEW)), "[\"new\"]");
    }
}
