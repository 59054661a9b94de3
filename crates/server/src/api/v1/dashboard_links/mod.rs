//! `dashboard-links`.

pub(crate) mod create;
