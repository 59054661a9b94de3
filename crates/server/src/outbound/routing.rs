//! Where a notification goes: as the tenant chose for its workspace. What takes nothing any more is marked, and the default route
//! has it instead.

use http::StatusCode;
use tautline_core::idempotency::IdempotencyKey;
use tautline_core::installation::Installation;
use tautline_core::operation::Operation;
use tautline_core::outbox::{Claimed, NewMessage, Queued};
use tautline_core::route::{self, DEFAULT, Route};
use tautline_core::{InstallationId, MessageId, StoreResult, TenantId, limits};
use tautline_slack::errors::{self, Class};
use tautline_slack::outgoing::Arguments;

use super::accept::bytes;
use crate::app::App;
use crate::error::{ApiError, ApiResult, chain};

/// The channels to which something goes.
pub(crate) struct Routed {
    /// The name of the route that led there.
    pub(crate) route: String,
    pub(crate) channels: Vec<String>,
}

/// The workspace or org of an installation, as routes name it.
pub(crate) fn place(installation: &Installation) -> String {
    let key = installation.facts.key().map(|key| key.to_string()).unwrap_or_default();
    key.split_once('/').map_or(String::new(), |(_, place)| place.to_owned())
}

/// Where something goes that happened.
pub(crate) async fn routed(
    app: &App,
    tenant: &TenantId,
    installation: &Installation,
    happened: &str,
) -> ApiResult<Routed> {
    let routes = app.store.routes(tenant, &place(installation)).await?;
    let chosen = route::choose(&routes, happened).ok_or_else(|| {
        ApiError::not_found(
            "route_unknown",
            format!("no route leads from {happened:?}, and there is no default"),
        )
        .fix("PUT /api/v1/integrations/slack/routes/default says where everything goes that has no route")
    })?;
    if !chosen.is_enabled {
        let error = format!("the route {:?} is switched off: nothing was sent", chosen.name);
        return Err(ApiError::new(StatusCode::CONFLICT, "route_disabled", error)
            .fix("nothing, if the tenant wants it so; else PUT the route with \"enabled\": true"));
    }
    let own = live(app, tenant, installation.id, chosen).await?;
    if !own.is_empty() {
        return Ok(Routed { route: chosen.name.clone(), channels: own });
    }
    let default = routes.iter().find(|route| route.name == DEFAULT && route.is_enabled);
    let instead = match default {
        Some(default) => live(app, tenant, installation.id, default).await?,
        None => Vec::new(),
    };
    if instead.is_empty() {
        // It fails with the reason, which is better than to vanish.
        return Ok(Routed { route: chosen.name.clone(), channels: chosen.channels.clone() });
    }
    Ok(Routed { route: DEFAULT.to_owned(), channels: instead })
}

/// Those of a route's channels that are not known to take nothing.
async fn live(
    app: &App,
    tenant: &TenantId,
    installation: InstallationId,
    route: &Route,
) -> StoreResult<Vec<String>> {
    let known = app.store.channels_by_id(tenant, installation, &route.channels).await?;
    let is_dead = |id: &&String| known.iter().any(|known| known.id == **id && known.dead.is_some());
    Ok(route.channels.iter().filter(|id| !is_dead(id)).cloned().collect())
}

/// What Slack says of a channel, whatever is posted there and whoever is to see it.
const OF_THE_CHANNEL: [&str; 9] = [
    "channel_not_found",
    "is_archived",
    "is_inactive",
    "not_in_channel",
    "restricted_action",
    "restricted_action_read_only_channel",
    "posting_to_channel_denied",
    "ekm_access_denied",
    "access_denied",
];

/// Slack said of a message that nothing can be posted there: the channel is marked, and what came by a route goes where the
/// default route leads.
pub(super) async fn fell(app: &App, claimed: &Claimed, error: &str) {
    if !claimed.operation.posts() || errors::class(error) != Some(Class::Destination) {
        return;
    }
    if let Err(error) = mark_and_go_on(app, claimed, error).await {
        tracing::error!(message = %claimed.id, error = %chain(&error), "a channel that takes nothing could not be marked");
    }
}

/// A message that came by a route has arrived: what its channel was marked with is over.
pub(super) async fn arrived(app: &App, claimed: &Claimed, channel: &str) {
    if claimed.route.is_none() {
        return;
    }
    let known = app.store.channel(&claimed.tenant, claimed.installation, channel).await;
    if known.is_ok_and(|known| known.is_some_and(|known| known.dead.is_some()))
        && let Err(error) = app.store.channel_dead(&claimed.tenant, claimed.installation, channel, None).await
    {
        tracing::warn!(error = %chain(&error), "a channel that takes messages again is still marked");
    }
}

async fn mark_and_go_on(app: &App, claimed: &Claimed, error: &str) -> StoreResult<()> {
    let Ok(arguments) = serde_json::from_slice::<Arguments>(&claimed.arguments) else { return Ok(()) };
    let channel = arguments.get("channel").and_then(|channel| channel.as_str()).unwrap_or_default();
    let (tenant, installation) = (&claimed.tenant, claimed.installation);
    let is_its_own = claimed.operation != Operation::Ephemeral
        && channel.starts_with(['C', 'G'])
        && OF_THE_CHANNEL.contains(&error);
    if is_its_own && app.store.channel_dead(tenant, installation, channel, Some(error)).await? {
        tracing::warn!(%tenant, channel, error, "nothing can be posted to a channel any more");
    }
    if claimed.route.as_deref().is_none_or(|route| route == DEFAULT) {
        return Ok(());
    }
    let Some(found) = app.store.installation(tenant, installation).await? else { return Ok(()) };
    let routes = app.store.routes(tenant, &place(&found)).await?;
    let Some(default) = routes.iter().find(|route| route.name == DEFAULT && route.is_enabled) else {
        return Ok(());
    };
    for instead in live(app, tenant, installation, default).await? {
        let now = app.clock.now();
        let mut arguments = arguments.clone();
        // A thread is one channel's.
        arguments.remove("thread_ts");
        arguments.insert("channel".to_owned(), instead.clone().into());
        let new = NewMessage {
            operation: claimed.operation,
            route: Some(DEFAULT.to_owned()),
            on_uncertain: claimed.on_uncertain,
            expires_at: claimed.expires_at,
            ..NewMessage::post(
                MessageId::generate(now, app.rng.as_ref()),
                tenant.clone(),
                installation,
                instead.clone(),
                bytes(&arguments),
                now,
            )
        };
        // Tried again after a crash, it is the same message.
        let once = IdempotencyKey {
            scope: format!("fallback {}", claimed.id),
            key: instead,
            request: [0; 32],
            at: now,
        };
        if app.store.message_accept(new, Some(once)).await? == Queued::Full {
            tracing::error!(%tenant, message = %claimed.id, "so much waits that the default route could not have a message");
        }
    }
    app.sender.wake();
    Ok(())
}

/// What somebody wants as a route's channels, if it can be that.
pub(crate) async fn wanted(
    app: &App,
    tenant: &TenantId,
    installation: InstallationId,
    channels: Vec<String>,
) -> ApiResult<Vec<String>> {
    if channels.is_empty() || channels.len() > limits::ROUTE_CHANNELS {
        let error = format!("a route leads to from 1 to {} channels", limits::ROUTE_CHANNELS);
        return Err(ApiError::bad_request("invalid_channels", error).fix("name the channels by their ids"));
    }
    let mut ids = Vec::new();
    for channel in channels {
        let id = match channel.strip_prefix('#') {
            None => channel.clone(),
            Some(name) => {
                let found = app.store.channels(tenant, installation, name, limits::CHANNELS_SHOWN).await?;
                let found = found.into_iter().find(|found| found.name == name);
                found.map(|found| found.id).ok_or_else(|| no_channel(&channel))?
            }
        };
        let is_id = id.starts_with(['C', 'G', 'D', 'U', 'W'])
            && id.len() <= limits::CHANNEL_CHARS
            && id.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
        if !is_id {
            return Err(no_channel(&channel));
        }
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    Ok(ids)
}

fn no_channel(channel: &str) -> ApiError {
    ApiError::bad_request("invalid_channel", format!("there is no channel {channel:?} that is known here"))
        .fix("GET …/installations/{id}/channels?q= finds channels; or give the id that Slack shows")
}
