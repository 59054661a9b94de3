//! How endpoints do, and who is told: once for each change, of all servers by one.

use secrecy::ExposeSecret as _;
use serde_json::json;
use tautline_core::circuit::CircuitChange;
use tautline_core::delivery::{AttemptResult, DeadReason};
use tautline_core::endpoint::HealthChange;
use tautline_core::schedule::Next;
use tautline_core::{EndpointId, TenantId, Timestamp};
use tautline_slack::request::Kind;

use super::attempt::told;
use super::way::Way;
use crate::alerts;
use crate::app::App;
use crate::error::chain;
use crate::own_events::{OwnEvent, tell};

/// An attempt ended on a way: what that says of its endpoint. `change` is the circuit's.
pub(super) async fn after(
    app: &App,
    endpoint: EndpointId,
    way: &Way,
    result: &AttemptResult,
    change: Option<CircuitChange>,
    next: &Next,
    at: Timestamp,
) {
    match change {
        Some(CircuitChange::Closed) => recovered(app, endpoint).await,
        Some(CircuitChange::Opened) => changed(app, endpoint, HealthChange::Failing, &told(result), at).await,
        None => {}
    }
    if way.says_it_is_gone(result) && app.dispatcher.shut(endpoint, way) {
        changed(app, endpoint, HealthChange::Disabled, &told(result), at).await;
    }
    if matches!(next, Next::Dead { reason: DeadReason::Exhausted | DeadReason::Expired }) {
        gave_up(app, endpoint, &told(result)).await;
    }
}

/// An endpoint is on record as failing, and has succeeded since.
pub(crate) async fn recovered(app: &App, endpoint: EndpointId) {
    changed(app, endpoint, HealthChange::Recovered, "", app.clock.now()).await;
}

/// A delivery to an endpoint became a dead letter.
pub(crate) async fn gave_up(app: &App, endpoint: EndpointId, because: &str) {
    changed(app, endpoint, HealthChange::Exhausted, because, app.clock.now()).await;
}

/// Puts a change on record, and tells people and programs of it unless another server did.
async fn changed(app: &App, id: EndpointId, change: HealthChange, because: &str, at: Timestamp) {
    match app.store.endpoint_health(id, change, because, at).await {
        Ok(true) => {}
        Ok(false) => return,
        Err(error) => {
            let error = chain(&error);
            return tracing::error!(endpoint = %id, ?change, error, "how an endpoint does could not be put on record");
        }
    }
    if change == HealthChange::Disabled {
        // From here on somebody else answers, if anybody else can.
        app.set_disabled(id, at);
    }
    let endpoints = app.endpoints();
    let Some(endpoint) = endpoints.iter().find(|endpoint| endpoint.id == id) else { return };
    // A path may hold a secret; the host says enough.
    let host = endpoint.target.url().and_then(|url| {
        let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
        Some(format!("{}{port}", url.host_str()?))
    });
    let place = format!("{} ({})", host.as_deref().unwrap_or("a handler of this process"), endpoint.name);
    let (name, text) = match change {
        HealthChange::Failing => (
            "failing",
            format!(
                "Deliveries to {place} fail: {because}. What comes waits, and the endpoint is probed until it is well."
            ),
        ),
        HealthChange::Recovered => {
            ("recovered", format!("Deliveries to {place} succeed again. What waited is on its way."))
        }
        HealthChange::Exhausted => (
            "exhausted",
            format!(
                "Deliveries to {place} were given up: {because}. To have them made again: tautline inbox replay --endpoint {id}"
            ),
        ),
        HealthChange::Disabled => (
            "failing",
            format!(
                "Deliveries to {place} are stopped: {because}. What comes waits; once it is there again, {}.",
                if endpoint.is_declared {
                    "start the server anew".to_owned()
                } else {
                    format!("run tautline endpoints resume {id}")
                }
            ),
        ),
    };
    match change {
        HealthChange::Recovered => tracing::info!(endpoint = %id, "{text}"),
        _ => tracing::warn!(endpoint = %id, "{text}"),
    }
    let disabled = change == HealthChange::Disabled;
    let data = json!({
        "endpoint": id, "name": endpoint.name, "host": host, "because": because, "disabled": disabled,
    });
    let event = OwnEvent { tenant: TenantId::home(), installation: None, kind: Kind::Endpoint, name, data };
    // The one it is about would hear of its own deafness.
    tell(app, event, Some(id)).await;
    if let Some(webhook) = app.settings.ops_webhook.clone() {
        app.tasks.spawn(async move { alerts::post(webhook.expose_secret(), &text, None).await });
    }
}
