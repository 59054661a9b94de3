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
use tautline_slack::request::Kind;

use crate::inbox::{Request, Revive};
use crate::names::names;
use crate::schedule::Next;
use crate::{DeliveryId, EndpointId, Page, PageRequest, RequestId, StoreResult, TenantId, Timestamp};

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
    /// What it would have brought was erased.
    Erased,
}

names!(DeliveryState { Ready = "ready", Leased = "leased", Delivered = "delivered", Dead = "dead" });
names!(DeadReason { Exhausted = "exhausted", Expired = "expired", NotRepeatable = "not_repeatable", Removed = "endpoint_removed", Erased = "erased" });

/// A delivery to be stored with its request.
#[derive(Clone, Debug)]
pub struct NewDelivery {
    /// Its id.
    pub id: DeliveryId,
    /// To whom.
    pub endpoint: EndpointId,
    /// Whether this endpoint's words are the answer to Slack; others get a copy.
    pub answers: bool,
    /// Since when it is due.
    pub due_at: Timestamp,
    /// How it goes from here.
    pub hand: Hand,
}

/// In whose hand a delivery is when it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hand {
    /// Whoever stores it has it, until then.
    Leased {
        /// The end of the lease.
        until: Timestamp,
    },
    /// It waits for the sweep.
    Ready {
        /// Its place among the first attempts; see [`turns`](crate::turns).
        turn: Timestamp,
    },
}

/// How many deliveries an endpoint could take, or has waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    /// The endpoint.
    pub endpoint: EndpointId,
    /// Of those that were never tried.
    pub first: usize,
    /// Of those that were.
    pub again: usize,
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
    /// Since when it was due.
    pub due_at: Timestamp,
    /// Until when it is nobody else's.
    pub leased_until: Timestamp,
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

/// What was found when leases were taken back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reaped {
    /// How many deliveries and requests changed.
    pub changed: usize,
    /// Whether there may be more.
    pub is_more: bool,
    /// Endpoints for which something waited beyond its life.
    pub expired: Vec<EndpointId>,
}

/// Which deliveries are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// Of this tenant.
    pub tenant: Option<TenantId>,
    /// To this endpoint.
    pub endpoint: Option<EndpointId>,
    /// In this state.
    pub state: Option<DeliveryState>,
    /// Made then or later.
    pub since: Option<Timestamp>,
}

/// A delivery in a list, with what it brings.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The delivery, its attempts without the answers.
    pub delivery: Delivery,
    /// Whose it is.
    pub tenant: TenantId,
    /// The request's kind.
    pub kind: Kind,
    /// What is asked within the kind.
    pub name: String,
    /// When the request came.
    pub received_at: Timestamp,
}

/// A dead delivery that is made again.
#[derive(Clone, Debug)]
pub struct Revival {
    /// The delivery.
    pub id: DeliveryId,
    /// Whose it is.
    pub tenant: TenantId,
    /// Until when it is worth it.
    pub expires_at: Timestamp,
    /// Its place among first attempts, if it never had one.
    pub turn: Timestamp,
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
    /// How many deliveries are due and not expired, for each of these endpoints, counted up to its places.
    async fn delivery_due(&self, now: Timestamp, places: &[Places]) -> StoreResult<Vec<Places>>;

    /// Since when the delivery has been due that waits longest for one of these endpoints, or one of the longest.
    async fn delivery_oldest(&self, endpoints: &[EndpointId]) -> StoreResult<Option<Timestamp>>;

    /// Takes deliveries that are due and not expired, at most so many for each endpoint: first attempts by their turn,
    /// others by their time. One whose body does not open (for want of a key) is put back for a while, and costs no
    /// attempt.
    async fn delivery_lease(
        &self,
        now: Timestamp,
        leased_until: Timestamp,
        places: &[Places],
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
    /// beyond its life.
    async fn delivery_reap(&self, now: Timestamp, which: Reap) -> StoreResult<Reaped>;

    /// Has what waits for an endpoint to be tried again wait no longer: some hundreds, those that are due next. How many.
    async fn delivery_hasten(&self, endpoint: EndpointId, now: Timestamp) -> StoreResult<u64>;

    /// Lists deliveries, newest first. Looks at [`limits::DELIVERIES_SEEN`](crate::limits::DELIVERIES_SEEN) at most: a page
    /// can be short, or empty, and have another after it.
    async fn deliveries(&self, filter: &DeliveryFilter, page: PageRequest) -> StoreResult<Page<Listed>>;

    /// Has dead deliveries made again: due at once. Says how many; what is no longer dead, whose body is forgotten, or whose
    /// endpoint was removed is left. Their attempts go on counting.
    async fn delivery_revive(
        &self,
        which: Revive,
        now: Timestamp,
        deliveries: Vec<Revival>,
    ) -> StoreResult<u64>;
}
