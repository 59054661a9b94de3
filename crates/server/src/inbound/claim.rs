//! A request that matched nobody when it came, given to the tenant whose installation was made since.

use std::sync::Arc;

use http::HeaderValue;
use tautline_core::audit::AuditAction;
use tautline_core::delivery::NewDelivery;
use tautline_core::endpoint::recipients;
use tautline_core::inbox::Request;
use tautline_core::kinds::Policy;
use tautline_core::{DeliveryId, StoreResult, TenantId};
use tautline_slack::request::{Inbound, read_again};

use crate::app::App;
use crate::audit;

/// What became of an unclaimed request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// It is this tenant's now, and on its way to so many endpoints.
    Claimed { tenant: TenantId, deliveries: usize },
    /// Slack waited for words and was told that nobody is there; the person asks again.
    Answered,
    /// It is too old to be of use.
    Expired,
    /// It still matches no installation.
    Unmatched,
    /// It would be nobody's to handle.
    NoEndpoint,
    /// Somebody else was faster.
    Gone,
}

/// Gives a request, with its body, to the tenant that it matches now.
pub(crate) async fn claim(app: &Arc<App>, request: Request, actor: &str) -> StoreResult<Claim> {
    let (now, policy) = (app.clock.now(), Policy::of(request.kind));
    if policy.held {
        return Ok(Claim::Answered);
    }
    if now >= request.expires_at {
        return Ok(Claim::Expired);
    }
    let content_type = request.content_type.as_deref().and_then(|text| HeaderValue::from_str(text).ok());
    let Ok(Inbound::Request(routing)) = read_again(content_type.as_ref(), &request.body) else {
        return Ok(Claim::Unmatched);
    };
    let Some(installation) = app.store.installation_named(&routing.origin).await? else {
        return Ok(Claim::Unmatched);
    };
    let tenant = installation.tenant.clone();
    let all = app.endpoints();
    let endpoints = recipients(&all, &tenant, request.kind, &request.name);
    if endpoints.is_empty() {
        return Ok(Claim::NoEndpoint);
    }
    let delivery = |(index, id)| NewDelivery {
        id: DeliveryId::generate(now, app.rng.as_ref()),
        endpoint: id,
        answers: index == 0,
        due_at: now,
        hand: app.dispatcher.queue(id, &tenant, request.kind, now),
    };
    let deliveries =
        endpoints.iter().map(|endpoint| endpoint.id).enumerate().map(delivery).collect::<Vec<_>>();
    let count = deliveries.len();
    let request = Request { tenant: Some(tenant.clone()), installation: Some(installation.id), ..request };
    if !app.store.request_claim(&request, deliveries).await? {
        return Ok(Claim::Gone);
    }
    audit::note(app, &tenant, actor, AuditAction::Claimed, request.id).await;
    Ok(Claim::Claimed { tenant, deliveries: count })
}
