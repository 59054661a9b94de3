//! Deliveries: leases, fences, and what the dead leave.

use std::collections::BTreeSet;
use std::time::Duration;

use tautline_core::delivery::{
    Answer, Attempt, AttemptResult, DeadReason, DeliveryFilter, DeliveryState, Finished, Hand, Leased,
    Places, Reap, Revival,
};
use tautline_core::inbox::{AnswerState, Revive};
use tautline_core::schedule::Next;
use tautline_core::turns::Turns;
use tautline_core::{EndpointId, Tenant, TenantId, Timestamp, limits};
use tautline_slack::request::Kind;

use crate::scene::{NOW, Scene, later, page, places};

async fn lease(scene: &Scene, now: Timestamp, slots: usize) -> Vec<Leased> {
    let until = now.after(limits::LEASE);
    scene.store.delivery_lease(now, until, &[places(scene.endpoint, slots)]).await.unwrap()
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
        tokio::spawn(
            async move { store.delivery_lease(NOW, later(60), &[places(endpoint, 25)]).await.unwrap() },
        )
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
    let due = async |at, most| {
        let due =
            scene.store.delivery_due(at, &[places(scene.endpoint, most), places(other, 5)]).await.unwrap();
        assert_eq!((due[0].endpoint, due[1]), (scene.endpoint, places(other, 0)));
        (due[0].first, due[0].again)
    };
    assert_eq!(due(NOW, 5).await, (0, 0));
    for number in 0..4 {
        scene.accept(Kind::Event, &number.to_string()).await;
    }
    scene.accept_leased(Kind::Event, "in hand").await;
    assert_eq!(due(NOW, 5).await, (4, 0));
    assert_eq!(due(NOW, 2).await, (2, 0));
    assert_eq!(due(NOW.before(Duration::from_secs(1)), 5).await, (0, 0), "not yet");
    assert_eq!(due(NOW.after(limits::EVENT_LIFE), 5).await, (0, 0), "too late");
    let tried = lease(scene, NOW, 1).await.remove(0);
    let again = Next::Retry { at: later(5) };
    scene.store.delivery_finish(&scene.acme, tried.id, &attempt(1, failed()), &again).await.unwrap();
    assert_eq!(due(later(4), 5).await, (3, 0));
    assert_eq!(due(later(5), 5).await, (3, 1), "retries are counted apart");
}

/// One tenant has many waiting, and tries of its own due; another comes after all of them.
pub async fn first_attempts_go_by_their_turn_and_not_behind_retries(scene: &Scene) {
    let mut turns = Turns::default();
    let mut accept = async |tenant: &TenantId, name: &str, at: Timestamp| {
        let mut incoming = scene.incoming(Some(tenant), Kind::Event, name, at);
        let turn = turns.next(scene.endpoint, tenant, Kind::Event, at);
        incoming.deliveries[0].hand = Hand::Ready { turn };
        scene.store.request_accept(incoming).await.unwrap();
    };
    for number in 0..30 {
        accept(&scene.acme, &number.to_string(), NOW).await;
    }
    for tried in lease(scene, NOW, 10).await {
        let again = Next::Retry { at: later(1) };
        scene.store.delivery_finish(&scene.acme, tried.id, &attempt(1, failed()), &again).await.unwrap();
    }
    accept(&scene.globex, "the other's", later(2)).await;
    let take = async |first, again| {
        let places = Places { endpoint: scene.endpoint, first, again };
        let taken = scene.store.delivery_lease(later(2), later(62), &[places]).await.unwrap();
        taken.into_iter().map(|leased| (leased.request.name.clone(), leased.attempt)).collect::<Vec<_>>()
    };
    assert_eq!(take(1, 0).await, [("the other's".to_owned(), 1)], "before the twenty that came earlier");
    let next = take(2, 1).await;
    assert_eq!(
        next.iter().map(|(name, attempt)| (name.as_str(), *attempt)).collect::<Vec<_>>(),
        [("10", 1), ("11", 1), ("0", 2)]
    );
}

/// Ten tenants, and one of them has a hundred thousand waiting: the others' first attempts are not behind it.
pub async fn a_flood_of_one_tenant_is_before_nobody_elses_first_word(scene: &Scene) {
    let second_us = i64::try_from(limits::TURN.as_micros()).unwrap();
    scene.ground.flood(100_000, scene.endpoint, NOW, second_us);
    let mut turns = Turns::default();
    for number in 0..9 {
        let tenant: TenantId = format!("small-{number}").parse().unwrap();
        let new = Tenant { id: tenant.clone(), name: None, created_at: NOW };
        scene.store.tenant_record(new, None).await.unwrap();
        let mut incoming = scene.incoming(Some(&tenant), Kind::Event, "a word", later(30));
        let turn = turns.next(scene.endpoint, &tenant, Kind::Event, later(30));
        incoming.deliveries[0].hand = Hand::Ready { turn };
        scene.store.request_accept(incoming).await.unwrap();
    }
    // Thirty seconds of the flood have had their turn by then; the rest is to come.
    let taken = lease(scene, later(30), 64).await;
    let words = taken.iter().filter(|leased| leased.request.name == "a word").count();
    assert_eq!((taken.len(), words), (64, 9));
    let oldest = scene.store.delivery_oldest(&[scene.endpoint]).await.unwrap();
    assert_eq!(oldest, Some(NOW), "the flood's own wait is known");
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
        scene.store.delivery_reap(later(59), Reap::RunOut).await.unwrap().changed,
        0,
        "not while the lease runs"
    );
    assert_eq!(scene.store.delivery_reap(later(60), Reap::RunOut).await.unwrap().changed, 1);
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
    assert_eq!(scene.store.delivery_reap(later(1), Reap::RunOut).await.unwrap().changed, 0);
    assert_eq!(
        scene.store.delivery_reap(later(1), Reap::All).await.unwrap().changed,
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
    assert_eq!(scene.store.delivery_reap(later(end), Reap::RunOut).await.unwrap().changed, 1);
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

pub async fn what_waits_for_its_time_can_be_hastened(scene: &Scene) {
    scene.accept(Kind::Event, "message").await;
    let tried = lease(scene, NOW, 1).await.remove(0);
    let again = Next::Retry { at: later(3600) };
    scene.store.delivery_finish(&scene.acme, tried.id, &attempt(1, failed()), &again).await.unwrap();
    let hasten = async |endpoint| scene.store.delivery_hasten(endpoint, later(5)).await.unwrap();
    assert_eq!(hasten(EndpointId::from_bytes([9; 16])).await, 0, "another endpoint's");
    assert!(lease(scene, later(5), 1).await.is_empty());
    assert_eq!(hasten(scene.endpoint).await, 1);
    assert_eq!(lease(scene, later(5), 1).await[0].attempt, 2);
}

async fn dead(scene: &Scene, name: &str, reason: DeadReason) -> Leased {
    scene.accept(Kind::Event, name).await;
    let leased = lease(scene, NOW, 1).await.remove(0);
    let next = Next::Dead { reason };
    scene.store.delivery_finish(&scene.acme, leased.id, &attempt(1, failed()), &next).await.unwrap();
    leased
}

async fn names(scene: &Scene, filter: DeliveryFilter) -> Vec<String> {
    let listed = scene.store.deliveries(&filter, page(9, None)).await.unwrap().items;
    let mut names = listed.into_iter().map(|listed| listed.name).collect::<Vec<_>>();
    names.sort(); // those of one millisecond have no order
    names
}

pub async fn deliveries_are_listed_by_state_endpoint_and_tenant(scene: &Scene) {
    dead(scene, "dead", DeadReason::Exhausted).await;
    scene.accept(Kind::Event, "waiting").await;
    let other = scene.incoming(Some(&scene.globex), Kind::Event, "the other's", later(1));
    scene.store.request_accept(other).await.unwrap();
    let all = DeliveryFilter::default;
    assert_eq!(names(scene, all()).await, ["dead", "the other's", "waiting"]);
    let of = |state| DeliveryFilter { state: Some(state), ..all() };
    assert_eq!(names(scene, of(DeliveryState::Dead)).await, ["dead"]);
    assert_eq!(names(scene, of(DeliveryState::Ready)).await, ["the other's", "waiting"]);
    let acme = || Some(scene.acme.clone());
    assert_eq!(names(scene, DeliveryFilter { tenant: acme(), ..all() }).await, ["dead", "waiting"]);
    let tenant = Some(scene.globex.clone());
    assert_eq!(names(scene, DeliveryFilter { tenant, ..of(DeliveryState::Dead) }).await, [""; 0]);
    let endpoint = |id| DeliveryFilter { endpoint: Some(id), ..all() };
    assert_eq!(names(scene, endpoint(scene.endpoint)).await.len(), 3);
    assert_eq!(names(scene, endpoint(EndpointId::from_bytes([9; 16]))).await.len(), 0);
    assert_eq!(names(scene, DeliveryFilter { since: Some(later(1)), ..all() }).await, ["the other's"]);

    let first = scene.store.deliveries(&all(), page(2, None)).await.unwrap();
    assert_eq!(first.items[0].name, "the other's", "newest first");
    let rest = scene.store.deliveries(&all(), page(2, first.next)).await.unwrap();
    assert_eq!((rest.items.len(), rest.next), (1, None));
    let found =
        scene.store.deliveries(&of(DeliveryState::Dead), page(9, None)).await.unwrap().items.remove(0);
    assert_eq!((found.tenant, found.kind, found.received_at), (scene.acme.clone(), Kind::Event, NOW));
    assert_eq!(found.delivery.attempts, [attempt(1, failed())], "with what was tried");
}

pub async fn dead_letters_are_made_again_once(scene: &Scene) {
    let exhausted = dead(scene, "exhausted", DeadReason::Exhausted).await;
    let may_have_run = dead(scene, "may have run", DeadReason::NotRepeatable).await;
    let revival = |leased: &Leased, tenant: &TenantId| Revival {
        id: leased.id,
        tenant: tenant.clone(),
        expires_at: later(900_000),
        turn: later(600_000),
    };
    let revive =
        async |which, revivals| scene.store.delivery_revive(which, later(600_000), revivals).await.unwrap();
    let both = || vec![revival(&exhausted, &scene.acme), revival(&may_have_run, &scene.acme)];
    assert_eq!(revive(Revive::Undone, vec![revival(&exhausted, &scene.globex)]).await, 0, "another tenant's");
    assert_eq!(revive(Revive::Undone, both()).await, 1);
    assert_eq!(revive(Revive::Undone, both()).await, 0, "it is on its way");
    let leased = lease(scene, later(600_000), 9).await;
    assert_eq!((leased.len(), leased[0].id, leased[0].attempt), (1, exhausted.id, 2));
    assert_eq!(leased[0].due_at, later(600_000));
    assert_eq!(leased[0].request.expires_at, later(900_000), "and worth it for a while");
    assert_eq!(revive(Revive::All, both()).await, 1, "by hand also what may have run");
}

pub async fn what_expired_names_its_endpoint(scene: &Scene) {
    scene.accept(Kind::BlockAction, "approve").await;
    scene.accept(Kind::BlockAction, "reject").await;
    let reaped = scene.store.delivery_reap(later(30 * 60), Reap::RunOut).await.unwrap();
    assert_eq!((reaped.changed, reaped.expired, reaped.is_more), (2, vec![scene.endpoint], false));
}
