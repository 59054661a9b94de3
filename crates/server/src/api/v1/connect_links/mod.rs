//! `connect-links`.

pub(crate) mod create;
