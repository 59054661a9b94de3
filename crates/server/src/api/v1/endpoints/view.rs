//! How an endpoint is shown.

use serde::Serialize;
use tautline_core::endpoint::{Endpoint, Kept, Target, TenantSet};
use tautline_core::{EndpointId, Timestamp, limits};
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
pub(crate) struct EndpointBody {
    #[schema(value_type = String, example = "end_0192f0c8a4b07c3e8d1f2a3b4c5d6e7f")]
    id: EndpointId,
    /// Of one that is declared: the variable or the handler it comes from.
    name: String,
    /// Null for a handler of the gateway's own process.
    url: Option<String>,
    /// `slack`, `standard`, or `in_process`.
    form: &'static str,
    filters: Vec<String>,
    /// `["*"]` is every tenant.
    tenants: Vec<String>,
    /// Attempts under way at once.
    in_flight: u32,
    /// `api`, or `environment`: declared by the environment or the program, and to be changed there.
    source: &'static str,
    /// `well`, `failing` (it rests between probes), `paused`, `disabled` (it answered 410), or `locked` (its secret does not
    /// open with the keys of the server that was asked: nothing is sent).
    state: &'static str,
    /// RFC 3339; null while it is well.
    failing_since: Option<String>,
    /// What failed; null while it is well.
    because: Option<String>,
    /// Since when deliveries became dead letters; null if none did. RFC 3339.
    exhausted_at: Option<String>,
    /// Until when the secret before the last rotation is good as well. RFC 3339.
    previous_secret_until: Option<String>,
    /// RFC 3339.
    created_at: String,
}

pub(super) fn kept(kept: &Kept, now: Timestamp) -> EndpointBody {
    let until = kept.secret_before.as_ref().map(|(_, until)| *until).filter(|until| now < *until);
    let shown = body(&kept.endpoint);
    let is_locked = kept.secret.is_none() && !kept.endpoint.is_declared;
    let state = if is_locked { "locked" } else { shown.state };
    EndpointBody { previous_secret_until: until.map(|at| at.to_string()), state, ..shown }
}

pub(super) fn body(endpoint: &Endpoint) -> EndpointBody {
    let health = &endpoint.health;
    let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
    EndpointBody {
        id: endpoint.id,
        name: endpoint.name.clone(),
        url: endpoint.target.url().map(ToString::to_string),
        form: match &endpoint.target {
            Target::InProcess => "in_process",
            Target::Slack { .. } => "slack",
            Target::Standard { .. } => "standard",
        },
        filters: endpoint.filters.iter().map(ToString::to_string).collect(),
        tenants: match &endpoint.tenants {
            TenantSet::All => vec!["*".to_owned()],
            TenantSet::Only(named) => named.iter().map(ToString::to_string).collect(),
        },
        in_flight: endpoint.in_flight.unwrap_or(limits::IN_FLIGHT_PER_ENDPOINT),
        source: if endpoint.is_declared { "environment" } else { "api" },
        state: match (health.disabled_at, endpoint.is_paused, health.failing_since) {
            (Some(_), ..) => "disabled",
            (None, true, _) => "paused",
            (None, false, Some(_)) => "failing",
            (None, false, None) => "well",
        },
        failing_since: time(health.failing_since),
        because: health.because.clone(),
        exhausted_at: time(health.exhausted_at),
        previous_secret_until: None,
        created_at: endpoint.created_at.to_string(),
    }
}
