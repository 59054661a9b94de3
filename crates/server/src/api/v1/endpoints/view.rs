//! How an endpoint is shown.

use serde::Serialize;
use tautline_core::EndpointId;
use tautline_core::endpoint::{Endpoint, Target, TenantSet};
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
pub(crate) struct EndpointBody {
    #[schema(value_type = String, example = "end_0192f0c8a4b07c3e8d1f2a3b4c5d6e7f")]
    id: EndpointId,
    /// Of one that is declared: the variable or the handler it comes from.
    name: String,
    /// Null for a handler of the gateway's own process.
    url: Option<String>,
    /// `slack`, or `in_process`.
    form: &'static str,
    filters: Vec<String>,
    /// `["*"]` is every tenant.
    tenants: Vec<String>,
    /// `api`, or `environment`: declared by the environment or the program, and to be changed there.
    source: &'static str,
    /// RFC 3339.
    created_at: String,
}

pub(super) fn body(endpoint: &Endpoint) -> EndpointBody {
    let (form, url) = match &endpoint.target {
        Target::InProcess => ("in_process", None),
        Target::Slack { url } => ("slack", Some(url.to_string())),
    };
    EndpointBody {
        id: endpoint.id,
        name: endpoint.name.clone(),
        url,
        form,
        filters: endpoint.filters.iter().map(ToString::to_string).collect(),
        tenants: match &endpoint.tenants {
            TenantSet::All => vec!["*".to_owned()],
            TenantSet::Only(named) => named.iter().map(ToString::to_string).collect(),
        },
        source: if endpoint.is_declared { "environment" } else { "api" },
        created_at: endpoint.created_at.to_string(),
    }
}
