//! Version 1.

pub(crate) mod connect_links;
mod creating;
pub(crate) mod inbox;
pub(crate) mod installations;
pub(crate) mod keys;
mod paging;
pub(crate) mod tenants;
