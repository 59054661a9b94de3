//! `keys`.

pub(crate) mod create;
