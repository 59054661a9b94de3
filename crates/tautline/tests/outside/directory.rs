//! The channel directory: crawled in the background, fresh by what Slack tells, searched as somebody types.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Browser, Gateway, GatewaySetup, Slack, eventually};

struct Scene {
    slack: Slack,
    gateway: Gateway,
    key: String,
    path: String,
}

impl Scene {
    async fn with(channels: &[Value]) -> Self {
        let slack = Slack::start().await;
        for channel in channels {
            slack.post("/channels", channel).await;
        }
        let gateway = GatewaySetup::of(&slack).start();
        let key = gateway.tenant("acme").await;
        Browser::default().connect(&slack, &gateway.connect_link(&key).await).await;
        let id = gateway.installations(&key).await[0]["id"].as_str().unwrap().to_owned();
        let path = format!("/api/v1/integrations/slack/installations/{id}/channels");
        Self { slack, gateway, key, path }
    }

    async fn found(&self, q: &str) -> Value {
        let (status, found) = self
            .gateway
            .get(&format!("{}?{}", self.path, crate::support::form(&[("q", q)])), &self.key)
            .await;
        assert_eq!(status, StatusCode::OK, "{found}");
        found
    }

    async fn names(&self, q: &str) -> Vec<String> {
        let found = self.found(q).await;
        let channels = found["channels"].as_array().unwrap().iter();
        channels.map(|channel| channel["name"].as_str().unwrap().to_owned()).collect()
    }

    async fn crawled(&self) {
        eventually("it is crawled", async || self.found("").await["crawled_at"].is_string().then_some(()))
            .await;
    }

    async fn becomes(&self, q: &str, names: &[&str]) {
        eventually(&format!("{names:?}"), async || (self.names(q).await == names).then_some(())).await;
    }
}

#[tokio::test]
async fn a_channel_among_thousands_is_found_by_a_part_of_its_name() {
    let scene =
        Scene::with(&[json!({ "name": "team-", "count": 2500 }), json!({ "name": "web-deploys" })]).await;
    scene.crawled().await;
    assert_eq!(
        scene.names("team-249").await,
        [
            "team-249",
            "team-2490",
            "team-2491",
            "team-2492",
            "team-2493",
            "team-2494",
            "team-2495",
            "team-2496",
            "team-2497",
            "team-2498",
            "team-2499"
        ]
    );
    assert_eq!(scene.names("#DEPLOY").await, ["web-deploys"]);
    assert_eq!(scene.names("").await.len(), 20);
    let globex = scene.gateway.tenant("globex").await;
    assert_eq!(scene.gateway.get(&scene.path, &globex).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_slack_tells_of_channels_is_known_at_once() {
    let scene = Scene::with(&[]).await;
    scene.crawled().await;
    let tell = async |event: Value| {
        scene.slack.post("/event", &json!({ "event": event })).await;
    };
    let id = scene.slack.post("/channels", &json!({ "name": "fresh" })).await.1["channels"][0].clone();
    tell(json!({ "type": "channel_created", "channel": { "id": id, "name": "fresh" } })).await;
    scene.becomes("fres", &["fresh"]).await;
    tell(json!({ "type": "channel_rename", "channel": { "id": id, "name": "stale" } })).await;
    scene.becomes("stale", &["stale"]).await;
    assert_eq!(scene.names("fresh").await, Vec::<String>::new());
    tell(json!({ "type": "channel_archive", "channel": id })).await;
    let archived =
        async || (scene.found("stale").await["channels"][0]["error"] == "is_archived").then_some(());
    eventually("it is marked", archived).await;
    tell(json!({ "type": "channel_deleted", "channel": id })).await;
    scene.becomes("stale", &[]).await;
}

#[tokio::test]
async fn a_private_channel_is_found_by_its_id_and_else_says_how() {
    let private = json!({ "name": "board", "is_private": true, "is_member": false });
    let scene = Scene::with(&[private]).await;
    scene.crawled().await;
    let found = scene.found("board").await;
    assert_eq!(found["channels"], json!([]));
    assert!(found["fix"].as_str().unwrap().contains("/invite"), "{found}");
    let (_, made) = scene.slack.post("/channels", &json!({ "name": "board", "is_member": true })).await;
    let id = made["channels"][0].as_str().unwrap();
    let link = format!("https://acme-rockets.slack.com/archives/{id}");
    let found = scene.found(&link).await;
    let channel = &found["channels"][0];
    assert_eq!((&channel["id"], &channel["is_private"]), (&json!(id), &json!(true)), "{found}");
    assert_eq!(scene.names("boar").await, ["board"], "and is known from now on");
}

#[tokio::test]
async fn without_the_scope_it_says_which() {
    let slack = Slack::start().await;
    let gateway = GatewaySetup::of(&slack).with("SLACK_BOT_SCOPES", "chat:write").start();
    let key = gateway.tenant("acme").await;
    Browser::default().connect(&slack, &gateway.connect_link(&key).await).await;
    let id = gateway.installations(&key).await[0]["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/integrations/slack/installations/{id}/channels");
    let found = eventually("the look has failed", async || {
        let (_, found) = gateway.ask(Method::GET, &path, Some(&key), None, None).await;
        found["error"].is_string().then_some(found)
    });
    let found = found.await;
    assert_eq!(found["error"], "missing_scope");
    assert!(found["fix"].as_str().unwrap().contains("channels:read"), "{found}");
}
