//! From the inbox to the product's endpoint, on good days and bad.

use std::sync::Arc;

use serde_json::{Value, json};
use tautline_server::slack::signing::{self, SigningSecret};
use tokio::sync::Notify;

use crate::support::{
    Browser, Gateway, GatewaySetup, OK, Receiver, Reply, Slack, eventually, form, http, signed,
};

const APP_SECRET: &str = "the-apps-own-signing-secret";

async fn scene(reply: Reply) -> (Slack, Gateway, Receiver, String) {
    let slack = Slack::start().await;
    let receiver = Receiver::start(slack.address.port(3000), reply).await;
    let gateway = forwarding(&slack, &receiver.url).start();
    let key = gateway.tenant("acme").await;
    Browser::default().connect(&slack, &gateway.connect_link(&key).await).await;
    (slack, gateway, receiver, key)
}

fn forwarding(slack: &Slack, url: &str) -> GatewaySetup {
    GatewaySetup::of(slack).with("TAUTLINE_FORWARD_URL", url).with("TAUTLINE_FORWARD_SECRET", APP_SECRET)
}

/// The one delivery of a tenant's newest request, once it is in a state.
async fn delivery_in(gateway: &Gateway, key: &str, state: &str) -> (Value, Value) {
    eventually(&format!("a delivery that is {state}"), async || {
        let request = gateway.inbox(key).await.into_iter().next()?;
        let delivery = request["deliveries"][0].clone();
        (delivery["state"] == state).then_some((request, delivery))
    })
    .await
}

#[tokio::test]
async fn an_endpoint_gets_the_original_bytes_signed_afresh() {
    let (slack, gateway, receiver, key) = scene(Reply::Say(OK)).await;
    let ids = slack.say("hello").await;
    let got = receiver.wait_for(1).await.remove(0);
    let sent: Value = serde_json::from_slice(&got.body).unwrap();
    assert_eq!((&sent["event_id"], &sent["event"]["text"]), (&json!(ids[0]), &json!("hello")));
    assert_eq!(got.header("content-type"), Some("application/json"));
    assert_eq!(got.header("tautline-tenant"), Some("acme"));
    assert_eq!(got.header("tautline-attempt"), Some("1"));
    assert_eq!(got.header("tautline-answer"), Some("yes"));

    let mut headers = reqwest::header::HeaderMap::new();
    for name in [signing::SIGNATURE_HEADER, signing::TIMESTAMP_HEADER] {
        headers.insert(name, got.header(name).unwrap().parse().unwrap());
    }
    let now: i64 = got.header(signing::TIMESTAMP_HEADER).unwrap().parse().unwrap();
    let app = [SigningSecret::new(APP_SECRET).unwrap()];
    assert!(signing::verify(&app, &headers, got.body.clone().into(), now).is_ok());

    let (request, delivery) = delivery_in(&gateway, &key, "delivered").await;
    assert_eq!(got.header("tautline-request-id"), request["id"].as_str());
    assert_eq!(delivery["attempts"][0]["outcome"], "answered");
}

#[tokio::test]
async fn a_commands_answer_goes_back_as_it_is() {
    let (slack, _gateway, _receiver, _) = scene(Reply::Say(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json;charset=utf-8\r\ncontent-length: 27\r\n\r\n{\"text\" : \"d\\u00e9ploy\u{e9}\"}  ",
    ))
    .await;
    let came_back = slack.command("/deploy").await;
    assert_eq!(came_back["status"], 200);
    assert_eq!(came_back["content_type"], "application/json;charset=utf-8");
    assert_eq!(came_back["body"], "{\"text\" : \"d\\u00e9ploy\u{e9}\"} ");
}

#[tokio::test]
async fn a_slow_commands_words_follow_the_fallback() {
    let go = Arc::new(Notify::new());
    let late = "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nlate words";
    let (slack, gateway, receiver, key) = scene(Reply::HoldThen(go.clone(), late)).await;
    let came_back = slack.command("/deploy").await;
    let said: Value = serde_json::from_str(came_back["body"].as_str().unwrap()).unwrap();
    assert_eq!(said, json!({ "response_type": "ephemeral", "text": "Still working on it …" }));
    assert_eq!(gateway.inbox(&key).await[0]["answer"], "fallback", "on record before it is sent");
    go.notify_one();
    slack.wait_for_message("late words").await;
    assert_eq!(receiver.received().len(), 1, "the handler ran once");
}

#[tokio::test]
async fn a_failed_command_says_so_at_once_and_is_not_run_again() {
    let (slack, gateway, receiver, key) =
        scene(Reply::Say("HTTP/1.1 500 X\r\ncontent-length: 0\r\n\r\n")).await;
    let came_back = slack.command("/deploy").await;
    let said: Value = serde_json::from_str(came_back["body"].as_str().unwrap()).unwrap();
    assert_eq!(said["response_type"], "ephemeral");
    assert!(said["text"].as_str().unwrap().contains("/deploy"), "{said}");
    let (_, delivery) = delivery_in(&gateway, &key, "dead").await;
    assert_eq!(delivery["dead_reason"], "not_repeatable");
    assert_eq!(receiver.received().len(), 1);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n";
    let (slack, gateway, _receiver, key) = scene(Reply::Say(elsewhere)).await;
    slack.command("/deploy").await;
    let (_, delivery) = delivery_in(&gateway, &key, "dead").await;
    assert_eq!(delivery["attempts"][0]["status"], 302);
}

#[tokio::test]
async fn an_event_waits_out_an_endpoint_that_is_down() {
    let slack = Slack::start().await;
    let address = slack.address.port(3000);
    let gateway = forwarding(&slack, &format!("http://{address}/slack/events")).start();
    let key = gateway.tenant("acme").await;
    Browser::default().connect(&slack, &gateway.connect_link(&key).await).await;
    let ids = slack.say("anybody there?").await;
    let answer = slack.wait_for_answer(&ids[0]).await;
    assert_eq!((&answer["status"], &answer["retry"]), (&json!(200), &json!(0)), "Slack need not retry");
    eventually("a first attempt", async || {
        let (_, delivery) = delivery_in(&gateway, &key, "ready").await;
        (delivery["attempts"][0]["outcome"] == "not_reached").then_some(())
    })
    .await;
    let receiver = Receiver::start(address, Reply::Say(OK)).await;
    let got = receiver.wait_for(1).await.remove(0);
    assert_eq!(got.header("tautline-attempt"), Some("2"));
    delivery_in(&gateway, &key, "delivered").await;
}

#[tokio::test]
async fn an_event_that_hangs_somewhere_does_not_keep_slack() {
    let (slack, gateway, receiver, key) = scene(Reply::Hang).await;
    let ids = slack.say("hello").await;
    let answer = slack.wait_for_answer(&ids[0]).await;
    assert_eq!(answer["status"], 200);
    receiver.wait_for(1).await;
    delivery_in(&gateway, &key, "leased").await;
}

#[tokio::test]
async fn without_a_handler_a_command_is_unknown() {
    let slack = Slack::start().await;
    let gateway = GatewaySetup::of(&slack).start();
    let key = gateway.tenant("acme").await;
    Browser::default().connect(&slack, &gateway.connect_link(&key).await).await;
    let came_back = slack.command("/deploy").await;
    assert_eq!(came_back["status"], 200);
    let said: Value = serde_json::from_str(came_back["body"].as_str().unwrap()).unwrap();
    assert_eq!(said, json!({ "text": "Unknown command: /deploy" }));
}

#[tokio::test]
async fn a_click_is_acknowledged_at_once_and_delivered() {
    let (slack, gateway, receiver, key) = scene(Reply::Say(OK)).await;
    let blocks = json!([{ "type": "actions", "elements": [{ "type": "button", "action_id": "approve_7", "text": { "type": "plain_text", "text": "Yes" } }] }]);
    let request = http().post(format!("{}/slack/api/chat.postMessage", gateway.url)).bearer_auth(&key);
    let body = json!({ "channel": "general", "text": "Well?", "blocks": blocks }).to_string();
    request.header("content-type", "application/json").body(body).send().await.unwrap();
    let message = slack.wait_for_message("Well?").await;
    let (_, clicked) = slack.post("/click", &json!({ "ts": message["ts"], "action_id": "approve_7" })).await;
    assert_eq!((&clicked["status"], &clicked["body"]), (&json!(200), &json!("")), "{clicked}");
    let got = receiver.wait_for(1).await.remove(0);
    assert!(got.text().starts_with("payload=%7B"), "the form as it came");
    let (request, _) = delivery_in(&gateway, &key, "delivered").await;
    assert_eq!((&request["kind"], &request["type"]), (&json!("block_action"), &json!("approve_7")));
}

#[tokio::test]
async fn a_command_is_run_again_if_it_surely_did_not_run() {
    let busy = "HTTP/1.1 503 Busy\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n";
    let (slack, gateway, receiver, key) = scene(Reply::Say(busy)).await;
    let came_back = slack.command("/deploy").await;
    assert!(came_back["body"].as_str().unwrap().contains("Still working on it"), "{came_back}");
    receiver.reply(Reply::Say("HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\ndeployed"));
    slack.wait_for_message("deployed").await;
    let got = receiver.received();
    assert_eq!(got.len(), 2);
    assert_eq!(
        (got[1].header("tautline-attempt"), got[1].header("tautline-trigger")),
        (Some("2"), Some("expired"))
    );
    delivery_in(&gateway, &key, "delivered").await;
}

#[tokio::test]
async fn an_answer_that_nobody_waits_for_may_be_long() {
    let long = format!("HTTP/1.1 200 OK\r\ncontent-length: 200000\r\n\r\n{}", "x".repeat(200_000));
    let (slack, gateway, receiver, key) = scene(Reply::Say(long.leak())).await;
    slack.say("hello").await;
    delivery_in(&gateway, &key, "delivered").await;
    let came_back = slack.command("/deploy").await;
    assert!(
        came_back["body"].as_str().unwrap().contains("may not have worked"),
        "half of it is worse: {came_back}"
    );
    assert_eq!(receiver.received().len(), 2, "neither is repeated");
}

#[tokio::test]
async fn a_modal_stays_open_when_its_handler_fails() {
    let (slack, gateway, receiver, key) =
        scene(Reply::Say("HTTP/1.1 500 X\r\ncontent-length: 0\r\n\r\n")).await;
    let (_, found) = gateway.get("/api/v1/integrations/slack/installations", &key).await;
    let team = &found["installations"][0]["team"]["id"];
    let payload = json!({
        "type": "view_submission", "api_app_id": found["installations"][0]["app_id"], "team": { "id": team },
        "view": { "callback_id": "order", "blocks": [{ "type": "input", "block_id": "amount" }] },
    });
    let url = format!("{}/api/v1/integrations/webhooks/slack", gateway.url);
    let body = form(&[("payload", &payload.to_string())]);
    let answer = signed(&url, "application/x-www-form-urlencoded", body).send().await.unwrap();
    let said: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(said["response_action"], "errors");
    assert!(said["errors"]["amount"].as_str().unwrap().contains("may still have gone through"), "{said}");
    delivery_in(&gateway, &key, "dead").await;
    assert_eq!(receiver.received().len(), 1, "never repeated: the person submits again");
    drop(slack);
}

#[tokio::test]
async fn what_finds_no_slot_has_its_turn_and_slack_its_answer() {
    let go = Arc::new(Notify::new());
    let (slack, gateway, receiver, key) = scene(Reply::HoldThen(go.clone(), OK)).await;
    // As many events as there are slots, and one command more.
    let (_, found) = gateway.get("/api/v1/integrations/slack/installations", &key).await;
    let url = format!("{}/api/v1/integrations/webhooks/slack", gateway.url);
    for number in 0..64 {
        let event = json!({
            "type": "event_callback", "api_app_id": found["installations"][0]["app_id"], "event_id": format!("Ev{number}"),
            "team_id": found["installations"][0]["team"]["id"], "event": { "type": "message" },
        });
        assert_eq!(signed(&url, "application/json", event.to_string()).send().await.unwrap().status(), 200);
    }
    receiver.wait_for(64).await;
    let (typed, ()) = tokio::join!(slack.command("/deploy"), async {
        eventually("the command waits for a slot", async || {
            let newest = gateway.inbox(&key).await.remove(0);
            (newest["kind"] == "command" && newest["deliveries"][0]["state"] == "ready").then_some(())
        })
        .await;
        receiver.reply(Reply::Say("HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nin time!"));
        go.notify_waiters();
    });
    assert_eq!(typed["body"], "in time!", "{typed}");
}
