//! Slack's limits that this simulation keeps, and its own.

/// Blocks in a message, and in a modal or on a Home tab.
pub(crate) const MESSAGE_BLOCKS: usize = 50;
pub(crate) const VIEW_BLOCKS: usize = 100;
/// A message's text.
pub(crate) const TEXT_CHARS: usize = 40_000;
/// A message in Markdown.
pub(crate) const MARKDOWN_CHARS: usize = 12_000;
/// A modal's title.
pub(crate) const TITLE_CHARS: usize = 24;
/// Modals above one another.
pub(crate) const VIEW_STACK: usize = 3;
/// Fields of a legacy dialog.
pub(crate) const DIALOG_ELEMENTS: usize = 10;
/// Entries of a page of the Web API, unless asked for and at most.
pub(crate) const PAGE: (usize, usize) = (100, 999);
/// Answers that a `response_url` takes, and for how long.
pub(crate) const RESPONSE_USES: u32 = 5;
pub(crate) const RESPONSE_LIFE_S: i64 = 30 * 60;
/// Log entries kept and shown, and what is kept of a text in one.
pub(crate) const LOG_KEPT: usize = 500;
pub(crate) const LOG_SHOWN: usize = 15;
pub(crate) const LOG_CHARS: usize = 16 * 1024;
/// Messages shown of a channel.
pub(crate) const MESSAGES_SHOWN: usize = 40;
