//! What is kept and for how long, sealing anew, and erasing.

use std::sync::Arc;
use std::time::Duration;

use tautline_core::delivery::{Answer, Attempt, AttemptResult, DeadReason, Hand, Reap};
use tautline_core::idempotency::IdempotencyKey;
use tautline_core::inbox::{Accepted, Incoming, Request, Whose};
use tautline_core::installation::CredentialKind;
use tautline_core::keeping::{Erased, ResealCursor};
use tautline_core::outbox::{MessageFilter, MessageState};
use tautline_core::schedule::Next;
use tautline_core::{RequestId, Store, StoreError, Tenant, TenantId, Timestamp, limits};
use tautline_slack::request::Kind;

use crate::engine::{Ground, other_keys, reopen};
use crate::scene::{NOW, Scene, later, page};

async fn forget_all(scene: &Scene, now: Timestamp) {
    while scene.store.forget(now).await.unwrap().rows > 0 {}
}

fn after(duration: Duration) -> Timestamp {
    NOW.after(duration).after(Duration::from_secs(1))
}

/// A request that was delivered, and its endpoint's answer.
async fn settled(scene: &Scene, name: &str) -> Incoming {
    let incoming = scene.accept_leased(Kind::Event, name).await;
    let answer = Answer { status: 200, content_type: None, body: "thanks".into() };
    let attempt = Attempt {
        number: 1,
        started_at: NOW,
        duration: Some(Duration::from_millis(1)),
        result: Some(AttemptResult::Answered(answer)),
    };
    let id = incoming.deliveries[0].id;
    scene.store.delivery_finish(&scene.acme, id, &attempt, &Next::Delivered).await.unwrap();
    incoming
}

async fn is_there(scene: &Scene, whose: Whose<'_>, id: RequestId) -> bool {
    scene.store.request(whose, id).await.unwrap().is_some()
}

pub async fn bodies_go_after_a_week_and_records_after_a_month(scene: &Scene) {
    let id = settled(scene, "old").await.request.id;
    forget_all(scene, NOW.after(limits::BODY_KEPT)).await;
    assert!(!scene.stands(id).await.request.body.is_empty(), "not yet");
    forget_all(scene, after(limits::BODY_KEPT)).await;
    let stands = scene.stands(id).await;
    assert!(stands.request.body.is_empty());
    let Some(AttemptResult::Answered(answer)) = &stands.deliveries[0].attempts[0].result else { panic!() };
    assert!(answer.body.is_empty(), "the endpoint's words are the customer's as well");
    forget_all(scene, NOW.after(limits::RECORD_KEPT)).await;
    assert!(is_there(scene, Whose::Tenant(&scene.acme), id).await, "that there was something is kept longer");
    forget_all(scene, after(limits::RECORD_KEPT)).await;
    assert!(!is_there(scene, Whose::Tenant(&scene.acme), id).await);
}

pub async fn nothing_that_waits_is_deleted_by_age(scene: &Scene) {
    let waiting = scene.accept(Kind::Event, "ready").await.request.id;
    let in_hand = scene.accept_leased(Kind::Event, "in hand").await.request.id;
    let message = crate::outbox::new(&scene.acme, "C1", "queued");
    let queued = message.id;
    scene.store.message_accept(message, None).await.unwrap();
    let late = NOW.after(limits::RECORD_KEPT * 3);
    forget_all(scene, late).await;
    for id in [waiting, in_hand] {
        assert!(!scene.stands(id).await.request.body.is_empty(), "with its body");
    }
    let kept = scene.store.message(&scene.acme, queued).await.unwrap().expect("it waits");
    assert!(!kept.arguments.is_empty());
    assert!(crate::outbox::is_due(scene, late).await, "and so does its lane");
    // Once they have come to an end, they go.
    scene.store.delivery_reap(late, Reap::All).await.unwrap();
    scene.store.message_reap(late, Reap::All).await.unwrap();
    forget_all(scene, late).await;
    assert!(!is_there(scene, Whose::Tenant(&scene.acme), waiting).await);
    assert!(scene.store.message(&scene.acme, queued).await.unwrap().is_none());
}

pub async fn what_matches_nobody_is_kept_a_day(scene: &Scene) {
    let incoming = scene.incoming(None, Kind::Event, "unclaimed", NOW);
    scene.store.request_accept(incoming.clone()).await.unwrap();
    forget_all(scene, NOW.after(limits::UNCLAIMED_KEPT)).await;
    assert!(is_there(scene, Whose::Unclaimed, incoming.request.id).await);
    forget_all(scene, after(limits::UNCLAIMED_KEPT)).await;
    assert!(!is_there(scene, Whose::Unclaimed, incoming.request.id).await);
}

pub async fn what_was_seen_is_known_for_26_hours_and_keys_for_a_day(scene: &Scene) {
    let first = settled(scene, "event").await;
    let again =
        || Incoming { seen: first.seen, ..scene.incoming(Some(&scene.acme), Kind::Event, "event", NOW) };
    forget_all(scene, NOW.after(limits::SEEN_KEPT)).await;
    assert_eq!(scene.store.request_accept(again()).await.unwrap(), Accepted::AlreadySeen);
    forget_all(scene, after(limits::SEEN_KEPT)).await;
    assert_eq!(scene.store.request_accept(again()).await.unwrap(), Accepted::Stored);
    let key = IdempotencyKey { scope: "a".into(), key: "k".into(), request: [1; 32], at: NOW };
    scene.store.message_accept(crate::outbox::new(&scene.acme, "C1", "x"), Some(key.clone())).await.unwrap();
    forget_all(scene, NOW.after(limits::KEY_KEPT)).await;
    assert!(scene.store.message_before(&key).await.unwrap().is_some());
    forget_all(scene, after(limits::KEY_KEPT)).await;
    assert!(scene.store.message_before(&key).await.unwrap().is_none());
}

pub async fn more_than_one_part_is_forgotten_in_parts(scene: &Scene) {
    let tries = (0..1200).map(|number| {
        let incoming = scene.incoming(None, Kind::Event, &number.to_string(), NOW);
        let store = scene.store.clone();
        tokio::spawn(async move { store.request_accept(incoming).await.unwrap() })
    });
    for tried in tries.collect::<Vec<_>>() {
        tried.await.unwrap();
    }
    let part = scene.store.forget(after(limits::UNCLAIMED_KEPT)).await.unwrap();
    assert!((1..1200).contains(&part.rows) && part.more, "{part:?}: a part, so that others come in between");
    forget_all(scene, after(limits::UNCLAIMED_KEPT)).await;
    let left = scene.store.requests(Whose::Unclaimed, &Default::default(), page(10, None)).await.unwrap();
    assert!(left.items.is_empty());
}

async fn reseal_all(store: &dyn Store) -> (u64, Vec<String>) {
    let (mut resealed, mut failed, mut from) = (0, Vec::new(), Some(ResealCursor::START));
    while let Some(cursor) = from {
        // As it travels.
        let cursor = ResealCursor::decode(&cursor.encode()).unwrap();
        let part = store.reseal(cursor).await.unwrap();
        resealed += part.resealed;
        failed.extend(part.failed);
        from = part.next;
    }
    (resealed, failed)
}

pub async fn after_a_rotation_the_old_key_is_not_needed(scene: &Scene) {
    let request = settled(scene, "event").await.request.id;
    let installed = crate::installations::new(&scene.acme, "A1", Some("T1"), None, "xoxb-1");
    let installation = installed.id;
    scene.store.installation_store(installed, NOW).await.unwrap();
    let message = crate::outbox::new(&scene.acme, "C1", "said");
    let said = message.id;
    scene.store.message_accept(message, None).await.unwrap();

    let both = reopen(scene, other_keys(true)).await;
    let (resealed, failed) = reseal_all(both.as_ref()).await;
    // A token and what renews it, a body, an answer, a message.
    assert_eq!((resealed, failed), (5, vec![]));
    assert_eq!(reseal_all(both.as_ref()).await.0, 0, "again is no harm");
    drop(both);

    let only_new = reopen(scene, other_keys(false)).await;
    let token = only_new.installation_token(&scene.acme, installation, CredentialKind::Bot).await.unwrap();
    assert_eq!(token.unwrap().token.expose(), "xoxb-1");
    let found = only_new.request(Whose::Tenant(&scene.acme), request).await.unwrap().unwrap();
    assert!(!found.request.body.is_empty());
    assert!(only_new.message(&scene.acme, said).await.unwrap().is_some());
}

pub async fn what_does_not_open_is_named_and_left(scene: &Scene) {
    let installed = crate::installations::new(&scene.acme, "A1", Some("T1"), None, "xoxb-1");
    let installation = installed.id;
    scene.store.installation_store(installed, NOW).await.unwrap();
    settled(scene, "event").await;
    let without = reopen(scene, other_keys(false)).await;
    let (resealed, failed) = reseal_all(without.as_ref()).await;
    assert_eq!(resealed, 0);
    let named =
        failed.iter().find(|row| row.contains(&installation.to_string())).expect("the installation is named");
    assert!(named.contains("TAUTLINE_ENCRYPTION_KEYS") && named.contains("acme"), "{named}");
    let error = without.installation_token(&scene.acme, installation, CredentialKind::Bot).await.unwrap_err();
    assert!(matches!(error, StoreError::Sealed { table: "credentials", .. }), "{error:?}");
    drop(without);
    // With the key it opens as before.
    let with = reopen(scene, crate::engine::keyring()).await;
    assert!(with.installation_token(&scene.acme, installation, CredentialKind::Bot).await.unwrap().is_some());
}

pub async fn a_corrupted_row_is_an_error_that_names_it(scene: &Scene) {
    let installed = crate::installations::new(&scene.acme, "A1", Some("T1"), None, "xoxb-secret");
    let installation = installed.id;
    scene.store.installation_store(installed, NOW).await.unwrap();
    match &scene.ground {
        Ground::Sqlite(dir) => {
            let file = rusqlite::Connection::open(dir.path().join("tautline.db")).unwrap();
            file.execute("UPDATE credentials SET sealed_token = CAST(substr(sealed_token, 1, length(sealed_token) - 1) || x'00' AS BLOB)", []).unwrap();
        }
        Ground::Postgres(database) => {
            database.sql("UPDATE tenant_acme.credentials SET sealed_token = set_byte(sealed_token, length(sealed_token) - 1, 0)");
        }
    }
    let error =
        scene.store.installation_token(&scene.acme, installation, CredentialKind::Bot).await.unwrap_err();
    let said = format!("{error}: {}", std::error::Error::source(&error).unwrap());
    assert!(said.contains(&installation.to_string()) && said.contains("changed"), "{said}");
    assert!(!said.contains("xoxb"), "{said}");
}

pub async fn an_erased_tenant_leaves_nothing(scene: &Scene) {
    let request = settled(scene, "event").await.request.id;
    for number in 0..600 {
        scene
            .store
            .message_accept(crate::outbox::new(&scene.acme, &format!("C{}", number % 7), "x"), None)
            .await
            .unwrap();
    }
    let installed = crate::installations::new(&scene.acme, "A1", Some("T1"), None, "xoxb-1");
    let installation = installed.id;
    scene.store.installation_store(installed, NOW).await.unwrap();
    let other = scene.incoming(Some(&scene.globex), Kind::Event, "of another", NOW);
    scene.store.request_accept(other.clone()).await.unwrap();

    let mut erased = Erased::default();
    while !erased.is_done {
        let part = scene.store.tenant_erase(&scene.acme).await.unwrap();
        part.rows.iter().for_each(|(table, rows)| erased.count(table, *rows));
        erased.is_done = part.is_done;
    }
    let counted = |table: &str| erased.rows.get(table).copied().unwrap_or(0);
    assert_eq!(
        ["credentials", "installations", "inbox", "messages", "tenants"].map(counted),
        [1, 1, 1, 600, 1]
    );
    assert!(scene.store.tenant(&scene.acme).await.unwrap().is_none());
    assert!(!is_there(scene, Whose::Tenant(&scene.acme), request).await);
    assert!(
        scene
            .store
            .messages(&scene.acme, MessageFilter::default(), page(1, None))
            .await
            .unwrap()
            .items
            .is_empty()
    );
    assert!(
        scene
            .store
            .installation_token(&scene.acme, installation, CredentialKind::Bot)
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(scene.ground.rows_that_name("acme"), 0, "in no table");
    assert!(is_there(scene, Whose::Tenant(&scene.globex), other.request.id).await, "another's stays");
    // Nothing new comes in for one that is gone; and the id may be used again.
    let late = scene.incoming(Some(&scene.acme), Kind::Event, "late", NOW);
    assert!(scene.store.request_accept(late).await.is_err());
    let tenant = Tenant { id: scene.acme.clone(), name: None, created_at: NOW };
    scene.store.tenant_record(tenant, None).await.unwrap();
}

pub async fn what_names_a_person_is_erased_and_the_rest_stays(scene: &Scene) {
    let with = async |tenant, body: &'static str| {
        let mut incoming = scene.incoming(Some(tenant), Kind::Event, "message", NOW);
        incoming.request = Arc::new(Request { body: body.into(), ..Arc::unwrap_or_clone(incoming.request) });
        incoming.deliveries[0].hand = Hand::Leased { until: NOW.after(limits::LEASE) };
        scene.store.request_accept(incoming.clone()).await.unwrap();
        incoming.request.id
    };
    let theirs = with(&scene.acme, r#"{"user":"U123","text":"secret words"}"#).await;
    let mention = with(&scene.acme, r#"{"user":"U9","text":"<@U123> hello"}"#).await;
    let other = with(&scene.acme, r#"{"user":"U1234","text":"hello"}"#).await;
    let globex = with(&scene.globex, r#"{"user":"U123","text":"hello"}"#).await;
    for (channel, text) in [("U123", "direct"), ("C1", "to <@U123>"), ("C1", "to nobody")] {
        scene.store.message_accept(crate::outbox::new(&scene.acme, channel, text), None).await.unwrap();
    }
    let (mut from, mut erased) = (Some(ResealCursor::START), (0, 0));
    while let Some(cursor) = from {
        let part = scene.store.user_erase(&scene.acme, "U123", cursor).await.unwrap();
        erased = (erased.0 + part.requests, erased.1 + part.messages);
        from = part.next;
    }
    assert_eq!(erased, (2, 2));
    let body = async |tenant, id| {
        let found = scene.store.request(Whose::Tenant(tenant), id).await.unwrap().unwrap();
        (found.request.body.len(), found.deliveries[0].dead)
    };
    for id in [theirs, mention] {
        assert_eq!(body(&scene.acme, id).await, (0, Some(DeadReason::Erased)));
    }
    assert_eq!(body(&scene.acme, other).await, (31, None));
    assert_eq!(body(&scene.globex, globex).await, (30, None), "another tenant's is another's to erase");
    let listed =
        scene.store.messages(&scene.acme, MessageFilter::default(), page(9, None)).await.unwrap().items;
    let mut stand =
        listed.iter().map(|message| (message.state.as_str(), message.arguments.len())).collect::<Vec<_>>();
    stand.sort_unstable();
    assert_eq!(stand, [("cancelled", 0), ("cancelled", 0), ("queued", 20)]);
    assert_eq!(scene.store.messages_waiting(&scene.acme).await.unwrap(), 1);
}

pub async fn what_a_restored_backup_had_to_send_is_held(scene: &Scene) {
    for channel in ["C1", "C2", "C3"] {
        scene.store.message_accept(crate::outbox::new(&scene.acme, channel, "x"), None).await.unwrap();
    }
    let claim = async |at_s| {
        let claim = crate::outbox::claiming(later(at_s), later(at_s + 30), 1);
        scene.store.message_claim(claim).await.unwrap().len()
    };
    assert_eq!(claim(0).await, 1);
    assert_eq!(scene.store.message_reap(later(30), Reap::RunOut).await.unwrap(), 1, "one is uncertain");
    assert_eq!(claim(30).await, 1, "one is on its way, and one waits");
    assert_eq!(scene.store.hold_messages().await.unwrap(), 3);
    let found = scene.store.messages(&scene.acme, MessageFilter::default(), page(10, None)).await.unwrap();
    assert!(found.items.iter().all(|message| message.state == MessageState::Held), "{:?}", found.items);
    assert!(!crate::outbox::is_due(scene, later(600)).await);
    assert_eq!(scene.store.messages_waiting(&scene.acme).await.unwrap(), 0);
    // What comes after them goes.
    scene.store.message_accept(crate::outbox::new(&scene.acme, "C1", "new"), None).await.unwrap();
    assert_eq!(claim(600).await, 1);
}

/// Ids that would be dangerous if they were put into SQL as they are.
pub async fn an_odd_but_allowed_tenant_is_like_any_other(scene: &Scene) {
    for id in ["a".repeat(48), "--".into(), "Acme".into(), "acme_".into(), "0".into(), "select".into()] {
        let tenant: TenantId = id.parse().unwrap();
        scene
            .store
            .tenant_record(Tenant { id: tenant.clone(), name: None, created_at: NOW }, None)
            .await
            .unwrap();
        let installed =
            crate::installations::new(&tenant, "A1", Some(&format!("T{id}")), None, &format!("xoxb-{id}"));
        let installation = installed.id;
        scene.store.installation_store(installed, NOW).await.unwrap();
        let token = scene.store.installation_token(&tenant, installation, CredentialKind::Bot).await.unwrap();
        assert_eq!(token.unwrap().token.expose(), format!("xoxb-{id}"));
    }
}
