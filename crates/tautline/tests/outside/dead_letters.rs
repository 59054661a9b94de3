//! Dead letters: listed, and delivered again.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{
    ADMIN_KEY, Browser, Gateway, GatewaySetup, OK, Receiver, Reply, Slack, eventually, signed,
};

const REFUSED: &str = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n";

/// A gateway with one tenant, and an endpoint that refuses.
async fn scene() -> (Slack, Gateway, Receiver, String, String) {
    let slack = Slack::start().await;
    let gateway = GatewaySetup::of(&slack).start();
    let key = gateway.tenant("acme").await;
    gateway.tenant("globex").await;
    Browser::default().connect(&slack, &gateway.connect_link(&key).await).await;
    let receiver = Receiver::start(slack.address.port(3001), Reply::Say(REFUSED)).await;
    let new = json!({ "url": receiver.url, "form": "slack", "filters": ["*"], "tenants": ["*"] });
    let (status, made) = gateway.post("/api/v1/endpoints", new).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let id = made["id"].as_str().unwrap().to_owned();
    (slack, gateway, receiver, key, id)
}

async fn dead(gateway: &Gateway, key: &str, query: &str) -> Vec<Value> {
    let (status, listed) = gateway.get(&format!("/api/v1/dead-letters{query}"), key).await;
    assert_eq!(status, StatusCode::OK, "{listed}");
    listed["deliveries"].as_array().unwrap().clone()
}

/// Submissions are tried once: each is a dead letter at once. What they hold does not run twice by itself.
async fn submit(slack: &Slack) {
    let view = json!({ "type": "modal", "callback_id": "form", "blocks": [], "state": { "values": {} } });
    slack.post("/interaction", &json!({ "payload": { "type": "view_submission", "view": view } })).await;
}

#[tokio::test]
async fn dead_letters_are_listed_by_endpoint_and_tenant_with_what_was_tried() {
    let (slack, gateway, _receiver, key, endpoint) = scene().await;
    submit(&slack).await;
    let listed = async || Some(dead(&gateway, ADMIN_KEY, "").await).filter(|dead| !dead.is_empty());
    let letter = eventually("a dead letter", listed).await.remove(0);
    assert_eq!(
        (&letter["tenant"], &letter["kind"], &letter["type"]),
        (&json!("acme"), &json!("view_submission"), &json!("form"))
    );
    assert_eq!((&letter["endpoint"], &letter["dead_reason"]), (&json!(endpoint), &json!("not_repeatable")));
    assert_eq!(
        (&letter["attempts"][0]["status"], &letter["attempts"][0]["outcome"]),
        (&json!(500), &json!("refused"))
    );
    assert!(letter["attempts"][0]["duration_ms"].is_u64(), "{letter}");
    assert_eq!(dead(&gateway, &key, "").await.len(), 1, "its tenant sees it");
    assert_eq!(dead(&gateway, ADMIN_KEY, &format!("?endpoint={endpoint}")).await.len(), 1);
    assert_eq!(dead(&gateway, ADMIN_KEY, "?since=2100-01-01T00:00:00Z").await.len(), 0);
    let (_, key) = gateway.post("/api/v1/keys", json!({ "tenant": "globex", "scopes": ["read"] })).await;
    let other = key["key"].as_str().unwrap();
    assert_eq!(dead(&gateway, other, "").await.len(), 0, "and nobody else");
    for (query, code) in
        [("state=lost", "unknown_state"), ("endpoint=x", "invalid_endpoint"), ("since=x", "invalid_since")]
    {
        let (status, refused) = gateway.get(&format!("/api/v1/deliveries?{query}"), ADMIN_KEY).await;
        assert_eq!((status, &refused["code"]), (StatusCode::BAD_REQUEST, &json!(code)));
    }
}

#[tokio::test]
async fn the_command_line_replays_what_died_of_everybody_once() {
    let (slack, gateway, receiver, key, endpoint) = scene().await;
    let replay = |arguments: &[&str]| {
        let said = gateway.command(&[&["inbox", "replay"], arguments].concat()).output().unwrap();
        // What failed is on standard error.
        let said_where = if said.status.success() { said.stdout } else { said.stderr };
        (said.status.code(), String::from_utf8(said_where).unwrap())
    };
    assert_eq!(replay(&[]), (Some(0), "0 are on their way, 0 were left\n".to_owned()));
    submit(&slack).await;
    let found = eventually("a dead letter", async || dead(&gateway, &key, "").await.pop()).await;
    assert_eq!(replay(&[]).1, "0 are on their way, 1 were left\n", "it may have run: by hand, one by one");
    receiver.reply(Reply::Say(OK));
    let request = found["request"].as_str().unwrap();
    let (code, said) = replay(&[request, "--tenant", "acme"]);
    assert_eq!((code, said), (Some(0), format!("{request} is on its way to 1 endpoints\n")));
    // Delivered, and not only no longer dead: what were still on its way would be aged below, with the click.
    let path = format!("/api/v1/inbox/{request}");
    eventually("it is delivered", async || {
        let (_, shown) = gateway.get(&path, &key).await;
        (shown["deliveries"][0]["state"] == "delivered").then_some(())
    })
    .await;
    let (code, said) = replay(&[request, "--tenant", "acme"]);
    assert!(code == Some(1) && said.contains("no dead delivery"), "{said}");

    // A click that waited too long for an endpoint that was paused.
    let path = format!("/api/v1/endpoints/{endpoint}");
    let pause = |paused: bool| {
        gateway.ask(reqwest::Method::PATCH, &path, Some(ADMIN_KEY), None, Some(json!({ "paused": paused })))
    };
    pause(true).await;
    let (_, found) = gateway.get("/api/v1/integrations/slack/installations", &key).await;
    let installation = &found["installations"][0];
    let payload = json!({
        "type": "block_actions", "api_app_id": installation["app_id"], "team": { "id": installation["team"]["id"] },
        "user": { "id": "U1" }, "actions": [{ "action_id": "approve" }],
    });
    let form = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("payload", &payload.to_string())
        .finish();
    let door = format!("{}/api/v1/integrations/webhooks/slack", gateway.url);
    let clicked = signed(&door, "application/x-www-form-urlencoded", form).send().await.unwrap();
    assert_eq!(clicked.status(), StatusCode::OK);
    gateway.age_deliveries();
    eventually("it is dead", async || dead(&gateway, &key, "").await.pop()).await;
    let (_, shown) = gateway.get(&path, ADMIN_KEY).await;
    assert!(shown["exhausted_at"].is_string(), "and its endpoint says so: {shown}");
    assert_eq!(replay(&["--kind", "event"]).1, "0 are on their way, 1 were left\n");
    assert_eq!(replay(&["--since", "1h", "--endpoint", &endpoint]).1, "1 are on their way, 0 were left\n");
    assert_eq!(replay(&[]).1, "0 are on their way, 0 were left\n", "once");
    pause(false).await;
    receiver.wait_for(3).await;
    let (code, said) = replay(&["--since", "yesterday"]);
    assert!(code == Some(2) && said.contains("--since"), "{said}");
}
