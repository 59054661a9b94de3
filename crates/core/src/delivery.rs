//! Deliveries: one request on its way to one endpoint, and the attempts it took.
//!
//! **Theory of operation.** A delivery that is due is *leased*: whoever takes it owns it until the lease runs
//! out, and numbers the attempt. Finishing names that number, so that somebody whose lease ran out, and whose
//! delivery was taken by another since, is *fenced*: the late result changes nothing. No transaction is open
//! while an endpoint is asked.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::inbox::Request;
use crate::names::names;
use crate::schedule::Next;
use crate::{DeliveryId, EndpointId, RequestId, StoreResult, TenantId, Timestamp};

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// It waits for its time.
    Ready,
    /// Somebody has it in hand.
    Leased,
    /// The endpoint has it.
    Delivered,
    /// No more attempts by themselves.
    Dead,
}

/// Why no more attempts are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeadReason {
    /// The schedule is at its end.
    Exhausted,
    /// The request is too old to be of use.
    Expired,
    /// The handler may have run, and the kind must not run twice.
    NotRepeatable,
    /// The endpoint was removed.
    Removed,
}

names!(DeliveryState { Ready = "ready", Leased = "leased", Delivered = "delivered", Dead = "dead" });
names!(DeadReason { Exhausted = "exhausted", Expired = "expired", NotRepeatable = "not_repeatable", Removed = "endpoint_removed" });

/// A delivery to be stored with its request.
#[derive(Clone, Debug)]
pub struct NewDelivery {
    /// Its id.
    pub id: DeliveryId,
    /// To whom.
    pub endpoint: EndpointId,
    /// Whether this endpoint's words are the answer to Slack; others get a copy.
    pub answers: bool,
    /// Until when whoever stores it has it in hand; `None` leaves it to the sweep.
    pub leased_until: Option<Timestamp>,
}

/// A delivery in somebody's hand.
#[derive(Clone, Debug)]
pub struct Leased {
    /// The delivery.
    pub id: DeliveryId,
    /// To whom.
    pub endpoint: EndpointId,
    /// Whether its words are the answer to Slack.
    pub answers: bool,
    /// The number of this attempt; the first is 1.
    pub attempt: u32,
    /// What is delivered.
    pub request: Arc<Request>,
}

/// What an endpoint said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The content type, if any.
    pub content_type: Option<String>,
    /// The body.
    pub body: Bytes,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptResult {
    /// A 2xx.
    Answered(Answer),
    /// Any other status.
    Refused {
        /// What was said.
        answer: Answer,
        /// When the endpoint wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// The endpoint could not be reached: it surely did not run.
    NotReached {
        /// Why.
        error: String,
    },
    /// No complete answer: it may have run.
    Unknown {
        /// What happened instead.
        error: String,
    },
}

impl AttemptResult {
    /// Whether the handler certainly did not act on the request.
    pub fn surely_did_not_run(&self) -> bool {
        match self {
            Self::NotReached { .. } => true,
            Self::Refused { answer, .. } => matches!(answer.status, 429 | 503),
            Self::Answered(_) | Self::Unknown { .. } => false,
        }
    }

    /// When the endpoint wants to be asked again.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// The record of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Its number; the first is 1.
    pub number: u32,
    /// When it began.
    pub started_at: Timestamp,
    /// How long it took; `None` when the process ended before it did.
    pub duration: Option<Duration>,
    /// How it ended; `None` when nobody lived to tell.
    pub result: Option<AttemptResult>,
}

/// A delivery as it stands, with its attempts.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Its id.
    pub id: DeliveryId,
    /// The request.
    pub request: RequestId,
    /// To whom.
    pub endpoint: EndpointId,
    /// Whether its words are the answer to Slack.
    pub answers: bool,
    /// Where it stands.
    pub state: DeliveryState,
    /// When the next attempt is due, while it is ready.
    pub next_at: Option<Timestamp>,
    /// Why it is dead, if it is.
    pub dead: Option<DeadReason>,
    /// What was tried.
    pub attempts: Vec<Attempt>,
}

/// Whether a result was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finished {
    /// It is on record.
    Recorded,
    /// The lease had run out and somebody else has the delivery: nothing was changed.
    Fenced,
}

/// Which leases are taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reap {
    /// Those that ran out.
    RunOut,
    /// All of them: by the only server of a store, before it begins. Nobody else can be at work.
    All,
}

/// The store's record of deliveries.
#[async_trait]
pub trait Deliveries {
    /// How many deliveries are due and not expired, for each of these endpoints, counted up to a number.
    async fn delivery_due(
        &self,
        now: Timestamp,
        endpoints: &[(EndpointId, usize)],
    ) -> StoreResult<Vec<(EndpointId, usize)>>;

    /// Since when the delivery has been due that waits longest for one of these endpoints.
    async fn delivery_oldest(&self, endpoints: &[EndpointId]) -> StoreResult<Option<Timestamp>>;

    /// Takes deliveries that are due and not expired, at most so many for each endpoint, oldest first.
    /// One whose body does not open (for want of a key) is put back for a while, and costs no attempt.
    async fn delivery_lease(
        &self,
        now: Timestamp,
        leased_until: Timestamp,
        free: &[(EndpointId, usize)],
    ) -> StoreResult<Vec<Leased>>;

    /// Puts an attempt on record, with what follows it.
    async fn delivery_finish(
        &self,
        tenant: &TenantId,
        delivery: DeliveryId,
        attempt: &Attempt,
        next: &Next,
    ) -> StoreResult<Finished>;

    /// Takes back leases whose holder is gone, by the kind's own rule: what may run twice becomes ready, the
    /// rest is dead, and a held request with neither answer nor fallback is unanswered. Also ends what waited
    /// beyond its life. Says how many deliveries changed.
    async fn delivery_reap(&self, now: Timestamp, which: Reap) -> StoreResult<usize>;
}
