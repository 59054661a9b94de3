//! Who is signed in.

use tautline_core::access::Scope;
use tautline_core::session::{DashboardLink, Session};
use tautline_core::{KeyId, LinkId, SecretHash, SystemRng, limits};

use crate::scene::{NOW, Scene, later};

fn link(scene: &Scene, single_use: bool) -> DashboardLink {
    DashboardLink {
        id: LinkId::generate(NOW, &SystemRng),
        tenant: scene.acme.clone(),
        scopes: vec![Scope::Read, Scope::Send],
        key: Some(KeyId::from_bytes([7; 16])),
        return_to: Some("/inbox".into()),
        single_use,
        expires_at: later(600),
    }
}

pub async fn a_dashboard_link_lets_one_in_however_many_open_it(scene: &Scene) {
    let (link, secret) = (link(scene, true), SecretHash::of("link"));
    scene.store.dashboard_link_store(link.clone(), secret, NOW, None).await.unwrap();
    assert_eq!(open(scene, "other", "s-0", 0).await, None);
    assert_eq!(open(scene, "link", "s-0", 600).await, None, "too old");
    let tries = (0..20).map(|number| {
        let (store, session) = (scene.store.clone(), SecretHash::of(&format!("s-{number}")));
        tokio::spawn(async move { store.dashboard_link_open(secret, session, NOW).await.unwrap() })
    });
    let mut opened = Vec::new();
    for tried in tries.collect::<Vec<_>>() {
        opened.extend(tried.await.unwrap());
    }
    assert_eq!(opened, [link]);
    let mut sessions = 0;
    for number in 0..20 {
        let session = scene.store.session(SecretHash::of(&format!("s-{number}")), later(1)).await.unwrap();
        sessions += usize::from(session.is_some());
    }
    assert_eq!(sessions, 1);
}

async fn open(scene: &Scene, link: &str, session: &str, at: u64) -> Option<DashboardLink> {
    let (link, session) = (SecretHash::of(link), SecretHash::of(session));
    scene.store.dashboard_link_open(link, session, later(at)).await.unwrap()
}

pub async fn a_link_of_dev_works_as_often_as_it_is_opened(scene: &Scene) {
    let link = link(scene, false);
    scene.store.dashboard_link_store(link, SecretHash::of("link"), NOW, None).await.unwrap();
    for session in ["s-1", "s-2"] {
        assert!(open(scene, "link", session, 1).await.is_some());
        let begun = scene.store.session(SecretHash::of(session), later(1)).await.unwrap().unwrap();
        assert_eq!((begun.tenant, begun.scopes), (scene.acme.clone(), vec![Scope::Read, Scope::Send]));
        assert_eq!(begun.key, Some(KeyId::from_bytes([7; 16])), "and ends with the key that made the link");
        assert_eq!(begun.expires_at, later(1).after(limits::SESSION));
    }
}

pub async fn a_session_ends_when_told_or_in_time(scene: &Scene) {
    let secret = SecretHash::of("session");
    let session = Session {
        tenant: scene.acme.clone(),
        scopes: vec![Scope::Read],
        name: "the API key key_1".into(),
        key: Some(KeyId::from_bytes([7; 16])),
        expires_at: later(60),
    };
    scene.store.session_store(session.clone(), secret, NOW).await.unwrap();
    assert_eq!(scene.store.session(SecretHash::of("guess"), NOW).await.unwrap(), None);
    assert_eq!(scene.store.session(secret, later(59)).await.unwrap(), Some(session));
    assert_eq!(scene.store.session(secret, later(60)).await.unwrap(), None);
    scene.store.session_end(secret).await.unwrap();
    assert_eq!(scene.store.session(secret, NOW).await.unwrap(), None);
    scene.store.session_end(secret).await.unwrap();
}
