//! Whole Bolt apps behind the gateway, in JavaScript and in Python: every way in which Slack asks, and the app's own
//! bytes back to it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::bolt_js::{APP_SECRET, PORT, forwarding};
use crate::support::{Browser, Gateway, Process, Slack};

fn apps() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/apps")
}

fn start(mut command: Command, slack: &Slack, gateway: &Gateway, key: &str) -> Process {
    command
        .env("HOST", slack.address.port(PORT).ip().to_string())
        .env("PORT", PORT.to_string())
        .env("SLACK_SIGNING_SECRET", APP_SECRET)
        .env("TAUTLINE_URL", &gateway.url)
        .env("TAUTLINE_KEY", key);
    let app = Process::start(&mut command);
    app.wait_for("listening on");
    app
}

fn said(came_back: &Value) -> (u64, Value) {
    let body = came_back["body"].as_str().unwrap_or_default();
    (came_back["status"].as_u64().unwrap(), serde_json::from_str(body).unwrap_or(Value::from(body)))
}

/// All that the two apps have in common.
async fn answers_every_kind(command: Command) {
    let slack = Slack::start().await;
    let gateway = forwarding(&slack).start();
    let key = gateway.tenant("acme").await;
    Browser::default().connect(&slack, &gateway.connect_link(&key).await).await;
    let app = start(command, &slack, &gateway, &key);

    slack.say("@tautline hello").await;
    slack.wait_for_message("hi from bolt").await;

    let came_back = slack.command("/ask").await;
    assert_eq!(said(&came_back), (200, json!({ "response_type": "ephemeral", "text": "asked" })));
    slack.wait_for_message("and answered").await;

    let click = json!({ "type": "block_actions", "actions": [{ "type": "button", "action_id": "open", "block_id": "b" }] });
    let (_, clicked) = slack.post("/interaction", &json!({ "payload": click })).await;
    assert_eq!(clicked["status"], 200, "{clicked}");
    // The trigger was still good: Slack, asked through the proxy, showed the modal.
    app.wait_for("opened form");

    let submit = async |name: &str| {
        let values = json!({ "name": { "in": { "type": "plain_text_input", "value": name } } });
        let view =
            json!({ "type": "modal", "callback_id": "form", "blocks": [], "state": { "values": values } });
        let payload = json!({ "type": "view_submission", "view": view });
        said(&slack.post("/interaction", &json!({ "payload": payload })).await.1)
    };
    let errors = json!({ "response_action": "errors", "errors": { "name": "Two letters or more." } });
    assert_eq!(submit("A").await, (200, errors));
    assert_eq!(submit("Ada").await, (200, json!("")), "an empty answer closes the modal");

    let asked = json!({ "type": "block_suggestion", "action_id": "topping", "block_id": "b", "value": "o" });
    let (status, offered) = said(&slack.post("/interaction", &json!({ "payload": asked })).await.1);
    assert_eq!((status, &offered["options"][0]["value"]), (200, &json!("olives")));
}

#[tokio::test]
async fn a_bolt_app_in_javascript_answers_every_kind_of_request() {
    let mut node = Command::new("node");
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/bolt-js/node_modules");
    node.arg(apps().join("bolt.cjs")).env("NODE_PATH", packages);
    answers_every_kind(node).await;
}

#[tokio::test]
async fn a_bolt_app_in_python_answers_every_kind_of_request() {
    let mut python = Command::new(apps().join(".venv/bin/python"));
    python.arg(apps().join("bolt.py"));
    answers_every_kind(python).await;
}
