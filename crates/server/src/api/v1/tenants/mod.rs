//! `tenants`.

pub(crate) mod create;
