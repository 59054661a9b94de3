//! The inbox: the durable record of what Slack sent.

use async_trait::async_trait;
use bytes::Bytes;
use sha2::{Digest, Sha256};
use tautline_slack::request::{Kind, Origin, Routing};

use crate::delivery::{Delivery, NewDelivery};
use crate::kinds::Policy;
use crate::names::names;
use crate::{InstallationId, Page, PageRequest, RequestId, StoreResult, TenantId, Timestamp};

/// A request that is on record.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its id.
    pub id: RequestId,
    /// Whose it is; `None` while it matches no installation.
    pub tenant: Option<TenantId>,
    /// The installation it came through; the company's own workspace may have none.
    pub installation: Option<InstallationId>,
    /// Which of Slack's ways of asking.
    pub kind: Kind,
    /// What is asked within the kind.
    pub name: String,
    /// Slack's `event_id`; other kinds have none.
    pub slack_id: Option<String>,
    /// The workspace of the installation, as Slack named it.
    pub team_id: Option<String>,
    /// The message that it is about, as `channel/ts`: a mention comes as `app_mention` and as `message`, and this is
    /// the same in both.
    pub message: Option<String>,
    /// When it came.
    pub received_at: Timestamp,
    /// When it is no longer worth delivering.
    pub expires_at: Timestamp,
    /// The content type as it came.
    pub content_type: Option<String>,
    /// The bytes as they came.
    pub body: Bytes,
}

impl Request {
    /// One that no Slack sent: the gateway itself has something to say, as JSON.
    pub fn own(
        id: RequestId,
        tenant: TenantId,
        kind: Kind,
        name: &str,
        json: String,
        now: Timestamp,
    ) -> Self {
        Self {
            id,
            tenant: Some(tenant),
            installation: None,
            kind,
            name: name.to_owned(),
            slack_id: None,
            team_id: None,
            message: None,
            received_at: now,
            expires_at: Policy::of(kind).expires_at(now),
            content_type: Some("application/json".to_owned()),
            body: json.into(),
        }
    }
}

/// What Slack was told, for kinds that Slack waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerState {
    /// Slack does not wait for words.
    NotHeld,
    /// Slack waits.
    Waiting,
    /// The handler's own words went back.
    Answered,
    /// The kind's fallback went back.
    Fallback,
    /// Nothing went back: the process died, or the commit came too late. Replayable by hand.
    Unanswered,
}

names!(AnswerState {
    NotHeld = "not_held",
    Waiting = "waiting",
    Answered = "answered",
    Fallback = "fallback",
    Unanswered = "unanswered",
});

/// By which a request is known twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeenKey(pub [u8; 32]);

impl SeenKey {
    /// What the gateway itself says is known by its own id.
    pub fn own(id: &RequestId) -> Self {
        Self(Sha256::digest(id.as_bytes()).into())
    }

    /// An event is known by the installation that Slack names and its `event_id`, which Slack's retries keep.
    /// Everything else is known by its own signature: Slack does not retry it, a replay repeats it.
    ///
    /// An event's key begins with the beginning of its id, and only then with a hash of the rest. Slack's ids grow
    /// with time, so that keys which come together lie together: as hashes alone, each would dirty a page of its own.
    pub fn of(routing: &Routing, signature: &[u8; 32]) -> Self {
        const BEGINNING: usize = 12;
        let mut hash = Sha256::new();
        let mut beginning = [0; BEGINNING];
        match &routing.event_id {
            Some(event_id) => {
                let Origin { app, .. } = &routing.origin;
                let place = routing.origin.places().first().copied().unwrap_or_default().to_owned();
                for part in [app.as_ref().map_or("", |app| app.as_str()), &place, event_id] {
                    hash.update(part.len().to_le_bytes());
                    hash.update(part);
                }
                beginning.iter_mut().zip(event_id.bytes()).for_each(|(place, byte)| *place = byte);
            }
            None => hash.update(signature),
        }
        let mut key = <[u8; 32]>::from(hash.finalize());
        // What is left of the hash, 160 bits, is more than anybody finds two of.
        key.copy_within(..32 - BEGINNING, BEGINNING);
        key[..BEGINNING].copy_from_slice(&beginning);
        Self(key)
    }
}

/// A verified request, with its tenant and its deliveries, about to be made durable.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// The request.
    pub request: std::sync::Arc<Request>,
    /// By which it is known twice.
    pub seen: SeenKey,
    /// Why Slack sends it again, if it says that it does. It may be the only copy all the same.
    pub retry_reason: Option<String>,
    /// Whether Slack waits for words.
    pub answer: AnswerState,
    /// To whom it goes.
    pub deliveries: Vec<NewDelivery>,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It is durable.
    Stored,
    /// It was durable before: a retry of Slack's, or a replay. It is counted with the first, and not delivered again.
    AlreadySeen,
}

/// How often Slack sent a request again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retries {
    /// How often it came after it was stored.
    pub count: u32,
    /// Why, by Slack's last word (`http_timeout`, `http_error`, `connection_failed` …).
    pub reason: Option<String>,
}

/// A request as the inbox lists it: without its body.
#[derive(Clone, Debug)]
pub struct RequestSummary {
    /// The request; its body is empty in lists.
    pub request: Request,
    /// What Slack was told.
    pub answer: AnswerState,
    /// How often Slack sent it again.
    pub retries: Retries,
    /// To whom it went.
    pub deliveries: Vec<Delivery>,
}

/// Whose requests are looked at.
#[derive(Clone, Copy, Debug)]
pub enum Whose<'a> {
    /// A tenant's.
    Tenant(&'a TenantId),
    /// Those that matched no installation: for the platform's admin alone.
    Unclaimed,
}

/// Which requests are looked for.
#[derive(Clone, Debug, Default)]
pub struct RequestFilter {
    /// Of this kind.
    pub kind: Option<Kind>,
    /// Of this name within the kind.
    pub name: Option<String>,
    /// Of this workspace.
    pub team_id: Option<String>,
    /// Received then or later.
    pub since: Option<Timestamp>,
}

/// Which dead deliveries are made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revive {
    /// Those that surely were not done: the endpoint was down, or they waited too long.
    Undone,
    /// Also those that may have run, of kinds that must not run twice: somebody has looked at this very request.
    All,
}

/// The store's record of requests.
#[async_trait]
pub trait Inbox {
    /// Makes a request durable together with its deliveries, in one commit, unless it was seen before.
    async fn request_accept(&self, incoming: Incoming) -> StoreResult<Accepted>;

    /// Puts on record what Slack is told. Only a waiting request changes. One that is unanswered takes its
    /// deliveries with it: say so only while none has begun.
    async fn request_answered(
        &self,
        tenant: &TenantId,
        id: RequestId,
        answer: AnswerState,
    ) -> StoreResult<()>;

    /// Lists requests, newest first.
    async fn requests(
        &self,
        whose: Whose<'_>,
        filter: &RequestFilter,
        page: PageRequest,
    ) -> StoreResult<Page<RequestSummary>>;

    /// Takes one of the [`limits::RESPONSES`](crate::limits::RESPONSES) answers that a request's `response_url` has.
    /// False: there is none left.
    async fn request_respond(&self, tenant: &TenantId, id: RequestId) -> StoreResult<bool>;

    /// Gives an unclaimed request, as it is with its new owner, to that tenant, with deliveries. False: it is not
    /// there, or no longer unclaimed; nothing was changed.
    async fn request_claim(&self, request: &Request, deliveries: Vec<NewDelivery>) -> StoreResult<bool>;

    /// Has dead deliveries of a request made again: due at once, and worth it until `expires_at`; those that were never
    /// tried go by `turn`. How many those are.
    /// Their attempts go on counting. None where the body is forgotten, or the endpoint was removed.
    async fn request_replay(
        &self,
        tenant: &TenantId,
        id: RequestId,
        which: Revive,
        now: Timestamp,
        turn: Timestamp,
        expires_at: Timestamp,
    ) -> StoreResult<u64>;

    /// One request, with its body.
    async fn request(&self, whose: Whose<'_>, id: RequestId) -> StoreResult<Option<RequestSummary>>;
}

#[cfg(test)]
mod tests {
    use tautline_slack::{AppId, TeamId};

    use super::*;

    fn event(team: &str, event_id: Option<&str>) -> Routing {
        let origin =
            Origin { app: Some(AppId::new("A1")), team: Some(TeamId::new(team)), ..Origin::default() };
        Routing {
            kind: Kind::Event,
            name: "message".into(),
            event_id: event_id.map(str::to_owned),
            message: None,
            origin,
        }
    }

    #[test]
    fn an_event_is_known_by_its_id_whatever_its_signature() {
        let key = |team, id, signature| SeenKey::of(&event(team, id), &[signature; 32]);
        assert_eq!(key("T1", Some("Ev1"), 1), key("T1", Some("Ev1"), 2));
        assert_ne!(key("T1", Some("Ev1"), 1), key("T2", Some("Ev1"), 1), "another installation");
        assert_ne!(key("T1", Some("Ev1"), 1), key("T1", Some("Ev2"), 1));
        assert_ne!(key("T1", None, 1), key("T1", None, 2), "without an id, the signature");
        let (earlier, later) = (key("T1", Some("Ev0AAAAAAAAA1"), 9), key("T2", Some("Ev0AAAAAAAAB0"), 1));
        assert!(earlier.0 < later.0, "in the order of their ids");
        assert_ne!(
            key("T1", Some("Ev0AAAAAAAAAA1"), 1),
            key("T1", Some("Ev0AAAAAAAAAA2"), 1),
            "all of the id counts"
        );
    }
}
