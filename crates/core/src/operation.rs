//! What a message does at Slack: most post, some change what was posted.

use crate::names::names;

/// What a message does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Says something in a channel.
    #[default]
    Post,
    /// Says something that one person sees.
    Ephemeral,
    /// Gives a message other words.
    Update,
    /// Takes a message away.
    Delete,
    /// Adds a reaction.
    React,
    /// Takes a reaction away.
    Unreact,
    /// Shows files that were uploaded.
    Share,
}

names!(Operation {
    Post = "post",
    Ephemeral = "ephemeral",
    Update = "update",
    Delete = "delete",
    React = "react",
    Unreact = "unreact",
    Share = "share",
});

impl Operation {
    /// The method of Slack's that does it.
    pub fn method(self) -> &'static str {
        match self {
            Self::Post => "chat.postMessage",
            Self::Ephemeral => "chat.postEphemeral",
            Self::Update => "chat.update",
            Self::Delete => "chat.delete",
            Self::React => "reactions.add",
            Self::Unreact => "reactions.remove",
            Self::Share => "files.completeUploadExternal",
        }
    }

    /// The scope without which Slack refuses it.
    pub fn scope(self) -> &'static str {
        match self {
            Self::Post | Self::Ephemeral | Self::Update | Self::Delete => "chat:write",
            Self::React | Self::Unreact => "reactions:write",
            Self::Share => "files:write",
        }
    }

    /// Whether doing it twice shows twice. The others come to the same however often they are done, so that an unknown outcome
    /// is no trouble.
    pub fn shows_each_time(self) -> bool {
        matches!(self, Self::Post | Self::Ephemeral | Self::Share)
    }

    /// Whether what it shows can be found again in the channel's history. What one person saw stands in none.
    pub fn can_be_looked_up(self) -> bool {
        matches!(self, Self::Post | Self::Share)
    }

    /// Whether Slack counts it as a message of the channel.
    pub fn posts(self) -> bool {
        self.shows_each_time()
    }
}

/// What is to be done with a message of which nobody can tell whether Slack has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnUncertain {
    /// It is sent again, and marked: it may stand there twice.
    #[default]
    Resend,
    /// It is held until somebody says what to do.
    Hold,
}

names!(OnUncertain { Resend = "resend", Hold = "hold" });
