//! Handlers as functions: `tautline::Gateway` in the test's own process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use tautline::payload::{Command, Event};
use tautline::{Context, Gateway, HandlerResult};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::{ADMIN_KEY, Browser, ENCRYPTION_KEYS, Slack, eventually, http};

const PORT: u16 = 8080;

/// A gateway with handlers, its Slack, and a connected tenant.
struct Scene {
    slack: Slack,
    url: String,
    key: String,
    stop: CancellationToken,
    serving: JoinHandle<()>,
    _data: tempfile::TempDir,
}

impl Scene {
    async fn new(handlers: impl FnOnce(Gateway) -> Gateway) -> Self {
        let (slack, data, stop) =
            (Slack::start().await, tempfile::tempdir().unwrap(), CancellationToken::new());
        let url = slack.address.url(PORT);
        let set = [
            ("TAUTLINE_LISTEN", slack.address.port(PORT).to_string()),
            ("TAUTLINE_PUBLIC_URL", url.clone()),
            ("TAUTLINE_ADMIN_KEY", ADMIN_KEY.to_owned()),
            ("TAUTLINE_ENCRYPTION_KEYS", ENCRYPTION_KEYS.to_owned()),
            ("TAUTLINE_DATA_DIR", data.path().display().to_string()),
            ("TAUTLINE_COMMIT_BUDGET_MS", "2000".to_owned()),
        ];
        let gateway = handlers(Gateway::from_vars(slack.variables().into_iter().chain(set)).unwrap());
        let stopping = stop.clone();
        let serving = tokio::spawn(async move { gateway.serve_until(stopping).await.unwrap() });
        let up = async || http().get(format!("{url}/healthz")).send().await.ok();
        eventually("the gateway serves", up).await;
        let mut scene = Self { slack, url, key: String::new(), stop, serving, _data: data };
        scene.post("/api/v1/tenants", json!({ "id": "acme" })).await;
        let made = scene
            .post("/api/v1/keys", json!({ "tenant": "acme", "scopes": ["read", "send", "manage"] }))
            .await;
        scene.key = made["key"].as_str().unwrap().to_owned();
        let link = scene.ask("/api/v1/integrations/slack/connect-links", Some(json!({}))).await;
        Browser::default().connect(&scene.slack, link["url"].as_str().unwrap()).await;
        scene
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let request = http().post(format!("{}{path}", self.url)).bearer_auth(ADMIN_KEY);
        let answer = request.header("content-type", "application/json").body(body.to_string()).send().await;
        serde_json::from_str(&answer.unwrap().text().await.unwrap()).unwrap()
    }

    async fn ask(&self, path: &str, body: Option<Value>) -> Value {
        let url = format!("{}{path}", self.url);
        let request = match body {
            Some(body) => http().post(url).header("content-type", "application/json").body(body.to_string()),
            None => http().get(url),
        };
        let answer = request.bearer_auth(&self.key).send().await.unwrap();
        serde_json::from_str(&answer.text().await.unwrap()).unwrap()
    }

    /// The newest request of a kind, once all its deliveries have come to an end.
    async fn settled(&self, kind: &str) -> Value {
        let look = async || {
            let inbox = self.ask(&format!("/api/v1/inbox?kind={kind}"), None).await;
            let request = inbox["requests"].get(0)?.clone();
            let ended = |delivery: &Value| delivery["state"] == "delivered" || delivery["state"] == "dead";
            request["deliveries"].as_array()?.iter().all(ended).then_some(request)
        };
        eventually(&format!("a settled {kind}"), look).await
    }

    async fn end(self) {
        self.stop.cancel();
        self.serving.await.unwrap();
    }
}

#[tokio::test]
async fn a_handler_that_is_tried_again_posts_nothing_twice() {
    let tries = Arc::new(AtomicU32::new(0));
    let counted = tries.clone();
    let handle = move |ctx: Context<Event>| {
        let number = counted.fetch_add(1, Ordering::Relaxed) + 1;
        async move {
            assert_eq!(ctx.attempt(), number);
            ctx.say(format!("first, in try {number}")).await?;
            if number == 1 {
                return Err("half done".into());
            }
            ctx.say(format!("second, in try {number}")).await?;
            Ok(())
        }
    };
    let scene = Scene::new(|gateway| gateway.on_event("message", handle)).await;
    scene.slack.say("go").await;
    scene.slack.wait_for_message("second, in try 2").await;
    let said = scene.slack.messages().await;
    let said = said.iter().filter_map(|message| message["text"].as_str()).collect::<Vec<_>>();
    assert_eq!(said, ["go", "first, in try 1", "second, in try 2"], "each once, in order");
    let attempts = scene.settled("event").await["deliveries"][0]["attempts"].clone();
    assert_eq!((&attempts[0]["status"], &attempts[1]["status"]), (&json!(500), &json!(200)));
    assert_eq!(tries.load(Ordering::Relaxed), 2);
    scene.end().await;
}

#[tokio::test]
async fn what_was_acknowledged_stands_whatever_becomes_of_the_handler() {
    async fn fails(ctx: Context<Command>) -> HandlerResult {
        assert!(ctx.ack_with("begun"), "Slack waits");
        assert!(!ctx.ack_with("never mind"), "the first answer counts");
        Err("broken".into())
    }
    async fn panics(ctx: Context<Command>) -> HandlerResult {
        ctx.ack_with("begun as well");
        panic!("of this handler alone")
    }
    let scene = Scene::new(|gateway| gateway.on_command("/fail", fails).on_command("/panic", panics)).await;
    for (command, words) in [("/fail", "begun"), ("/panic", "begun as well")] {
        let came_back = scene.slack.command(command).await;
        assert_eq!((&came_back["status"], &came_back["body"]), (&json!(200), &json!(words)));
        let request = scene.settled("command").await;
        assert_eq!(request["answer"], "answered", "{request}");
        let delivery = &request["deliveries"][0];
        assert_eq!(
            (&delivery["state"], &delivery["dead_reason"]),
            (&json!("dead"), &json!("not_repeatable"))
        );
    }
    scene.end().await;
}

#[tokio::test]
async fn words_that_come_after_slack_stopped_waiting_go_to_the_response_url() {
    let told = Arc::new(Notify::new());
    let go_on = told.clone();
    let handle = move |ctx: Context<Command>| {
        let told = told.clone();
        async move {
            told.notified().await;
            assert!(!ctx.ack_with("at last"), "Slack has the fallback");
            ctx.reply("and more").await?;
            Ok(())
        }
    };
    let scene = Scene::new(|gateway| gateway.on_command("/slow", handle)).await;
    let came_back = scene.slack.command("/slow").await;
    assert!(came_back["body"].as_str().unwrap().contains("Still working on it"), "{came_back}");
    go_on.notify_one();
    scene.slack.wait_for_message("and more").await;
    scene.slack.wait_for_message("at last").await;
    let request = scene.settled("command").await;
    assert_eq!(
        (&request["answer"], &request["deliveries"][0]["state"]),
        (&json!("fallback"), &json!("delivered"))
    );
    assert_eq!(request["deliveries"][0]["attempts"].as_array().unwrap().len(), 1, "run once");
    scene.end().await;
}

#[tokio::test]
async fn of_several_handlers_the_most_specific_answers_and_all_are_called() {
    let (copies, here) = (Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()));
    let (counted, arrived) = (copies.clone(), here.clone());
    let audit = move |ctx: Context<Command>| {
        let (counted, arrived) = (counted.clone(), arrived.clone());
        async move {
            assert!(!ctx.ack_with("from the copy"), "nobody listens to a copy");
            assert_eq!((ctx.tenant().as_str(), ctx.command.as_deref()), ("acme", Some("/deploy")));
            counted.fetch_add(1, Ordering::Relaxed);
            arrived.notify_one();
            Ok(())
        }
    };
    let exact = async |ctx: Context<Command>| {
        ctx.ack_with(json!({ "response_type": "in_channel", "text": "from the exact one" }));
        Ok(())
    };
    let scene = Scene::new(|gateway| gateway.on_command("*", audit).on_command("/deploy", exact)).await;
    let came_back = scene.slack.command("/deploy").await;
    let body: Value = serde_json::from_str(came_back["body"].as_str().unwrap()).unwrap();
    assert_eq!(body["text"], "from the exact one");
    here.notified().await;
    assert_eq!(scene.settled("command").await["deliveries"].as_array().unwrap().len(), 2);
    assert_eq!(copies.load(Ordering::Relaxed), 1);
    scene.end().await;
}
