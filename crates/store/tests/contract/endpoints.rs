//! Endpoints.

use secrecy::ExposeSecret as _;
use tautline_core::EndpointId;
use tautline_core::delivery::{DeadReason, DeliveryState, Reap};
use tautline_core::endpoint::{
    Declared, Endpoint, EndpointChange, Filter, Health, HealthChange, Kept, Target, TenantSet,
};
use tautline_core::idempotency::Once;
use tautline_core::inbox::Revive;
use tautline_core::keeping;
use tautline_core::{SystemRng, Timestamp, limits};
use tautline_slack::request::Kind;

use crate::scene::{NOW, Scene, later, places};

fn bolt(url: &str) -> Declared {
    let filters = vec!["command.*".parse::<Filter>().unwrap(), "event.app_mention".parse().unwrap()];
    Declared { name: "bolt".into(), target: Target::Slack { url: url.parse().unwrap() }, filters }
}

async fn declare(
    scene: &Scene,
    declared: Vec<Declared>,
    now: Timestamp,
) -> Vec<tautline_core::endpoint::Endpoint> {
    let ids = declared.iter().map(|_| EndpointId::generate(now, &SystemRng)).collect();
    scene.store.endpoints_declare(declared, ids, now).await.unwrap()
}

pub async fn a_declared_endpoint_keeps_its_id(scene: &Scene) {
    let first = declare(scene, vec![bolt("http://old/")], NOW).await;
    let second = declare(scene, vec![bolt("http://new/")], later(60)).await;
    assert_eq!(second.len(), 1);
    assert_eq!(second[0].id, first[0].id);
    assert_eq!(second[0].created_at, NOW);
    assert_eq!(second[0].target, Target::Slack { url: "http://new/".parse().unwrap() });
    assert_eq!(second[0].filters, bolt("http://new/").filters);
}

pub async fn an_endpoint_no_longer_declared_gets_nothing_and_keeps_what_waits(scene: &Scene) {
    scene.accept(Kind::Event, "waiting").await;
    assert!(declare(scene, vec![], later(1)).await.is_empty());
    let echo =
        Declared { name: "echo".into(), target: Target::InProcess, filters: vec![Filter::everything()] };
    let back = declare(scene, vec![echo], later(2)).await;
    assert_eq!(back[0].id, scene.endpoint);
    let leased =
        scene.store.delivery_lease(later(3), later(63), &[places(scene.endpoint, 10)]).await.unwrap();
    assert_eq!(leased.len(), 1);
}

fn made(scene: &Scene, id: EndpointId) -> Endpoint {
    let target = Target::Slack { url: "http://app/".parse().unwrap() };
    let tenants = TenantSet::Only(vec![scene.acme.clone()]);
    Endpoint {
        in_flight: Some(7),
        ..Endpoint::made(id, target, vec!["command.*".parse().unwrap()], tenants, NOW)
    }
}

pub async fn an_endpoint_that_was_made_keeps_its_secret_and_survives_a_start(scene: &Scene) {
    let endpoint = made(scene, EndpointId::generate(NOW, &SystemRng));
    let done =
        scene.store.endpoint_make(endpoint.clone(), "hush-hush".to_owned().into(), None).await.unwrap();
    assert_eq!(done, Once::Done(()));
    // A server starts, and declares its own.
    let in_force = declare(scene, vec![], later(1)).await;
    assert_eq!(in_force, std::slice::from_ref(&endpoint));
    let kept = scene.store.endpoints().await.unwrap();
    assert_eq!((kept.len(), &kept[0].endpoint), (1, &endpoint));
    assert_eq!(kept[0].secret.as_ref().unwrap().expose_secret(), "hush-hush");
    assert_eq!(scene.ground.rows_that_name("hush-hush"), 0, "sealed at rest");
    let locked = crate::engine::reopen(scene, crate::engine::other_keys(false)).await;
    let kept = locked.endpoints().await.unwrap();
    assert!(
        kept.len() == 1 && kept[0].secret.is_none(),
        "without its key it is left out, and the others are not"
    );
    drop(locked);
    let anew = crate::engine::reopen(scene, crate::engine::other_keys(true)).await;
    let mut from = Some(tautline_core::keeping::ResealCursor::START);
    while let Some(cursor) = from {
        from = anew.reseal(cursor).await.unwrap().next;
    }
    drop(anew);
    let anew = crate::engine::reopen(scene, crate::engine::other_keys(false)).await;
    assert_eq!(anew.endpoints().await.unwrap()[0].secret.as_ref().unwrap().expose_secret(), "hush-hush");
}

pub async fn a_removed_endpoint_takes_what_waits_with_it(scene: &Scene) {
    let endpoint = made(scene, EndpointId::generate(NOW, &SystemRng));
    scene.store.endpoint_make(endpoint.clone(), "s".to_owned().into(), None).await.unwrap();
    let mut waiting = scene.incoming(Some(&scene.acme), Kind::Event, "waiting", NOW);
    waiting.deliveries[0].endpoint = endpoint.id;
    let id = waiting.request.id;
    scene.store.request_accept(waiting).await.unwrap();
    assert!(scene.store.endpoint_remove(endpoint.id).await.unwrap());
    assert!(!scene.store.endpoint_remove(endpoint.id).await.unwrap(), "once");
    assert_eq!(scene.store.delivery_reap(later(1), Reap::RunOut).await.unwrap().changed, 1);
    let delivery = scene.stands(id).await.deliveries.remove(0);
    assert_eq!((delivery.state, delivery.dead), (DeliveryState::Dead, Some(DeadReason::Removed)));
    let replayed =
        scene.store.request_replay(&scene.acme, id, Revive::All, later(2), later(2), later(9)).await;
    assert_eq!(replayed.unwrap(), 0, "there is nowhere to bring it");
    assert!(!scene.store.endpoint_remove(scene.endpoint).await.unwrap(), "not one that is declared");
    assert_eq!(scene.store.endpoints().await.unwrap().len(), 1);
}

async fn kept(scene: &Scene, id: EndpointId) -> Kept {
    scene.store.endpoints().await.unwrap().into_iter().find(|kept| kept.endpoint.id == id).unwrap()
}

pub async fn an_endpoint_is_changed_and_one_that_is_declared_is_not(scene: &Scene) {
    let endpoint = made(scene, EndpointId::generate(NOW, &SystemRng));
    scene.store.endpoint_make(endpoint.clone(), "s".to_owned().into(), None).await.unwrap();
    let change = EndpointChange {
        target: Some(Target::Slack { url: "http://moved/".parse().unwrap() }),
        filters: Some(vec![Filter::everything()]),
        tenants: Some(TenantSet::All),
        in_flight: Some(9),
        is_paused: Some(true),
    };
    assert!(scene.store.endpoint_change(endpoint.id, change.clone()).await.unwrap());
    let changed = Endpoint {
        target: Target::Slack { url: "http://moved/".parse().unwrap() },
        filters: vec![Filter::everything()],
        tenants: TenantSet::All,
        in_flight: Some(9),
        is_paused: true,
        ..endpoint.clone()
    };
    assert_eq!(kept(scene, endpoint.id).await.endpoint, changed);
    assert_eq!(kept(scene, endpoint.id).await.secret.unwrap().expose_secret(), "s", "the secret stays");
    assert!(scene.store.endpoint_change(endpoint.id, EndpointChange::default()).await.unwrap());
    assert_eq!(kept(scene, endpoint.id).await.endpoint, changed, "what is not named stays");
    let declared = kept(scene, scene.endpoint).await.endpoint;
    assert!(!scene.store.endpoint_change(scene.endpoint, change.clone()).await.unwrap());
    assert_eq!(kept(scene, scene.endpoint).await.endpoint, declared);
    scene.store.endpoint_remove(endpoint.id).await.unwrap();
    assert!(!scene.store.endpoint_change(endpoint.id, change).await.unwrap(), "it is gone");
}

pub async fn a_rotated_secret_is_good_beside_the_new_one(scene: &Scene) {
    let id = EndpointId::generate(NOW, &SystemRng);
    scene.store.endpoint_make(made(scene, id), "first-secret".to_owned().into(), None).await.unwrap();
    assert!(kept(scene, id).await.secret_before.is_none());
    let rotate = async |id, secret: &str, until| {
        scene.store.endpoint_rotate(id, secret.to_owned().into(), until).await.unwrap()
    };
    assert!(rotate(id, "second-secret", later(60)).await);
    let now = kept(scene, id).await;
    let (before, until) = now.secret_before.unwrap();
    assert_eq!(
        (now.secret.unwrap().expose_secret(), before.expose_secret()),
        ("second-secret", "first-secret")
    );
    assert_eq!(until, later(60));
    assert!(rotate(id, "third-secret", later(90)).await);
    assert_eq!(
        kept(scene, id).await.secret_before.unwrap().0.expose_secret(),
        "second-secret",
        "two, and no more"
    );
    for secret in ["second-secret", "third-secret"] {
        assert_eq!(scene.ground.rows_that_name(secret), 0, "sealed at rest");
    }
    assert!(!rotate(scene.endpoint, "x", later(1)).await, "not one that is declared");
    // A new encryption key seals both.
    let anew = crate::engine::reopen(scene, crate::engine::other_keys(true)).await;
    let mut from = Some(tautline_core::keeping::ResealCursor::START);
    while let Some(cursor) = from {
        from = anew.reseal(cursor).await.unwrap().next;
    }
    drop(anew);
    let anew = crate::engine::reopen(scene, crate::engine::other_keys(false)).await;
    let kept = anew.endpoints().await.unwrap().into_iter().find(|kept| kept.endpoint.id == id).unwrap();
    assert_eq!(kept.secret_before.unwrap().0.expose_secret(), "second-secret");
}

pub async fn a_change_of_health_is_made_by_one(scene: &Scene) {
    let id = EndpointId::generate(NOW, &SystemRng);
    let endpoint = made(scene, id);
    scene.store.endpoint_make(endpoint.clone(), "s".to_owned().into(), None).await.unwrap();
    let change =
        async |change, at| scene.store.endpoint_health(id, change, "answered 500", at).await.unwrap();
    let both = async |what, at| [change(what, at).await, change(what, at).await];
    assert_eq!(both(HealthChange::Recovered, NOW).await, [false, false], "it is well");
    assert_eq!(both(HealthChange::Failing, later(1)).await, [true, false]);
    assert_eq!(both(HealthChange::Exhausted, later(2)).await, [true, false]);
    let again = later(3).after(limits::EXHAUSTED_AGAIN);
    assert!(!change(HealthChange::Exhausted, again).await, "not while it fails: that is known");
    let health = kept(scene, id).await.endpoint.health;
    assert_eq!((health.failing_since, health.exhausted_at), (Some(later(1)), Some(later(2))));
    assert_eq!(health.because.as_deref(), Some("answered 500"));
    assert_eq!(both(HealthChange::Recovered, later(4)).await, [true, false]);
    assert_eq!(kept(scene, id).await.endpoint.health, Health::default());

    assert!(change(HealthChange::Exhausted, later(5)).await);
    assert!(!change(HealthChange::Exhausted, later(6)).await);
    assert!(change(HealthChange::Exhausted, later(5).after(limits::EXHAUSTED_AGAIN)).await, "a day later");
    assert!(change(HealthChange::Failing, later(6)).await);
    assert!(
        change(HealthChange::Exhausted, later(6)).await,
        "what an outage costs is told whatever was lost before"
    );
    assert!(change(HealthChange::Recovered, later(6)).await);

    assert_eq!(both(HealthChange::Disabled, later(7)).await, [true, false]);
    assert_eq!(kept(scene, id).await.endpoint.health.disabled_at, Some(later(7)));
    assert!(!change(HealthChange::Recovered, later(8)).await, "not by what was under way");
    let other = EndpointChange { in_flight: Some(3), ..EndpointChange::default() };
    assert!(scene.store.endpoint_change(id, other).await.unwrap());
    assert_eq!(
        kept(scene, id).await.endpoint.health.disabled_at,
        Some(later(7)),
        "not by a change of something else"
    );
    let resumed = EndpointChange { is_paused: Some(false), ..EndpointChange::default() };
    assert!(scene.store.endpoint_change(id, resumed).await.unwrap());
    let health = kept(scene, id).await.endpoint.health;
    assert_eq!((health.disabled_at, health.failing_since), (None, Some(later(7))), "it has yet to recover");
}

pub async fn an_erased_tenant_leaves_its_endpoints(scene: &Scene) {
    let [alone, shared, all] = [1, 2, 3].map(|last| EndpointId::from_bytes([last; 16]));
    let both = TenantSet::Only(vec![scene.acme.clone(), scene.globex.clone()]);
    for endpoint in [
        made(scene, alone),
        Endpoint { tenants: both, ..made(scene, shared) },
        Endpoint { tenants: TenantSet::All, ..made(scene, all) },
    ] {
        scene.store.endpoint_make(endpoint, "s".to_owned().into(), None).await.unwrap();
    }
    let erased = keeping::erase(scene.store.as_ref(), &scene.acme, "a test".into(), NOW).await.unwrap();
    assert!(erased.rows.iter().any(|(table, rows)| *table == "endpoints" && *rows == 2), "{:?}", erased.rows);
    let ids = scene.store.endpoints().await.unwrap().into_iter().map(|kept| kept.endpoint.id);
    assert!(!ids.collect::<Vec<_>>().contains(&alone), "it was for nobody else");
    assert_eq!(kept(scene, shared).await.endpoint.tenants, TenantSet::Only(vec![scene.globex.clone()]));
    assert!(kept(scene, shared).await.secret.is_some());
    assert_eq!(kept(scene, all).await.endpoint.tenants, TenantSet::All);
}
