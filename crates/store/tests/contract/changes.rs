//! What is scheduled, rewritten, taken back, and sent after all.

use tautline_core::limits;
use tautline_core::outbox::{Change, Changed, MessageState, NewMessage};
use tautline_core::sending::SendNext;

use crate::outbox::{accept, claim, new, nth, sent, settle, stands};
use crate::scene::{Scene, later};

pub async fn what_is_scheduled_waits_in_no_lane(scene: &Scene) {
    let then = NewMessage { starts_at: Some(later(60)), ..nth(new(&scene.acme, "C1", "then"), 1) };
    scene.store.message_accept(then.clone(), None).await.unwrap();
    let now = accept(scene, "C1", 2).await;
    assert_eq!(scene.store.messages_waiting(&scene.acme).await.unwrap(), 2);
    let claimed = claim(scene, 0, 10).await;
    assert_eq!(claimed.iter().map(|one| one.id).collect::<Vec<_>>(), [now]);
    settle(scene, &claimed[0], sent(1)).await;
    assert_eq!(scene.store.message_due(later(1)).await.unwrap(), Some(later(60)), "it wakes the sender");
    assert!(claim(scene, 59, 10).await.is_empty());
    let kept = stands(scene, then.id).await;
    assert_eq!((kept.state, kept.starts_at), (MessageState::Queued, Some(later(60))));
    let rewritten = scene.store.message_rewrite(&scene.acme, then.id, "{\"text\":\"else\"}".into()).await;
    assert!(rewritten.unwrap(), "it was never tried");
    assert!(!scene.store.message_rewrite(&scene.globex, then.id, "{}".into()).await.unwrap());
    let claimed = claim(scene, 60, 10).await;
    assert_eq!((claimed[0].id, &claimed[0].arguments[..]), (then.id, &b"{\"text\":\"else\"}"[..]));
    assert!(
        !scene.store.message_rewrite(&scene.acme, then.id, "{}".into()).await.unwrap(),
        "it is on its way"
    );
    settle(scene, &claimed[0], sent(61)).await;
    assert_eq!(scene.store.messages_waiting(&scene.acme).await.unwrap(), 0);
}

pub async fn a_message_is_taken_back_or_sent_after_all(scene: &Scene) {
    let change =
        async |tenant, id, change| scene.store.message_change(tenant, id, change, later(5)).await.unwrap();
    let retry = Change::Retry { expires_at: later(1000) };
    let [first, second] = [accept(scene, "C1", 1).await, accept(scene, "C1", 2).await];
    let scheduled = NewMessage { starts_at: Some(later(60)), ..new(&scene.acme, "C2", "then") };
    scene.store.message_accept(scheduled.clone(), None).await.unwrap();
    assert_eq!(change(&scene.globex, first, Change::Cancel).await, Changed::Unknown);
    for id in [first, scheduled.id] {
        assert_eq!(change(&scene.acme, id, Change::Cancel).await, Changed::Now(MessageState::Cancelled));
    }
    assert_eq!(scene.store.messages_waiting(&scene.acme).await.unwrap(), 1);
    let claimed = claim(scene, 60, 10).await;
    assert_eq!(claimed.iter().map(|one| one.id).collect::<Vec<_>>(), [second]);
    let on_its_way = Changed::Not(MessageState::Sending);
    assert_eq!(change(&scene.acme, second, Change::Cancel).await, on_its_way);
    assert_eq!(change(&scene.acme, second, retry).await, on_its_way);
    let hold = SendNext::Settled { state: MessageState::Held, is_posted: false, lane_at: later(61) };
    settle(scene, &claimed[0], hold).await;
    for id in [first, second, scheduled.id] {
        assert_eq!(change(&scene.acme, id, retry).await, Changed::Now(MessageState::Queued));
    }
    assert!(stands(scene, second).await.is_possible_duplicate, "what was held may stand there");
    assert!(!stands(scene, first).await.is_possible_duplicate, "what was cancelled does not");
    assert_eq!(scene.store.messages_waiting(&scene.acme).await.unwrap(), 3);
    assert_eq!(
        stands(scene, scheduled.id).await.expires_at,
        later(60).after(limits::MESSAGE_LIFE),
        "for its time"
    );
    let claimed = claim(scene, 70, 10).await;
    let ids = claimed.iter().map(|one| one.id).collect::<Vec<_>>();
    assert!(ids.contains(&first) && ids.contains(&scheduled.id), "{ids:?}");
}
