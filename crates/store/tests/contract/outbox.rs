//! Messages and their lanes.

use std::time::Duration;

use tautline_core::delivery::{Finished, Reap};
use tautline_core::idempotency::IdempotencyKey;
use tautline_core::outbox::{Claimed, Message, MessageFilter, MessageState, NewMessage, Posted, Queued};
use tautline_core::sending::{SendAttempt, SendNext, SendOutcome, SendResult};
use tautline_core::{InstallationId, MessageId, SystemRng, TenantId, limits};

use crate::scene::{NOW, Scene, later, page};

const INSTALLATION: InstallationId = InstallationId::from_bytes([7; 16]);

pub fn new(tenant: &TenantId, channel: &str, text: &str) -> NewMessage {
    NewMessage {
        id: MessageId::generate(NOW, &SystemRng),
        tenant: tenant.clone(),
        installation: INSTALLATION,
        channel: channel.into(),
        arguments: format!("{{\"text\":\"{text}\"}}").into(),
        accepted_at: NOW,
        expires_at: NOW.after(limits::MESSAGE_LIFE),
    }
}

/// With an id that sorts before those of lower numbers: ids made in one millisecond sort by chance.
fn nth(message: NewMessage, number: u8) -> NewMessage {
    let mut bytes = *message.id.as_bytes();
    (bytes[6], bytes[7]) = (0x70, u8::MAX - number);
    NewMessage { id: MessageId::from_bytes(bytes), ..message }
}

async fn accept(scene: &Scene, channel: &str, number: u8) -> MessageId {
    let new = nth(new(&scene.acme, channel, &number.to_string()), number);
    let id = new.id;
    assert_eq!(scene.store.message_accept(new, None).await.unwrap(), Queued::Now);
    id
}

async fn claim(scene: &Scene, at_s: u64, most: usize) -> Vec<Claimed> {
    let now = later(at_s);
    scene.store.message_claim(now, now.after(limits::SEND_LEASE), most).await.unwrap()
}

pub async fn settle(scene: &Scene, claimed: &Claimed, next: SendNext) -> Finished {
    let sent = matches!(next, SendNext::Settled { state: MessageState::Sent, .. });
    let attempt = SendAttempt {
        number: claimed.attempt,
        started_at: NOW,
        duration: Some(Duration::from_millis(80)),
        outcome: if sent { SendOutcome::Sent } else { SendOutcome::NotReached },
        error: (!sent).then(|| "connection refused".to_owned()),
    };
    let posted = sent.then(|| Posted { channel: "C1".into(), ts: "1.000001".into() });
    scene.store.message_settle(claimed, attempt, posted, next).await.unwrap()
}

pub fn sent(lane_at_s: u64) -> SendNext {
    SendNext::Settled { state: MessageState::Sent, lane_at: later(lane_at_s) }
}

async fn stands(scene: &Scene, id: MessageId) -> Message {
    scene.store.message(&scene.acme, id).await.unwrap().expect("acme's message")
}

pub async fn a_message_is_kept_with_its_lane(scene: &Scene) {
    assert!(!scene.store.message_due(NOW).await.unwrap());
    let id = accept(scene, "C1", 1).await;
    assert!(scene.store.message_due(NOW).await.unwrap());
    let kept = stands(scene, id).await;
    assert_eq!((kept.state, kept.channel.as_str()), (MessageState::Queued, "C1"));
    assert_eq!(kept.arguments, "{\"text\":\"1\"}");
    let claimed = claim(scene, 0, 10).await;
    assert_eq!((claimed[0].id, claimed[0].attempt), (id, 1));
    assert_eq!(claimed[0].arguments, "{\"text\":\"1\"}");
    assert_eq!(settle(scene, &claimed[0], sent(1)).await, Finished::Recorded);
    let kept = stands(scene, id).await;
    assert_eq!(kept.state, MessageState::Sent);
    assert_eq!(kept.posted, Some(Posted { channel: "C1".into(), ts: "1.000001".into() }));
    assert_eq!(kept.attempts.len(), 1);
    assert_eq!(kept.attempts[0].duration, Some(Duration::from_millis(80)));
    assert!(!scene.store.message_due(later(100)).await.unwrap());
}

pub async fn a_lane_has_one_in_flight_and_keeps_its_order(scene: &Scene) {
    for number in [1, 2, 3] {
        accept(scene, "C1", number).await;
    }
    let other = accept(scene, "C2", 9).await;
    let mut order = Vec::new();
    for round in 0..3 {
        let now_s = round * 2;
        let claimed = claim(scene, now_s, 10).await;
        assert!(claim(scene, now_s, 10).await.is_empty(), "all that may move does");
        for claimed in &claimed {
            settle(scene, claimed, sent(now_s + 1)).await;
            if claimed.id != other {
                order.push(claimed.arguments.clone());
            }
        }
        assert!(claim(scene, now_s, 10).await.is_empty(), "not before its time");
    }
    assert_eq!(order, ["{\"text\":\"1\"}", "{\"text\":\"2\"}", "{\"text\":\"3\"}"]);
}

pub async fn two_senders_never_share_a_lane(scene: &Scene) {
    for number in 0..40 {
        accept(scene, &format!("C{}", number % 10), number).await;
    }
    let takers = (0..8).map(|_| {
        let store = scene.store.clone();
        tokio::spawn(async move { store.message_claim(NOW, later(30), 3).await.unwrap() })
    });
    let mut lanes = Vec::new();
    for taker in takers.collect::<Vec<_>>() {
        lanes.extend(taker.await.unwrap().into_iter().map(|claimed| claimed.channel));
    }
    lanes.sort();
    let all = lanes.len();
    lanes.dedup();
    assert_eq!((all, lanes.len()), (10, 10), "each lane once");
}

pub async fn a_head_that_waits_parks_its_own_lane_only(scene: &Scene) {
    let first = accept(scene, "C1", 1).await;
    accept(scene, "C1", 2).await;
    let claimed = claim(scene, 0, 10).await;
    settle(scene, &claimed[0], SendNext::Again { at: later(60) }).await;
    let kept = stands(scene, first).await;
    assert_eq!((kept.state, kept.next_at), (MessageState::Queued, Some(later(60))), "and says so");
    let other = accept(scene, "C2", 3).await;
    let claimed = claim(scene, 59, 10).await;
    assert_eq!(claimed.iter().map(|claimed| claimed.id).collect::<Vec<_>>(), [other]);
    let claimed = claim(scene, 60, 10).await;
    assert_eq!((claimed[0].id, claimed[0].attempt), (first, 2), "the same message, and its second attempt");
}

pub async fn a_sender_that_died_leaves_its_message_uncertain(scene: &Scene) {
    let first = accept(scene, "C1", 1).await;
    let second = accept(scene, "C1", 2).await;
    let dead = claim(scene, 0, 10).await;
    assert_eq!(scene.store.message_reap(later(29), Reap::RunOut).await.unwrap(), 0);
    assert_eq!(scene.store.message_reap(later(30), Reap::RunOut).await.unwrap(), 1);
    let kept = stands(scene, first).await;
    assert_eq!(kept.state, MessageState::Uncertain, "it may stand in the channel");
    assert_eq!(kept.attempts[0].outcome, SendOutcome::Interrupted);
    assert_eq!(kept.error, SendResult::Interrupted.error());
    assert_eq!(claim(scene, 31, 10).await[0].id, second, "the lane goes on");
    let again = SendNext::Again { at: later(31) };
    assert_eq!(settle(scene, &dead[0], again).await, Finished::Fenced, "who comes late repeats nothing");
    assert_eq!(stands(scene, first).await.state, MessageState::Uncertain);
    assert_eq!(settle(scene, &dead[0], sent(31)).await, Finished::Recorded, "but makes certain what was not");
    assert_eq!(stands(scene, first).await.state, MessageState::Sent);
    assert!(claim(scene, 1000, 10).await.is_empty(), "and moves no lane: the second is still on its way");
    assert_eq!(
        scene.store.message_reap(later(32), Reap::All).await.unwrap(),
        1,
        "a start takes back everything"
    );
}

pub async fn however_it_is_spelled_a_channel_is_one_lane(scene: &Scene) {
    let [first, second] = [accept(scene, "#general", 1).await, accept(scene, "general", 2).await];
    let claimed = claim(scene, 0, 10).await;
    assert_eq!(claimed.iter().map(|one| one.id).collect::<Vec<_>>(), [first], "one in flight");
    settle(scene, &claimed[0], sent(1)).await;
    let by_id = accept(scene, "C1", 3).await;
    // Those that came before Slack told which channel that is stay in their lane.
    let claimed = claim(scene, 1, 10).await;
    assert_eq!(claimed.len(), 2);
    for one in &claimed {
        settle(scene, one, sent(2)).await;
    }
    let [fourth, fifth] = [accept(scene, "#general", 4).await, accept(scene, "C1", 5).await];
    let claimed = claim(scene, 2, 10).await;
    assert_eq!(claimed.iter().map(|one| one.id).collect::<Vec<_>>(), [fourth], "now it is known");
    assert_eq!(claimed[0].channel, "#general", "Slack gets what the caller wrote");
    settle(scene, &claimed[0], sent(3)).await;
    assert_eq!(claim(scene, 3, 10).await[0].id, fifth);
    let _ = (second, by_id);
}

pub async fn the_lane_that_was_due_longest_goes_first(scene: &Scene) {
    for channel in ["C9", "C5", "C7"] {
        accept(scene, channel, 1).await;
        let claimed = claim(scene, 0, 10).await;
        let lane_at = match channel {
            "C9" => 2,
            "C5" => 3,
            _ => 1,
        };
        settle(scene, &claimed[0], SendNext::Again { at: later(lane_at) }).await;
    }
    let mut order = Vec::new();
    for _ in 0..3 {
        order.push(claim(scene, 10, 1).await[0].channel.clone());
    }
    assert_eq!(order, ["C7", "C9", "C5"]);
}

pub async fn what_waits_for_an_installation_that_is_gone_fails_with_the_reason(scene: &Scene) {
    let kept =
        NewMessage { installation: InstallationId::from_bytes([8; 16]), ..new(&scene.acme, "C1", "x") };
    scene.store.message_accept(kept.clone(), None).await.unwrap();
    let gone = accept(scene, "C1", 1).await;
    accept(scene, "C2", 2).await;
    let on_its_way = claim(scene, 0, 3).await.into_iter().find(|claimed| claimed.lane == "C2").unwrap();
    settle(scene, &on_its_way, SendNext::Again { at: later(60) }).await;
    accept(scene, "C2", 3).await;
    let fail = async |tenant| scene.store.messages_fail(tenant, INSTALLATION, "it is gone").await.unwrap();
    assert_eq!(fail(&scene.globex).await, 0, "another tenant's");
    assert_eq!(
        [fail(&scene.acme).await, fail(&scene.acme).await],
        [2, 0],
        "what waits, and not what is on its way"
    );
    let found = async |id| scene.store.message(&scene.acme, id).await.unwrap().unwrap();
    assert_eq!(found(on_its_way.id).await.error.as_deref(), Some("it is gone"));
    assert_eq!(found(gone).await.state, MessageState::Sending);
    assert_eq!(scene.store.messages_waiting(&scene.acme).await.unwrap(), 0);
    assert!(claim(scene, 60, 9).await.is_empty(), "its lanes are idle");
    assert_eq!(found(kept.id).await.state, MessageState::Sending, "another installation's goes on");
}

pub async fn what_is_queued_is_counted(scene: &Scene) {
    let waiting = async || scene.store.messages_waiting(&scene.acme).await.unwrap();
    let queued = async || {
        let filter = MessageFilter { state: Some(MessageState::Queued) };
        scene.store.messages(&scene.acme, filter, page(100, None)).await.unwrap().items.len()
    };
    let mut steps = Vec::new();
    let old = NewMessage { expires_at: later(60), ..new(&scene.acme, "C3", "old") };
    scene.store.message_accept(old, None).await.unwrap();
    for number in 1..=3 {
        accept(scene, "C1", number).await;
    }
    steps.push((waiting().await as usize, queued().await));
    let claimed = claim(scene, 0, 1).await;
    steps.push((waiting().await as usize, queued().await));
    settle(scene, &claimed[0], SendNext::Again { at: later(5) }).await;
    steps.push((waiting().await as usize, queued().await));
    scene.store.message_reap(later(60), Reap::RunOut).await.unwrap();
    steps.push((waiting().await as usize, queued().await));
    let claimed = claim(scene, 61, 10).await;
    settle(scene, &claimed[0], sent(62)).await;
    steps.push((waiting().await as usize, queued().await));
    claim(scene, 62, 10).await;
    scene.store.message_reap(later(200), Reap::All).await.unwrap();
    steps.push((waiting().await as usize, queued().await));
    assert!(steps.iter().all(|(counted, there)| counted == there), "{steps:?}");
    assert_eq!(steps.iter().map(|(counted, _)| *counted).collect::<Vec<_>>(), [4, 3, 4, 3, 2, 1]);
    assert_eq!(scene.store.messages_waiting(&scene.globex).await.unwrap(), 0);
}

pub async fn a_message_and_its_attempts_are_of_one_moment(scene: &Scene) {
    for number in 0..100 {
        let id = accept(scene, &format!("C{number}"), number).await;
        let (store, acme) = (scene.store.clone(), scene.acme.clone());
        let looking = tokio::spawn(async move {
            loop {
                let seen = store.message(&acme, id).await.unwrap().unwrap();
                let is_sent = seen.state == MessageState::Sent;
                assert_eq!(is_sent, !seen.attempts.is_empty(), "{seen:?}");
                if is_sent {
                    return;
                }
            }
        });
        let claimed = claim(scene, 0, 1).await.remove(0);
        settle(scene, &claimed, sent(1)).await;
        looking.await.unwrap();
    }
}

pub async fn what_waited_too_long_expires(scene: &Scene) {
    let old = NewMessage { expires_at: later(60), ..new(&scene.acme, "C1", "old") };
    let id = old.id;
    scene.store.message_accept(old, None).await.unwrap();
    assert_eq!(scene.store.message_reap(later(59), Reap::RunOut).await.unwrap(), 0);
    assert!(claim(scene, 60, 10).await.is_empty(), "not sent any more, even before it is reaped");
    assert_eq!(scene.store.message_reap(later(60), Reap::RunOut).await.unwrap(), 1);
    assert_eq!(stands(scene, id).await.state, MessageState::Expired);
    assert!(!scene.store.message_due(later(61)).await.unwrap());
}

pub async fn an_idempotency_key_sends_one_message(scene: &Scene) {
    let key = |request: u8| {
        Some(IdempotencyKey { scope: "a".into(), key: "k".into(), request: [request; 32], at: NOW })
    };
    let first = new(&scene.acme, "C1", "once");
    assert_eq!(scene.store.message_accept(first.clone(), key(1)).await.unwrap(), Queued::Now);
    let again = scene.store.message_accept(new(&scene.acme, "C1", "once"), key(1)).await.unwrap();
    assert_eq!(again, Queued::Before(first.id));
    let before = async |request| scene.store.message_before(&key(request).unwrap()).await.unwrap();
    assert_eq!(before(1).await, Some(Queued::Before(first.id)));
    assert_eq!(before(2).await, Some(Queued::Conflict));
    let other = scene.store.message_accept(new(&scene.acme, "C1", "other"), key(2)).await.unwrap();
    assert_eq!(other, Queued::Conflict);
    assert_eq!(
        scene
            .store
            .messages(&scene.acme, MessageFilter::default(), page(10, None))
            .await
            .unwrap()
            .items
            .len(),
        1
    );
}

pub async fn another_tenants_messages_are_none(scene: &Scene) {
    let id = accept(scene, "C1", 1).await;
    assert_eq!(scene.store.message(&scene.globex, id).await.unwrap(), None);
    assert!(
        scene
            .store
            .messages(&scene.globex, MessageFilter::default(), page(10, None))
            .await
            .unwrap()
            .items
            .is_empty()
    );
    let claimed = claim(scene, 0, 10).await;
    let stolen = Claimed { tenant: scene.globex.clone(), ..claimed[0].clone() };
    assert_eq!(settle(scene, &stolen, sent(1)).await, Finished::Fenced);
    assert_eq!(stands(scene, id).await.state, MessageState::Sending);
}

pub async fn messages_come_in_pages_newest_first(scene: &Scene) {
    for number in (1..=5).rev() {
        accept(scene, "C1", number).await;
    }
    let first = scene.store.messages(&scene.acme, MessageFilter::default(), page(3, None)).await.unwrap();
    let second =
        scene.store.messages(&scene.acme, MessageFilter::default(), page(3, first.next)).await.unwrap();
    assert_eq!((first.items.len(), second.items.len(), second.next), (3, 2, None));
    assert!(first.items[0].id > first.items[2].id && first.items[2].id > second.items[0].id);
    assert_eq!(first.items[0].arguments, "{\"text\":\"1\"}");
}
