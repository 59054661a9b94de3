//! `tenants`.

pub(crate) mod create;
pub(crate) mod erase;
