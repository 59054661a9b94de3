//! The modal before a person.

use std::collections::HashMap;

use serde_json::Value;

use crate::blocks::{self, Block, Surface, Town};
use crate::desk::Desk;
use crate::world::Person;

pub(super) struct Modal {
    pub(super) id: String,
    pub(super) hash: String,
    pub(super) title: String,
    pub(super) submit: Option<String>,
    pub(super) close: String,
    pub(super) trouble: Option<&'static str>,
    pub(super) blocks: Vec<Block>,
    /// Whether another lies beneath.
    pub(super) is_stacked: bool,
}

/// The topmost.
pub(super) fn modal(desk: &Desk, person: &Person, town: &Town) -> Option<Modal> {
    let open = desk.top(&person.id)?;
    let (values, none) = (desk.values(&open.id), HashMap::new());
    let suggested = desk.suggested.get(&open.id).unwrap_or(&none);
    let surface = Surface { town, id: &open.id, values: &values, suggested, errors: &open.errors };
    let text = |value: &Value| value["text"].as_str().map(str::to_owned);
    Some(Modal {
        id: open.id.clone(),
        hash: open.hash.clone(),
        title: text(&open.view["title"]).unwrap_or_default(),
        submit: text(&open.view["submit"]),
        close: text(&open.view["close"]).unwrap_or_else(|| "Close".to_owned()),
        trouble: open.trouble,
        blocks: blocks::view(&open.view["blocks"], &surface),
        is_stacked: open.previous.is_some(),
    })
}
