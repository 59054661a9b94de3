//! Deliveries: leases, fences, and what the dead leave.

use std::collections::BTreeSet;
use std::time::Duration;

use tautline_core::delivery::{
    Answer, Attempt, AttemptResult, DeadReason, DeliveryState, Finished, Leased, Reap,
};
use tautline_core::inbox::AnswerState;
use tautline_core::schedule::Next;
use tautline_core::{EndpointId, Timestamp, limits};
use tautline_slack::request::Kind;

use crate::scene::{NOW, Scene, later};

async fn lease(scene: &Scene, now: Timestamp, slots: usize) -> Vec<Leased> {
    let until = now.after(limits::LEASE);
    scene.store.delivery_lease(now, until, &[(scene.endpoint, slots)]).await.unwrap()
}

fn attempt(number: u32, result: AttemptResult) -> Attempt {
    Attempt { number, started_at: NOW, duration: Some(Duration::from_millis(5)), result: Some(result) }
}

fn failed() -> AttemptResult {
    AttemptResult::Unknown { error: "no answer".into() }
}

pub async fn two_takers_share_the_work(scene: &Scene) {
    for number in 0..40 {
        scene.accept(Kind::Event, &number.to_string()).await;
    }
    let takers = (0..4).map(|_| {
        let (store, endpoint) = (scene.store.clone(), scene.endpoint);
        tokio::spawn(async move { store.delivery_lease(NOW, later(60), &[(endpoint, 25)]).await.unwrap() })
    });
    let mut taken = Vec::new();
    for taker in takers.collect::<Vec<_>>() {
        taken.extend(taker.await.unwrap().into_iter().map(|leased| leased.id));
    }
    assert_eq!(taken.len(), 40);
    assert_eq!(taken.iter().collect::<BTreeSet<_>>().len(), 40, "nobody takes what another has");
}

pub async fn what_is_due_is_counted_up_to_the_slots(scene: &Scene) {
    let other = EndpointId::from_bytes([9; 16]);
    let due =
        async |at, most| scene.store.delivery_due(at, &[(scene.endpoint, most), (other, 5)]).await.unwrap();
    assert_eq!(due(NOW, 5).await, [(scene.endpoint, 0), (other, 0)]);
    for number in 0..3 {
        scene.accept(Kind::Event, &number.to_string()).await;
    }
    scene.accept_leased(Kind::Event, "in hand").await;
    assert_eq!(due(NOW, 5).await, [(scene.endpoint, 3), (other, 0)]);
    assert_eq!(due(NOW, 2).await, [(scene.endpoint, 2), (other, 0)]);
    assert_eq!(due(NOW.before(Duration::from_secs(1)), 5).await[0].1, 0, "not yet");
    assert_eq!(due(NOW.after(limits::EVENT_LIFE), 5).await[0].1, 0, "too late");
}

pub async fn the_oldest_of_what_waits_is_known(scene: &Scene) {
    let other = EndpointId::from_bytes([9; 16]);
    let oldest = async || scene.store.delivery_oldest(&[other, scene.endpoint]).await.unwrap();
    assert_eq!(oldest().await, None);
    scene.accept_leased(Kind::Event, "in hand").await;
    assert_eq!(oldest().await, None, "it does not wait");
    for at in [5, 3, 4] {
        let incoming = scene.incoming(Some(&scene.acme), Kind::Event, &at.to_string(), later(at));
        scene.store.request_accept(incoming).await.unwrap();
    }
    assert_eq!(oldest().await, Some(later(3)));
}

pub async fn no_more_is_taken_than_there_are_slots(scene: &Scene) {
    for number in 0..5 {
        scene.accept(Kind::Event, &number.to_string()).await;
    }
    assert_eq!(lease(scene, NOW, 3).await.len(), 3);
    let rest = lease(scene, NOW, 3).await;
    assert_eq!(rest.len(), 2);
    assert_eq!(rest[0].attempt, 1);
    assert!(rest[0].request.body.starts_with(b"{\"name\""), "the body comes with it, opened");
    assert!(lease(scene, NOW, 0).await.is_empty());
}

pub async fn a_retry_waits_for_its_time(scene: &Scene) {
    let id = scene.accept(Kind::Event, "message").await.request.id;
    let first = lease(scene, NOW, 1).await.remove(0);
    let next = Next::Retry { at: later(5) };
    let finished =
        scene.store.delivery_finish(&scene.acme, first.id, &attempt(1, failed()), &next).await.unwrap();
    assert_eq!(finished, Finished::Recorded);
    assert!(lease(scene, later(4), 1).await.is_empty());
    let second = lease(scene, later(5), 1).await.remove(0);
    assert_eq!((second.id, second.attempt), (first.id, 2));
    let done = AttemptResult::Answered(Answer { status: 200, ..Answer::default() });
    scene.store.delivery_finish(&scene.acme, second.id, &attempt(2, done), &Next::Delivered).await.unwrap();
    assert!(lease(scene, later(600), 1).await.is_empty());
    let delivery = scene.stands(id).await.deliveries.remove(0);
    assert_eq!((delivery.state, delivery.attempts.len()), (DeliveryState::Delivered, 2));
}

pub async fn who_comes_late_is_fenced(scene: &Scene) {
    let id = scene.accept(Kind::Event, "message").await.request.id;
    let slow = lease(scene, NOW, 1).await.remove(0);
    assert_eq!(
        scene.store.delivery_reap(later(59), Reap::RunOut).await.unwrap(),
        0,
        "not while the lease runs"
    );
    assert_eq!(scene.store.delivery_reap(later(60), Reap::RunOut).await.unwrap(), 1);
    let quick = lease(scene, later(60), 1).await.remove(0);
    assert_eq!((quick.id, quick.attempt), (slow.id, 2));
    let late = attempt(slow.attempt, AttemptResult::Answered(Answer::default()));
    let finished = scene.store.delivery_finish(&scene.acme, slow.id, &late, &Next::Delivered).await.unwrap();
    assert_eq!(finished, Finished::Fenced);
    assert_eq!(scene.stands(id).await.deliveries[0].state, DeliveryState::Leased, "the second still has it");
    let in_time = attempt(quick.attempt, AttemptResult::Answered(Answer::default()));
    let finished =
        scene.store.delivery_finish(&scene.acme, quick.id, &in_time, &Next::Delivered).await.unwrap();
    assert_eq!(finished, Finished::Recorded);
    let finished =
        scene.store.delivery_finish(&scene.acme, quick.id, &in_time, &Next::Delivered).await.unwrap();
    assert_eq!(finished, Finished::Fenced, "and once");
}

pub async fn another_tenant_finishes_nothing(scene: &Scene) {
    let id = scene.accept(Kind::Event, "message").await.request.id;
    let leased = lease(scene, NOW, 1).await.remove(0);
    let done = attempt(1, AttemptResult::Answered(Answer::default()));
    let finished =
        scene.store.delivery_finish(&scene.globex, leased.id, &done, &Next::Delivered).await.unwrap();
    assert_eq!(finished, Finished::Fenced);
    assert_eq!(scene.stands(id).await.deliveries[0].state, DeliveryState::Leased);
}

pub async fn a_dead_process_leaves_an_event_to_be_repeated(scene: &Scene) {
    let id = scene.accept_leased(Kind::Event, "message").await.request.id;
    assert_eq!(scene.store.delivery_reap(later(1), Reap::RunOut).await.unwrap(), 0);
    assert_eq!(
        scene.store.delivery_reap(later(1), Reap::All).await.unwrap(),
        1,
        "the only server knows better"
    );
    let delivery = scene.stands(id).await.deliveries.remove(0);
    assert_eq!(delivery.state, DeliveryState::Ready);
    assert_eq!(
        (delivery.attempts.len(), &delivery.attempts[0].result),
        (1, &None),
        "an attempt nobody lived to tell of"
    );
    assert_eq!(lease(scene, later(1), 1).await[0].attempt, 2);
}

pub async fn a_dead_process_leaves_a_command_unanswered(scene: &Scene) {
    let in_hand = scene.accept_leased(Kind::Command, "/in-hand").await.request.id;
    let not_begun = scene.accept(Kind::Command, "/not-begun").await.request.id;
    let fallen_back = scene.accept_leased(Kind::Command, "/fallen-back").await.request.id;
    scene.store.request_answered(&scene.acme, fallen_back, AnswerState::Fallback).await.unwrap();
    scene.store.delivery_reap(later(1), Reap::All).await.unwrap();
    for (id, answer) in [
        (in_hand, AnswerState::Unanswered),
        (not_begun, AnswerState::Unanswered),
        (fallen_back, AnswerState::Fallback),
    ] {
        let stands = scene.stands(id).await;
        assert_eq!(stands.answer, answer, "{}", stands.request.name);
        let delivery = &stands.deliveries[0];
        assert_eq!((delivery.state, delivery.dead), (DeliveryState::Dead, Some(DeadReason::NotRepeatable)));
    }
    assert!(lease(scene, later(1), 10).await.is_empty(), "none is run by itself");
}

pub async fn what_waited_beyond_its_life_is_dead(scene: &Scene) {
    let id = scene.accept(Kind::BlockAction, "approve").await.request.id;
    let end = 30 * 60;
    assert!(lease(scene, later(end), 1).await.is_empty(), "too late to be of use");
    assert_eq!(scene.store.delivery_reap(later(end), Reap::RunOut).await.unwrap(), 1);
    let delivery = scene.stands(id).await.deliveries.remove(0);
    assert_eq!((delivery.state, delivery.dead), (DeliveryState::Dead, Some(DeadReason::Expired)));
}

pub async fn an_unanswered_request_takes_what_was_not_begun_with_it(scene: &Scene) {
    let id = scene.accept_leased(Kind::Command, "/deploy").await.request.id;
    scene.store.request_answered(&scene.acme, id, AnswerState::Unanswered).await.unwrap();
    let stands = scene.stands(id).await;
    assert_eq!((stands.answer, stands.deliveries[0].state), (AnswerState::Unanswered, DeliveryState::Dead));
}

pub async fn answers_are_kept_with_the_attempt(scene: &Scene) {
    let id = scene.accept(Kind::Event, "message").await.request.id;
    let leased = lease(scene, NOW, 1).await.remove(0);
    let answer =
        Answer { status: 500, content_type: Some("text/plain".into()), body: "the app's words".into() };
    let refused = AttemptResult::Refused { answer, retry_after: None };
    let next = Next::Dead { reason: DeadReason::Exhausted };
    let record = attempt(1, refused);
    scene.store.delivery_finish(&scene.acme, leased.id, &record, &next).await.unwrap();
    let delivery = scene.stands(id).await.deliveries.remove(0);
    assert_eq!((delivery.state, delivery.dead), (DeliveryState::Dead, Some(DeadReason::Exhausted)));
    assert_eq!(delivery.attempts, [record]);
}
