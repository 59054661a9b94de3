//! Routes: the product says what happened, the tenant says where that goes.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Browser, Gateway, GatewaySetup, Slack, eventually};

const ROUTES: &str = "/api/v1/integrations/slack/routes";
const MESSAGES: &str = "/api/v1/integrations/slack/messages";

struct Scene {
    slack: Slack,
    gateway: Gateway,
    key: String,
}

impl Scene {
    async fn new() -> Self {
        let slack = Slack::start().await;
        let gateway = GatewaySetup::of(&slack).start();
        let key = gateway.tenant("acme").await;
        Browser::default().connect(&slack, &gateway.connect_link(&key).await).await;
        Self { slack, gateway, key }
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        self.gateway.ask(method, path, Some(&self.key), None, body).await
    }

    async fn channel(&self, wanted: Value) -> String {
        let (_, made) = self.slack.post("/channels", &wanted).await;
        made["channels"][0].as_str().unwrap().to_owned()
    }

    async fn route(&self, name: &str, body: Value) -> Value {
        let (status, kept) = self.ask(Method::PUT, &format!("{ROUTES}/{name}"), Some(body)).await;
        assert_eq!(status, StatusCode::OK, "{kept}");
        kept
    }

    async fn happened(&self, what: &str, text: &str) -> (StatusCode, Value) {
        let body = json!({ "to": { "route": what }, "text": text });
        self.ask(Method::POST, MESSAGES, Some(body)).await
    }

    async fn arrives(&self, channel: &str, text: &str) {
        eventually(&format!("{text:?} in {channel}"), async || {
            let shown = self.slack.get(&format!("/messages?channel={channel}")).await;
            shown["messages"].as_array()?.iter().any(|message| message["text"] == text).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn what_happens_goes_where_the_tenant_wants_it() {
    let scene = Scene::new().await;
    let (status, refused) = scene.happened("billing.invoice_paid", "x").await;
    assert_eq!((status, &refused["code"]), (StatusCode::NOT_FOUND, &json!("route_unknown")));
    let [billing, sales, general] = [
        scene.channel(json!({ "name": "billing" })).await,
        scene.channel(json!({ "name": "sales" })).await,
        scene.slack.channel("general").await,
    ];
    scene.route("default", json!({ "channels": [general] })).await;
    scene.route("billing.*", json!({ "channels": [billing, sales] })).await;
    let (_, made) = scene.happened("billing.invoice_paid", "paid").await;
    assert_eq!(made["also"].as_array().unwrap().len(), 1, "a message for each channel: {made}");
    for channel in [&billing, &sales] {
        scene.arrives(channel, "paid").await;
    }
    scene.happened("deploy", "deployed").await;
    scene.arrives(&general, "deployed").await;
    let id = made["id"].as_str().unwrap();
    let (_, message) = scene.gateway.get(&format!("{MESSAGES}/{id}"), &scene.key).await;
    assert_eq!(message["route"], "billing.*");

    scene.route("billing.refund", json!({ "channels": [billing], "enabled": false })).await;
    let (status, refused) = scene.happened("billing.refund", "x").await;
    assert_eq!((status, &refused["code"]), (StatusCode::CONFLICT, &json!("route_disabled")));
    let (_, list) = scene.ask(Method::GET, ROUTES, None).await;
    let names = list["routes"].as_array().unwrap().iter().map(|route| route["name"].clone());
    assert_eq!(names.collect::<Vec<_>>(), ["billing.*", "billing.refund", "default"]);
    let (status, _) = scene.ask(Method::DELETE, &format!("{ROUTES}/billing.refund"), None).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    assert_eq!(scene.happened("billing.refund", "refunded").await.0, StatusCode::ACCEPTED);
    scene.arrives(&sales, "refunded").await;
    let (_, audit) = scene.gateway.get("/api/v1/audit", &scene.key).await;
    assert!(
        audit.to_string().contains("route.changed") && audit.to_string().contains("route.removed"),
        "{audit}"
    );
}

#[tokio::test]
async fn a_channel_that_takes_nothing_is_marked_and_the_default_has_it_instead() {
    let scene = Scene::new().await;
    let general = scene.slack.channel("general").await;
    let billing = scene.channel(json!({ "name": "billing" })).await;
    scene.route("default", json!({ "channels": [general] })).await;
    scene.route("billing.*", json!({ "channels": [billing] })).await;
    scene.channel(json!({ "name": "billing", "is_archived": true })).await;
    let (_, made) = scene.happened("billing.paid", "the first").await;
    scene.arrives("general", "the first").await;
    let path = format!("{MESSAGES}/{}", made["id"].as_str().unwrap());
    let failed = eventually("it says why", async || {
        let (_, found) = scene.gateway.get(&path, &scene.key).await;
        (found["state"] == "failed").then_some(found)
    });
    assert_eq!(failed.await["error"], "is_archived");
    let (_, route) = scene.ask(Method::GET, &format!("{ROUTES}/billing.*"), None).await;
    let marked = &route["channels"][0];
    assert_eq!((&marked["id"], &marked["error"]), (&json!(billing), &json!("is_archived")));
    assert!(marked["fix"].as_str().unwrap().contains("archived"), "{marked}");
    let (_, made) = scene.happened("billing.paid", "the second").await;
    scene.arrives("general", "the second").await;
    let (_, second) =
        scene.gateway.get(&format!("{MESSAGES}/{}", made["id"].as_str().unwrap()), &scene.key).await;
    assert_eq!(second["route"], "default", "nobody tries what is known to fail");

    scene.channel(json!({ "name": "billing", "is_archived": false })).await;
    let told = json!({ "event": { "type": "channel_unarchive", "channel": billing, "user": "U1" } });
    scene.slack.post("/event", &told).await;
    eventually("it is well again", async || {
        let (_, route) = scene.ask(Method::GET, &format!("{ROUTES}/billing.*"), None).await;
        route["channels"][0]["error"].is_null().then_some(())
    })
    .await;
    scene.happened("billing.paid", "the third").await;
    scene.arrives("billing", "the third").await;
    let (status, tested) = scene.ask(Method::POST, &format!("{ROUTES}/billing.*/test"), None).await;
    assert_eq!((status, tested["messages"].as_array().unwrap().len()), (StatusCode::ACCEPTED, 1));
    scene.arrives("billing", "A test of the route billing.*: this is where it leads.").await;
}

#[tokio::test]
async fn a_route_needs_a_name_and_channels_that_can_be() {
    let scene = Scene::new().await;
    let put = async |name: &str, body: Value| {
        let (status, refused) = scene.ask(Method::PUT, &format!("{ROUTES}/{name}"), Some(body)).await;
        (status, refused["code"].as_str().unwrap_or_default().to_owned())
    };
    let one = || json!({ "channels": ["C0123456789"] });
    for name in ["Billing", "billing..x", "*", "billing.*.x"] {
        assert_eq!(put(name, one()).await, (StatusCode::BAD_REQUEST, "invalid_route".to_owned()), "{name}");
    }
    for channels in [json!([]), json!(["#nowhere"]), json!(["general"]), json!(vec!["C1"; 21])] {
        let (status, code) = put("default", json!({ "channels": channels })).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{channels}");
        assert!(["invalid_channel", "invalid_channels"].contains(&code.as_str()), "{code}");
    }
    eventually("#general is known by its name", async || {
        (put("default", json!({ "channels": ["#general"] })).await.0 == StatusCode::OK).then_some(())
    })
    .await;
    let globex = scene.gateway.tenant("globex").await;
    let (status, _) = scene.gateway.get(&format!("{ROUTES}/default"), &globex).await;
    assert_eq!(status, StatusCode::CONFLICT, "another tenant has no workspace, and sees none");
}
