//! What is SQLite's own: the file, its durability, group commit seen from inside.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tautline_core::SystemRng;
use tautline_core::delivery::Deliveries as _;
use tautline_core::inbox::Accepted;
use tautline_core::outbox::Outbox as _;
use tautline_slack::request::Kind;
use tautline_store::sqlite::{OpenError, SqliteOptions};
use tautline_store::{Keyring, SqliteStore};
use tokio::sync::Semaphore;

use crate::engine::{keyring, sqlite_with};
use crate::scene::{NOW, Scene, later, places};

#[tokio::test]
async fn the_running_settings_are_the_durable_ones() {
    let readiness = sqlite_with(None).store.readiness(NOW).await.unwrap();
    assert_eq!(readiness.durability, "journal_mode=wal synchronous=FULL");
}

#[tokio::test]
async fn nothing_readable_rests_in_the_file() {
    let engine = sqlite_with(None);
    let scene = Scene::on(engine).await;
    let mut incoming = scene.incoming(Some(&scene.acme), Kind::Event, "message", NOW);
    let request = tautline_core::inbox::Request {
        body: "the customer's own words".into(),
        ..(*incoming.request).clone()
    };
    incoming.request = Arc::new(request);
    scene.store.request_accept(incoming).await.unwrap();
    let mut found_the_row = false;
    for entry in fs::read_dir(scene.ground.dir()).unwrap() {
        let content = fs::read(entry.unwrap().path()).unwrap();
        let has = |needle: &[u8]| content.windows(needle.len()).any(|window| window == needle);
        found_the_row |= has(b"message");
        assert!(!has(b"customer's own"));
    }
    assert!(found_the_row, "the search looks where the row is");
}

#[tokio::test]
async fn requests_that_wait_together_share_a_commit() {
    // The gate stalls the first commit until the others are in the queue.
    let (commits, go) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let (counted, passing) = (commits.clone(), go.clone());
    let stalled = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stalling = stalled.clone();
    let gate = Arc::new(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        while stalling.load(Ordering::SeqCst) && passing.available_permits() == 0 {
            std::thread::yield_now();
        }
    });
    let engine = sqlite_with(Some(gate));
    let scene = Scene::on(engine).await;
    stalled.store(true, Ordering::SeqCst);
    let before = commits.load(Ordering::SeqCst);
    let tries = (0..100).map(|number| {
        let incoming = scene.incoming(Some(&scene.acme), Kind::Event, &number.to_string(), NOW);
        let store = scene.store.clone();
        tokio::spawn(async move { store.request_accept(incoming).await.unwrap() })
    });
    let tries = tries.collect::<Vec<_>>();
    while commits.load(Ordering::SeqCst) == before {
        tokio::task::yield_now().await;
    }
    // One thread runs all the askers: once each had its turn, each has asked.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert!(tries.iter().all(|tried| !tried.is_finished()), "nobody is told before the commit");
    go.add_permits(1);
    for tried in tries {
        assert_eq!(tried.await.unwrap(), Accepted::Stored);
    }
    let shared = commits.load(Ordering::SeqCst) - before;
    assert!(
        shared <= 2,
        "{shared} commits for 100 requests: the one that stalled, and one for all the others"
    );
}

#[test]
fn a_second_server_is_refused() {
    let engine = sqlite_with(None);
    let path = engine.ground.dir().join("tautline.db");
    let again =
        SqliteStore::open(SqliteOptions { path, holder: "a test".into(), commit_gate: None }, keyring());
    assert!(matches!(again.err(), Some(OpenError::InUse { .. })));
}

#[test]
fn a_file_from_the_future_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tautline.db");
    let file = rusqlite::Connection::open(&path).unwrap();
    file.pragma_update(None, "user_version", 99).unwrap();
    drop(file);
    let options = || SqliteOptions { path: path.clone(), holder: "a test".into(), commit_gate: None };
    let opened = SqliteStore::open(options(), keyring());
    assert!(matches!(opened.err(), Some(OpenError::FromTheFuture { found: 99, known: 7, .. })));
    let file = rusqlite::Connection::open(&path).unwrap();
    let tables: i64 = file.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0)).unwrap();
    assert_eq!(tables, 0);
}

#[test]
fn a_path_that_cannot_be_used_is_named() {
    let path = std::path::PathBuf::from("/no/such/directory/tautline.db");
    let error =
        SqliteStore::open(SqliteOptions { path, holder: "a test".into(), commit_gate: None }, keyring())
            .err()
            .unwrap();
    assert!(error.to_string().contains("/no/such/directory"), "{error}");
}

#[tokio::test]
async fn only_the_owner_can_read_the_files() {
    use std::os::unix::fs::PermissionsExt as _;
    let engine = sqlite_with(None);
    let scene = Scene::on(engine).await;
    scene.accept(Kind::Event, "message").await;
    for entry in fs::read_dir(scene.ground.dir()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o077, 0, "{}", entry.path().display());
    }
}

#[tokio::test]
async fn without_the_key_what_waits_goes_on_waiting() {
    let engine = sqlite_with(None);
    let scene = Scene::on(engine).await;
    scene.accept(Kind::Event, "message").await;
    let (endpoint, path) = (scene.endpoint, scene.ground.dir().join("tautline.db"));
    let Scene { store, ground, .. } = scene;
    drop(store);
    let reopen = |keys: Arc<Keyring>| {
        SqliteStore::open(
            SqliteOptions { path: path.clone(), holder: "a test".into(), commit_gate: None },
            keys,
        )
        .unwrap()
    };
    let take = async |store: &SqliteStore, seconds: u64| {
        store.delivery_lease(later(seconds), later(seconds + 60), &[places(endpoint, 10)]).await.unwrap()
    };
    let without = reopen(Arc::new(Keyring::single("other", [8; 32], Arc::new(SystemRng))));
    for minute in 0..20 {
        assert!(take(&without, minute * 60).await.is_empty());
    }
    drop(without);
    let with = reopen(keyring());
    let taken = take(&with, 20 * 60).await;
    assert_eq!((taken.len(), taken[0].attempt), (1, 1), "nothing was lost and no attempt used up");
    drop(ground);
}

#[tokio::test]
async fn without_the_key_a_message_goes_on_waiting() {
    let engine = sqlite_with(None);
    let scene = Scene::on(engine).await;
    let message = crate::outbox::new(&scene.acme, "C1", "later");
    scene.store.message_accept(message, None).await.unwrap();
    let path = scene.ground.dir().join("tautline.db");
    let Scene { store, ground, .. } = scene;
    drop(store);
    let reopen = |keys: Arc<Keyring>| {
        SqliteStore::open(
            SqliteOptions { path: path.clone(), holder: "a test".into(), commit_gate: None },
            keys,
        )
        .unwrap()
    };
    let without = reopen(Arc::new(Keyring::single("other", [8; 32], Arc::new(SystemRng))));
    for minute in 0..20 {
        let now = later(minute * 60);
        assert!(
            without
                .message_claim(crate::outbox::claiming(now, later(minute * 60 + 30), 10))
                .await
                .unwrap()
                .is_empty()
        );
    }
    drop(without);
    let with = reopen(keyring());
    let claimed = with.message_claim(crate::outbox::claiming(later(1200), later(1230), 10)).await.unwrap();
    assert_eq!((claimed.len(), claimed[0].attempt), (1, 1), "nothing was lost and no attempt used up");
    drop(ground);
}

#[tokio::test]
async fn a_reader_that_is_given_up_gives_its_connection_back() {
    let engine = sqlite_with(None);
    let scene = Scene::on(engine).await;
    for _ in 0..50 {
        // Asked once, and dropped while the answer is on its way.
        let mut asking = std::pin::pin!(scene.store.tenant(&scene.acme));
        let _ = futures_poll(asking.as_mut());
    }
    assert!(scene.store.tenant(&scene.acme).await.unwrap().is_some());
}

fn futures_poll<F: Future>(asking: std::pin::Pin<&mut F>) -> bool {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    asking.poll(&mut context).is_ready()
}

#[tokio::test]
async fn another_key_opens_nothing_and_the_row_is_named() {
    let engine = sqlite_with(None);
    let scene = Scene::on(engine).await;
    let id = scene.accept(Kind::Event, "message").await.request.id;
    let (acme, path) = (scene.acme.clone(), scene.ground.dir().join("tautline.db"));
    let Scene { store, ground, .. } = scene;
    drop(store);
    let other = Arc::new(Keyring::single("other", [8; 32], Arc::new(SystemRng)));
    let store =
        SqliteStore::open(SqliteOptions { path, holder: "a test".into(), commit_gate: None }, other).unwrap();
    let whose = tautline_core::inbox::Whose::Tenant(&acme);
    let error = tautline_core::inbox::Inbox::request(&store, whose, id).await.unwrap_err();
    assert!(error.to_string().contains(&id.to_string()), "{error}");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("\"test\"") && cause.contains("TAUTLINE_ENCRYPTION_KEYS"), "{cause}");
    drop(ground);
}
