//! Tokens that expire are renewed: before they do, by a sweep, and when a call needs one, on demand. The rules are
//! `tautline_core::refresh`'s.

use std::sync::Arc;
use std::time::Duration;

use tautline_core::installation::{Credential, CredentialKind};
use tautline_core::refresh::{self, Leasing, LiveToken, Refresh, RefreshNext, RefreshResult, Settled};
use tautline_core::{InstallationId, StoreResult, TenantId, limits};
use tautline_slack::oauth::{self, Renewed};
use tautline_slack::{Refusal, web_api};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::changes;
use crate::app::App;
use crate::egress::CallError;
use crate::error::chain;
use crate::metrics;
use crate::settings::OAuth;

/// Renews what is due, until told to stop.
pub(crate) async fn sweep(app: Arc<App>, stop: CancellationToken) {
    if !matches!(app.settings.oauth, OAuth::On(_)) {
        return;
    }
    let (mut pause, mut reconcile_at) = (limits::REFRESH_SWEEP, Instant::now());
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        if Instant::now() >= reconcile_at {
            reconcile_at = Instant::now() + limits::REFRESH_RECONCILE;
            // Beside the sweep: with many tenants it takes its time.
            app.tasks.spawn(reconcile(app.clone(), stop.clone()));
        }
        pause = match once(&app).await {
            // Slack limits the app as a whole: the next would be refused as well.
            Ok(rest) => rest.unwrap_or(limits::REFRESH_SWEEP),
            Err(error) => {
                tracing::error!(error = %chain(&error), "tokens that are due cannot be read; trying again");
                (pause * 2).min(limits::SWEEP_PAUSE)
            }
        };
    }
}

/// Tokens that an earlier version stored, also one that runs beside this one.
async fn reconcile(app: Arc<App>, stop: CancellationToken) {
    let mut after = None;
    while !stop.is_cancelled() {
        match app.store.refresh_reconcile(after, app.clock.now()).await {
            Ok(Some(next)) => after = Some(next),
            Ok(None) => return,
            Err(error) => {
                tracing::error!(error = %chain(&error), "tokens of earlier versions are looked for again later");
                return;
            }
        }
    }
}

/// A few at a time, and the next few only when these are done or take too long. How long Slack asks to wait, if it does.
async fn once(app: &Arc<App>) -> StoreResult<Option<Duration>> {
    let now = app.clock.now();
    let due = app.store.refresh_claim(now, now.after(limits::REFRESH_LEASE), limits::REFRESHING).await?;
    let renewing = due.into_iter().map(|refresh| app.tasks.spawn(renew(app.clone(), refresh)));
    let mut rest = None;
    for renewed in renewing.collect::<Vec<_>>() {
        // A panic is in the log already, and the lease runs out; what cannot be stored goes on by itself.
        if let Ok(Ok(asked)) = tokio::time::timeout(limits::REFRESH_LEASE, renewed).await {
            rest = rest.max(asked);
        }
    }
    Ok(rest)
}

/// A token that was renewed just now: by us, or by whoever is at it. The same, if nobody could.
pub(super) async fn renewed(
    app: &Arc<App>,
    tenant: &TenantId,
    installation: InstallationId,
    kind: CredentialKind,
    expired: LiveToken,
) -> StoreResult<Option<LiveToken>> {
    if !matches!(app.settings.oauth, OAuth::On(_)) {
        return Ok(Some(expired));
    }
    let give_up = Instant::now() + limits::REFRESH_LEASE;
    loop {
        let now = app.clock.now();
        let (generation, until) = (expired.generation, now.after(limits::REFRESH_LEASE));
        let leasing = app.store.refresh_lease(tenant, installation, kind, generation, now, until).await?;
        let is_over = match leasing {
            Leasing::Taken(refresh) => {
                // In a task of its own: who waits for it may go away, and the pair must be stored all the same.
                let renewing = app.tasks.spawn(renew(app.clone(), *refresh));
                let _ = tokio::time::timeout(limits::REFRESH_LEASE, renewing).await;
                true
            }
            Leasing::Not => true,
            Leasing::Busy => Instant::now() >= give_up,
        };
        if is_over {
            return app.store.installation_token(tenant, installation, kind).await;
        }
        tokio::time::sleep(limits::SWEEP / 2).await;
    }
}

/// How long Slack asks to wait, if it does.
async fn renew(app: Arc<App>, refresh: Refresh) -> Option<Duration> {
    // Whoever stood still until the lease is about to end leaves it to the next: two at once would brick it.
    if app.clock.now().after(limits::SLACK_TIMEOUT) > refresh.leased_until {
        return None;
    }
    let Refresh { tenant, installation, kind, .. } = &refresh;
    let result = ask(&app, &refresh).await;
    metrics::refreshed(&result);
    let rest = match &result {
        RefreshResult::Limited { retry_after } => Some(retry_after.unwrap_or(limits::SLACK_RETRY_AFTER)),
        _ => None,
    };
    let next = refresh::after(&refresh, result, app.clock.now(), app.rng.as_ref());
    let kind_name = kind.as_str();
    match &next {
        RefreshNext::Renewed(_) => {
            tracing::info!(%tenant, %installation, kind = kind_name, "a token was renewed");
        }
        RefreshNext::Again { at, error } => {
            tracing::warn!(%tenant, %installation, kind = kind_name, error, "a token was not renewed; again at {at}");
        }
        RefreshNext::Kept => {
            tracing::info!(%tenant, %installation, kind = kind_name, "Slack does not exchange this token; it works on as it is");
        }
        RefreshNext::Ended { error } => {
            tracing::debug!(%tenant, %installation, kind = kind_name, error, "Slack renews this token no more");
        }
    }
    let ended = match &next {
        RefreshNext::Ended { error } => Some(error.clone()),
        _ => None,
    };
    let is_settled = settle(&app, &refresh, next).await;
    if let Some(error) = ended.filter(|_| is_settled && *kind == CredentialKind::Bot) {
        changes::broken(&app, tenant, *installation, &error).await;
    }
    rest.map(|rest| rest.min(limits::REFRESH_PAUSES.1))
}

async fn ask(app: &App, refresh: &Refresh) -> RefreshResult {
    let OAuth::On(client) = &app.settings.oauth else {
        return RefreshResult::NotReached("connecting workspaces is off".to_owned());
    };
    let call = match &refresh.refresh_token {
        Some(refresh_token) => oauth::refresh(client, refresh_token),
        None => oauth::exchange(client, &refresh.token),
    };
    let asked_at = app.clock.now();
    match app.slack.call::<Renewed>(call).await {
        Ok(reply) => {
            let Renewed { access_token, refresh_token, expires_in } = reply.answer;
            // One that lives no time at all, whatever Slack means by it, would be renewed without end.
            let lifetime = u64::try_from(expires_in).ok().filter(|seconds| *seconds > 0);
            let lifetime = lifetime.map_or(limits::REFRESH_AHEAD, Duration::from_secs);
            RefreshResult::Renewed(Credential {
                kind: refresh.kind,
                token: access_token,
                refresh_token: Some(refresh_token),
                expires_at: Some(asked_at.after(lifetime)),
            })
        }
        Err(CallError::Unreachable(error)) => RefreshResult::NotReached(error),
        Err(CallError::NoAnswer(error)) => RefreshResult::Unknown(error),
        Err(CallError::Refused(refusal)) if web_api::may_have_been_done(&refusal) => {
            RefreshResult::Unknown(refusal.to_string())
        }
        Err(CallError::Refused(Refusal::RateLimited { retry_after_s })) => {
            RefreshResult::Limited { retry_after: retry_after_s.map(Duration::from_secs) }
        }
        Err(CallError::Refused(Refusal::Error(error))) => match error.as_str() {
            "ratelimited" | "rate_limited" => RefreshResult::Limited { retry_after: None },
            _ => RefreshResult::Refused(error),
        },
        Err(CallError::Refused(other)) => RefreshResult::Unknown(other.to_string()),
    }
}

/// Tries for as long as anybody could: a pair that is forgotten is a refresh token used up.
async fn settle(app: &App, refresh: &Refresh, next: RefreshNext) -> bool {
    let (installation, mut pause) = (refresh.installation, limits::SWEEP);
    let give_up = Instant::now() + limits::REFRESH_AHEAD;
    loop {
        match app.store.refresh_settle(refresh, next.clone(), app.clock.now()).await {
            Ok(Settled::Done) => return true,
            // A pair that we have may be the only good one: it is not let go before the other is through.
            Ok(Settled::Outrun) if matches!(next, RefreshNext::Renewed(_)) && Instant::now() < give_up => {
                tokio::time::sleep(limits::REFRESH_SWEEP).await;
                continue;
            }
            Ok(Settled::Outrun | Settled::Replaced) => {
                tracing::info!(%installation, "this token was renewed, or replaced, by somebody else");
                return false;
            }
            Err(error) if Instant::now() >= give_up => {
                tracing::error!(%installation, error = %chain(&error), "a renewed token could not be stored");
                return false;
            }
            Err(error) => {
                tracing::error!(%installation, error = %chain(&error), "a renewed token cannot be stored yet; trying again");
                tokio::time::sleep(pause).await;
            }
        }
        pause = (pause * 2).min(limits::SWEEP_PAUSE);
    }
}
