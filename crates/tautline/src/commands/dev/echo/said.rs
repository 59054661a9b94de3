//! Mentions and commands.

use serde_json::{Value, json};
use tautline_server::dispatch::{HandlerAnswer, HandlerCall};

use super::{act, showcase, tell, text};

pub(super) async fn mentioned(call: &HandlerCall, said: &Value) -> HandlerAnswer {
    let (channel, words) = (text(said, "/event/channel"), text(said, "/event/text"));
    if channel.is_empty() {
        return HandlerAnswer::ok();
    }
    // Without the mention itself, or the bot would be mentioned again by its own words.
    let words = words.split('>').next_back().unwrap_or(words).trim();
    if words == "demo" {
        return showcase::show(call, channel).await;
    }
    let mut form = vec![("channel", channel.to_owned()), ("text", format!("You said: {words}"))];
    let thread = text(said, "/event/thread_ts");
    if !thread.is_empty() {
        form.push(("thread_ts", thread.to_owned()));
    }
    tell(call, "chat.postMessage", form).await
}

/// In a direct message every word is for the app; elsewhere it is asked by name.
pub(super) async fn heard(call: &HandlerCall, said: &Value) -> HandlerAnswer {
    let is_own = !text(said, "/event/bot_id").is_empty();
    if is_own || text(said, "/event/channel_type") != "im" {
        return HandlerAnswer::ok();
    }
    mentioned(call, said).await
}

pub(super) async fn typed(call: &HandlerCall, command: &str, said: &Value) -> HandlerAnswer {
    match command {
        "/demo" => showcase::show(call, text(said, "/channel_id")).await,
        "/dialog" => act::open_dialog(call, said).await,
        _ => {
            let words = [command, text(said, "/text")].join(" ");
            let answer = format!("You typed {}", words.trim());
            HandlerAnswer::json(&json!({ "response_type": "ephemeral", "text": answer }))
        }
    }
}
