//! Connecting a workspace: start → Slack's consent page → callback → stored.
//!
//! The callback is public; it trusts the signed `state`, not a session. Whoever comes back without the cookie
//! that the start left (another browser, or somebody who was sent an authorize URL) sees to which tenant the
//! workspace would go, and must say so before the code is redeemed.

pub(crate) mod acting;
mod bolt;
pub(crate) mod callback;
pub(crate) mod changes;
pub(crate) mod directory;
pub(crate) mod disconnect;
pub(crate) mod ending;
pub(crate) mod health;
pub(crate) mod import;
pub(crate) mod link;
pub(crate) mod moving;
pub(crate) mod paced;
pub(crate) mod park;
pub(crate) mod redeem;
pub(crate) mod refresh;
pub(crate) mod start;
pub(crate) mod upkeep;
