//! Tenants and keys.

use tautline_core::SecretHash;
use tautline_core::access::{ApiKey, Scope};
use tautline_core::idempotency::{IdempotencyKey, Once};
use tautline_core::{KeyId, SystemRng, Tenant, TenantRecorded};

use crate::scene::{NOW, Scene, later};

pub async fn a_tenant_is_recorded_once(scene: &Scene) {
    let first = Tenant { id: "new".parse().unwrap(), name: Some("New".into()), created_at: NOW };
    let recorded = scene.store.tenant_record(first.clone(), None).await.unwrap();
    assert_eq!(recorded, Once::Done(TenantRecorded::Created(first.clone())));
    let again = Tenant { name: Some("Other".into()), created_at: later(1), ..first.clone() };
    let recorded = scene.store.tenant_record(again, None).await.unwrap();
    assert_eq!(recorded, Once::Done(TenantRecorded::Existing(first.clone())));
    assert_eq!(scene.store.tenant(&first.id).await.unwrap(), Some(first));
    assert_eq!(scene.store.tenant(&"nobody".parse().unwrap()).await.unwrap(), None);
}

pub async fn a_key_is_found_by_its_secret_alone(scene: &Scene) {
    let bound = Some(scene.acme.clone());
    for (tenant, secret) in [(bound, "tl_bound"), (None, "tl_platform")] {
        let id = KeyId::generate(NOW, &SystemRng);
        let key = ApiKey { id, tenant, scopes: vec![Scope::Read, Scope::Manage], created_at: NOW };
        scene.store.key_store(key.clone(), SecretHash::of(secret), None).await.unwrap();
        assert_eq!(scene.store.key(SecretHash::of(secret)).await.unwrap(), Some(key));
    }
    assert_eq!(scene.store.key(SecretHash::of("tl_other")).await.unwrap(), None);
}

pub async fn an_idempotency_key_makes_one_thing(scene: &Scene) {
    let ask = |secret: &'static str, scope: &'static str, request: u8| {
        let id = KeyId::generate(NOW, &SystemRng);
        let key = ApiKey { id, tenant: None, scopes: vec![Scope::Read], created_at: NOW };
        let once = IdempotencyKey { scope: scope.into(), key: "k-1".into(), request: [request; 32], at: NOW };
        let store = scene.store.clone();
        tokio::spawn(async move { store.key_store(key, SecretHash::of(secret), Some(once)).await.unwrap() })
    };
    let mut done = 0;
    for asked in (0..10).map(|_| ask("tl_one", "a", 1)).collect::<Vec<_>>() {
        match asked.await.unwrap() {
            Once::Done(()) => done += 1,
            other => assert_eq!(other, Once::Before),
        }
    }
    assert_eq!(done, 1, "however many ask at once");
    assert_eq!(ask("tl_two", "a", 2).await.unwrap(), Once::Conflict, "the same key for something else");
    assert_eq!(scene.store.key(SecretHash::of("tl_two")).await.unwrap(), None, "nothing was made");
    assert_eq!(ask("tl_three", "b", 2).await.unwrap(), Once::Done(()), "another caller's key is another key");
}
