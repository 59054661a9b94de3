//! Tenants and keys.

use tautline_core::SecretHash;
use tautline_core::access::{ApiKey, Scope};
use tautline_core::audit::{AuditAction, AuditEntry};
use tautline_core::idempotency::{IdempotencyKey, Once};
use tautline_core::{KeyId, SystemRng, Tenant, TenantId, TenantRecorded};

use crate::scene::{NOW, Scene, later, page};

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
        let key = ApiKey {
            id,
            tenant,
            scopes: vec![Scope::Read, Scope::Manage],
            created_at: NOW,
            expires_at: None,
            last_used_at: None,
        };
        scene.store.key_store(key.clone(), SecretHash::of(secret), None).await.unwrap();
        assert_eq!(scene.store.key(SecretHash::of(secret)).await.unwrap(), Some(key));
    }
    assert_eq!(scene.store.key(SecretHash::of("tl_other")).await.unwrap(), None);
}

pub async fn who_asks_at_once_is_told_of_their_own(scene: &Scene) {
    let key = |tenant: &TenantId| ApiKey {
        id: KeyId::generate(NOW, &SystemRng),
        tenant: Some(tenant.clone()),
        scopes: vec![Scope::Read],
        created_at: NOW,
        expires_at: None,
        last_used_at: None,
    };
    let keys = [key(&scene.acme), key(&scene.globex)];
    for (key, secret) in keys.iter().zip(["tl_0", "tl_1"]) {
        scene.store.key_store(key.clone(), SecretHash::of(secret), None).await.unwrap();
    }
    let nobody: TenantId = "nobody".parse().unwrap();
    for _ in 0..10 {
        let found = tokio::join!(
            scene.store.key(SecretHash::of("tl_1")),
            scene.store.key(SecretHash::of("tl_2")),
            scene.store.key(SecretHash::of("tl_0")),
            scene.store.key(SecretHash::of("tl_1")),
        );
        let found = [found.0, found.1, found.2, found.3].map(Result::unwrap);
        assert_eq!(found, [Some(keys[1].clone()), None, Some(keys[0].clone()), Some(keys[1].clone())]);
        let found = tokio::join!(
            scene.store.tenant(&scene.globex),
            scene.store.tenant(&nobody),
            scene.store.tenant(&scene.acme),
        );
        let found = [found.0, found.1, found.2].map(|found| found.unwrap().map(|tenant| tenant.id));
        assert_eq!(found, [Some(scene.globex.clone()), None, Some(scene.acme.clone())]);
    }
}

pub async fn an_idempotency_key_makes_one_thing(scene: &Scene) {
    let ask = |secret: &'static str, scope: &'static str, request: u8| {
        let id = KeyId::generate(NOW, &SystemRng);
        let key = ApiKey {
            id,
            tenant: None,
            scopes: vec![Scope::Read],
            created_at: NOW,
            expires_at: None,
            last_used_at: None,
        };
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

pub async fn keys_are_listed_used_and_revoked(scene: &Scene) {
    let key = |tenant: Option<&TenantId>, last: u8| ApiKey {
        id: KeyId::from_bytes([last; 16]),
        tenant: tenant.cloned(),
        scopes: vec![Scope::Read],
        created_at: NOW,
        expires_at: Some(later(60)),
        last_used_at: None,
    };
    let made = [key(None, 1), key(Some(&scene.acme), 2), key(Some(&scene.globex), 3)];
    for (number, key) in made.iter().enumerate() {
        let secret = SecretHash::of(&format!("tl_{number}"));
        scene.store.key_store(key.clone(), secret, None).await.unwrap();
    }
    let listed = async |tenant| scene.store.keys(tenant, page(9, None)).await.unwrap().items;
    assert_eq!(listed(None).await, [made[2].clone(), made[1].clone(), made[0].clone()], "newest first");
    assert_eq!(listed(Some(&scene.acme)).await, [made[1].clone()]);
    scene.store.key_used(made[1].id, later(5)).await.unwrap();
    let used = scene.store.key(SecretHash::of("tl_1")).await.unwrap().unwrap();
    assert_eq!((used.last_used_at, used.expires_at), (Some(later(5)), Some(later(60))));
    let revoke = async |tenant, id| scene.store.key_revoke(tenant, id, later(6)).await.unwrap();
    assert_eq!(revoke(Some(&scene.acme), made[2].id).await, None, "another tenant's");
    assert_eq!(revoke(Some(&scene.acme), made[0].id).await, None, "the platform's");
    assert_eq!(revoke(None, made[2].id).await, Some(Some(scene.globex.clone())));
    assert_eq!(revoke(None, made[2].id).await, None, "once");
    assert_eq!(scene.store.key(SecretHash::of("tl_2")).await.unwrap(), None);
    assert_eq!(listed(None).await.len(), 2);
}

pub async fn the_audit_is_listed_newest_first_and_to_whom_it_concerns(scene: &Scene) {
    for number in 0..5 {
        let tenant = if number == 2 { &scene.globex } else { &scene.acme };
        let entry = AuditEntry {
            at: later(number),
            tenant: tenant.clone(),
            actor: "somebody".into(),
            action: AuditAction::KeyMade,
            subject: format!("the {number}th"),
        };
        scene.store.audit_append(vec![entry]).await.unwrap();
    }
    let subjects = async |tenant, page| {
        let found = scene.store.audit(tenant, page).await.unwrap();
        (found.items.into_iter().map(|entry| entry.subject).collect::<Vec<_>>(), found.next)
    };
    let (first, next) = subjects(Some(&scene.acme), page(3, None)).await;
    assert_eq!(first, ["the 4th", "the 3th", "the 1th"]);
    let (rest, next) = subjects(Some(&scene.acme), page(3, next)).await;
    assert_eq!((rest, next), (vec!["the 0th".to_owned()], None));
    assert_eq!(subjects(None, page(9, None)).await.0.len(), 5, "the platform sees everybody's");
    let entry = scene.store.audit(Some(&scene.globex), page(9, None)).await.unwrap().items.remove(0);
    assert_eq!((entry.at, entry.tenant.as_str(), entry.action.as_str()), (later(2), "globex", "key.made"));
}
