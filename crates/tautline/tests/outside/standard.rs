//! Endpoints of the form `standard`: what they get, verified by the official libraries of Standard Webhooks.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{
    ADMIN_KEY, Browser, Gateway, GatewaySetup, OK, Received, Receiver, Reply, Slack, eventually,
};

const PATH: &str = "/api/v1/endpoints";

async fn standard(gateway: &Gateway, receiver: &Receiver) -> (String, String) {
    let new = json!({ "url": receiver.url, "form": "standard", "filters": ["*"], "tenants": ["*"] });
    let (status, made) = gateway.post(PATH, new).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    (text("id"), text("secret"))
}

fn apps() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/apps")
}

/// What a library makes of a request: the envelope, or nothing if it does not believe it.
fn verified_by(program: PathBuf, script: &str, secret: &str, got: &Received) -> Option<Value> {
    let mut library = Command::new(program)
        .arg(script)
        .current_dir(apps())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let headers = got.headers.iter().map(|(name, value)| (name.to_lowercase(), json!(value)));
    let headers = headers.collect::<serde_json::Map<_, _>>();
    let given = json!({ "secret": secret, "headers": headers, "body": got.text() });
    library.stdin.take().unwrap().write_all(given.to_string().as_bytes()).unwrap();
    let said = library.wait_with_output().unwrap();
    said.status.success().then(|| serde_json::from_slice(&said.stdout).unwrap())
}

fn verified(secret: &str, got: &Received) -> Option<Value> {
    let javascript = verified_by("node".into(), "standard.cjs", secret, got);
    let python = verified_by(apps().join(".venv/bin/python"), "standard.py", secret, got);
    assert_eq!(javascript, python);
    javascript
}

fn of_type<'r>(received: &'r [Received], name: &str) -> Option<&'r Received> {
    received
        .iter()
        .find(|got| serde_json::from_slice::<Value>(&got.body).is_ok_and(|body| body["type"] == name))
}

#[tokio::test]
async fn the_official_libraries_verify_what_is_delivered() {
    let slack = Slack::start().await;
    let gateway = GatewaySetup::of(&slack).start();
    let key = gateway.tenant("acme").await;
    let receiver = Receiver::start(slack.address.port(3001), Reply::Say(OK)).await;
    let (_, secret) = standard(&gateway, &receiver).await;
    Browser::default().connect(&slack, &gateway.connect_link(&key).await).await;
    let connected = receiver.wait_for(1).await.remove(0);
    let envelope = verified(&secret, &connected).expect("our own event is signed like the others");
    assert_eq!((&envelope["type"], &envelope["tenant"]), (&json!("installation.connected"), &json!("acme")));
    let installation = envelope["data"]["installation"].clone();
    assert!(installation.as_str().unwrap().starts_with("ins_"), "{envelope}");

    slack.say("@tautline hello").await;
    let arrived = async || of_type(&receiver.received(), "event.app_mention").cloned();
    let mention = eventually("the mention", arrived).await;
    let envelope = verified(&secret, &mention).expect("verified");
    assert_eq!(envelope["id"].as_str(), mention.header("webhook-id"));
    assert_eq!((&envelope["tenant"], &envelope["installation"]), (&json!("acme"), &installation));
    assert_eq!(envelope["data"]["event"]["type"], "app_mention", "the whole of Slack's envelope");
    assert!(envelope["received_at"].as_str().unwrap().ends_with('Z'), "{envelope}");
    assert!(
        verified("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", &mention).is_none(),
        "by its own secret alone"
    );

    slack.command("/deploy").await;
    let arrived = async || of_type(&receiver.received(), "command./deploy").cloned();
    let envelope = verified(&secret, &eventually("the command", arrived).await).expect("verified");
    assert_eq!(envelope["data"]["command"], "/deploy", "a form's fields");
}

#[tokio::test]
async fn a_handlers_words_come_back_to_slack_and_both_secrets_sign_after_a_rotation() {
    let slack = Slack::start().await;
    let gateway = GatewaySetup::of(&slack).start();
    let key = gateway.tenant("acme").await;
    Browser::default().connect(&slack, &gateway.connect_link(&key).await).await;
    let words =
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 15\r\n\r\n{\"text\":\"done\"}";
    let receiver = Receiver::start(slack.address.port(3001), Reply::Say(words)).await;
    let (id, first) = standard(&gateway, &receiver).await;
    assert_eq!(slack.command("/deploy").await["body"], "{\"text\":\"done\"}");

    let (status, rotated) = gateway.post(&format!("{PATH}/{id}/rotate-secret"), json!({})).await;
    assert_eq!(status, StatusCode::OK, "{rotated}");
    let second = rotated["secret"].as_str().unwrap().to_owned();
    assert!(second.starts_with("whsec_") && second != first);
    slack.command("/again").await;
    let got = of_type(&receiver.received(), "command./again").cloned().unwrap();
    assert!(verified(&second, &got).is_some() && verified(&first, &got).is_some(), "two valid at a time");
    let (_, shown) = gateway.get(&format!("{PATH}/{id}"), ADMIN_KEY).await;
    assert_eq!(shown["previous_secret_until"], rotated["previous_secret_until"]);
    assert!(!shown.to_string().contains("whsec_"), "{shown}");
}

#[tokio::test]
async fn a_workspace_that_leaves_and_a_token_that_dies_are_told() {
    let slack = Slack::start().await;
    let alerts = Receiver::start(slack.address.port(3009), Reply::Say(OK)).await;
    let gateway = GatewaySetup::of(&slack).with("SLACK_OPS_WEBHOOK_URL", &alerts.url).start();
    let key = gateway.tenant("acme").await;
    let receiver = Receiver::start(slack.address.port(3001), Reply::Say(OK)).await;
    let (_, secret) = standard(&gateway, &receiver).await;
    let told = async |name: &str| {
        let got = eventually(name, async || of_type(&receiver.received(), name).cloned()).await;
        verified(&secret, &got).expect("verified")
    };
    Browser::default().connect(&slack, &gateway.connect_link(&key).await).await;
    let connected = told("installation.connected").await;
    slack.post("/uninstall", &json!({})).await;
    assert_eq!(told("installation.removed").await["installation"], connected["installation"]);

    Browser::default().connect(&slack, &gateway.connect_link(&key).await).await;
    // Slack has forgotten the token, and nobody was told.
    let address = slack.address;
    slack.stop_and_wait().await;
    let _slack = Slack::start_at(address).await;
    let message = json!({ "to": { "channel": "#general" }, "text": "x" });
    let messages = "/api/v1/integrations/slack/messages";
    let (status, sent) = gateway.ask(Method::POST, messages, Some(&key), None, Some(message)).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{sent}");
    assert_eq!(told("installation.broken").await["data"]["error"], "invalid_auth");
    let (_, listed) = gateway.get("/api/v1/integrations/slack/installations", &key).await;
    let one = format!(
        "/api/v1/integrations/slack/installations/{}",
        listed["installations"][0]["id"].as_str().unwrap()
    );
    let (_, broken) = gateway.get(&one, &key).await;
    assert_eq!(broken, listed["installations"][0], "the same, one by one");
    assert_eq!(
        (&broken["health"], &broken["last_error"]["error"]),
        (&json!("broken"), &json!("invalid_auth"))
    );
    let problem = &broken["problems"][0];
    assert_eq!(problem["code"], "token_dead", "{broken}");
    assert!(broken["reconnect_url"].as_str().unwrap().contains("/oauth/start?return_to="), "{broken}");
    // Its people are told in the same words.
    let alert = alerts.wait_for(1).await[0].text();
    assert!(
        alert.contains("Acme Rockets of acme") && alert.contains(problem["text"].as_str().unwrap()),
        "{alert}"
    );
}
