//! Tenants and keys.

use tautline_core::SecretHash;
use tautline_core::access::{ApiKey, Scope};
use tautline_core::{KeyId, SystemRng, Tenant, TenantRecorded};

use crate::scene::{NOW, Scene, later};

pub async fn a_tenant_is_recorded_once(scene: &Scene) {
    let first = Tenant { id: "new".parse().unwrap(), name: Some("New".into()), created_at: NOW };
    let recorded = scene.store.tenant_record(first.clone()).await.unwrap();
    assert_eq!(recorded, TenantRecorded::Created(first.clone()));
    let again = Tenant { name: Some("Other".into()), created_at: later(1), ..first.clone() };
    assert_eq!(scene.store.tenant_record(again).await.unwrap(), TenantRecorded::Existing(first.clone()));
    assert_eq!(scene.store.tenant(&first.id).await.unwrap(), Some(first));
    assert_eq!(scene.store.tenant(&"nobody".parse().unwrap()).await.unwrap(), None);
}

pub async fn a_key_is_found_by_its_secret_alone(scene: &Scene) {
    let bound = Some(scene.acme.clone());
    for (tenant, secret) in [(bound, "tl_bound"), (None, "tl_platform")] {
        let id = KeyId::generate(NOW, &SystemRng);
        let key = ApiKey { id, tenant, scopes: vec![Scope::Read, Scope::Manage], created_at: NOW };
        scene.store.key_store(key.clone(), SecretHash::of(secret)).await.unwrap();
        assert_eq!(scene.store.key(SecretHash::of(secret)).await.unwrap(), Some(key));
    }
    assert_eq!(scene.store.key(SecretHash::of("tl_other")).await.unwrap(), None);
}
