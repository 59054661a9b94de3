//! The kinds of request.

use std::fmt;
use std::str::FromStr;

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $slug:literal,)*) => {
        /// One of Slack's ways of asking (and two of the gateway's own). The text form is used in filters, tables and the API.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Kind {
            $($(#[$doc])* $variant,)*
        }

        impl Kind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The kind's name in filters, tables and the API.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $slug,)*
                }
            }
        }

        impl FromStr for Kind {
            type Err = UnknownKind;

            fn from_str(text: &str) -> Result<Self, UnknownKind> {
                match text {
                    $($slug => Ok(Self::$variant),)*
                    _ => Err(UnknownKind),
                }
            }
        }
    };
}

kinds! {
    /// Something happened (Events API).
    Event = "event",
    /// A person typed a slash command.
    Command = "command",
    /// A person used an interactive block element.
    BlockAction = "block_action",
    /// A person chose a global shortcut.
    Shortcut = "shortcut",
    /// A person chose a message shortcut.
    MessageAction = "message_action",
    /// A person submitted a modal.
    ViewSubmission = "view_submission",
    /// A person closed a modal that asked to be told.
    ViewClosed = "view_closed",
    /// An external select asks for its options.
    BlockSuggestion = "block_suggestion",
    /// A person used a legacy attachment's button or menu.
    InteractiveMessage = "interactive_message",
    /// A person submitted a legacy dialog.
    DialogSubmission = "dialog_submission",
    /// A person closed a legacy dialog.
    DialogCancellation = "dialog_cancellation",
    /// A legacy dialog's select asks for its options.
    DialogSuggestion = "dialog_suggestion",
    /// An interaction of a type that did not exist when this was written. Carried like any other.
    Interaction = "interaction",
    /// Not Slack's: the gateway's own word of an installation. It travels with Slack's requests, and is never read from one.
    Installation = "installation",
    /// Not Slack's: the gateway's own word of an endpoint.
    Endpoint = "endpoint",
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such kind of request")]
pub struct UnknownKind;
