//! Slack's own identifiers, each its own type so that a team is never mistaken for an app.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! slack_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Takes an id as Slack wrote it. Ids are opaque: nothing is checked, nothing is derived.
            pub fn new(id: impl Into<String>) -> Self {
                Self(id.into())
            }

            /// The id as Slack wrote it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

slack_id! {
    /// An app (`A…`).
    AppId
}
slack_id! {
    /// A workspace (`T…`); Slack's field names call it team.
    TeamId
}
slack_id! {
    /// An Enterprise Grid organization (`E…`).
    EnterpriseId
}
