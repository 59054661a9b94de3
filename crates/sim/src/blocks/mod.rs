//! Block Kit on a page: what an app's blocks look like, and what using them says.

mod block;
mod element;
pub(crate) mod mrkdwn;
pub(crate) mod placed;
mod rich_text;

use std::collections::HashMap;

use serde_json::Value;

pub(crate) use self::block::Block;
use self::placed::Values;

/// What people and channels are called, by id.
#[derive(Default)]
pub(crate) struct Names(HashMap<String, String>);

impl Names {
    pub(crate) fn add(&mut self, id: &str, name: &str) {
        self.0.insert(id.to_owned(), name.to_owned());
    }

    pub(crate) fn of(&self, id: &str) -> Option<&str> {
        self.0.get(id).map(String::as_str)
    }

    #[cfg(test)]
    pub(crate) fn of_pairs(pairs: &[(&str, &str)]) -> Self {
        Self(pairs.iter().map(|(id, name)| ((*id).to_owned(), (*name).to_owned())).collect())
    }
}

/// What there is to choose from.
pub(crate) struct Town {
    pub(crate) names: Names,
    /// Ids and names.
    pub(crate) people: Vec<(String, String)>,
    pub(crate) channels: Vec<(String, String)>,
}

/// The surface that blocks stand on.
pub(crate) struct Surface<'a> {
    pub(crate) town: &'a Town,
    /// Sets its fields apart from those of other surfaces on the page.
    pub(crate) id: &'a str,
    /// What was typed and chosen so far.
    pub(crate) values: &'a Values,
    /// What external selects were given to choose from, by place.
    pub(crate) suggested: &'a HashMap<String, Vec<Value>>,
    /// What is wrong with inputs, by block id.
    pub(crate) errors: &'a HashMap<String, String>,
}

impl Surface<'_> {
    /// What an element holds.
    fn held(&self, at: &str, element: &Value) -> Vec<String> {
        self.values.get(at).cloned().unwrap_or_else(|| placed::initial(element))
    }

    fn field_id(&self, at: &str) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        format!("f-{}-{at}", self.id).chars().map(plain).collect()
    }
}

/// Blocks, ready to be shown.
pub(crate) fn view(blocks: &Value, surface: &Surface<'_>) -> Vec<Block> {
    blocks.as_array().into_iter().flatten().map(|block| Block::of(block, surface)).collect()
}

/// A text object's words, as HTML.
fn text_html(text: &Value, names: &Names) -> String {
    let words = text["text"].as_str().unwrap_or_default();
    if text["type"] == "mrkdwn" { mrkdwn::html(words, names) } else { mrkdwn::plain(words) }
}

/// A text object's words.
fn words(text: &Value) -> String {
    mrkdwn::emoji(text["text"].as_str().unwrap_or_default())
}
