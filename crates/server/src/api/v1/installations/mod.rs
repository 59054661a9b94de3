//! `installations`.

pub(crate) mod channels;
pub(crate) mod disconnect;
pub(crate) mod get;
pub(crate) mod import;
pub(crate) mod list;
pub(crate) mod move_to;
mod view;
