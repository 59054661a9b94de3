//! `dead-letters`: deliveries that are tried no more by themselves.

pub(crate) mod list;
pub(crate) mod replay;
