//! A commit that stalls, seen from Slack's side. The server runs in the test's own process here: the failpoint
//! is a gate in front of the store's every commit.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tautline_server::core::installation::{Facts, Installations as _, Installed, NewInstallation};
use tautline_server::core::{Clock as _, InstallationId, SystemClock, SystemRng, TenantId};
use tautline_server::dispatch::{Handler, HandlerAnswer, HandlerCall, Registered};
use tautline_server::slack::{AppId, TeamId};
use tautline_server::{Ports, Server, Tuning};
use tautline_store::sqlite::SqliteOptions;
use tautline_store::{Keyring, SqliteStore};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::support::inside::{self, Gate};
use crate::support::{ADMIN_KEY, Address, form, http, signed};

const FORM: &str = "application/x-www-form-urlencoded";

struct Told(mpsc::UnboundedSender<String>);

#[async_trait]
impl Handler for Told {
    async fn handle(&self, call: HandlerCall) -> HandlerAnswer {
        self.0.send(call.request.name.clone()).unwrap();
        HandlerAnswer::json(&json!({ "text": "done" }))
    }
}

struct Scene {
    url: String,
    gate: Arc<Gate>,
    handled: mpsc::UnboundedReceiver<String>,
    stop: CancellationToken,
    store: Arc<SqliteStore>,
    _data: tempfile::TempDir,
}

impl Scene {
    /// A gateway whose every request is home's, with one handler in-process.
    async fn new(commit_budget: Duration) -> Self {
        let (address, data) = (Address::new(), tempfile::tempdir().unwrap());
        let gate = Arc::new(Gate::default());
        let rng = Arc::new(SystemRng);
        let vault = Arc::new(Keyring::single("test", [7; 32], rng.clone()));
        let options = SqliteOptions {
            path: data.path().join("tautline.db"),
            holder: "a test".into(),
            commit_gate: Some(gate.of_commits()),
        };
        let store = Arc::new(SqliteStore::open(options, vault.clone()).unwrap());
        let url = address.url(8080);
        let settings = inside::settings(address, Tuning { commit_budget, ..Tuning::default() });
        let (tell, handled) = mpsc::unbounded_channel();
        let handlers = vec![Registered::for_everything("told", Arc::new(Told(tell)))];
        let ports = Ports { store: store.clone(), vault, clock: Arc::new(SystemClock), rng };
        let server = Server::new(settings, ports, handlers).await.unwrap();
        let listener = TcpListener::bind(address.port(8080)).await.unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(server.serve(listener, stop.clone()));
        Self { url: format!("{url}/slack/commands"), gate, handled, stop, store, _data: data }
    }

    fn command(&self, name: &str) -> reqwest::RequestBuilder {
        signed(&self.url, FORM, form(&[("command", name), ("team_id", "T1")]))
    }

    fn event(&self, name: &str) -> reqwest::RequestBuilder {
        let event =
            json!({ "type": "event_callback", "team_id": "T1", "event_id": name, "event": { "type": name } });
        signed(&self.url, "application/json", event.to_string())
    }

    /// A workspace of home's, whose Slack is nowhere.
    async fn connect(&self) {
        let now = SystemClock.now();
        let facts = Facts {
            app: AppId::new("A1"),
            team: Some(TeamId::new("T1")),
            team_name: None,
            enterprise: None,
            enterprise_name: None,
            is_enterprise_install: false,
            scopes: Vec::new(),
            bot_user_id: None,
            bot_id: None,
        };
        let id = InstallationId::generate(now, &SystemRng);
        let new = NewInstallation {
            id,
            tenant: TenantId::home(),
            facts,
            credentials: Vec::new(),
            link: None,
            is_shared: false,
        };
        assert!(matches!(self.store.installation_store(new, now).await.unwrap(), Installed::Done(_)));
    }

    fn message(&self) -> reqwest::RequestBuilder {
        let url = self.url.replace("/slack/commands", "/api/v1/integrations/slack/messages");
        let body = json!({ "to": { "channel": "#general" }, "text": "x" }).to_string();
        let request = http().post(url).bearer_auth(ADMIN_KEY).header("tautline-tenant", "home");
        request.header("content-type", "application/json").body(body)
    }

    fn shut(&self) {
        self.gate.set(true);
    }

    fn open(&self) {
        self.gate.set(false);
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.open();
        self.stop.cancel();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_leaves_and_no_handler_runs_before_the_commit() {
    let mut scene = Scene::new(Duration::from_secs(3600)).await;
    scene.shut();
    let asking =
        [scene.event("message"), scene.command("/deploy")].map(|request| tokio::spawn(request.send()));
    scene.gate.reached.notified().await;
    // The commit is under way and stalls. As long as it does, nobody is told anything.
    // Answers of requests that need no commit come and go in the meantime.
    for _ in 0..20 {
        let challenge = json!({ "type": "url_verification", "challenge": "c" }).to_string();
        assert_eq!(signed(&scene.url, "application/json", challenge).send().await.unwrap().status(), 200);
        assert!(asking.iter().all(|asked| !asked.is_finished()), "an answer left before the commit");
        assert!(scene.handled.try_recv().is_err(), "a handler ran before the commit");
    }
    scene.open();
    for asked in asking {
        assert_eq!(asked.await.unwrap().unwrap().status(), 200);
    }
    let mut handled = [scene.handled.recv().await.unwrap(), scene.handled.recv().await.unwrap()];
    handled.sort();
    assert_eq!(handled, ["/deploy", "message"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_lands_after_slacks_503_delivers_events_and_runs_no_command() {
    let mut scene = Scene::new(Duration::from_secs(2)).await;
    scene.shut();
    let (command, event) = (scene.command("/deploy"), scene.event("late"));
    let (command, event) = tokio::join!(command.send(), event.send());
    assert_eq!(command.unwrap().status(), 503);
    assert_eq!(event.unwrap().status(), 503);
    assert!(scene.handled.try_recv().is_err());
    scene.open();
    assert_eq!(scene.handled.recv().await.unwrap(), "late");
    // What is asked next is handled next: a command that was to run, would have run before it.
    assert_eq!(scene.command("/after").send().await.unwrap().status(), 200);
    assert_eq!(scene.handled.recv().await.unwrap(), "/after");
    assert!(scene.handled.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_message_is_accepted_before_the_commit() {
    let scene = Scene::new(Duration::from_secs(3600)).await;
    scene.connect().await;
    scene.shut();
    let asking = tokio::spawn(scene.message().send());
    scene.gate.reached.notified().await;
    for _ in 0..20 {
        let challenge = json!({ "type": "url_verification", "challenge": "c" }).to_string();
        assert_eq!(signed(&scene.url, "application/json", challenge).send().await.unwrap().status(), 200);
        assert!(!asking.is_finished(), "a 202 left before the commit");
    }
    scene.open();
    assert_eq!(asking.await.unwrap().unwrap().status(), 202);
}
