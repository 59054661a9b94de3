//! `files`.

pub(crate) mod upload;
