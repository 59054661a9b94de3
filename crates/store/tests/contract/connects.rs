//! Connect links and nonces.

use tautline_core::connect::{ConnectLink, SecretHash};
use tautline_core::{LinkId, SystemRng};

use crate::scene::{NOW, Scene, later};

pub async fn a_link_works_until_it_is_consumed_or_expires(scene: &Scene) {
    let id = LinkId::generate(NOW, &SystemRng);
    let link =
        ConnectLink { id, tenant: scene.acme.clone(), return_to: Some("/x".into()), expires_at: later(60) };
    let secret = SecretHash::of("secret");
    scene.store.connect_link_store(link.clone(), secret, NOW).await.unwrap();
    assert_eq!(scene.store.connect_link(SecretHash::of("guess"), NOW).await.unwrap(), None);
    assert_eq!(scene.store.connect_link(secret, later(59)).await.unwrap(), Some(link.clone()));
    assert_eq!(scene.store.connect_link(secret, later(60)).await.unwrap(), None, "expired");
    scene.store.connect_link_consume(&scene.globex, id, NOW).await.unwrap();
    assert_eq!(
        scene.store.connect_link(secret, NOW).await.unwrap(),
        Some(link),
        "another tenant consumes nothing"
    );
    scene.store.connect_link_consume(&scene.acme, id, NOW).await.unwrap();
    assert_eq!(scene.store.connect_link(secret, NOW).await.unwrap(), None, "consumed");
}

pub async fn a_nonce_is_consumed_once_however_many_try(scene: &Scene) {
    let nonce = SecretHash::of("nonce");
    let tries = (0..20).map(|_| {
        let store = scene.store.clone();
        tokio::spawn(async move { store.nonce_consume(nonce, later(600), NOW).await.unwrap() })
    });
    let mut fresh = 0;
    for tried in tries.collect::<Vec<_>>() {
        fresh += usize::from(tried.await.unwrap());
    }
    assert_eq!(fresh, 1);
    assert!(scene.store.nonce_consume(SecretHash::of("other"), later(1200), later(601)).await.unwrap());
    assert!(
        scene.store.nonce_consume(nonce, later(600), later(601)).await.unwrap(),
        "forgotten when expired anyway"
    );
}
