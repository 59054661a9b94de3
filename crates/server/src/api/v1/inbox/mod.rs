//! `inbox`.

pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod replay;
pub(crate) mod replay_all;
pub(in crate::api::v1) mod view;
