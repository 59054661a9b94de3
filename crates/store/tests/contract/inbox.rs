//! The inbox and `seen`.

use std::sync::Arc;

use bytes::Bytes;
use tautline_core::delivery::{Attempt, AttemptResult, DeliveryState, Hand};
use tautline_core::inbox::{Accepted, AnswerState, Incoming, Request, RequestFilter, Retries, Revive, Whose};
use tautline_core::schedule::Next;
use tautline_core::{RequestId, SystemRng, limits};
use tautline_slack::request::Kind;

use crate::scene::{NOW, Scene, later, page, places};

pub async fn a_request_is_stored_with_its_deliveries(scene: &Scene) {
    let incoming = scene.accept(Kind::Command, "/deploy").await;
    let found = scene.stands(incoming.request.id).await;
    let (sent, kept) = (&incoming.request, &found.request);
    assert_eq!(
        (
            &kept.name,
            kept.kind,
            &kept.body,
            &kept.content_type,
            kept.received_at,
            kept.expires_at,
            &kept.tenant
        ),
        (
            &sent.name,
            sent.kind,
            &sent.body,
            &sent.content_type,
            sent.received_at,
            sent.expires_at,
            &sent.tenant
        ),
    );
    assert_eq!(found.answer, AnswerState::Waiting);
    assert_eq!(found.deliveries.len(), 1);
    let delivery = &found.deliveries[0];
    assert_eq!((delivery.id, delivery.state), (incoming.deliveries[0].id, DeliveryState::Ready));
}

pub async fn the_same_event_twice_at_once_is_stored_once(scene: &Scene) {
    let first = scene.incoming(Some(&scene.acme), Kind::Event, "one", NOW);
    let tries = (0..20).map(|_| {
        // Each retry of Slack's is a request of its own; what they share is the key.
        let again =
            Incoming { seen: first.seen, ..scene.incoming(Some(&scene.acme), Kind::Event, "one", NOW) };
        let store = scene.store.clone();
        tokio::spawn(async move { store.request_accept(again).await.unwrap() })
    });
    let mut stored = 0;
    for tried in tries.collect::<Vec<_>>() {
        stored += usize::from(tried.await.unwrap() == Accepted::Stored);
    }
    assert_eq!(stored, 1);
    let whose = Whose::Tenant(&scene.acme);
    let found = scene.store.requests(whose, &RequestFilter::default(), page(100, None)).await.unwrap();
    assert_eq!(found.items.len(), 1);
    assert_eq!(found.items[0].deliveries.len(), 1);
}

pub async fn a_retry_is_counted_with_the_first(scene: &Scene) {
    let first = scene.accept(Kind::Event, "one").await;
    let retry = async |reason: Option<&str>| {
        let retry_reason = reason.map(str::to_owned);
        let again = scene.incoming(Some(&scene.acme), Kind::Event, "one", later(1));
        let again = Incoming { seen: first.seen, retry_reason, ..again };
        assert_eq!(scene.store.request_accept(again).await.unwrap(), Accepted::AlreadySeen);
        scene.stands(first.request.id).await.retries
    };
    let retries = |count, reason: &str| Retries { count, reason: Some(reason.to_owned()) };
    assert_eq!(scene.stands(first.request.id).await.retries, Retries::default());
    assert_eq!(retry(Some("http_timeout")).await, retries(1, "http_timeout"));
    assert_eq!(retry(Some("http_error")).await, retries(2, "http_error"));
    assert_eq!(retry(None).await, retries(3, "http_error"));
    let whose = Whose::Tenant(&scene.acme);
    let listed = scene.store.requests(whose, &RequestFilter::default(), page(9, None)).await.unwrap();
    assert_eq!((listed.items.len(), &listed.items[0].retries), (1, &retries(3, "http_error")));

    // A retry that is the only copy says so itself.
    let only = scene.incoming(Some(&scene.acme), Kind::Event, "two", NOW);
    let only = Incoming { retry_reason: Some("connection_failed".into()), ..only };
    let id = only.request.id;
    scene.store.request_accept(only).await.unwrap();
    assert_eq!(scene.stands(id).await.retries, retries(0, "connection_failed"));
}

pub async fn a_response_url_has_five_answers(scene: &Scene) {
    let id = scene.accept(Kind::Command, "/deploy").await.request.id;
    let respond = async |tenant| scene.store.request_respond(tenant, id).await.unwrap();
    assert!(!respond(&scene.globex).await, "another tenant's");
    for number in 1..=5 {
        assert!(respond(&scene.acme).await, "answer {number}");
    }
    assert!(!respond(&scene.acme).await);
}

pub async fn an_unclaimed_request_is_claimed_once(scene: &Scene) {
    let unclaimed = scene.incoming(None, Kind::Event, "early", NOW);
    let id = unclaimed.request.id;
    scene.store.request_accept(unclaimed).await.unwrap();
    let found = scene.store.request(Whose::Unclaimed, id).await.unwrap().unwrap();
    let delivery = scene.incoming(Some(&scene.acme), Kind::Event, "early", NOW).deliveries;
    let claimed = Request { tenant: Some(scene.acme.clone()), ..found.request.clone() };
    assert!(scene.store.request_claim(&claimed, delivery).await.unwrap());
    let other = Request { tenant: Some(scene.globex.clone()), ..found.request.clone() };
    assert!(!scene.store.request_claim(&other, Vec::new()).await.unwrap(), "it is acme's");
    assert!(scene.store.request(Whose::Unclaimed, id).await.unwrap().is_none());
    let stands = scene.stands(id).await;
    assert_eq!(stands.request.body, found.request.body, "sealed anew for its tenant, it opens");
    assert_eq!(stands.deliveries.len(), 1);
    let leased = scene.store.delivery_lease(NOW, later(60), &[places(scene.endpoint, 9)]).await.unwrap();
    assert_eq!(leased[0].request.body, found.request.body);
}

pub async fn a_replayed_request_is_due_again(scene: &Scene) {
    let id = scene.accept_leased(Kind::Command, "/deploy").await.request.id;
    scene.store.request_answered(&scene.acme, id, AnswerState::Unanswered).await.unwrap();
    let replay = async |tenant| {
        scene
            .store
            .request_replay(tenant, id, Revive::All, later(7200), later(7200), later(9000))
            .await
            .unwrap()
    };
    assert_eq!(replay(&scene.globex).await, 0, "another tenant's");
    let undone = scene
        .store
        .request_replay(&scene.acme, id, Revive::Undone, later(7200), later(7200), later(9000))
        .await;
    assert_eq!(undone.unwrap(), 0, "it may have run, and must not run twice unless somebody wants that");
    assert_eq!(replay(&scene.acme).await, 1);
    assert_eq!(replay(&scene.acme).await, 0, "it is on its way");
    let leased =
        scene.store.delivery_lease(later(7200), later(7260), &[places(scene.endpoint, 9)]).await.unwrap();
    assert_eq!((leased.len(), leased[0].attempt, leased[0].request.id), (1, 2, id));
    assert_eq!(leased[0].request.expires_at, later(9000), "and worth it for a while");
    assert_eq!(scene.stands(id).await.answer, AnswerState::Unanswered, "Slack was told nothing all the same");
}

pub async fn a_request_that_cannot_be_stored_harms_only_itself(scene: &Scene) {
    let tries = (0..60).map(|number| {
        let mut incoming = scene.incoming(Some(&scene.acme), Kind::Event, &number.to_string(), NOW);
        if number % 7 == 3 {
            // Of a tenant that does not exist.
            let request = Request { tenant: "nobody".parse().ok(), ..(*incoming.request).clone() };
            incoming.request = Arc::new(request);
        }
        let store = scene.store.clone();
        tokio::spawn(
            async move { (number, incoming.request.id, store.request_accept(incoming).await.is_ok()) },
        )
    });
    for tried in tries.collect::<Vec<_>>() {
        let (number, id, stored): (i32, RequestId, bool) = tried.await.unwrap();
        assert_eq!(stored, number % 7 != 3, "{number}");
        let found = scene.store.request(Whose::Tenant(&scene.acme), id).await.unwrap();
        assert_eq!(found.is_some(), stored, "{number}");
    }
}

pub async fn hostile_text_comes_back_as_it_went(scene: &Scene) {
    let mut incoming = scene.incoming(Some(&scene.acme), Kind::Event, "'; DROP TABLE inbox; --", NOW);
    let nasty = [b"\0\xff\xfe'\"\\".as_slice(), &vec![b'x'; 1024 * 1024]].concat();
    let request = Request {
        body: Bytes::from(nasty.clone()),
        content_type: Some("text/\u{202e}plain".into()),
        slack_id: Some("Ev'\"\u{1F600}".into()),
        ..(*incoming.request).clone()
    };
    incoming.request = Arc::new(request);
    scene.store.request_accept(incoming.clone()).await.unwrap();
    let found = scene.stands(incoming.request.id).await.request;
    assert_eq!(found.body, nasty);
    assert_eq!((&found.name, &found.slack_id), (&incoming.request.name, &incoming.request.slack_id));
}

/// Every text that somebody outside can choose. PostgreSQL's own text holds no NUL.
pub async fn every_text_may_hold_anything(scene: &Scene) {
    let nasty = "\0\u{1a}0\u{1a}'\"\\;--\u{202e}\u{1F600}\n%_\0";
    let mut incoming = scene.incoming(Some(&scene.acme), Kind::Event, nasty, NOW);
    incoming.deliveries[0].hand = Hand::Leased { until: NOW.after(limits::LEASE) };
    let text = || Some(nasty.to_owned());
    let request = (*incoming.request).clone();
    let request = Request { content_type: text(), slack_id: text(), team_id: text(), ..request };
    incoming.request = Arc::new(request);
    scene.store.request_accept(incoming.clone()).await.unwrap();
    let attempt = Attempt {
        number: 1,
        started_at: NOW,
        duration: None,
        result: Some(AttemptResult::NotReached { error: nasty.to_owned() }),
    };
    let id = incoming.deliveries[0].id;
    scene.store.delivery_finish(&scene.acme, id, &attempt, &Next::Delivered).await.unwrap();
    let stands = scene.stands(incoming.request.id).await;
    assert_eq!(stands.deliveries[0].attempts, [attempt]);
    let found = stands.request;
    assert_eq!(
        (found.name.as_str(), found.content_type, found.slack_id, found.team_id),
        (nasty, text(), text(), text())
    );
    let by_name = RequestFilter { name: text(), ..RequestFilter::default() };
    let listed = scene.store.requests(Whose::Tenant(&scene.acme), &by_name, page(9, None)).await.unwrap();
    assert_eq!(listed.items.len(), 1, "and can be looked for");
    let message = crate::outbox::new(&scene.acme, nasty, "x");
    scene.store.message_accept(message.clone(), None).await.unwrap();
    let found = scene.store.message(&scene.acme, message.id).await.unwrap().unwrap();
    assert_eq!(found.channel, nasty);
}

pub async fn another_tenants_requests_are_none(scene: &Scene) {
    let acmes = scene.accept(Kind::Command, "/deploy").await.request.id;
    let unclaimed = scene.incoming(None, Kind::Event, "unclaimed", NOW);
    scene.store.request_accept(unclaimed.clone()).await.unwrap();
    let ids = async |whose: Whose<'_>| {
        let found = scene.store.requests(whose, &RequestFilter::default(), page(100, None)).await.unwrap();
        found.items.iter().map(|item| item.request.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(Whose::Tenant(&scene.acme)).await, [acmes]);
    assert_eq!(ids(Whose::Tenant(&scene.globex)).await, []);
    assert_eq!(ids(Whose::Unclaimed).await, [unclaimed.request.id]);
    assert!(scene.store.request(Whose::Tenant(&scene.globex), acmes).await.unwrap().is_none());
    assert!(scene.store.request(Whose::Unclaimed, acmes).await.unwrap().is_none());
    assert!(scene.store.request(Whose::Tenant(&scene.acme), unclaimed.request.id).await.unwrap().is_none());
    scene.store.request_answered(&scene.globex, acmes, AnswerState::Unanswered).await.unwrap();
    let stands = scene.stands(acmes).await;
    assert_eq!((stands.answer, stands.deliveries[0].state), (AnswerState::Waiting, DeliveryState::Ready));
}

pub async fn lists_come_in_pages_newest_first(scene: &Scene) {
    let mut sent = Vec::new();
    for number in 0..7 {
        let incoming = scene.incoming(Some(&scene.acme), Kind::Event, &number.to_string(), later(number));
        scene.store.request_accept(incoming.clone()).await.unwrap();
        sent.push(incoming.request.id);
    }
    sent.reverse();
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let whose = Whose::Tenant(&scene.acme);
        let found = scene.store.requests(whose, &RequestFilter::default(), page(3, after)).await.unwrap();
        assert!(found.items.len() <= 3);
        seen.extend(found.items.iter().map(|item| item.request.id));
        after = found.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(seen, sent);
}

pub async fn lists_are_filtered(scene: &Scene) {
    scene.accept(Kind::Event, "message").await;
    scene.accept(Kind::Event, "app_mention").await;
    scene.accept(Kind::Command, "/deploy").await;
    let names = async |filter: RequestFilter| {
        let found = scene.store.requests(Whose::Tenant(&scene.acme), &filter, page(100, None)).await.unwrap();
        let mut names = found.items.into_iter().map(|item| item.request.name).collect::<Vec<_>>();
        names.sort();
        names
    };
    let any = RequestFilter::default;
    assert_eq!(names(RequestFilter { kind: Some(Kind::Event), ..any() }).await, ["app_mention", "message"]);
    assert_eq!(names(RequestFilter { name: Some("message".into()), ..any() }).await, ["message"]);
    assert_eq!(names(RequestFilter { team_id: Some("T2".into()), ..any() }).await, [""; 0]);
    assert_eq!(names(RequestFilter { since: Some(NOW), ..any() }).await.len(), 3);
    assert_eq!(names(RequestFilter { since: Some(later(1)), ..any() }).await, [""; 0]);
}

pub async fn only_a_waiting_request_is_answered(scene: &Scene) {
    let command = scene.accept(Kind::Command, "/deploy").await.request.id;
    scene.store.request_answered(&scene.acme, command, AnswerState::Fallback).await.unwrap();
    scene.store.request_answered(&scene.acme, command, AnswerState::Answered).await.unwrap();
    assert_eq!(scene.stands(command).await.answer, AnswerState::Fallback, "what was told first was told");
    let event = scene.accept(Kind::Event, "message").await.request.id;
    scene.store.request_answered(&scene.acme, event, AnswerState::Answered).await.unwrap();
    assert_eq!(scene.stands(event).await.answer, AnswerState::NotHeld);
    let unknown = RequestId::generate(NOW, &SystemRng);
    scene.store.request_answered(&scene.acme, unknown, AnswerState::Answered).await.unwrap();
}
