//! Endpoints: the product's handlers, in-process or HTTP, and which of them gets what.

use std::str::FromStr;

use async_trait::async_trait;
use secrecy::SecretString;
use tautline_slack::request::Kind;
use url::Url;

use crate::idempotency::{IdempotencyKey, Once};
use crate::{EndpointId, StoreResult, TenantId, Timestamp};

/// A handler of the product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its id.
    pub id: EndpointId,
    /// Its name, unique: an endpoint that is declared again under its name keeps its id, and with it what
    /// waits for it.
    pub name: String,
    /// Where it is.
    pub target: Target,
    /// What it wants; any one of them.
    pub filters: Vec<Filter>,
    /// Whose requests it gets.
    pub tenants: TenantSet,
    /// Whether the environment or the program declares it; otherwise the API made it, and can remove it.
    pub is_declared: bool,
    /// Since when it is known.
    pub created_at: Timestamp,
}

/// Where an endpoint is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A function of this process.
    InProcess,
    /// Slack's own protocol, signed afresh: for Bolt apps.
    Slack {
        /// The app's URL.
        url: Url,
    },
}

/// Whose requests an endpoint gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TenantSet {
    /// Every tenant's.
    All,
    /// Those of the named.
    Only(Vec<TenantId>),
}

impl TenantSet {
    /// Whether a tenant is among them.
    pub fn contains(&self, tenant: &TenantId) -> bool {
        match self {
            Self::All => true,
            Self::Only(named) => named.contains(tenant),
        }
    }
}

/// What an endpoint wants: `*`, `command.*`, `event.app_mention`, `block_action.approve_*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    kind: Option<Kind>,
    name: String,
}

/// The text is no filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no filter: write \"*\", a kind and a name as in \"event.app_mention\", or a beginning as in \"command.*\""
)]
pub struct FilterError(String);

impl Filter {
    /// Everything.
    pub fn everything() -> Self {
        Self { kind: None, name: "*".to_owned() }
    }

    /// A kind's requests of a name; one that ends in `*` is a beginning.
    pub fn of(kind: Kind, name: impl Into<String>) -> Self {
        Self { kind: Some(kind), name: name.into() }
    }

    fn wants(&self, kind: Kind, name: &str) -> bool {
        self.kind.is_none_or(|wanted| wanted == kind)
            && match self.name.strip_suffix('*') {
                Some(beginning) => name.starts_with(beginning),
                None => self.name == name,
            }
    }

    /// How much it says: an exact name more than a beginning, a long beginning more than a short one.
    fn precision(&self) -> (bool, bool, usize) {
        (self.kind.is_some(), !self.name.ends_with('*'), self.name.len())
    }
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        if text == "*" {
            return Ok(Self::everything());
        }
        let error = || FilterError(text.to_owned());
        let (kind, name) = text.split_once('.').ok_or_else(error)?;
        if name.is_empty() {
            return Err(error());
        }
        Ok(Self { kind: Some(kind.parse().map_err(|_| error())?), name: name.to_owned() })
    }
}

impl std::fmt::Display for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.kind {
            None => f.write_str("*"),
            Some(kind) => write!(f, "{kind}.{}", self.name),
        }
    }
}

impl Endpoint {
    fn best_filter(&self, kind: Kind, name: &str) -> Option<&Filter> {
        self.filters.iter().filter(|filter| filter.wants(kind, name)).max_by_key(|filter| filter.precision())
    }

    /// Whether it gets this tenant's request.
    pub fn wants(&self, tenant: &TenantId, kind: Kind, name: &str) -> bool {
        self.tenants.contains(tenant) && self.best_filter(kind, name).is_some()
    }
}

/// The endpoints that get a request. The first is the one that answers: in-process, else the most specific
/// filter, else the tenant's own, else the oldest. The others get a copy.
pub fn recipients<'e>(
    endpoints: &'e [Endpoint],
    tenant: &TenantId,
    kind: Kind,
    name: &str,
) -> Vec<&'e Endpoint> {
    let mut wanting = endpoints.iter().filter(|e| e.wants(tenant, kind, name)).collect::<Vec<_>>();
    wanting.sort_by_key(|endpoint| {
        let remote = endpoint.target != Target::InProcess;
        let precision = endpoint.best_filter(kind, name).map(Filter::precision);
        let shared = endpoint.tenants == TenantSet::All;
        (remote, std::cmp::Reverse(precision), shared, endpoint.created_at, endpoint.id)
    });
    wanting
}

/// An endpoint that the environment or the program declares when it starts.
#[derive(Clone, Debug)]
pub struct Declared {
    /// Its name, unique.
    pub name: String,
    /// Where it is.
    pub target: Target,
    /// What it wants.
    pub filters: Vec<Filter>,
}

/// An endpoint in force, with what requests to it are signed with where the store keeps that.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// The secret of one that the API made. Those that are declared bring their own.
    pub secret: Option<SecretString>,
}

/// The store's record of endpoints.
#[async_trait]
pub trait Endpoints {
    /// Keeps an endpoint that the API made, with its secret.
    async fn endpoint_make(
        &self,
        endpoint: Endpoint,
        secret: SecretString,
        once: Option<IdempotencyKey>,
    ) -> StoreResult<Once<()>>;

    /// Those in force, declared or made, oldest first.
    async fn endpoints(&self) -> StoreResult<Vec<Kept>>;

    /// Removes an endpoint that the API made. What waits for it is dead. False: there is none.
    async fn endpoint_remove(&self, id: EndpointId) -> StoreResult<bool>;

    /// Makes the declared endpoints the active ones, for every tenant, and returns them with those that the API made.
    /// What waits for an endpoint that is no longer declared goes on waiting. New endpoints take the given ids, in order.
    async fn endpoints_declare(
        &self,
        declared: Vec<Declared>,
        new_ids: Vec<EndpointId>,
        now: Timestamp,
    ) -> StoreResult<Vec<Endpoint>>;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SystemRng;

    fn endpoint(name: &str, target: Target, filter: &str, tenants: TenantSet, made_at: i64) -> Endpoint {
        let created_at = Timestamp::from_micros(made_at);
        Endpoint {
            id: EndpointId::generate(created_at, &SystemRng),
            name: name.to_owned(),
            target,
            filters: vec![filter.parse().unwrap()],
            tenants,
            is_declared: false,
            created_at,
        }
    }

    fn http() -> Target {
        Target::Slack { url: Url::parse("http://127.0.0.1:1/").unwrap() }
    }

    fn acme() -> TenantId {
        "acme".parse().unwrap()
    }

    fn order(endpoints: &[Endpoint]) -> Vec<&str> {
        recipients(endpoints, &acme(), Kind::Command, "/deploy").iter().map(|e| e.name.as_str()).collect()
    }

    #[test]
    fn filters_match_by_kind_and_name() {
        let wants = |filter: &str, kind, name| filter.parse::<Filter>().unwrap().wants(kind, name);
        assert!(wants("*", Kind::Event, "message"));
        assert!(wants("event.app_mention", Kind::Event, "app_mention"));
        assert!(!wants("event.app_mention", Kind::Event, "app_mention_x"));
        assert!(!wants("event.app_mention", Kind::Command, "app_mention"));
        assert!(wants("block_action.approve_*", Kind::BlockAction, "approve_7"));
        assert!(!wants("block_action.approve_*", Kind::BlockAction, "reject_7"));
        assert!(wants("command.*", Kind::Command, "/x"));
        for bad in ["", "event", "event.", "events.message", ".x"] {
            assert!(bad.parse::<Filter>().is_err(), "{bad:?}");
        }
        assert_eq!("command./x*".parse::<Filter>().unwrap().to_string(), "command./x*");
    }

    #[test]
    fn the_first_recipient_answers() {
        let own = || TenantSet::Only(vec![acme()]);
        let mut endpoints = vec![
            endpoint("old, everything", http(), "*", TenantSet::All, 1),
            endpoint("new, everything", http(), "*", TenantSet::All, 2),
        ];
        assert_eq!(order(&endpoints), ["old, everything", "new, everything"], "the oldest");
        endpoints.push(endpoint("own", http(), "*", own(), 3));
        assert_eq!(order(&endpoints)[0], "own", "the tenant's own before the platform's");
        endpoints.push(endpoint("commands", http(), "command.*", TenantSet::All, 4));
        assert_eq!(order(&endpoints)[0], "commands", "the more specific");
        endpoints.push(endpoint("exact", http(), "command./deploy", TenantSet::All, 5));
        assert_eq!(order(&endpoints)[0], "exact");
        endpoints.push(endpoint("here", Target::InProcess, "*", TenantSet::All, 6));
        assert_eq!(order(&endpoints)[0], "here", "in-process before all");
        assert_eq!(order(&endpoints).len(), 6, "the others get a copy");
    }

    #[test]
    fn another_tenants_endpoint_gets_nothing() {
        let globex = TenantSet::Only(vec!["globex".parse().unwrap()]);
        assert!(order(&[endpoint("globex", http(), "*", globex, 1)]).is_empty());
    }
}
