//! `deliveries`.

pub(crate) mod list;
