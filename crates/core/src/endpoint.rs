//! Endpoints: the product's handlers, in-process or HTTP, and which of them gets what.

use async_trait::async_trait;
use secrecy::SecretString;
use tautline_slack::request::Kind;
use url::Url;

pub use crate::filter::{Filter, FilterError};
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
    /// Whether the environment or the program declares it; otherwise the API made it, and can change and remove it.
    pub is_declared: bool,
    /// Attempts under way at once, if not [`limits::IN_FLIGHT_PER_ENDPOINT`](crate::limits::IN_FLIGHT_PER_ENDPOINT).
    pub in_flight: Option<u32>,
    /// Whether somebody has it wait: what comes for it is kept.
    pub is_paused: bool,
    /// How it does.
    pub health: Health,
    /// Since when it is known.
    pub created_at: Timestamp,
}

/// How an endpoint does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Since when attempts fail one after the other; `None` while it is well.
    pub failing_since: Option<Timestamp>,
    /// Why, in the words of the attempt with which it was noticed.
    pub because: Option<String>,
    /// Since when deliveries are given up.
    pub exhausted_at: Option<Timestamp>,
    /// When it said that it is gone (410): it is not asked any more until somebody resumes it.
    pub disabled_at: Option<Timestamp>,
}

/// A change in how an endpoint does, of which people are told once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthChange {
    /// It fails, and rests between probes.
    Failing,
    /// It is well again.
    Recovered,
    /// Deliveries to it are given up: they are dead letters.
    Exhausted,
    /// It answered 410.
    Disabled,
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
    /// An envelope in JSON, signed by the rules of Standard Webhooks: for programs that know nothing of Slack.
    Standard {
        /// The program's URL.
        url: Url,
    },
}

impl Target {
    /// The address, of those that have one.
    pub fn url(&self) -> Option<&Url> {
        match self {
            Self::InProcess => None,
            Self::Slack { url } | Self::Standard { url } => Some(url),
        }
    }

    /// Whether the gateway's own events are understood there. A Bolt app knows Slack's alone.
    pub fn takes_own_events(&self) -> bool {
        !matches!(self, Self::Slack { .. })
    }
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

impl Endpoint {
    /// An endpoint that the API makes.
    pub fn made(
        id: EndpointId,
        target: Target,
        filters: Vec<Filter>,
        tenants: TenantSet,
        created_at: Timestamp,
    ) -> Self {
        Self {
            id,
            name: id.to_string(),
            target,
            filters,
            tenants,
            is_declared: false,
            in_flight: None,
            is_paused: false,
            health: Health::default(),
            created_at,
        }
    }

    /// Whether nothing goes there for now, whatever waits.
    pub fn is_shut(&self) -> bool {
        self.is_paused || self.health.disabled_at.is_some()
    }

    fn best_filter(&self, kind: Kind, name: &str) -> Option<&Filter> {
        self.filters.iter().filter(|filter| filter.wants(kind, name)).max_by_key(|filter| filter.precision())
    }

    /// Whether it gets this tenant's request.
    pub fn wants(&self, tenant: &TenantId, kind: Kind, name: &str) -> bool {
        self.tenants.contains(tenant) && self.best_filter(kind, name).is_some()
    }
}

/// The endpoints that get a request. The first is the one that answers: one that is not paused, in-process, else the most
/// specific filter, else the tenant's own, else the oldest. The others get a copy.
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
        (endpoint.is_shut(), remote, std::cmp::Reverse(precision), shared, endpoint.created_at, endpoint.id)
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
    /// The secret before the last rotation, and until when it is good as well.
    pub secret_before: Option<(SecretString, Timestamp)>,
}

/// A change of an endpoint; what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct EndpointChange {
    /// Where it is now.
    pub target: Option<Target>,
    /// What it wants from now on.
    pub filters: Option<Vec<Filter>>,
    /// Whose requests it gets from now on.
    pub tenants: Option<TenantSet>,
    /// Attempts under way at once.
    pub in_flight: Option<u32>,
    /// Whether it waits. Resumed, it is not disabled either.
    pub is_paused: Option<bool>,
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

    /// Changes an endpoint that the API made. False: there is none.
    async fn endpoint_change(&self, id: EndpointId, change: EndpointChange) -> StoreResult<bool>;

    /// Gives an endpoint that the API made a new secret. The one it had is good until a time, as well. False: there is none.
    async fn endpoint_rotate(
        &self,
        id: EndpointId,
        secret: SecretString,
        before_until: Timestamp,
    ) -> StoreResult<bool>;

    /// Puts a change of health on record. True for the one who made the change: of several servers one tells people.
    /// `because` is what failed. An endpoint that is well otherwise is exhausted anew after
    /// [`limits::EXHAUSTED_AGAIN`](crate::limits::EXHAUSTED_AGAIN).
    async fn endpoint_health(
        &self,
        id: EndpointId,
        change: HealthChange,
        because: &str,
        now: Timestamp,
    ) -> StoreResult<bool>;

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
        let id = EndpointId::generate(created_at, &SystemRng);
        Endpoint {
            name: name.to_owned(),
            ..Endpoint::made(id, target, vec![filter.parse().unwrap()], tenants, created_at)
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
        endpoints[5].is_paused = true;
        assert_eq!(
            (order(&endpoints)[0], order(&endpoints)[5]),
            ("exact", "here"),
            "a paused one answers nobody"
        );
    }

    #[test]
    fn another_tenants_endpoint_gets_nothing() {
        let globex = TenantSet::Only(vec!["globex".parse().unwrap()]);
        assert!(order(&[endpoint("globex", http(), "*", globex, 1)]).is_empty());
    }
}
