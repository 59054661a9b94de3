//! The commands, one file each.

pub(crate) mod alert;
pub(crate) mod backup;
pub(crate) mod dev;
pub(crate) mod endpoints;
pub(crate) mod inbox;
pub(crate) mod keys;
pub(crate) mod migrate;
pub(crate) mod serve;
pub(crate) mod tenants;
