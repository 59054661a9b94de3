//! Channels that move, and their names.

use tautline_core::{InstallationId, TenantId};

use crate::installations::connected;
use crate::scene::{NOW, Scene, later};

async fn is_at(scene: &Scene, tenant: &TenantId, id: InstallationId, channel: &str) -> Option<String> {
    scene.store.channel_moved_to(tenant, id, channel).await.unwrap()
}

pub async fn a_channel_that_moved_is_found_where_it_is_now(scene: &Scene) {
    let id = connected(scene, &scene.acme).await;
    let moved = async |tenant, from, to| scene.store.channel_move(tenant, id, from, to).await.unwrap();
    assert_eq!(is_at(scene, &scene.acme, id, "G1").await, None);
    moved(&scene.acme, "G1", "C1").await;
    moved(&scene.acme, "C1", "C2").await;
    for old in ["G1", "C1"] {
        assert_eq!(is_at(scene, &scene.acme, id, old).await.as_deref(), Some("C2"), "{old}");
    }
    assert_eq!(is_at(scene, &scene.globex, id, "G1").await, None, "another tenant's");
    moved(&scene.globex, "C2", "C9").await;
    assert_eq!(is_at(scene, &scene.acme, id, "C2").await, None, "and another tenant moves nothing");
    moved(&scene.acme, "C2", "C1").await;
    assert_eq!(is_at(scene, &scene.acme, id, "C1").await, None, "moved back");
    assert_eq!(is_at(scene, &scene.acme, id, "G1").await.as_deref(), Some("C1"));
    assert!(scene.store.installation_remove(&scene.acme, id, later(1), later(1)).await.unwrap());
    assert_eq!(is_at(scene, &scene.acme, id, "G1").await, None, "gone with the installation");
}

pub async fn a_channel_loses_its_names(scene: &Scene) {
    let id = connected(scene, &scene.acme).await;
    let (store, acme) = (&scene.store, &scene.acme);
    let message = || {
        let new = crate::outbox::new(acme, "#general", "x");
        tautline_core::outbox::NewMessage { installation: id, ..new }
    };
    // Slack tells that #general is C1, and from then on both are one lane.
    store.message_accept(message(), None).await.unwrap();
    let claimed = store.message_claim(crate::outbox::claiming(NOW, later(30), 1)).await.unwrap().remove(0);
    crate::outbox::settle(scene, &claimed, crate::outbox::sent(0)).await;
    let lane = async |at: u64| {
        store.message_accept(message(), None).await.unwrap();
        store
            .message_claim(crate::outbox::claiming(later(at), later(at + 30), 1))
            .await
            .unwrap()
            .remove(0)
            .lane
    };
    assert_eq!(lane(100).await, "C1");
    store.channel_forget_names(&scene.globex, id, "C1").await.unwrap();
    store.channel_forget_names(acme, id, "C1").await.unwrap();
    assert_eq!(lane(200).await, "general", "whose name this is now, Slack will tell");
}
