//! What the tests begin with: two tenants, an endpoint, and a clock that stands still.

use std::sync::Arc;
use std::time::Duration;

use tautline_core::delivery::{Hand, NewDelivery, Places};
use tautline_core::endpoint::{Declared, Filter, Target};
use tautline_core::inbox::{Accepted, AnswerState, Incoming, Request, SeenKey, Whose};
use tautline_core::kinds::Policy;
use tautline_core::{
    Cursor, DeliveryId, EndpointId, PageRequest, RequestId, Store, SystemRng, Tenant, TenantId, Timestamp,
    limits,
};
use tautline_slack::request::Kind;

use crate::engine::{Engine, Ground};

pub const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

pub struct Scene {
    pub store: Arc<dyn Store>,
    pub ground: Ground,
    pub acme: TenantId,
    pub globex: TenantId,
    pub endpoint: EndpointId,
}

pub fn later(seconds: u64) -> Timestamp {
    NOW.after(Duration::from_secs(seconds))
}

/// Places for so many, be they tried before or not.
pub fn places(endpoint: EndpointId, most: usize) -> Places {
    Places { endpoint, first: most, again: most }
}

pub fn page(limit: u32, after: Option<Cursor>) -> PageRequest {
    PageRequest { limit, after }
}

impl Scene {
    pub async fn on(engine: Engine) -> Self {
        let Engine { store, ground } = engine;
        let [acme, globex]: [TenantId; 2] = ["acme", "globex"].map(|id| id.parse().unwrap());
        for id in [&acme, &globex] {
            store.tenant_record(Tenant { id: id.clone(), name: None, created_at: NOW }, None).await.unwrap();
        }
        let echo =
            Declared { name: "echo".into(), target: Target::InProcess, filters: vec![Filter::everything()] };
        let ids = vec![EndpointId::generate(NOW, &SystemRng)];
        let endpoint = store.endpoints_declare(vec![echo], ids, NOW).await.unwrap()[0].id;
        Self { store, ground, acme, globex, endpoint }
    }

    /// A request of a kind, with one delivery to the endpoint.
    pub fn incoming(&self, tenant: Option<&TenantId>, kind: Kind, name: &str, at: Timestamp) -> Incoming {
        let policy = Policy::of(kind);
        let id = RequestId::generate(at, &SystemRng);
        let mut seen = [0; 32];
        seen[..16].copy_from_slice(id.as_bytes());
        let delivery = NewDelivery {
            id: DeliveryId::generate(at, &SystemRng),
            endpoint: self.endpoint,
            answers: true,
            due_at: at,
            hand: Hand::Ready { turn: at },
        };
        Incoming {
            request: Arc::new(Request {
                id,
                tenant: tenant.cloned(),
                installation: None,
                kind,
                name: name.to_owned(),
                slack_id: (kind == Kind::Event).then(|| format!("Ev-{name}")),
                team_id: Some("T1".into()),
                message: None,
                received_at: at,
                expires_at: policy.expires_at(at),
                content_type: Some("application/json".into()),
                body: format!("{{\"name\":\"{name}\"}}").into(),
            }),
            seen: SeenKey(seen),
            retry_reason: None,
            answer: if policy.held { AnswerState::Waiting } else { AnswerState::NotHeld },
            deliveries: if tenant.is_some() { vec![delivery] } else { Vec::new() },
        }
    }

    /// Stores a request of acme's.
    pub async fn accept(&self, kind: Kind, name: &str) -> Incoming {
        let incoming = self.incoming(Some(&self.acme), kind, name, NOW);
        assert_eq!(self.store.request_accept(incoming.clone()).await.unwrap(), Accepted::Stored);
        incoming
    }

    /// Stores a request of acme's that somebody has in hand already.
    pub async fn accept_leased(&self, kind: Kind, name: &str) -> Incoming {
        let mut incoming = self.incoming(Some(&self.acme), kind, name, NOW);
        incoming.deliveries[0].hand = Hand::Leased { until: NOW.after(limits::LEASE) };
        assert_eq!(self.store.request_accept(incoming.clone()).await.unwrap(), Accepted::Stored);
        incoming
    }

    /// One of acme's requests as it stands.
    pub async fn stands(&self, id: RequestId) -> tautline_core::inbox::RequestSummary {
        self.store.request(Whose::Tenant(&self.acme), id).await.unwrap().expect("acme's request")
    }
}
