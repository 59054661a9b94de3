//! The gateway's own events: what it has to say of installations and endpoints goes to the product's programs as what Slack
//! sends does, durable and repeated, to endpoints of the form `standard` and to handlers of this process.

use std::sync::Arc;

use serde_json::Value;
use tautline_core::delivery::NewDelivery;
use tautline_core::endpoint::recipients;
use tautline_core::inbox::{AnswerState, Incoming, Request, SeenKey};
use tautline_core::{DeliveryId, EndpointId, InstallationId, RequestId, TenantId};
use tautline_slack::request::Kind;

use crate::app::App;
use crate::error::chain;

/// Something that happened here.
pub(crate) struct OwnEvent {
    /// Whose it is; what is the company's own is home's.
    pub(crate) tenant: TenantId,
    pub(crate) installation: Option<InstallationId>,
    /// [`Kind::Installation`] or [`Kind::Endpoint`].
    pub(crate) kind: Kind,
    /// What happened.
    pub(crate) name: &'static str,
    pub(crate) data: Value,
}

/// Tells whoever wants to know; `except` is one who shall not. What happened stands, whatever becomes of this: an event that
/// cannot be stored is an error for the log.
pub(crate) async fn tell(app: &App, event: OwnEvent, except: Option<EndpointId>) {
    let OwnEvent { tenant, installation, kind, name, data } = event;
    let (now, all) = (app.clock.now(), app.endpoints());
    let wanting = recipients(&all, &tenant, kind, name).into_iter();
    let wanting =
        wanting.filter(|endpoint| endpoint.target.takes_own_events() && Some(endpoint.id) != except);
    let deliveries = wanting.map(|endpoint| NewDelivery {
        id: DeliveryId::generate(now, app.rng.as_ref()),
        endpoint: endpoint.id,
        answers: false,
        due_at: now,
        hand: app.dispatcher.queue(endpoint.id, &tenant, kind, now),
    });
    let deliveries = deliveries.collect::<Vec<_>>();
    if deliveries.is_empty() {
        return;
    }
    let to = deliveries.iter().map(|delivery| delivery.endpoint).collect::<Vec<_>>();
    let id = RequestId::generate(now, app.rng.as_ref());
    let request = Request::own(id, tenant, kind, name, data.to_string(), now);
    let request = Arc::new(Request { installation, ..request });
    let seen = SeenKey::own(&id);
    let incoming = Incoming { request, seen, retry_reason: None, answer: AnswerState::NotHeld, deliveries };
    match app.store.request_accept(incoming).await {
        Ok(_) => to.into_iter().for_each(|endpoint| app.dispatcher.nudge(endpoint, now)),
        Err(error) => {
            tracing::error!(
                event = format!("{kind}.{name}"),
                error = chain(&error),
                "nobody could be told of an event"
            );
        }
    }
}
