//! What is counted and timed, and `GET /metrics` that shows it in Prometheus' form.
//!
//! No label names a tenant: a series for each would be unbounded, and tell whoever reads it who the customers are.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::extract::State;
use http::header;
use metrics::{
    Counter, Histogram, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use tautline_core::access::Scope;
use tautline_core::refresh::RefreshResult;
use tautline_core::sending::SendOutcome;
use tautline_slack::request::Kind;

use crate::app::App;
use crate::auth::Platform;
use crate::error::ApiResult;

/// Bounds of the histograms, in seconds: a commit takes a fraction of a millisecond or, at worst, its budget; an
/// answer at most the 2.5 s that Slack is kept waiting; an attempt at most 30 s.
const SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];

/// What is counted on the way of every request, at hand; the rest is looked up by its name.
pub(crate) struct Metrics {
    page: PrometheusHandle,
    by_kind: HashMap<Kind, OfKind>,
    commit: Histogram,
    first_lag: Histogram,
    retry_lag: Histogram,
}

struct OfKind {
    received: Counter,
    repeated: Counter,
    unclaimed: Counter,
    fallbacks: Counter,
    answer: Histogram,
}

/// The process has one recorder, whoever comes first.
fn recorder() -> Result<PrometheusHandle, BuildError> {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    if let Some(handle) = RECORDER.get() {
        return Ok(handle.clone());
    }
    let builder = PrometheusBuilder::new().set_buckets(&SECONDS)?;
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    // A program that embeds the gateway may have a recorder of its own: then that one gets everything.
    if metrics::set_global_recorder(recorder).is_ok() {
        describe();
    }
    Ok(RECORDER.get_or_init(|| handle).clone())
}

fn describe() {
    describe_counter!(
        "tautline_inbound_requests_total",
        "Requests of Slack's that were verified and stored, by kind"
    );
    describe_counter!("tautline_inbound_repeated_total", "Requests that Slack sent again, by kind");
    describe_counter!("tautline_inbound_unclaimed_total", "Requests that matched no installation, by kind");
    describe_counter!("tautline_inbound_rejected_total", "Requests that were turned away, by reason");
    describe_histogram!("tautline_inbound_commit_seconds", "From the plan of a request to its commit");
    describe_histogram!("tautline_inbound_answer_seconds", "From receipt to Slack's answer, by kind");
    describe_counter!("tautline_fallbacks_total", "Answers that were the kind's fallback, by kind");
    describe_histogram!(
        "tautline_delivery_lag_seconds",
        "From when a delivery was due to its attempt, first or retry; the first is due on receipt"
    );
    describe_histogram!("tautline_attempt_seconds", "How long attempts at endpoints took, by outcome");
    describe_gauge!(
        "tautline_queue_age_seconds",
        "How long the delivery that is next in turn, or the retry that is most overdue, has waited"
    );
    describe_gauge!(
        "tautline_endpoints_failing",
        "Endpoints that fail or said they are gone, as far as this server knows"
    );
    describe_counter!("tautline_send_attempts_total", "Attempts at Slack for messages, by outcome");
    describe_gauge!(
        "tautline_lanes_parked",
        "Channels whose next message has tried in vain for more than a minute"
    );
    describe_gauge!(
        "tautline_inbound_failed_share",
        "The share of the last hour's answers to Slack that were no 2xx"
    );
    describe_counter!("tautline_token_refreshes_total", "Attempts to renew tokens, by outcome");
    describe_counter!(
        "tautline_slack_rate_limited_total",
        "Times that Slack held events of a workspace back"
    );
}

impl Metrics {
    pub(crate) fn new() -> Result<Self, BuildError> {
        let page = recorder()?;
        let of = |kind: &Kind| {
            let (kind, label) = (*kind, kind.as_str());
            let of_kind = OfKind {
                received: counter!("tautline_inbound_requests_total", "kind" => label),
                repeated: counter!("tautline_inbound_repeated_total", "kind" => label),
                unclaimed: counter!("tautline_inbound_unclaimed_total", "kind" => label),
                fallbacks: counter!("tautline_fallbacks_total", "kind" => label),
                answer: histogram!("tautline_inbound_answer_seconds", "kind" => label),
            };
            (kind, of_kind)
        };
        Ok(Self {
            page,
            by_kind: Kind::ALL.iter().map(of).collect(),
            commit: histogram!("tautline_inbound_commit_seconds"),
            first_lag: histogram!("tautline_delivery_lag_seconds", "attempt" => "first"),
            retry_lag: histogram!("tautline_delivery_lag_seconds", "attempt" => "retry"),
        })
    }

    fn of(&self, kind: Kind) -> &OfKind {
        &self.by_kind[&kind]
    }

    /// A request is durable.
    pub(crate) fn stored(&self, kind: Kind, is_unclaimed: bool, took: Duration) {
        let of = self.of(kind);
        of.received.increment(1);
        if is_unclaimed {
            of.unclaimed.increment(1);
        }
        self.commit.record(took);
    }

    /// Slack sent a request again.
    pub(crate) fn repeated(&self, kind: Kind) {
        self.of(kind).repeated.increment(1);
    }

    /// Slack has its answer.
    pub(crate) fn answered(&self, kind: Kind, took: Duration) {
        self.of(kind).answer.record(took);
    }

    /// Slack was told the kind's fallback.
    pub(crate) fn fell_back(&self, kind: Kind) {
        self.of(kind).fallbacks.increment(1);
    }

    /// An endpoint is asked.
    pub(crate) fn handed_over(&self, attempt: u32, after: Duration) {
        if attempt == 1 { &self.first_lag } else { &self.retry_lag }.record(after);
    }

    /// Makes room: what histograms gathered is summed up. To be called now and then, also when nobody reads.
    pub(crate) fn tidy(&self) {
        self.page.run_upkeep();
    }
}

/// Somebody was turned away at the door.
pub(crate) fn rejected(reason: &'static str) {
    counter!("tautline_inbound_rejected_total", "reason" => reason).increment(1);
}

/// An attempt at an endpoint ended.
pub(crate) fn attempted(outcome: &'static str, took: Duration) {
    histogram!("tautline_attempt_seconds", "outcome" => outcome).record(took);
}

/// An attempt to renew a token ended.
pub(crate) fn refreshed(result: &RefreshResult) {
    let outcome = match result {
        RefreshResult::Renewed(_) => "renewed",
        RefreshResult::Refused(_) => "refused",
        RefreshResult::Limited { .. } => "limited",
        RefreshResult::NotReached(_) => "not_reached",
        RefreshResult::Unknown(_) => "unknown",
    };
    counter!("tautline_token_refreshes_total", "outcome" => outcome).increment(1);
}

/// An attempt at Slack for a message has ended.
pub(crate) fn sent(outcome: SendOutcome) {
    counter!("tautline_send_attempts_total", "outcome" => outcome.as_str()).increment(1);
}

/// Slack held events back.
pub(crate) fn slack_limited() {
    counter!("tautline_slack_rate_limited_total").increment(1);
}

/// `GET /metrics`. What a company receives in an hour is its own business: a platform key, which Prometheus sends as
/// `authorization: {credentials: …}`.
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    platform: Platform,
) -> ApiResult<([(header::HeaderName, &'static str); 1], String)> {
    platform.may(Scope::Read)?;
    let now = app.clock.now();
    let oldest = app.store.delivery_oldest(&app.dispatcher.endpoints()).await?;
    gauge!("tautline_queue_age_seconds").set(oldest.map_or(0.0, |at| now.since(at).as_secs_f64()));
    let failing = app.endpoints().iter().filter(|endpoint| endpoint.health.failing_since.is_some()).count();
    gauge!("tautline_endpoints_failing").set(failing as f64);
    gauge!("tautline_lanes_parked").set(f64::from(app.store.lanes_parked(now).await?));
    let share = app.event_share().share(now);
    gauge!("tautline_inbound_failed_share").set(f64::from(share.failed) / f64::from(share.all.max(1)));
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], app.metrics.page.render()))
}
