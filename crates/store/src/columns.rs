//! How values of several parts are told in columns. The same words on both engines.

use bytes::Bytes;
use tautline_core::access::Scope;
use tautline_core::delivery::{Answer, AttemptResult, DeliveryState, Hand, NewDelivery};
use tautline_core::endpoint::{Filter, Target, TenantSet};
use tautline_core::schedule::Next;
use tautline_core::{PageRequest, TenantId, Timestamp};
use tautline_slack::TeamId;

/// Why a message is held that came back with a backup.
macro_rules! restored {
    () => {
        "restored from a backup: it may have been sent since; look in the channel, and send it anew if it is missing"
    };
}
pub(crate) use restored;

/// Why a message is cancelled that named a person whose content was erased.
macro_rules! erased {
    () => {
        "it named a person whose content was erased"
    };
}
pub(crate) use erased;

/// Scopes, as a list with commas.
pub(crate) fn scopes(scopes: &[Scope]) -> String {
    scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(",")
}

/// Reads [`scopes`].
pub(crate) fn read_scopes(list: &str) -> Option<Vec<Scope>> {
    list.split(',').map(Scope::from_name).collect()
}

/// Ids of Slack's that were joined by commas.
pub(crate) fn ids(list: &str) -> Vec<String> {
    list.split(',').filter(|id| !id.is_empty()).map(str::to_owned).collect()
}

/// A text as `LIKE` takes it for itself.
pub(crate) fn like(text: &str) -> String {
    text.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_")
}

/// Before which entry of the audit a page begins.
pub(crate) fn audit_before(page: PageRequest) -> i64 {
    let number = page.after.map(|cursor| u128::from_be_bytes(cursor.0));
    number.and_then(|number| i64::try_from(number).ok()).unwrap_or(i64::MAX)
}

/// Where an endpoint is: `target` and `url`.
pub(crate) fn target(target: &Target) -> (&'static str, Option<&str>) {
    match target {
        Target::InProcess => ("in_process", None),
        Target::Slack { url } => ("slack", Some(url.as_str())),
        Target::Standard { url } => ("standard", Some(url.as_str())),
    }
}

/// Reads [`target`].
pub(crate) fn read_target(target: &str, url: Option<&str>) -> Option<Target> {
    match target {
        "in_process" => Some(Target::InProcess),
        "slack" => Some(Target::Slack { url: url?.parse().ok()? }),
        "standard" => Some(Target::Standard { url: url?.parse().ok()? }),
        _ => None,
    }
}

/// Filters, as a JSON list.
pub(crate) fn filters(filters: &[Filter]) -> String {
    let filters = filters.iter().map(ToString::to_string).collect::<Vec<_>>();
    serde_json::to_string(&filters).expect("texts are JSON")
}

/// Reads [`filters`]. One of a kind that only a newer version knows is left out: it wants nothing that is known here.
pub(crate) fn read_filters(json: &str) -> Option<Vec<Filter>> {
    let texts: Vec<String> = serde_json::from_str(json).ok()?;
    Some(texts.iter().filter_map(|text| Filter::kept(text)).collect())
}

/// Tenants, as a JSON list; `["*"]` is every tenant.
pub(crate) fn tenants(tenants: &TenantSet) -> String {
    let texts = match tenants {
        TenantSet::All => vec!["*"],
        TenantSet::Only(named) => named.iter().map(TenantId::as_str).collect(),
    };
    serde_json::to_string(&texts).expect("texts are JSON")
}

/// Reads a JSON list of tenants; `["*"]` is every tenant.
pub(crate) fn read_tenants(json: &str) -> Option<TenantSet> {
    let texts: Vec<String> = serde_json::from_str(json).ok()?;
    match texts.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["*"] => Some(TenantSet::All),
        named => {
            named.iter().map(|id| id.parse().ok()).collect::<Option<Vec<TenantId>>>().map(TenantSet::Only)
        }
    }
}

/// Reads a JSON list of workspaces; none where Slack has told of none.
pub(crate) fn read_teams(json: Option<&str>) -> Vec<TeamId> {
    let texts: Vec<String> = json.and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
    texts.into_iter().map(TeamId::new).collect()
}

/// The list after some workspaces were granted and others revoked.
pub(crate) fn teams_after(json: Option<&str>, granted: &[TeamId], revoked: &[TeamId]) -> String {
    let mut teams = read_teams(json);
    teams.extend(granted.iter().cloned());
    teams.retain(|team| !revoked.contains(team));
    let mut names = teams.iter().map(TeamId::as_str).collect::<Vec<_>>();
    names.sort_unstable();
    names.dedup();
    serde_json::to_string(&names).expect("texts are JSON")
}

/// How a new delivery stands: `state`, `attempt`, `next_at`, `turn` and the end of its lease.
pub(crate) fn hand(
    delivery: &NewDelivery,
) -> (DeliveryState, i64, Option<Timestamp>, Timestamp, Option<Timestamp>) {
    let due_at = delivery.due_at;
    match delivery.hand {
        Hand::Leased { until } => (DeliveryState::Leased, 1, None, due_at, Some(until)),
        Hand::Ready { turn } => (DeliveryState::Ready, 0, Some(due_at), turn, None),
    }
}

/// What follows an attempt: `state`, `next_at` and `dead_reason`.
pub(crate) fn next(next: &Next) -> (DeliveryState, Option<i64>, Option<&'static str>) {
    match next {
        Next::Delivered => (DeliveryState::Delivered, None, None),
        Next::Retry { at } => (DeliveryState::Ready, Some(at.as_micros()), None),
        Next::Dead { reason } => (DeliveryState::Dead, None, Some(reason.as_str())),
    }
}

/// How an attempt ended: `outcome`, the answer with its columns, and `error`.
pub(crate) fn result(result: Option<&AttemptResult>) -> (&'static str, Option<&Answer>, Option<&str>) {
    match result {
        Some(AttemptResult::Answered(answer)) => ("answered", Some(answer), None),
        Some(AttemptResult::Refused { answer, .. }) => ("refused", Some(answer), None),
        Some(AttemptResult::NotReached { error }) => ("not_reached", None, Some(error)),
        Some(AttemptResult::Unknown { error }) => ("unknown", None, Some(error)),
        None => ("interrupted", None, None),
    }
}

/// The columns of an attempt's end, as they stand in the table.
pub(crate) struct Result {
    pub(crate) outcome: String,
    pub(crate) status: Option<u16>,
    pub(crate) content_type: Option<String>,
    pub(crate) sealed_answer: Option<Vec<u8>>,
    pub(crate) error: Option<String>,
}

impl Result {
    /// Reads [`result`], with the answer's body opened.
    pub(crate) fn open(self, body: Bytes) -> Option<AttemptResult> {
        let answer =
            Answer { status: self.status.unwrap_or_default(), content_type: self.content_type, body };
        let error = self.error.unwrap_or_default();
        match self.outcome.as_str() {
            "answered" => Some(AttemptResult::Answered(answer)),
            "refused" => Some(AttemptResult::Refused { answer, retry_after: None }),
            "not_reached" => Some(AttemptResult::NotReached { error }),
            "unknown" => Some(AttemptResult::Unknown { error }),
            _ => None,
        }
    }
}
