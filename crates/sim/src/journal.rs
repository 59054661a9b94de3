//! What Slack sent, and what came back.

use std::collections::VecDeque;

use serde::Serialize;

use crate::limits;

/// One request of Slack's and its answer.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Entry {
    /// `event`, `command`, `block_actions`, `response_url`, or a Web API method.
    pub(crate) what: String,
    /// What is asked within it: an event's type, a command, an action.
    pub(crate) name: String,
    /// An event's id.
    pub(crate) event_id: Option<String>,
    /// 0 the first time.
    pub(crate) retry: u32,
    /// What was sent. Without tokens and codes.
    pub(crate) sent: String,
    pub(crate) status: Option<u16>,
    /// Why there is no status.
    pub(crate) error: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) answer: String,
    pub(crate) took_ms: u128,
}

#[derive(Default)]
pub(crate) struct Journal {
    entries: VecDeque<Entry>,
    /// How many there ever were.
    count: u64,
}

impl Journal {
    pub(crate) fn add(&mut self, mut entry: Entry) {
        let cut = |text: &str| text.chars().take(limits::LOG_CHARS).collect();
        (entry.answer, entry.sent) = (cut(&entry.answer), cut(&entry.sent));
        if self.entries.len() == limits::LOG_KEPT {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
        self.count += 1;
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.entries.iter().cloned().collect()
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }
}
