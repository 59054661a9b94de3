//! `installations`.

pub(crate) mod list;
