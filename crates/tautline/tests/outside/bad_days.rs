//! The product's bad days: its app is down for a night, then slow, then asks for patience, then says that it is gone.
//! The server runs in the test's own process here, so that the night is one of the clock alone.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tautline_server::core::{Clock as _, Store, SystemRng, Timestamp};
use tautline_server::slack::signing::{SIGNATURE_HEADER, SigningSecret, TIMESTAMP_HEADER};
use tautline_server::{Ports, Server, Settings, Tuning};
use tautline_store::postgres::PostgresOptions;
use tautline_store::sqlite::SqliteOptions;
use tautline_store::{Keyring, PostgresStore, SqliteStore};
use tautline_testing::Cluster;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::support::inside::{self, Gate, Moved};
use crate::support::{
    ADMIN_KEY, Address, OK, Received, Receiver, Reply, SIGNING_SECRET, eventually, http, response,
};

const MINUTE: Duration = Duration::from_secs(60);

/// A gateway whose every request is home's.
struct Scene {
    url: String,
    address: Address,
    clock: Arc<Moved>,
    alerts: Receiver,
    stop: CancellationToken,
    gate: Arc<Gate>,
    _data: tempfile::TempDir,
}

impl Scene {
    /// On the engine that this run is about.
    async fn new() -> Self {
        match std::env::var_os("TAUTLINE_TEST_STORE") {
            Some(store) if store == "postgres" => Self::on(true).await,
            _ => Self::on(false).await,
        }
    }

    async fn on(postgres: bool) -> Self {
        let (address, data, rng) = (Address::new(), tempfile::tempdir().unwrap(), Arc::new(SystemRng));
        let clock = Moved::from_now();
        let vault = Arc::new(Keyring::single("test", [7; 32], rng.clone()));
        let gate = Arc::new(Gate::default());
        let store: Arc<dyn Store> = if postgres {
            let url = Cluster::shared().database().url().into();
            Arc::new(PostgresStore::open(PostgresOptions { url, clock: None }, vault.clone()).await.unwrap())
        } else {
            let options = SqliteOptions {
                path: data.path().join("tautline.db"),
                holder: "a test".into(),
                commit_gate: Some(gate.of_commits()),
            };
            Arc::new(SqliteStore::open(options, vault.clone()).unwrap())
        };
        let alerts = Receiver::start(address.port(3009), Reply::Say(OK)).await;
        let url = address.url(8080);
        let tuning = Tuning { commit_budget: Duration::from_secs(60), ..Tuning::default() };
        let ops_webhook = Some(alerts.url.clone().into());
        let settings = Settings { ops_webhook, ..inside::settings(address, tuning) };
        let ports = Ports { store, vault, clock: clock.clone(), rng };
        let server = Server::new(settings, ports, Vec::new()).await.unwrap();
        let listener = TcpListener::bind(address.port(8080)).await.unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(server.serve(listener, stop.clone()));
        Self { url, address, clock, alerts, stop, gate, _data: data }
    }

    /// An event, signed now, which is not the machine's now.
    fn event(&self, id: &str) -> impl Future<Output = StatusCode> + Send + 'static {
        let event = json!({ "type": "event_callback", "team_id": "T1", "event_id": id, "event": { "type": "message" } });
        let (body, now_s) = (event.to_string(), self.clock.now().as_secs());
        let signature = SigningSecret::new(SIGNING_SECRET).unwrap().sign(now_s, body.as_bytes());
        let request = http()
            .post(format!("{}/api/v1/integrations/webhooks/slack", self.url))
            .header("content-type", "application/json")
            .header(TIMESTAMP_HEADER, now_s.to_string())
            .header(SIGNATURE_HEADER, signature)
            .body(body);
        async { request.send().await.unwrap().status() }
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let mut request = http().request(method, format!("{}{path}", self.url)).bearer_auth(ADMIN_KEY);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    }

    async fn endpoint(&self, url: &str, form: &str, filter: &str, in_flight: u32) -> String {
        let new = json!({ "url": url, "form": form, "filters": [filter], "tenants": ["*"], "in_flight": in_flight });
        let made = self.ask(Method::POST, "/api/v1/endpoints", Some(new)).await;
        format!("/api/v1/endpoints/{}", made["id"].as_str().unwrap())
    }

    async fn is(&self, endpoint: &str, state: &str) {
        eventually(state, async || {
            (self.ask(Method::GET, endpoint, None).await["state"] == state).then_some(())
        })
        .await;
    }

    /// How many deliveries are in a state.
    async fn count(&self, state: &str) -> usize {
        let listed =
            self.ask(Method::GET, &format!("/api/v1/deliveries?state={state}&limit=500"), None).await;
        listed["deliveries"].as_array().unwrap().len()
    }

    async fn nothing_is_under_way(&self) {
        eventually("nothing is under way", async || (self.count("leased").await == 0).then_some(())).await;
    }

    /// Waits until what is due was sent. Waits in vain while the endpoint rests.
    async fn nothing_is_due(&self) {
        eventually("nothing is due", async || {
            let waiting = self.ask(Method::GET, "/api/v1/deliveries?state=ready&limit=500", None).await;
            let now = self.clock.now().to_string();
            let is_due = |delivery: &Value| delivery["next_at"].as_str().is_some_and(|at| *at <= *now);
            let idle = !waiting["deliveries"].as_array().unwrap().iter().any(is_due);
            (idle && self.count("leased").await == 0).then_some(())
        })
        .await;
    }

    /// What the company's own Slack was told.
    async fn told(&self, words: &[&str]) {
        let alerts = self.alerts.wait_for(words.len()).await;
        let texts = alerts.iter().map(Received::text).collect::<Vec<_>>();
        assert_eq!(texts.len(), words.len(), "once for each change: {texts:?}");
        for (text, words) in texts.iter().zip(words) {
            assert!(text.contains(words), "{text} has no {words:?}");
        }
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.gate.set(false);
        self.stop.cancel();
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    Down,
    Slow,
    Limited,
    Gone,
    Well,
}

/// The product's app, in one mood or another.
struct App {
    mood: Mutex<Mood>,
    clock: Arc<Moved>,
    /// When it was asked.
    asked: Mutex<Vec<Timestamp>>,
    /// What it took, and how often.
    took: Mutex<BTreeMap<String, usize>>,
    under_way: AtomicUsize,
    most: AtomicUsize,
    /// While slow, each request needs one.
    go: Semaphore,
}

impl App {
    fn new(clock: Arc<Moved>) -> Arc<Self> {
        Arc::new(Self {
            mood: Mutex::new(Mood::Down),
            clock,
            asked: Mutex::default(),
            took: Mutex::default(),
            under_way: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            go: Semaphore::new(0),
        })
    }

    fn reply(self: &Arc<Self>) -> Reply {
        let app = self.clone();
        Reply::of(move |got| app.clone().answer(got))
    }

    async fn answer(self: Arc<Self>, got: Received) -> String {
        self.asked.lock().unwrap().push(self.clock.now());
        let under_way = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(under_way, Ordering::SeqCst);
        let mood = *self.mood.lock().unwrap();
        if mood == Mood::Slow {
            self.go.acquire().await.unwrap().forget();
        }
        self.under_way.fetch_sub(1, Ordering::SeqCst);
        match mood {
            Mood::Down => response(500, "", "out of order"),
            Mood::Limited => response(429, "retry-after: 120\r\n", ""),
            Mood::Gone => response(410, "", ""),
            Mood::Slow | Mood::Well => {
                let id = got.header("tautline-request-id").unwrap().to_owned();
                *self.took.lock().unwrap().entry(id).or_default() += 1;
                response(200, "", "")
            }
        }
    }

    fn is(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    async fn is_asked(&self, times: usize) {
        eventually("it is asked", async || (self.asked() >= times).then_some(())).await;
        assert_eq!(self.asked(), times, "and no more often");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_night_without_the_app_ends_with_everything_delivered_once() {
    let scene = Scene::new().await;
    let app = App::new(scene.clock.clone());
    let receiver = Receiver::start(scene.address.port(3001), app.reply()).await;
    let endpoint = scene.endpoint(&receiver.url, "slack", "*", 4).await;
    let mut sent = 0;
    let mut events = async |count: usize| {
        for _ in 0..count {
            sent += 1;
            assert_eq!(
                scene.event(&format!("Ev{sent}")).await,
                StatusCode::OK,
                "whatever becomes of the app"
            );
        }
    };
    // Dusk: five failures in a row, and it is left alone.
    events(5).await;
    app.is_asked(5).await;
    scene.is(&endpoint, "failing").await;
    scene.told(&["fail: the endpoint answered 500"]).await;
    // The night: each rest ends in one probe. What waits costs no attempt.
    for half_hours in 1..=20 {
        events(10).await;
        // The one before it has been counted: a failure noted after the clock moved would begin a rest of its own.
        scene.nothing_is_under_way().await;
        scene.clock.by(30 * MINUTE);
        app.is_asked(5 + half_hours).await;
    }
    // Dawn, and slow: first the probe, and when that succeeded as many as the endpoint may have at once.
    app.is(Mood::Slow);
    scene.nothing_is_under_way().await;
    scene.clock.by(30 * MINUTE);
    app.is_asked(26).await;
    app.go.add_permits(1);
    eventually("four at once", async || (app.under_way.load(Ordering::SeqCst) == 4).then_some(())).await;
    app.go.add_permits(50);
    eventually("some are taken", async || (app.took.lock().unwrap().len() >= 50).then_some(())).await;
    scene.told(&["fail", "succeed again"]).await;
    // It asks for patience: two minutes, and gets them.
    app.is(Mood::Limited);
    app.go.add_permits(4);
    scene.is(&endpoint, "failing").await;
    let limited_at = scene.clock.now();
    scene.nothing_is_under_way().await;
    scene.clock.by(119 * MINUTE / 60);
    events(1).await;
    app.is(Mood::Gone);
    scene.clock.by(2 * MINUTE / 60);
    scene.is(&endpoint, "disabled").await;
    let early = |at: &&Timestamp| **at > limited_at && at.since(limited_at) < 2 * MINUTE;
    assert_eq!(app.asked.lock().unwrap().iter().filter(early).count(), 0, "not before its time");
    // Gone: not asked at all, until somebody says so.
    let asked = app.asked();
    events(1).await;
    scene.clock.by(60 * MINUTE);
    scene.nothing_is_under_way().await;
    scene
        .told(&["fail", "again", "fail: the endpoint answered 429", "stopped: the endpoint answered 410"])
        .await;
    assert_eq!(app.asked(), asked);
    app.is(Mood::Well);
    scene.ask(Method::PATCH, &endpoint, Some(json!({ "paused": false }))).await;
    scene.is(&endpoint, "well").await;
    let all = 5 + 200 + 1 + 1;
    // The last retries are hours away.
    while app.took.lock().unwrap().len() < all {
        scene.nothing_is_due().await;
        scene.clock.by(60 * MINUTE);
    }
    eventually("and is on record", async || (scene.count("delivered").await == all).then_some(())).await;
    assert!(app.took.lock().unwrap().values().all(|times| *times == 1), "nothing twice after a success");
    assert_eq!(app.most.load(Ordering::SeqCst), 4, "in bounded concurrency");
    scene.told(&["fail", "again", "429", "410", "again"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_says_it_is_gone_is_well_again_once_it_took_something() {
    let scene = Scene::new().await;
    let app = App::new(scene.clock.clone());
    let receiver = Receiver::start(scene.address.port(3001), app.reply()).await;
    let endpoint = scene.endpoint(&receiver.url, "slack", "*", 4).await;
    app.is(Mood::Gone);
    assert_eq!(scene.event("Ev1").await, StatusCode::OK);
    scene.is(&endpoint, "disabled").await;
    scene.ask(Method::PATCH, &endpoint, Some(json!({ "in_flight": 5 }))).await;
    scene.is(&endpoint, "disabled").await;
    app.is(Mood::Well);
    scene.ask(Method::PATCH, &endpoint, Some(json!({ "paused": false }))).await;
    assert_eq!(scene.event("Ev2").await, StatusCode::OK);
    scene.is(&endpoint, "well").await;
    scene.told(&["stopped: the endpoint answered 410", "again"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_night_outlived_is_told_once_and_to_those_who_want_to_know() {
    let scene = Scene::new().await;
    let app = App::new(scene.clock.clone());
    let receiver = Receiver::start(scene.address.port(3001), app.reply()).await;
    let endpoint = scene.endpoint(&receiver.url, "standard", "*", 64).await;
    let watcher = Receiver::start(scene.address.port(3002), Reply::Say(OK)).await;
    scene.endpoint(&watcher.url, "standard", "endpoint.*", 64).await;
    for number in 0..6 {
        assert_eq!(scene.event(&format!("Ev{number}")).await, StatusCode::OK);
    }
    scene.is(&endpoint, "failing").await;
    // Events live for three days.
    let outlived = async |dead: usize| {
        for _ in 0..4 {
            scene.clock.by(24 * 60 * MINUTE);
            eventually("nothing is under way", async || (scene.count("leased").await == 0).then_some(()))
                .await;
        }
        eventually("they are dead", async || (scene.count("dead").await == dead).then_some(())).await;
    };
    outlived(6).await;
    scene.told(&["fail: ", "given up: "]).await;
    assert_eq!(scene.event("Ev6").await, StatusCode::OK);
    outlived(7).await;
    app.is(Mood::Well);
    assert_eq!(scene.event("later").await, StatusCode::OK);
    scene.clock.by(10 * MINUTE);
    scene.is(&endpoint, "well").await;
    scene.told(&["fail: ", "given up: ", "again"]).await;
    let told = watcher.wait_for(3).await;
    let types = told.iter().map(|got| serde_json::from_slice::<Value>(&got.body).unwrap()["type"].clone());
    assert_eq!(types.collect::<Vec<_>>(), ["endpoint.failing", "endpoint.exhausted", "endpoint.recovered"]);
    let own = |got: &Received| got.text().contains("\"type\":\"endpoint.");
    assert!(!receiver.received().iter().any(own), "it does not hear of its own deafness");

    let replayed = scene.ask(Method::POST, "/api/v1/dead-letters/replay", Some(json!({ "limit": 4 }))).await;
    assert_eq!((&replayed["replayed"], &replayed["left"]), (&json!(4), &json!(0)));
    let rest = json!({ "cursor": replayed["next_cursor"] });
    let replayed = scene.ask(Method::POST, "/api/v1/dead-letters/replay", Some(rest)).await;
    assert_eq!((&replayed["replayed"], &replayed["next_cursor"]), (&json!(3), &Value::Null));
    eventually("they arrive", async || (app.took.lock().unwrap().len() == 8).then_some(())).await;
    assert_eq!(scene.count("dead").await, 0);
}

/// On SQLite, where a commit can be made to stall: whoever stood still while its lease ran on cannot know whether
/// another has the delivery by now.
#[tokio::test(flavor = "multi_thread")]
async fn who_stood_still_until_the_lease_is_nearly_over_sends_nothing() {
    let scene = Scene::on(false).await;
    let receiver = Receiver::start(scene.address.port(3001), Reply::Say(OK)).await;
    scene.endpoint(&receiver.url, "slack", "event.*", 64).await;
    // The first look has found that nothing waits, so that what comes is begun by whoever stored it.
    assert_eq!(scene.event("first").await, StatusCode::OK);
    eventually("it is on record", async || (scene.count("delivered").await == 1).then_some(())).await;
    let mut before = 1;
    loop {
        scene.gate.set(true);
        let stalled = tokio::spawn(scene.event(&format!("stalled {before}")));
        scene.gate.reached.notified().await;
        scene.clock.by(Duration::from_secs(40));
        scene.gate.set(false);
        assert_eq!(stalled.await.unwrap(), StatusCode::OK);
        if scene.count("leased").await == 1 {
            break;
        }
        // Another write was stalled, and this one began when all was over: once more.
        before += 1;
        assert!(before < 6, "it is somebody's, who does nothing with it");
        let done = async || (scene.count("delivered").await == before).then_some(());
        eventually("it is delivered", done).await;
    }
    scene.clock.by(Duration::from_secs(30));
    let got = receiver.wait_for(before + 1).await;
    assert_eq!(got[before].header("tautline-attempt"), Some("2"), "the next one sends it");
    let all = async || (scene.count("delivered").await == before + 1).then_some(());
    eventually("all are delivered", all).await;
    assert_eq!(receiver.received().len(), before + 1, "once");
}
