//! What handlers look at most, out of the payloads of each kind. Everything else is in the payload itself.
//!
//! Nothing here fails: a field that Slack leaves out is `None`, so that a handler of its own decides what it needs.

use serde_json::Value;

use crate::request::text;

fn owned(json: &Value, path: &str) -> Option<String> {
    text(json, path).map(str::to_owned)
}

fn first(json: &Value, paths: &[&str]) -> Option<String> {
    paths.iter().find_map(|path| owned(json, path))
}

/// An event: what is inside its envelope.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Its type, such as `app_mention`.
    pub event_type: Option<String>,
    /// Who did it; absent for what no person did.
    pub user: Option<String>,
    /// The bot that did it. Handlers that answer messages look here first, so as not to talk to themselves.
    pub bot_id: Option<String>,
    /// Where.
    pub channel: Option<String>,
    /// What was said.
    pub text: Option<String>,
    /// The message's own name within its channel.
    pub ts: Option<String>,
    /// The message whose thread this is in.
    pub thread_ts: Option<String>,
}

impl From<&Value> for Event {
    fn from(envelope: &Value) -> Self {
        Self {
            event_type: owned(envelope, "/event/type"),
            // Some events name a whole user or channel in place of its id.
            user: first(envelope, &["/event/user", "/event/user/id"]),
            bot_id: owned(envelope, "/event/bot_id"),
            channel: first(envelope, &["/event/channel", "/event/channel/id", "/event/item/channel"]),
            text: owned(envelope, "/event/text"),
            ts: first(envelope, &["/event/ts", "/event/item/ts"]),
            thread_ts: owned(envelope, "/event/thread_ts"),
        }
    }
}

/// A slash command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    /// With its slash.
    pub command: Option<String>,
    /// What was typed after it; empty when nothing was.
    pub text: String,
    /// Who typed it.
    pub user_id: Option<String>,
    /// Where.
    pub channel_id: Option<String>,
    /// Opens a modal, once, within 3 s of when Slack sent it.
    pub trigger_id: Option<String>,
}

impl From<&Value> for Command {
    fn from(fields: &Value) -> Self {
        Self {
            command: owned(fields, "/command"),
            text: owned(fields, "/text").unwrap_or_default(),
            user_id: owned(fields, "/user_id"),
            channel_id: owned(fields, "/channel_id"),
            trigger_id: owned(fields, "/trigger_id"),
        }
    }
}

/// A button pressed, an option chosen: the first of a payload's actions. (Slack sends one.)
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Action {
    /// The product's own name for the element; of legacy buttons their name.
    pub action_id: Option<String>,
    /// The block it stands in.
    pub block_id: Option<String>,
    /// A button's value, or that of the chosen option, user, channel, date or text.
    pub value: Option<String>,
    /// Who did it.
    pub user_id: Option<String>,
    /// Where; absent in modals and on the Home tab.
    pub channel_id: Option<String>,
    /// The message it stands in; absent in modals and on the Home tab.
    pub message_ts: Option<String>,
    /// The view it stands in; absent in messages.
    pub view_id: Option<String>,
    /// Opens a modal, once, within 3 s of when Slack sent it.
    pub trigger_id: Option<String>,
}

impl From<&Value> for Action {
    fn from(payload: &Value) -> Self {
        Self {
            action_id: first(payload, &["/actions/0/action_id", "/actions/0/name"]),
            block_id: owned(payload, "/actions/0/block_id"),
            value: payload.get("actions").and_then(|actions| chosen(actions.get(0)?)),
            user_id: owned(payload, "/user/id"),
            channel_id: first(payload, &["/channel/id", "/container/channel_id"]),
            message_ts: first(payload, &["/message/ts", "/container/message_ts", "/message_ts"]),
            view_id: owned(payload, "/view/id"),
            trigger_id: owned(payload, "/trigger_id"),
        }
    }
}

/// The value of an element, as an action or a modal's state tells it.
fn chosen(element: &Value) -> Option<String> {
    first(
        element,
        &[
            "/value",
            "/selected_option/value",
            "/selected_options/0/value",
            "/selected_user",
            "/selected_channel",
            "/selected_conversation",
            "/selected_date",
            "/selected_time",
        ],
    )
}

/// A modal: submitted or closed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// The product's own name for it.
    pub callback_id: Option<String>,
    /// Its id.
    pub id: Option<String>,
    /// Its state, for `views.update`: another hash means that somebody else changed it.
    pub hash: Option<String>,
    /// What the product left in it.
    pub private_metadata: Option<String>,
    /// Who submitted it.
    pub user_id: Option<String>,
    /// Opens another modal, once, within 3 s of when Slack sent it.
    pub trigger_id: Option<String>,
    /// What was filled in: by block, then by action.
    pub values: Value,
}

impl From<&Value> for View {
    fn from(payload: &Value) -> Self {
        Self {
            callback_id: owned(payload, "/view/callback_id"),
            id: owned(payload, "/view/id"),
            hash: owned(payload, "/view/hash"),
            private_metadata: owned(payload, "/view/private_metadata"),
            user_id: owned(payload, "/user/id"),
            trigger_id: owned(payload, "/trigger_id"),
            values: payload.pointer("/view/state/values").cloned().unwrap_or_default(),
        }
    }
}

impl View {
    /// What was filled in or chosen; `None` for an empty input.
    pub fn value(&self, block_id: &str, action_id: &str) -> Option<String> {
        chosen(self.values.get(block_id)?.get(action_id)?)
    }
}

/// A shortcut: global, or on a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shortcut {
    /// The product's own name for it.
    pub callback_id: Option<String>,
    /// Who used it.
    pub user_id: Option<String>,
    /// Where the message is; absent for global ones.
    pub channel_id: Option<String>,
    /// The message; absent for global ones.
    pub message_ts: Option<String>,
    /// Opens a modal, once, within 3 s of when Slack sent it.
    pub trigger_id: Option<String>,
}

impl From<&Value> for Shortcut {
    fn from(payload: &Value) -> Self {
        Self {
            callback_id: owned(payload, "/callback_id"),
            user_id: owned(payload, "/user/id"),
            channel_id: owned(payload, "/channel/id"),
            message_ts: first(payload, &["/message_ts", "/message/ts"]),
            trigger_id: owned(payload, "/trigger_id"),
        }
    }
}

/// A menu that asks for its options.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The product's own name for the menu; of legacy menus their name.
    pub action_id: Option<String>,
    /// The block it stands in.
    pub block_id: Option<String>,
    /// What was typed so far; empty at first.
    pub value: String,
    /// Who types.
    pub user_id: Option<String>,
}

impl From<&Value> for Options {
    fn from(payload: &Value) -> Self {
        Self {
            action_id: first(payload, &["/action_id", "/name"]),
            block_id: owned(payload, "/block_id"),
            value: owned(payload, "/value").unwrap_or_default(),
            user_id: owned(payload, "/user/id"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_what_its_envelope_holds() {
        let said = json!({ "type": "app_mention", "user": "U1", "channel": "C1", "text": "hi", "ts": "1.2" });
        let event = Event::from(&json!({ "type": "event_callback", "event": said }));
        assert_eq!((event.user.as_deref(), event.channel.as_deref()), (Some("U1"), Some("C1")));
        assert_eq!(
            (event.text.as_deref(), event.ts.as_deref(), event.bot_id),
            (Some("hi"), Some("1.2"), None)
        );
        let renamed =
            json!({ "event": { "type": "channel_rename", "channel": { "id": "C2", "name": "new" } } });
        assert_eq!(Event::from(&renamed).channel.as_deref(), Some("C2"));
        let reaction = json!({ "event": { "user": "U1", "item": { "channel": "C3", "ts": "3.4" } } });
        assert_eq!(Event::from(&reaction).ts.as_deref(), Some("3.4"));
    }

    #[test]
    fn an_action_has_the_value_that_was_chosen_however_it_was() {
        let value = |element: Value| Action::from(&json!({ "actions": [element] })).value;
        assert_eq!(value(json!({ "action_id": "a", "value": "1" })).as_deref(), Some("1"));
        assert_eq!(value(json!({ "selected_option": { "value": "2" } })).as_deref(), Some("2"));
        assert_eq!(value(json!({ "selected_options": [{ "value": "3" }] })).as_deref(), Some("3"));
        assert_eq!(value(json!({ "selected_user": "U4" })).as_deref(), Some("U4"));
        assert_eq!(value(json!({ "selected_date": null })), None);
        assert_eq!(Action::from(&json!({})), Action::default(), "nothing is missed");
    }

    #[test]
    fn a_view_tells_what_was_filled_in() {
        let values = json!({ "title": { "in": { "type": "plain_text_input", "value": "Lunch" } },
            "size": { "pick": { "selected_option": { "value": "big" } } }, "note": { "in": { "value": null } } });
        let view = View::from(&json!({ "view": { "callback_id": "order", "state": { "values": values } } }));
        assert_eq!(view.value("title", "in").as_deref(), Some("Lunch"));
        assert_eq!(view.value("size", "pick").as_deref(), Some("big"));
        assert_eq!((view.value("note", "in"), view.value("nowhere", "in")), (None, None));
    }
}
