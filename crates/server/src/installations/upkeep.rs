//! What Slack tells of installations themselves: they end, their workspaces and channels change. The gateway takes these
//! events as the product's handlers do, through a delivery of its own: durable, repeated until it is done, in the inbox.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;
use tautline_core::audit::AuditAction;
use tautline_core::endpoint::Filter;
use tautline_core::installation::CredentialKind;
use tautline_core::{InstallationId, TenantId, Timestamp};
use tautline_slack::request::Kind;
use tautline_slack::web_api::is_dead_token;
use tautline_slack::{AuthTest, Refusal, TeamId, WebApiCall};

use super::acting::{Acting, ActingError};
use super::{changes, directory};
use crate::app::App;
use crate::audit;
use crate::dispatch::{Handler, HandlerAnswer, HandlerCall, Registered};
use crate::egress::CallError;
use crate::error::chain;
use crate::metrics;

/// The events. Those of other names are the product's alone.
const EVENTS: [&str; 18] = [
    "app_uninstalled",
    "tokens_revoked",
    "team_access_granted",
    "team_access_revoked",
    "app_rate_limited",
    "channel_id_changed",
    "channel_rename",
    "channel_archive",
    "channel_unarchive",
    "channel_deleted",
    "group_rename",
    "group_archive",
    "group_unarchive",
    "group_deleted",
    "channel_created",
    "channel_left",
    "group_left",
    "member_joined_channel",
];

/// The name of the gateway's own endpoint.
pub(crate) const NAME: &str = "tautline";

/// The gateway's own handler.
pub(crate) fn registered() -> Registered {
    let filters = EVENTS.iter().map(|event| Filter::of(Kind::Event, *event)).collect();
    Registered { name: NAME.to_owned(), filters, handler: Arc::new(Upkeep) }
}

struct Upkeep;

#[async_trait]
impl Handler for Upkeep {
    async fn handle(&self, call: HandlerCall) -> HandlerAnswer {
        let (Some(tenant), Some(installation)) = (&call.request.tenant, call.request.installation) else {
            return HandlerAnswer::ok();
        };
        let payload = call.payload().unwrap_or_default();
        let at = happened_at(&payload).unwrap_or(call.request.received_at);
        let told = Told { app: call.slack.app(), tenant, installation, payload: &payload, at };
        match told.act(&call.request.name).await {
            Ok(()) => HandlerAnswer::ok(),
            Err(why) => HandlerAnswer::failed_because(why),
        }
    }
}

/// When Slack sent it off, to the second: it happened within that second at the latest.
fn happened_at(payload: &Value) -> Option<Timestamp> {
    let seconds = payload.get("event_time")?.as_i64()?;
    Some(Timestamp::from_micros(seconds.checked_mul(1_000_000)?.checked_add(999_999)?))
}

/// An event, and the installation it is about.
struct Told<'a> {
    app: &'a Arc<App>,
    tenant: &'a TenantId,
    installation: InstallationId,
    payload: &'a Value,
    at: Timestamp,
}

impl Told<'_> {
    async fn act(&self, event: &str) -> Result<(), String> {
        match event {
            "app_uninstalled" => self.ended().await,
            "tokens_revoked" => self.revoked().await,
            "team_access_granted" | "team_access_revoked" => self.teams(event == "team_access_granted").await,
            "app_rate_limited" => self.rate_limited().await,
            "channel_id_changed" => self.moved().await,
            _ => self.channels_changed(event).await,
        }
    }

    fn text(&self, pointer: &str) -> Option<&str> {
        self.payload.pointer(pointer)?.as_str()
    }

    fn list(&self, pointer: &str) -> Vec<&str> {
        let items = self.payload.pointer(pointer).and_then(Value::as_array);
        items.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// Ended only if Slack itself says that the token is dead: this event may be late, and the app be installed anew.
    async fn ended(&self) -> Result<(), String> {
        if !self.is_dead(CredentialKind::Bot).await? {
            return Ok(());
        }
        let Self { app, tenant, installation, .. } = self;
        let now = app.clock.now();
        let removed = app.store.installation_remove(tenant, *installation, self.at, now).await;
        if !removed.map_err(|error| chain(&error))? {
            tracing::info!(%tenant, %installation, "nothing to end: that was done before, or it was connected again since");
            return Ok(());
        }
        tracing::warn!(%tenant, %installation, "Slack ended the installation: its tokens are erased");
        audit::note(app, tenant, "Slack", AuditAction::Removed, installation).await;
        changes::removed(app, tenant, *installation, "the app was uninstalled in Slack before it was sent")
            .await;
        Ok(())
    }

    /// `tokens` holds the ids of *users*, not tokens; either list may be missing.
    async fn revoked(&self) -> Result<(), String> {
        if !self.list("/event/tokens/oauth").is_empty() && self.is_dead(CredentialKind::User).await? {
            let Self { app, tenant, installation, at, .. } = self;
            let removed = app.store.credential_remove(tenant, *installation, CredentialKind::User, *at).await;
            removed.map_err(|error| chain(&error))?;
        }
        if self.list("/event/tokens/bot").is_empty() { Ok(()) } else { self.ended().await }
    }

    /// Asks Slack. Without a token there is nothing that could live.
    async fn is_dead(&self, kind: CredentialKind) -> Result<bool, String> {
        let acting = Acting { kind, ..Acting::bot(self.app, self.tenant, self.installation) };
        match acting.ask::<AuthTest>(WebApiCall::auth_test).await {
            Ok(_) => Ok(false),
            Err(ActingError::NoToken) => Ok(kind == CredentialKind::Bot),
            // One that has ended, and is not renewed any more, is dead as well.
            Err(ActingError::Call(CallError::Refused(Refusal::Error(word))))
                if is_dead_token(&word) || word == "token_expired" =>
            {
                Ok(true)
            }
            // What says nothing of the installation, a token that is just being renewed among it: asked again later.
            Err(error) => Err(chain(&error)),
        }
    }

    async fn teams(&self, granted: bool) -> Result<(), String> {
        let teams = self.list("/event/team_ids").into_iter().map(TeamId::new).collect::<Vec<_>>();
        let (granted, revoked) = if granted { (teams, Vec::new()) } else { (Vec::new(), teams) };
        let kept =
            self.app.store.installation_granted(self.tenant, self.installation, &granted, &revoked).await;
        kept.map_err(|error| chain(&error))
    }

    async fn rate_limited(&self) -> Result<(), String> {
        metrics::slack_limited();
        let minute = self.payload.get("minute_rate_limited").and_then(Value::as_i64);
        let at = minute.and_then(|s| s.checked_mul(1_000_000)).map_or(self.at, Timestamp::from_micros);
        tracing::warn!(
            tenant = %self.tenant, installation = %self.installation,
            "Slack holds events back: more than 30,000 of this workspace in an hour; subscribe to fewer"
        );
        let kept = self.app.store.installation_limited(self.tenant, self.installation, at).await;
        kept.map_err(|error| chain(&error))
    }

    async fn moved(&self) -> Result<(), String> {
        let (Some(from), Some(to)) = (self.text("/event/old_channel_id"), self.text("/event/new_channel_id"))
        else {
            return Ok(());
        };
        let kept = self.app.store.channel_move(self.tenant, self.installation, from, to).await;
        kept.map_err(|error| chain(&error))
    }

    async fn channels_changed(&self, event: &str) -> Result<(), String> {
        let told = directory::told(self.app, self.tenant, self.installation, event, self.payload).await;
        told.map_err(|error| chain(&error))?;
        match event {
            "channel_created" | "channel_left" | "group_left" | "member_joined_channel" => Ok(()),
            _ => self.names_changed().await,
        }
    }

    /// Some of these events name a channel by its id, some hold all of it.
    async fn names_changed(&self) -> Result<(), String> {
        let Some(channel) = self.text("/event/channel").or_else(|| self.text("/event/channel/id")) else {
            return Ok(());
        };
        let forgotten = self.app.store.channel_forget_names(self.tenant, self.installation, channel).await;
        forgotten.map_err(|error| chain(&error))
    }
}
