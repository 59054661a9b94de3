//! Endpoints.

use tautline_core::EndpointId;
use tautline_core::endpoint::{Declared, Filter, Target};
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
