//! `messages`.

pub(crate) mod batch;
pub(crate) mod change;
pub(crate) mod create;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod react;
pub(crate) mod remove;
pub(crate) mod retry;
pub(crate) mod view;
mod wanted;
