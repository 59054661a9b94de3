//! Connect links and nonces.

use tautline_core::SecretHash;
use tautline_core::connect::ConnectLink;
use tautline_core::installation::{Installed, NewInstallation};
use tautline_core::{LinkId, SystemRng};

use crate::installations::new;
use crate::scene::{NOW, Scene, later, page};

pub async fn a_link_works_until_it_is_consumed_or_expires(scene: &Scene) {
    let id = LinkId::generate(NOW, &SystemRng);
    let link = ConnectLink {
        id,
        tenant: scene.acme.clone(),
        key: None,
        return_to: Some("/x".into()),
        expires_at: later(60),
    };
    let secret = SecretHash::of("secret");
    scene.store.connect_link_store(link.clone(), secret, NOW, None).await.unwrap();
    assert_eq!(scene.store.connect_link(SecretHash::of("guess"), NOW).await.unwrap(), None);
    assert_eq!(scene.store.connect_link(secret, later(59)).await.unwrap(), Some(link.clone()));
    assert_eq!(scene.store.connect_link(secret, later(60)).await.unwrap(), None, "expired");
    let install = async |tenant, team| {
        let new = NewInstallation { link: Some(id), ..new(tenant, "A1", Some(team), None, "xoxb-1") };
        scene.store.installation_store(new, NOW).await.unwrap()
    };
    assert!(
        matches!(install(&scene.globex, "T1").await, Installed::LinkUsed),
        "another tenant's link is none"
    );
    assert_eq!(scene.store.connect_link(secret, NOW).await.unwrap(), Some(link), "and is left as it was");
    assert!(matches!(install(&scene.acme, "T1").await, Installed::Done(_)));
    assert_eq!(scene.store.connect_link(secret, NOW).await.unwrap(), None, "used up");
    assert!(matches!(install(&scene.acme, "T2").await, Installed::LinkUsed), "one link, one workspace");
    let listed = scene.store.installations(&scene.acme, page(10, None)).await.unwrap().items;
    assert_eq!(listed.len(), 1, "nothing was stored with the refusal");
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
