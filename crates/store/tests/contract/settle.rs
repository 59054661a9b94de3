//! How an attempt ends, also when nobody knows how.

use tautline_core::delivery::{Finished, Reap};
use tautline_core::looking::Doubt;
use tautline_core::operation::Operation;
use tautline_core::outbox::{Claimed, MessageFilter, MessageState, NewMessage, Posted, Queued};
use tautline_core::sending::{SendNext, SendOutcome, SendResult};

use crate::outbox::{accept, claim, new, nth, sent, settle, settlement, stands};
use crate::scene::{NOW, Scene, later, page};

pub async fn messages_are_settled_together_each_by_itself(scene: &Scene) {
    for number in 0..20 {
        accept(scene, &format!("C{number}"), number).await;
        accept(scene, &format!("C{number}"), 100 + number).await;
    }
    let claimed = claim(scene, 0, 20).await;
    let stale = Claimed { attempt: 9, ..claimed[0].clone() };
    let next = |nth: usize| match nth % 3 {
        0 => sent(1),
        1 => SendNext::Again { at: later(60) },
        _ => SendNext::Doubt { at: later(2), since: Some(NOW) },
    };
    let settling = claimed.iter().chain([&stale]).enumerate().map(|(nth, one)| {
        let (store, one, settlement) = (scene.store.clone(), one.clone(), settlement(one, next(nth)));
        tokio::spawn(async move { store.message_settle(&one, settlement).await.unwrap() })
    });
    let mut outcomes = Vec::new();
    for settled in settling.collect::<Vec<_>>() {
        outcomes.push(settled.await.unwrap());
    }
    assert_eq!(outcomes.pop(), Some(Finished::Fenced), "another attempt");
    assert!(outcomes.iter().all(|outcome| *outcome == Finished::Recorded), "{outcomes:?}");
    let count = async |state| {
        let filter = MessageFilter { state: Some(state) };
        scene.store.messages(&scene.acme, filter, page(100, None)).await.unwrap().items.len()
    };
    let counts = [
        count(MessageState::Sent).await,
        count(MessageState::Queued).await,
        count(MessageState::Uncertain).await,
    ];
    assert_eq!(counts, [7, 27, 6]);
    assert_eq!(scene.store.messages_waiting(&scene.acme).await.unwrap(), 33);
    assert_eq!(claim(scene, 1, 100).await.len(), 7, "lanes whose message was sent move on");
}

pub async fn a_sender_that_died_leaves_its_message_uncertain_at_the_head_of_its_lane(scene: &Scene) {
    let first = accept(scene, "C1", 1).await;
    let second = accept(scene, "C1", 2).await;
    let dead = claim(scene, 0, 10).await;
    assert_eq!(scene.store.message_reap(later(29), Reap::RunOut).await.unwrap(), 0);
    assert_eq!(scene.store.message_reap(later(30), Reap::RunOut).await.unwrap(), 1);
    let kept = stands(scene, first).await;
    assert_eq!(kept.state, MessageState::Uncertain, "it may stand in the channel");
    assert_eq!(kept.attempts[0].outcome, SendOutcome::Interrupted);
    assert_eq!(kept.error, SendResult::Interrupted.error());
    let looking = claim(scene, 31, 10).await;
    assert_eq!((looking[0].id, looking[0].attempt), (first, 2), "it is looked for before the lane goes on");
    let doubt = Doubt { since: NOW, at: later(30) };
    assert_eq!(looking[0].doubt, Some(doubt), "since the attempt began of which nobody knows");
    let look = SendNext::Doubt { at: later(40), since: None };
    assert_eq!(settle(scene, &looking[0], look).await, Finished::Recorded);
    assert!(claim(scene, 39, 10).await.is_empty());
    assert_eq!(scene.store.messages_waiting(&scene.acme).await.unwrap(), 2, "both wait");
    let looking = claim(scene, 40, 10).await;
    assert_eq!(looking[0].doubt, Some(doubt), "a look changes nothing about it");
    settle(scene, &looking[0], sent(41)).await;
    assert_eq!(stands(scene, first).await.state, MessageState::Sent);
    assert_eq!(claim(scene, 41, 10).await[0].id, second, "the lane goes on");
    assert_eq!(settle(scene, &dead[0], sent(41)).await, Finished::Fenced, "who comes late finds it settled");
    assert_eq!(
        scene.store.message_reap(later(42), Reap::All).await.unwrap(),
        1,
        "a start takes back everything"
    );
}

pub async fn the_mark_of_what_may_stand_twice_outlives_its_sender(scene: &Scene) {
    let first = accept(scene, "C1", 1).await;
    let other = accept(scene, "C2", 2).await;
    let claimed = claim(scene, 0, 10).await;
    let mark = async |claimed: &Claimed| scene.store.message_mark(claimed).await.unwrap();
    assert!(!mark(&Claimed { attempt: 9, ..claimed[0].clone() }).await, "somebody else's to send");
    assert!(!mark(&Claimed { tenant: scene.globex.clone(), ..claimed[0].clone() }).await, "another tenant's");
    assert!(!stands(scene, first).await.is_possible_duplicate);
    assert!(mark(&claimed[0]).await);
    assert_eq!(scene.store.message_reap(later(30), Reap::RunOut).await.unwrap(), 2, "its sender dies");
    assert!(!mark(&claimed[0]).await, "too late");
    assert!(stands(scene, first).await.is_possible_duplicate);
    assert!(!stands(scene, other).await.is_possible_duplicate);
    let again = claim(scene, 31, 10).await;
    assert!(again.iter().all(|one| one.is_possible_duplicate == (one.id == first)), "whoever looks knows");
    settle(scene, again.iter().find(|one| one.id == first).unwrap(), sent(32)).await;
    assert!(stands(scene, first).await.is_possible_duplicate, "and for ever");
}

pub async fn what_slack_surely_said_makes_an_uncertain_message_certain(scene: &Scene) {
    let first = accept(scene, "C1", 1).await;
    let second = accept(scene, "C1", 2).await;
    let late = claim(scene, 0, 10).await;
    scene.store.message_reap(later(30), Reap::RunOut).await.unwrap();
    let again = SendNext::Again { at: later(31) };
    assert_eq!(settle(scene, &late[0], again).await, Finished::Fenced, "who comes late repeats nothing");
    assert_eq!(stands(scene, first).await.state, MessageState::Uncertain);
    assert_eq!(settle(scene, &late[0], sent(31)).await, Finished::Recorded);
    assert_eq!(stands(scene, first).await.state, MessageState::Sent);
    assert_eq!(scene.store.messages_waiting(&scene.acme).await.unwrap(), 1);
    assert_eq!(claim(scene, 31, 10).await.iter().map(|one| one.id).collect::<Vec<_>>(), [second]);
    assert!(claim(scene, 1000, 10).await.is_empty(), "one in flight");
}

pub async fn what_comes_to_the_same_when_repeated_is_repeated(scene: &Scene) {
    let posted = accept(scene, "C1", 1).await;
    let update = NewMessage {
        operation: Operation::Update,
        about: Some(posted),
        ..nth(new(&scene.acme, "C1", "other words"), 2)
    };
    scene.store.message_accept(update.clone(), None).await.unwrap();
    let claimed = claim(scene, 0, 10).await;
    assert_eq!(claimed.iter().map(|one| one.id).collect::<Vec<_>>(), [posted], "one after the other");
    settle(scene, &claimed[0], sent(1)).await;
    let claimed = claim(scene, 1, 10).await;
    let there = Posted { channel: "C1".into(), ts: "1.000001".into() };
    assert_eq!(claimed[0].about, Some((MessageState::Sent, Some(there))), "it knows where that stands");
    scene.store.message_reap(later(31), Reap::RunOut).await.unwrap();
    let kept = stands(scene, update.id).await;
    assert_eq!((kept.state, kept.about), (MessageState::Queued, Some(posted)));
    assert_eq!(claim(scene, 32, 10).await[0].doubt, None);
    let foreign = NewMessage { about: Some(posted), ..new(&scene.globex, "C1", "not theirs") };
    assert_eq!(scene.store.message_accept(foreign, None).await.unwrap(), Queued::Unknown);
}
