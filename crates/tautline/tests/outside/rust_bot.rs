//! A bot on the library: `examples/rust-bot`. Its handlers are functions of the gateway's own process.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{Browser, Gateway, GatewaySetup, Slack, eventually};

/// The example, built as its users build it: without the command line.
fn bot() -> PathBuf {
    static BOT: OnceLock<PathBuf> = OnceLock::new();
    let build = || {
        let cargo = std::env::var_os("CARGO").unwrap();
        let arguments = ["build", "--offline", "--package", "rust-bot", "--message-format", "json"];
        let built = Command::new(cargo).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
        let built = built.unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        let lines = built.stdout.split(|byte| *byte == b'\n');
        let mut messages = lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
        messages.find_map(|message| Some(message["executable"].as_str()?.into())).unwrap()
    };
    BOT.get_or_init(build).clone()
}

async fn scene() -> (Slack, Gateway, String) {
    let program = tokio::task::spawn_blocking(bot).await.unwrap();
    let slack = Slack::start().await;
    let gateway = GatewaySetup::of(&slack).program(program).start();
    let key = gateway.tenant("acme").await;
    let page = Browser::default().connect(&slack, &gateway.connect_link(&key).await).await;
    assert_eq!(page.status, StatusCode::OK);
    (slack, gateway, key)
}

fn said(came_back: &Value) -> &str {
    came_back["body"].as_str().unwrap()
}

#[tokio::test]
async fn a_mention_is_answered_in_its_thread() {
    let (slack, _gateway, _) = scene().await;
    slack.say("@tautline hello").await;
    let find = async || {
        let messages = slack.messages().await;
        messages
            .into_iter()
            .find(|message| message["text"].as_str().is_some_and(|text| text.starts_with("Hello")))
    };
    let answer = eventually("an answer", find).await;
    assert!(answer["thread_ts"].is_string(), "{answer}");
}

#[tokio::test]
async fn a_command_is_answered_while_its_handler_goes_on() {
    let (slack, gateway, key) = scene().await;
    let came_back = slack.command("/deploy").await;
    assert_eq!((&came_back["status"], said(&came_back)), (&json!(200), "Deploying now."));
    slack.wait_for_message("now is deployed.").await;
    let request = gateway.inbox(&key).await.remove(0);
    assert_eq!(request["answer"], "answered", "{request}");
    let unknown = slack.command("/nobody").await;
    assert!(said(&unknown).contains("Unknown command: /nobody"), "{unknown}");
}

#[tokio::test]
async fn a_button_opens_a_modal_which_is_checked_and_posts_once() {
    let (slack, gateway, key) = scene().await;
    slack.command("/order").await;
    let message = slack.wait_for_message("Hungry?").await;
    let (_, clicked) = slack.post("/click", &json!({ "ts": message["ts"], "action_id": "order_open" })).await;
    assert_eq!(clicked["status"], 200, "{clicked}");
    let is_open = async || {
        let log = gateway.inbox(&key).await;
        log.into_iter().find(|request| {
            request["kind"] == "block_action" && request["deliveries"][0]["state"] == "delivered"
        })
    };
    eventually("the modal was opened", is_open).await;
    let submit = async |name: &str| {
        let values = json!({ "name": { "in": { "type": "plain_text_input", "value": name } } });
        let view = json!({ "callback_id": "order", "private_metadata": message["channel"], "blocks": [],
            "state": { "values": values } });
        slack.post("/interaction", &json!({ "payload": { "type": "view_submission", "view": view } })).await.1
    };
    let refused = submit("A").await;
    let answer: Value = serde_json::from_str(said(&refused)).unwrap();
    assert_eq!((&answer["response_action"], answer["errors"]["name"].is_string()), (&json!("errors"), true));
    let taken = submit("Ada").await;
    assert_eq!((&taken["status"], said(&taken)), (&json!(200), ""));
    slack.wait_for_message("A pizza for Ada.").await;

    let asked =
        json!({ "type": "block_suggestion", "action_id": "topping", "block_id": "topping", "value": "o" });
    let (_, offered) = slack.post("/interaction", &json!({ "payload": asked })).await;
    let offered: Value = serde_json::from_str(said(&offered)).unwrap();
    let values = offered["options"].as_array().unwrap().iter().map(|option| option["value"].clone());
    assert_eq!(values.collect::<Vec<_>>(), ["olives", "onions"]);
}
