//! Messages: how they are kept, counted and shown; and what the rooms of lanes, paces, ends and changes share.

use std::time::Duration;

use tautline_core::delivery::{Finished, Reap};
use tautline_core::idempotency::IdempotencyKey;
use tautline_core::outbox::{
    Claim, Claimed, Message, MessageFilter, MessageState, NewMessage, Posted, Queued,
};
use tautline_core::pace::Paces;
use tautline_core::sending::{SendAttempt, SendNext, SendOutcome};
use tautline_core::settlement::Settlement;
use tautline_core::{InstallationId, MessageId, SystemRng, TenantId, Timestamp, limits};

use crate::scene::{NOW, Scene, later, page};

pub const INSTALLATION: InstallationId = InstallationId::from_bytes([7; 16]);

pub fn new(tenant: &TenantId, channel: &str, text: &str) -> NewMessage {
    let id = MessageId::generate(NOW, &SystemRng);
    let arguments = format!("{{\"text\":\"{text}\"}}").into();
    NewMessage::post(id, tenant.clone(), INSTALLATION, channel.into(), arguments, NOW)
}

/// With an id that sorts before those of lower numbers: ids made in one millisecond sort by chance.
pub fn nth(message: NewMessage, number: u8) -> NewMessage {
    let mut bytes = *message.id.as_bytes();
    (bytes[6], bytes[7]) = (0x70, u8::MAX - number);
    NewMessage { id: MessageId::from_bytes(bytes), ..message }
}

pub async fn accept(scene: &Scene, channel: &str, number: u8) -> MessageId {
    let new = nth(new(&scene.acme, channel, &number.to_string()), number);
    let id = new.id;
    assert_eq!(scene.store.message_accept(new, None).await.unwrap(), Queued::Now);
    id
}

pub async fn claim(scene: &Scene, at_s: u64, most: usize) -> Vec<Claimed> {
    let claim = claiming(later(at_s), later(at_s).after(limits::SEND_LEASE), most);
    scene.store.message_claim(claim).await.unwrap()
}

/// At the usual paces.
pub fn claiming(now: Timestamp, leased_until: Timestamp, most: usize) -> Claim {
    Claim { now, leased_until, most, paces: Paces::default() }
}

pub async fn settle(scene: &Scene, claimed: &Claimed, next: SendNext) -> Finished {
    scene.store.message_settle(claimed, settlement(claimed, next)).await.unwrap()
}

/// As the attempt ended at the time at which the lane moves again.
pub fn settlement(claimed: &Claimed, next: SendNext) -> Settlement {
    let sent = matches!(next, SendNext::Settled { state: MessageState::Sent, .. });
    let attempt = SendAttempt {
        number: claimed.attempt,
        started_at: NOW,
        duration: Some(Duration::from_millis(80)),
        outcome: if sent { SendOutcome::Sent } else { SendOutcome::NotReached },
        error: (!sent).then(|| "connection refused".to_owned()),
    };
    let posted = sent.then(|| Posted { channel: "C1".into(), ts: "1.000001".into() });
    let pace = Paces::default().channel;
    let ended_at = NOW.after(Duration::from_millis(80));
    Settlement { attempt, ended_at, posted, next, limited_until: None, pace }
}

pub fn sent(lane_at_s: u64) -> SendNext {
    SendNext::Settled { state: MessageState::Sent, is_posted: false, lane_at: later(lane_at_s) }
}

pub async fn is_due(scene: &Scene, at: Timestamp) -> bool {
    scene.store.message_due(at).await.unwrap().is_some_and(|due| due <= at)
}

pub async fn stands(scene: &Scene, id: MessageId) -> Message {
    scene.store.message(&scene.acme, id).await.unwrap().expect("acme's message")
}

pub async fn a_message_is_kept_with_its_lane(scene: &Scene) {
    assert!(!is_due(scene, NOW).await);
    let id = accept(scene, "C1", 1).await;
    assert!(is_due(scene, NOW).await);
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
    assert!(!is_due(scene, later(100)).await);
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
        let mut waiting = 0;
        for state in [MessageState::Queued, MessageState::Uncertain] {
            let filter = MessageFilter { state: Some(state) };
            waiting += scene.store.messages(&scene.acme, filter, page(100, None)).await.unwrap().items.len();
        }
        waiting
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
    assert_eq!(steps.iter().map(|(counted, _)| *counted).collect::<Vec<_>>(), [4, 3, 4, 3, 2, 2]);
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
        let claimed = claim(scene, number.into(), 1).await.remove(0);
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
    assert!(!is_due(scene, later(61)).await);
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
