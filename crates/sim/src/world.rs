//! What there is: workspaces, people, channels, messages, and which app may do what where.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::blocks::placed::with_ids;

/// Everything that is kept between runs. Of tokens only hashes.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct World {
    pub(crate) app_id: String,
    pub(crate) workspaces: Vec<Workspace>,
    pub(crate) tokens: Vec<Grant>,
    /// What renews them, where tokens end.
    #[serde(default)]
    pub(crate) refresh_tokens: Vec<Renewal>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Workspace {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) domain: String,
    pub(crate) people: Vec<Person>,
    pub(crate) channels: Vec<Channel>,
    /// The app's bot, once installed.
    pub(crate) bot: Option<Bot>,
    /// What the app put on people's Home tabs, by person.
    #[serde(default)]
    pub(crate) homes: BTreeMap<String, Value>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Person {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) real_name: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Bot {
    pub(crate) user_id: String,
    pub(crate) bot_id: String,
    /// Additive across re-installs, as Slack's are.
    pub(crate) scopes: Vec<String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Channel {
    pub(crate) id: String,
    pub(crate) name: String,
    /// For a direct message with the app: the person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) with: Option<String>,
    #[serde(default)]
    pub(crate) is_private: bool,
    #[serde(default)]
    pub(crate) is_archived: bool,
    /// The app is not in it.
    #[serde(default)]
    pub(crate) is_left: bool,
    pub(crate) messages: Vec<Message>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Message {
    pub(crate) ts: String,
    pub(crate) user: String,
    /// Set for what the app's bot says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bot_id: Option<String>,
    pub(crate) text: String,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub(crate) blocks: Value,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub(crate) attachments: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) thread_ts: Option<String>,
    /// An answer in a thread that is shown in the channel as well.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) reply_broadcast: bool,
    /// Seen by one person only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) ephemeral: bool,
    /// By whom, if not by everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) visible_to: Option<String>,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub(crate) metadata: Value,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) files: Vec<Value>,
    /// The app's, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) reactions: Vec<String>,
}

/// A file on its way, or there. Forgotten when the simulation ends.
pub(crate) struct File {
    pub(crate) id: String,
    pub(crate) team: String,
    pub(crate) name: String,
    pub(crate) length: usize,
    pub(crate) bytes: Option<Vec<u8>>,
}

/// A token that was handed out, known by its hash.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Grant {
    pub(crate) hash: String,
    pub(crate) team: String,
    /// The person whose token it is; the bot's names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<String>,
    /// When it ends, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ends_at_s: Option<i64>,
    /// Whether it was exchanged for one that ends.
    #[serde(default)]
    pub(crate) exchanged: bool,
}

/// What renews a token. Good for one use, and for a short grace after it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Renewal {
    pub(crate) hash: String,
    pub(crate) team: String,
    pub(crate) user: Option<String>,
    pub(crate) used_at_s: Option<i64>,
    /// The token without an end that it was exchanged for: it dies with the first use.
    pub(crate) instead_of: Option<String>,
}

impl World {
    /// Two workspaces, so that one can see tenants side by side.
    pub(crate) fn fresh(rng: &mut fastrand::Rng) -> Self {
        let mut workspace = |name: &str, domain: &str| Workspace {
            id: id(rng, 'T'),
            name: name.to_owned(),
            domain: domain.to_owned(),
            people: [("ada", "Ada Lovelace"), ("grace", "Grace Hopper")]
                .map(|(name, real_name)| Person {
                    id: id(rng, 'U'),
                    name: name.to_owned(),
                    real_name: real_name.to_owned(),
                })
                .into(),
            channels: ["general", "random"]
                .map(|name| Channel { id: id(rng, 'C'), name: name.to_owned(), ..Channel::default() })
                .into(),
            bot: None,
            homes: BTreeMap::new(),
        };
        let workspaces = vec![workspace("Acme Rockets", "acme-rockets"), workspace("Globex", "globex")];
        Self { app_id: id(rng, 'A'), workspaces, tokens: Vec::new(), refresh_tokens: Vec::new() }
    }

    /// A workspace by its id or domain; without either, the first that has the app, else the first.
    pub(crate) fn workspace(&mut self, wanted: Option<&str>) -> Option<&mut Workspace> {
        match wanted {
            Some(wanted) => self.workspaces.iter_mut().find(|w| w.id == wanted || w.domain == wanted),
            None => {
                let connected = self.workspaces.iter().position(|workspace| workspace.bot.is_some());
                self.workspaces.get_mut(connected.unwrap_or(0))
            }
        }
    }
}

impl Workspace {
    /// A channel by id, name or `#name`.
    pub(crate) fn channel(&mut self, wanted: &str) -> Option<&mut Channel> {
        let name = wanted.trim_start_matches('#');
        self.channels.iter_mut().find(|channel| channel.id == wanted || channel.name == name)
    }

    /// The direct message between a person and the app, by the person's id; opened if it is not there yet.
    pub(crate) fn direct_message(&mut self, user: &str, rng: &mut fastrand::Rng) -> Option<&mut Channel> {
        let person = self.people.iter().find(|person| person.id == user)?.clone();
        let at = self.channels.iter().position(|channel| channel.with.as_deref() == Some(user));
        let at = at.unwrap_or_else(|| {
            let (id, name) = (id(rng, 'D'), format!("dm-{}", person.name));
            self.channels.push(Channel { id, name, with: Some(person.id), ..Channel::default() });
            self.channels.len() - 1
        });
        self.channels.get_mut(at)
    }

    /// A person by id or name; without either, the first.
    pub(crate) fn person(&self, wanted: Option<&str>) -> Option<&Person> {
        match wanted {
            Some(wanted) => self.people.iter().find(|person| person.id == wanted || person.name == wanted),
            None => self.people.first(),
        }
    }
}

impl Channel {
    /// Adds a message with a time of its own.
    pub(crate) fn post(&mut self, mut message: Message) -> Message {
        let last = self.messages.last().map_or(0, |last| micros(&last.ts));
        let at = crate::time::now_us().max(last + 1);
        message.ts = format!("{}.{:06}", at / 1_000_000, at % 1_000_000);
        let ts = message.ts.clone();
        message.with_ids(&ts);
        self.messages.push(message.clone());
        message
    }
}

impl Message {
    /// Gives what it holds the ids that it lacks.
    fn with_ids(&mut self, ts: &str) {
        let mut ids = short_ids(ts);
        self.blocks = with_ids(self.blocks.take(), &mut ids);
        for attachment in self.attachments.as_array_mut().into_iter().flatten() {
            if attachment["blocks"].is_array() {
                attachment["blocks"] = with_ids(attachment["blocks"].take(), &mut ids);
            }
        }
    }
}

impl Channel {
    /// Gives a message other words. Who sees it and when it was said stays.
    pub(crate) fn replace(&mut self, ts: &str, new: Message) {
        if let Some(message) = self.messages.iter_mut().find(|message| message.ts == ts) {
            message.text = new.text;
            message.blocks = new.blocks;
            message.attachments = new.attachments;
            if !new.metadata.is_null() {
                message.metadata = new.metadata;
            }
            message.with_ids(ts);
        }
    }
}

/// Ids for what the app gave none: Slack's have five characters.
pub(crate) fn short_ids(seed: &str) -> impl FnMut() -> String {
    let mut rng = fastrand::Rng::with_seed(micros(seed));
    move || (0..5).map(|_| rng.alphanumeric()).collect()
}

fn micros(ts: &str) -> u64 {
    ts.replace('.', "").parse().unwrap_or(0)
}

/// An id as Slack makes them: a letter and ten of capitals and digits.
pub(crate) fn id(rng: &mut fastrand::Rng, letter: char) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    let tail = (0..10).map(|_| char::from(ALPHABET[rng.usize(..ALPHABET.len())]));
    std::iter::once(letter).chain(tail).collect()
}
