//! Interactions: the JSON in a form's `payload` field.

use super::{Kind, Origin, Routing, Unreadable, name, outline, text};

pub(super) fn read(payload: &[u8]) -> Result<Routing, Unreadable> {
    let json = outline::read(payload)?;
    let sent_type = text(&json, "/type").ok_or(Unreadable::NoType)?;
    // Where Slack puts the name that the product gave to what was used.
    let (kind, pointer) = match sent_type {
        "block_actions" => (Kind::BlockAction, "/actions/0/action_id"),
        "shortcut" => (Kind::Shortcut, "/callback_id"),
        "message_action" => (Kind::MessageAction, "/callback_id"),
        "view_submission" => (Kind::ViewSubmission, "/view/callback_id"),
        "view_closed" => (Kind::ViewClosed, "/view/callback_id"),
        "block_suggestion" => (Kind::BlockSuggestion, "/action_id"),
        "interactive_message" => (Kind::InteractiveMessage, "/callback_id"),
        "dialog_submission" => (Kind::DialogSubmission, "/callback_id"),
        "dialog_cancellation" => (Kind::DialogCancellation, "/callback_id"),
        "dialog_suggestion" => (Kind::DialogSuggestion, "/callback_id"),
        _ => (Kind::Interaction, "/type"),
    };
    Ok(Routing {
        kind,
        name: name(text(&json, pointer).unwrap_or_default()),
        event_id: None,
        message: None,
        origin: Origin::of_interaction(&json),
    })
}
