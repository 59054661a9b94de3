//! `oauth.v2.exchange`: a token without an end for one that is renewed.

use http::HeaderMap;

use super::oauth_v2_access::check_client;
use super::{Args, Outcome, refuse};
use crate::app::Sim;
use crate::rotation;

pub(super) fn call(sim: &Sim, headers: &HeaderMap, args: &Args) -> Outcome {
    check_client(sim, headers, args)?;
    let Some(life_s) = sim.options.token_life_s else { return refuse("token_rotation_not_enabled") };
    let mut state = sim.state();
    let exchanged = rotation::exchange(&mut state, args.text("token").unwrap_or_default(), life_s);
    state.keep();
    exchanged.or_else(refuse)
}
