//! Endpoints.

use secrecy::ExposeSecret as _;
use tautline_core::EndpointId;
use tautline_core::delivery::{DeadReason, DeliveryState, Reap};
use tautline_core::endpoint::{Declared, Endpoint, Filter, Target, TenantSet};
use tautline_core::idempotency::Once;
use tautline_core::inbox::Revive;
use tautline_core::{SystemRng, Timestamp};
use tautline_slack::request::Kind;

use crate::scene::{NOW, Scene, later};

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
    let leased = scene.store.delivery_lease(later(3), later(63), &[(scene.endpoint, 10)]).await.unwrap();
    assert_eq!(leased.len(), 1);
}

fn made(scene: &Scene, id: EndpointId) -> Endpoint {
    Endpoint {
        id,
        name: id.to_string(),
        target: Target::Slack { url: "http://app/".parse().unwrap() },
        filters: vec!["command.*".parse().unwrap()],
        tenants: TenantSet::Only(vec![scene.acme.clone()]),
        is_declared: false,
        created_at: NOW,
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
    assert_eq!(scene.store.delivery_reap(later(1), Reap::RunOut).await.unwrap(), 1);
    let delivery = scene.stands(id).await.deliveries.remove(0);
    assert_eq!((delivery.state, delivery.dead), (DeliveryState::Dead, Some(DeadReason::Removed)));
    let replayed = scene.store.request_replay(&scene.acme, id, Revive::All, later(2), later(9)).await;
    assert_eq!(replayed.unwrap(), 0, "there is nowhere to bring it");
    assert!(!scene.store.endpoint_remove(scene.endpoint).await.unwrap(), "not one that is declared");
    assert_eq!(scene.store.endpoints().await.unwrap().len(), 1);
}
