//! The commands, one file each.

pub(crate) mod alert;
pub(crate) mod dev;
pub(crate) mod serve;
