//! What was said in a channel, as one person sees it.

use std::collections::HashMap;

use askama::Template;
use serde_json::Value;

use crate::blocks::mrkdwn::{self, escape};
use crate::blocks::{self, Block, Surface, Town};
use crate::desk::Desk;
use crate::limits;
use crate::world::{Channel, Message, Person};

/// Where and as whom somebody looks: every form says it.
#[derive(Clone)]
pub(super) struct Here {
    pub(super) team: String,
    pub(super) channel: String,
    pub(super) user: String,
}

impl Here {
    pub(super) fn href(&self) -> String {
        let pairs = [("team", &self.team), ("channel", &self.channel), ("user", &self.user)];
        format!("/?{}", form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish())
    }
}

/// A message.
#[derive(Template)]
#[template(path = "message.html")]
pub(super) struct Line {
    here: Here,
    ts: String,
    time: String,
    who: String,
    initial: String,
    is_bot: bool,
    html: String,
    blocks: Vec<Block>,
    attachments: Vec<Attachment>,
    ephemeral: bool,
    replies: Vec<Line>,
    /// Where the thread is; `None` for an answer in one.
    thread: Option<String>,
}

/// A legacy attachment.
struct Attachment {
    pretext: Option<String>,
    title: Option<String>,
    html: Option<String>,
    fields: Vec<(String, String)>,
    blocks: Vec<Block>,
    actions: Vec<LegacyAction>,
    footer: Option<String>,
}

struct LegacyAction {
    at: String,
    text: String,
    /// What a menu offers: value and text.
    options: Vec<(String, String)>,
}

pub(super) fn conversation(
    channel: &Channel,
    person: &Person,
    town: &Town,
    desk: &Desk,
    here: &Here,
    thread: Option<&str>,
) -> Vec<Line> {
    let sees = |message: &&Message| message.visible_to.as_ref().is_none_or(|only| *only == person.id);
    let seen = channel.messages.iter().filter(sees).collect::<Vec<_>>();
    let is_reply = |message: &Message| message.thread_ts.as_ref().is_some_and(|ts| *ts != message.ts);
    let in_view = |message: &&&Message| match thread {
        Some(thread) => message.ts == thread,
        None => !is_reply(message) || message.reply_broadcast,
    };
    let roots = seen.iter().filter(in_view).collect::<Vec<_>>();
    let shown = roots.iter().skip(roots.len().saturating_sub(limits::MESSAGES_SHOWN));
    let scene = Scene { person, town, desk, here };
    let href = here.href();
    shown
        .map(|root| {
            let replies = seen
                .iter()
                .filter(|message| message.thread_ts.as_ref() == Some(&root.ts) && is_reply(message));
            Line {
                replies: replies.map(|reply| scene.line(reply)).collect(),
                thread: Some(format!("{href}&thread={}", root.ts)),
                ..scene.line(root)
            }
        })
        .collect()
}

struct Scene<'a> {
    person: &'a Person,
    town: &'a Town,
    desk: &'a Desk,
    here: &'a Here,
}

impl Scene<'_> {
    fn line(&self, message: &Message) -> Line {
        let key = Desk::message(&self.person.id, &message.ts);
        let (values, none, errors) = (self.desk.values(&key), HashMap::new(), HashMap::new());
        let suggested = self.desk.suggested.get(&key).unwrap_or(&none);
        let town = self.town;
        let surface = Surface { town, id: &message.ts, values: &values, suggested, errors: &errors };
        let who = town.names.of(&message.user).unwrap_or("somebody").to_owned();
        // With blocks, the text is for notifications alone.
        let has_blocks = message.blocks.as_array().is_some_and(|blocks| !blocks.is_empty());
        let attachments = message.attachments.as_array().into_iter().flatten().enumerate();
        Line {
            here: self.here.clone(),
            time: clock(&message.ts),
            initial: who.chars().next().unwrap_or('?').to_uppercase().to_string(),
            who,
            is_bot: message.bot_id.is_some(),
            html: if has_blocks { String::new() } else { mrkdwn::html(&message.text, &town.names) },
            blocks: blocks::view(&message.blocks, &surface),
            attachments: attachments.map(|(number, value)| attachment(number, value, &surface)).collect(),
            ephemeral: message.ephemeral,
            replies: Vec::new(),
            thread: None,
            ts: message.ts.clone(),
        }
    }
}

fn attachment(number: usize, value: &Value, surface: &Surface<'_>) -> Attachment {
    let names = &surface.town.names;
    let text = |field: &str| value[field].as_str();
    let each = |field: &str| value[field].as_array().into_iter().flatten();
    let said = |value: &Value, field: &str| value[field].as_str().unwrap_or_default().to_owned();
    let action = |(place, action): (usize, &Value)| LegacyAction {
        at: format!("{number}.{place}"),
        text: said(action, "text"),
        options: action["options"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|option| (said(option, "value"), said(option, "text")))
            .collect(),
    };
    Attachment {
        pretext: text("pretext").map(|text| mrkdwn::html(text, names)),
        title: text("title").map(|title| match text("title_link") {
            Some(url) => mrkdwn::link(url, title),
            None => escape(title),
        }),
        html: text("text").map(|text| mrkdwn::html(text, names)),
        fields: each("fields")
            .map(|field| (said(field, "title"), mrkdwn::html(&said(field, "value"), names)))
            .collect(),
        blocks: blocks::view(&value["blocks"], surface),
        actions: each("actions").enumerate().map(action).collect(),
        footer: text("footer").map(str::to_owned),
    }
}

/// The time of day, UTC.
fn clock(ts: &str) -> String {
    let seconds: u64 = ts.split('.').next().and_then(|text| text.parse().ok()).unwrap_or(0);
    format!("{:02}:{:02}", seconds % 86_400 / 3_600, seconds % 3_600 / 60)
}
