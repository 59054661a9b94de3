//! `installations`.

pub(crate) mod disconnect;
pub(crate) mod list;
