//! Version 1.

pub(crate) mod audit;
pub(crate) mod connect_links;
pub(crate) mod creating;
pub(crate) mod dashboard_links;
pub(crate) mod dead_letters;
pub(crate) mod deliveries;
pub(crate) mod endpoints;
pub(crate) mod files;
pub(crate) mod inbox;
pub(crate) mod installations;
pub(crate) mod keys;
pub(crate) mod messages;
pub(crate) mod paging;
pub(crate) mod tenants;
pub(crate) mod users;
pub(crate) mod vault;
