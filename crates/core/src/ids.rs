//! Our own ids: a prefix that says of what, and a `UUIDv7` that sorts by time.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use crate::{Rng, Timestamp};

/// The text is not an id of the wanted kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id of this kind: expected \"{prefix}_\" and 32 hex digits")]
pub struct IdError {
    prefix: &'static str,
}

/// The least id that can be made at a time or later: all those made before it are smaller.
pub fn least_at(at: Timestamp) -> [u8; 16] {
    let millis = u64::try_from(at.as_micros() / 1000).unwrap_or(0);
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
    bytes
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id. Ids sort by the millisecond they were made in.
            pub fn generate(now: Timestamp, rng: &dyn Rng) -> Self {
                let millis = u64::try_from(now.as_micros() / 1000).unwrap_or(0);
                Self(uuid::Builder::from_unix_timestamp_millis(millis, &rng.bytes()).into_uuid())
            }

            /// The id from its 16 bytes, as stores keep it.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// The 16 bytes, as stores keep them.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), self.0.simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                text.strip_prefix(concat!($prefix, "_"))
                    .filter(|hex| hex.len() == 32)
                    .and_then(|hex| Uuid::try_parse(hex).ok())
                    .map(Self)
                    .ok_or(IdError { prefix: $prefix })
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}

id! {
    /// A request in the inbox.
    RequestId, "req"
}
id! {
    /// A delivery of a request to an endpoint.
    DeliveryId, "dlv"
}
id! {
    /// An endpoint of the product.
    EndpointId, "end"
}
id! {
    /// An installation.
    InstallationId, "ins"
}
id! {
    /// An API key (not its secret).
    KeyId, "key"
}
id! {
    /// A message to Slack.
    MessageId, "msg"
}
id! {
    /// A connect link or dashboard link (not its secret).
    LinkId, "lnk"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemRng;

    #[test]
    fn an_id_says_its_kind_and_reads_back() {
        let id = RequestId::generate(Timestamp::from_micros(1_700_000_000_000_000), &SystemRng);
        let text = id.to_string();
        assert!(text.starts_with("req_018bcfe5"), "{text}: sorts by time");
        assert_eq!(text.parse(), Ok(id));
        assert!(text.parse::<DeliveryId>().is_err());
        assert!("req_zz".parse::<RequestId>().is_err());
    }
}
