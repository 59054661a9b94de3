//! What Slack sent, and what came back.

use std::collections::VecDeque;

use serde::Serialize;

/// Entries kept; the oldest go.
const KEPT: usize = 500;
/// What is kept of an answer.
const ANSWER_CHARS: usize = 16 * 1024;

/// One request of Slack's and its answer.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Entry {
    /// `event`, `command`, `block_actions`, `response_url`, or a Web API method.
    pub(crate) what: String,
    /// An event's id.
    pub(crate) event_id: Option<String>,
    /// 0 the first time.
    pub(crate) retry: u32,
    pub(crate) status: Option<u16>,
    /// Why there is no status.
    pub(crate) error: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) answer: String,
    pub(crate) took_ms: u128,
}

#[derive(Default)]
pub(crate) struct Journal(VecDeque<Entry>);

impl Journal {
    pub(crate) fn add(&mut self, mut entry: Entry) {
        entry.answer = entry.answer.chars().take(ANSWER_CHARS).collect();
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(entry);
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.0.iter().cloned().collect()
    }
}
