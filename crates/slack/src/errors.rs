//! Slack's error words, in one table: what each means for whoever sends, and what a person can do about it.
//!
//! Sources: the lists of errors of `chat.postMessage`, `chat.update`, `chat.postEphemeral` and of the Web API as a whole
//! (docs.slack.dev, reference/methods). The classes are ours.

/// What an error means for whoever sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Slack asks for patience.
    Limited,
    /// Part of it may have been done all the same.
    Unsure,
    /// It works again in minutes or hours.
    Later,
    /// The token is renewed, and it is tried once more.
    Renew,
    /// The token will not work again.
    DeadToken,
    /// The workspace has to grant more, or an admin has to allow the app.
    Consent,
    /// Nothing can be posted there.
    Destination,
    /// What is sent is wrong in itself.
    Payload,
    /// The message that it is about is gone, or not ours.
    NotOurs,
    /// It is as it should be.
    Done,
    /// There is no such method any more.
    Gone,
}

impl Class {
    /// The class in one word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Limited => "limited",
            Self::Unsure => "unsure",
            Self::Later => "later",
            Self::Renew => "renew",
            Self::DeadToken => "dead_token",
            Self::Consent => "consent",
            Self::Destination => "destination",
            Self::Payload => "payload",
            Self::NotOurs => "not_ours",
            Self::Done => "done",
            Self::Gone => "gone",
        }
    }
}

struct Entry {
    class: Class,
    words: &'static [&'static str],
    fix: Option<&'static str>,
}

const fn entry(class: Class, words: &'static [&'static str], fix: &'static str) -> Entry {
    Entry { class, words, fix: Some(fix) }
}

const RECONNECT: &str = "connect the workspace again: its token no longer works";
const GRANT: &str = "connect the workspace again, to grant what is missing";

const TABLE: [Entry; 34] = [
    Entry { class: Class::Limited, words: &["ratelimited", "rate_limited"], fix: None },
    Entry {
        class: Class::Unsure,
        words: &[
            "internal_error",
            "fatal_error",
            "service_unavailable",
            "request_timeout",
            "update_failed",
            "messaging_processing_failed",
            "external_channel_migrating",
        ],
        fix: None,
    },
    entry(
        Class::Later,
        &["team_added_to_org", "org_login_required"],
        "the workspace is moving into an org: it is tried again",
    ),
    entry(
        Class::Later,
        &["accesslimited"],
        "ask an admin of the workspace: its network rules keep the gateway out; it is tried again",
    ),
    entry(
        Class::Later,
        &["message_limit_exceeded"],
        "the workspace has reached a limit of Slack's: it is tried again",
    ),
    Entry { class: Class::Renew, words: &["token_expired"], fix: Some(RECONNECT) },
    entry(
        Class::DeadToken,
        &["token_revoked", "account_inactive", "invalid_auth", "not_authed", "team_disabled"],
        RECONNECT,
    ),
    entry(Class::DeadToken, &["the installation has no bot token"], RECONNECT),
    entry(Class::Consent, &["missing_scope", "not_allowed_token_type", "no_permission"], GRANT),
    entry(
        Class::Consent,
        &["app_access_restricted", "two_factor_setup_required"],
        "ask an admin of the workspace to allow the app",
    ),
    entry(
        Class::Consent,
        &["team_access_not_granted"],
        "ask an admin of the org to add the app to this workspace",
    ),
    entry(
        Class::Destination,
        &["channel_not_found"],
        "check the channel or user; if the channel is private, invite the app to it",
    ),
    entry(Class::Destination, &["not_in_channel"], "invite the app to the channel"),
    entry(Class::Destination, &["is_archived"], "choose another channel, or have this one unarchived"),
    entry(Class::Destination, &["is_inactive"], "choose another channel: this one is frozen"),
    entry(
        Class::Destination,
        &["user_not_found", "users_not_found", "user_disabled", "user_not_visible"],
        "check the user: this workspace has none of that id or address, or the app may not see them",
    ),
    entry(
        Class::Destination,
        &["user_not_in_channel"],
        "the user is not in the channel: invite them, or write to them directly",
    ),
    entry(
        Class::Destination,
        &["messages_tab_disabled"],
        "switch the app's Messages tab on: App Home, in the app's settings",
    ),
    entry(
        Class::Destination,
        &[
            "restricted_action",
            "restricted_action_read_only_channel",
            "posting_to_channel_denied",
            "access_denied",
            "ekm_access_denied",
            "enterprise_is_restricted",
            "slack_connect_file_link_sharing_blocked",
        ],
        "ask an admin of the workspace: the app may not post there",
    ),
    entry(
        Class::Destination,
        &["restricted_action_thread_only_channel"],
        "answer in a thread: the channel takes nothing else",
    ),
    entry(
        Class::Destination,
        &["restricted_action_non_threadable_channel", "restricted_action_thread_locked"],
        "post to the channel itself: the thread takes no answers",
    ),
    entry(
        Class::Destination,
        &["method_not_supported_for_channel_type"],
        "choose another channel: this kind of channel does not take it",
    ),
    entry(Class::Payload, &["no_text"], "give it text or blocks"),
    entry(Class::Payload, &["msg_too_long"], "shorten the text"),
    entry(
        Class::Payload,
        &[
            "invalid_blocks",
            "invalid_blocks_format",
            "msg_blocks_too_long",
            "msg_blocks_too_many",
            "block_mismatch",
        ],
        "check the blocks in Slack's Block Kit Builder",
    ),
    entry(
        Class::Payload,
        &[
            "invalid_attachments",
            "too_many_attachments",
            "too_many_contact_cards",
            "attachment_payload_limit_exceeded",
        ],
        "check the attachments: blocks are what Slack goes on with",
    ),
    entry(Class::Payload, &["markdown_text_conflict"], "send markdown_text without text and blocks"),
    entry(
        Class::Payload,
        &["metadata_too_large", "invalid_metadata_format", "invalid_metadata_schema"],
        "check the metadata: an event_type, and an event_payload that is an object",
    ),
    entry(
        Class::Payload,
        &[
            "cannot_reply_to_message",
            "invalid_arguments",
            "invalid_arg_name",
            "invalid_array_arg",
            "invalid_form_data",
            "invalid_json",
            "json_not_object",
            "invalid_charset",
            "invalid_post_type",
            "missing_post_type",
            "team_not_found",
            "time_in_past",
            "time_too_far",
            "restricted_too_many",
        ],
        "check what was sent against Slack's reference of the method",
    ),
    entry(
        Class::NotOurs,
        &[
            "message_not_found",
            "no_item_specified",
            "cant_update_message",
            "cant_delete_message",
            "edit_window_closed",
            "streaming_state_conflict",
            "message_not_in_streaming_state",
        ],
        "the message is gone, or is not the app's own",
    ),
    // Our own words, of workspaces that left while it waited.
    entry(
        Class::NotOurs,
        &[
            "the workspace was disconnected before it was sent",
            "the app was uninstalled in Slack before it was sent",
        ],
        "connect the workspace again, and send it anew",
    ),
    entry(
        Class::NotOurs,
        &["the workspace went to another account before it was sent"],
        "send it for the account that has the workspace now",
    ),
    Entry { class: Class::Done, words: &["already_reacted", "no_reaction"], fix: None },
    entry(
        Class::Gone,
        &["method_deprecated", "deprecated_endpoint", "unknown_method"],
        "Slack has no such method any more: update the gateway",
    ),
];

fn find(error: &str) -> Option<&'static Entry> {
    TABLE.iter().find(|entry| entry.words.contains(&error))
}

/// What an error means; `None` for one that is not in the table, as Slack adds to them.
pub fn class(error: &str) -> Option<Class> {
    find(error).map(|entry| entry.class)
}

/// What somebody can do about an error.
pub fn remedy(error: &str) -> Option<&'static str> {
    find(error)?.fix
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_word_stands_once() {
        let words = TABLE.iter().flat_map(|entry| entry.words).collect::<Vec<_>>();
        assert_eq!(words.iter().collect::<HashSet<_>>().len(), words.len());
    }

    #[test]
    fn what_ends_a_message_says_what_to_do() {
        for entry in &TABLE {
            let ends = !matches!(entry.class, Class::Limited | Class::Unsure | Class::Done);
            assert_eq!(entry.fix.is_some(), ends, "{:?}", entry.words);
        }
        assert_eq!(class("is_archived"), Some(Class::Destination));
        assert_eq!((class("made_up"), remedy("made_up")), (None, None));
    }
}
