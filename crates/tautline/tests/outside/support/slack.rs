//! The simulated Slack, in the test's own process.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::StatusCode;
use serde_json::{Value, json};
use tautline_server::slack::signing::{SIGNATURE_HEADER, SigningSecret, TIMESTAMP_HEADER};
use tautline_sim::{Options, Registration, RetryWaits, Sim};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{Address, Browser, eventually, form, http};

pub const CLIENT_ID: &str = "333.444";
pub const CLIENT_SECRET: &str = "c1ient5ecret0f7he7e575aaaaaaaaaa";
pub const SIGNING_SECRET: &str = "51gn1ng5ecret0f7he7e575yyyyzzzzz";
const PORT: u16 = 8081;

/// A running Slack.
pub struct Slack {
    pub url: String,
    pub address: Address,
    sim: Arc<Sim>,
    stop: CancellationToken,
    thread: Option<thread::JoinHandle<()>>,
}

impl Slack {
    /// Starts one whose app is the gateway at the same address.
    pub async fn start() -> Self {
        let address = Address::new();
        Self::start_at(address).await
    }

    pub async fn start_at(address: Address) -> Self {
        Self::start_with(address, None).await
    }

    /// One whose tokens live so long, and are renewed.
    pub async fn rotating(token_life_s: i64) -> Self {
        Self::start_with(Address::new(), Some(token_life_s)).await
    }

    pub async fn start_with(address: Address, token_life_s: Option<i64>) -> Self {
        Self::start_keeping(address, token_life_s, None).await
    }

    /// One that finds what it knew in a directory.
    pub async fn start_in(address: Address, token_life_s: Option<i64>, directory: &Path) -> Self {
        Self::start_keeping(address, token_life_s, Some(directory.join("slack.json"))).await
    }

    async fn start_keeping(address: Address, token_life_s: Option<i64>, state_file: Option<PathBuf>) -> Self {
        let gateway = address.url(8080);
        let sim = Sim::new(Options {
            public_url: address.url(PORT).parse().unwrap(),
            registration: Registration {
                client_id: CLIENT_ID.into(),
                client_secret: CLIENT_SECRET.into(),
                signing_secret: SigningSecret::new(SIGNING_SECRET).unwrap(),
                redirect_urls: vec![
                    format!("{gateway}/api/v1/integrations/slack/oauth/callback"),
                    format!("{gateway}/slack/oauth_redirect"),
                ],
                request_url: format!("{gateway}/api/v1/integrations/webhooks/slack").parse().unwrap(),
                bot_name: "tautline".into(),
            },
            state_file,
            seed: 42,
            // Soon, so that a test need not wait for minutes; in Slack's order all the same.
            retry_waits: RetryWaits([
                Duration::from_millis(50),
                Duration::from_millis(200),
                Duration::from_millis(400),
            ]),
            patience: Some(Duration::from_secs(30)),
            token_life_s,
            suggestions: Vec::new(),
        })
        .unwrap();
        let stop = CancellationToken::new();
        let (bound, is_bound) = oneshot::channel();
        // A thread of its own: a test that waits for a process must not keep Slack from answering it.
        let (at, stopping, serving) = (address.port(PORT), stop.clone(), sim.clone());
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind(at).await.unwrap();
                bound.send(()).unwrap();
                serving.serve(listener, stopping).await.unwrap();
            });
        });
        is_bound.await.unwrap();
        Self { url: address.url(PORT), address, sim, stop, thread: Some(thread) }
    }

    /// What the gateway is told of this Slack and its app.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("TAUTLINE_SLACK_URL", self.url.clone()),
            ("SLACK_CLIENT_ID", CLIENT_ID.into()),
            ("SLACK_CLIENT_SECRET", CLIENT_SECRET.into()),
            ("SLACK_SIGNING_SECRET", SIGNING_SECRET.into()),
        ]
    }

    /// A bot token, by consent and without any gateway.
    pub async fn grant(&self) -> String {
        self.granted(None).await["access_token"].as_str().unwrap().to_owned()
    }

    /// What Slack answers to an install in a workspace, without any gateway.
    pub async fn granted(&self, workspace: Option<&str>) -> Value {
        let redirect_uri = format!("{}/api/v1/integrations/slack/oauth/callback", self.address.url(8080));
        let scopes = tautline_server::slack::scopes::DEFAULT_BOT_SCOPES;
        let asked =
            [("client_id", CLIENT_ID), ("scope", scopes), ("redirect_uri", &redirect_uri), ("state", "s")];
        let consent = format!("{}/oauth/v2/authorize?{}", self.url, form(&asked));
        let back = Browser::default().decide_for(self, &consent, "allow", workspace).await;
        let code = back.split("code=").nth(1).unwrap().split('&').next().unwrap().to_owned();
        let fields = [("code", code.as_str()), ("redirect_uri", &redirect_uri)];
        let request = http()
            .post(format!("{}/api/oauth.v2.access", self.url))
            .basic_auth(CLIENT_ID, Some(CLIENT_SECRET));
        let answer =
            request.header("content-type", "application/x-www-form-urlencoded").body(form(&fields)).send();
        let answer: Value = serde_json::from_str(&answer.await.unwrap().text().await.unwrap()).unwrap();
        assert_eq!(answer["ok"], true, "{answer}");
        answer
    }

    pub async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        let request = http().post(format!("{}{path}", self.url)).header("content-type", "application/json");
        let answer = request.body(body.to_string()).send().await.unwrap();
        let status = answer.status();
        (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap())
    }

    pub async fn get(&self, path: &str) -> Value {
        let answer = http().get(format!("{}{path}", self.url)).send().await.unwrap();
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    }

    /// Every token that it handed out.
    pub fn issued(&self) -> Vec<String> {
        self.sim.issued()
    }

    /// A channel's id.
    pub async fn channel(&self, name: &str) -> String {
        self.get(&format!("/messages?channel={name}")).await["channel"].as_str().unwrap().to_owned()
    }

    /// A workspace's id.
    pub async fn team(&self, name: &str) -> String {
        let teams = self.get("/teams").await;
        let found = teams["teams"].as_array().unwrap().iter().find(|team| team["name"] == name);
        found.unwrap_or_else(|| panic!("no {name} in {teams}"))["id"].as_str().unwrap().to_owned()
    }

    /// Somebody says something in #general; the ids of the events that follow.
    pub async fn say(&self, text: &str) -> Vec<String> {
        let (status, said) = self.post("/say", &json!({ "text": text })).await;
        assert_eq!(status, StatusCode::OK, "{said}");
        said["event_ids"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect()
    }

    /// Somebody types a command, and this is what came back.
    pub async fn command(&self, command: &str) -> Value {
        self.post("/command", &json!({ "command": command, "text": "now" })).await.1
    }

    /// What was said in #general.
    pub async fn messages(&self) -> Vec<Value> {
        self.get("/messages?channel=general").await["messages"].as_array().unwrap().clone()
    }

    /// Waits until somebody said this in #general.
    pub async fn wait_for_message(&self, text: &str) -> Value {
        let look = async || self.messages().await.into_iter().find(|message| message["text"] == text);
        eventually(&format!("{text:?} in #general"), look).await
    }

    /// What was sent and what came back.
    pub async fn log(&self) -> Vec<Value> {
        self.get("/log").await["log"].as_array().unwrap().clone()
    }

    /// Waits for the answer to an event.
    pub async fn wait_for_answer(&self, event_id: &str) -> Value {
        let look = async || self.log().await.into_iter().find(|entry| entry["event_id"] == event_id);
        eventually(&format!("an answer to {event_id}"), look).await
    }

    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Stops it, and waits until its port is free.
    pub async fn stop_and_wait(mut self) {
        self.stop.cancel();
        let thread = self.thread.take().unwrap();
        tokio::task::spawn_blocking(move || thread.join().unwrap()).await.unwrap();
    }
}

impl Drop for Slack {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A request signed like Slack's, now.
pub fn signed(url: &str, content_type: &str, body: impl Into<Vec<u8>>) -> reqwest::RequestBuilder {
    let body = body.into();
    let now = i64::try_from(now_s()).unwrap();
    let signature = SigningSecret::new(SIGNING_SECRET).unwrap().sign(now, &body);
    http()
        .post(url)
        .header("content-type", content_type)
        .header(TIMESTAMP_HEADER, now.to_string())
        .header(SIGNATURE_HEADER, signature)
        .body(body)
}

#[expect(clippy::disallowed_methods, reason = "the gateway under test has the real clock")]
fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}
