//! The messages API: accepted is durable, sent in its turn, and never twice in silence.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{
    Address, Browser, Gateway, GatewaySetup, Received, Receiver, Reply, Slack, eventually, http, response,
};

const MESSAGES: &str = "/api/v1/integrations/slack/messages";

async fn scene() -> (Slack, Gateway, String) {
    let slack = Slack::start().await;
    let gateway = GatewaySetup::of(&slack).start();
    let key = gateway.tenant("acme").await;
    let page = Browser::default().connect(&slack, &gateway.connect_link(&key).await).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.html);
    gateway.crawled(&key).await;
    (slack, gateway, key)
}

async fn post(gateway: &Gateway, key: &str, body: Value) -> (StatusCode, Value) {
    gateway.ask(Method::POST, MESSAGES, Some(key), None, Some(body)).await
}

async fn accepted(gateway: &Gateway, key: &str, body: Value) -> String {
    let (status, made) = post(gateway, key, body).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{made}");
    assert_eq!(made["state"], "queued");
    made["id"].as_str().unwrap().to_owned()
}

async fn message_in(gateway: &Gateway, key: &str, id: &str, state: &str) -> Value {
    eventually(&format!("{id} {state}"), async || {
        let (_, found) = gateway.get(&format!("{MESSAGES}/{id}"), key).await;
        (found["state"] == state).then_some(found)
    })
    .await
}

#[tokio::test]
async fn a_message_arrives_and_says_where() {
    let (slack, gateway, key) = scene().await;
    let blocks = json!([{ "type": "section", "text": { "type": "mrkdwn", "text": "*Deployed*" } }]);
    let body = json!({ "to": { "channel": "#general" }, "text": "Deployed", "blocks": blocks });
    let id = accepted(&gateway, &key, body).await;
    let sent = message_in(&gateway, &key, &id, "sent").await;
    let arrived = slack.wait_for_message("Deployed").await;
    assert_eq!(sent["ts"], arrived["ts"]);
    assert!(sent["channel"].as_str().unwrap().starts_with('C'), "Slack's own id: {sent}");
    assert_eq!(arrived["blocks"][0]["text"], blocks[0]["text"]);
    assert_eq!(sent["message"]["blocks"], blocks);
    let attempts = sent["attempts"].as_array().unwrap();
    assert_eq!((attempts.len(), &attempts[0]["outcome"]), (1, &json!("sent")));
}

#[tokio::test]
async fn a_channels_messages_keep_their_order() {
    let (slack, gateway, key) = scene().await;
    for number in 1..=3 {
        accepted(
            &gateway,
            &key,
            json!({ "to": { "channel": "#general" }, "text": format!("number {number}") }),
        )
        .await;
    }
    slack.wait_for_message("number 3").await;
    let said = slack.messages().await;
    let said = said.iter().map(|message| message["text"].as_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(said, ["number 1", "number 2", "number 3"]);
}

#[tokio::test]
async fn the_same_key_sends_one_message_and_answers_the_same() {
    let (slack, gateway, key) = scene().await;
    let ask = async |text: &str| {
        let body = json!({ "to": { "channel": "#general" }, "text": text });
        let request = http().post(format!("{}{MESSAGES}", gateway.url)).bearer_auth(&key);
        let request = request.header("idempotency-key", "k-1").header("content-type", "application/json");
        let answer = request.body(body.to_string()).send().await.unwrap();
        let status = answer.status();
        (status, serde_json::from_str::<Value>(&answer.text().await.unwrap()).unwrap())
    };
    let first = ask("once").await;
    assert_eq!(first.0, StatusCode::ACCEPTED);
    message_in(&gateway, &key, first.1["id"].as_str().unwrap(), "sent").await;
    assert_eq!(ask("once").await, first, "even after it was sent");
    let (status, refused) = ask("twice").await;
    assert_eq!((status, &refused["code"]), (StatusCode::CONFLICT, &json!("idempotency_conflict")));
    slack.wait_for_message("once").await;
    assert_eq!(slack.messages().await.len(), 1);
}

#[tokio::test]
async fn what_slack_would_refuse_is_refused_with_the_fix() {
    let (slack, gateway, key) = scene().await;
    let general = json!({ "channel": "#general" });
    let many = |count: usize| vec![json!({ "type": "divider" }); count];
    for (body, code) in [
        (json!({ "to": general }), "no_text"),
        (json!({ "to": general, "text": "" }), "no_text"),
        (json!({ "to": general, "text": "x".repeat(40_001) }), "msg_too_long"),
        (json!({ "to": general, "markdown_text": "x".repeat(12_001) }), "msg_too_long"),
        (json!({ "to": general, "markdown_text": "x", "text": "y" }), "markdown_text_conflict"),
        (json!({ "to": general, "blocks": many(51) }), "msg_blocks_too_many"),
        (json!({ "to": general, "attachments": many(101) }), "too_many_attachments"),
        (json!({ "to": {}, "text": "x" }), "invalid_destination"),
        (json!({ "to": { "channel": "C1", "user": "U1" }, "text": "x" }), "invalid_destination"),
        (json!({ "to": { "user": "ada" }, "text": "x" }), "invalid_user"),
        (json!({ "to": { "channel": "two words" }, "text": "x" }), "invalid_channel"),
        (json!({ "to": { "channel": "" }, "text": "x" }), "invalid_channel"),
        (json!({ "to": { "channel": "#" }, "text": "x" }), "invalid_channel"),
        (json!({ "to": { "channel": "#general#random" }, "text": "x" }), "invalid_channel"),
        (json!({ "to": { "route": "billing" }, "text": "x" }), "route_unknown"),
        (json!({ "to": { "route": "billing.*" }, "text": "x" }), "invalid_route"),
        (json!({ "to": { "rout": "billing" }, "text": "x" }), "invalid_body"),
        (json!({ "to": { "email": "ada" }, "text": "x" }), "invalid_email"),
        (json!({ "to": general, "text": "x", "visible_to": "ada" }), "invalid_user"),
        (json!({ "to": general, "text": "x", "on_uncertain": "guess" }), "invalid_on_uncertain"),
        (json!({ "to": general, "text": "x", "expires_at": "soon" }), "invalid_time"),
        (json!({ "to": general, "text": "x", "expires_at": "2020-01-01T00:00:00Z" }), "time_in_past"),
        (json!({ "to": general, "text": "x", "expires_at": "2099-01-01T00:00:00Z" }), "time_too_far"),
        (json!({ "to": general, "text": "x", "reply_to": "msg_1" }), "invalid_destination"),
        (json!({ "text": "x", "reply_to": "msg_1" }), "message_unknown"),
        (json!({ "to": general, "text": "x", "txet": "y" }), "invalid_body"),
    ] {
        let (status, refused) = post(&gateway, &key, body).await;
        assert!(status.is_client_error(), "{refused}");
        assert_eq!(refused["code"], code, "{refused}");
        assert!(refused["fix"].is_string(), "{refused}");
    }
    let (status, refused) =
        post(&gateway, &key, json!({ "to": general, "text": "x", "team_id": "T0" })).await;
    assert_eq!((status, &refused["code"]), (StatusCode::NOT_FOUND, &json!("team_unknown")));
    let globex = gateway.tenant("globex").await;
    let (status, refused) = post(&gateway, &globex, json!({ "to": general, "text": "x" })).await;
    assert_eq!((status, &refused["code"]), (StatusCode::CONFLICT, &json!("not_connected")));
    assert!(slack.messages().await.is_empty());
}

#[tokio::test]
async fn slacks_own_no_ends_a_message_with_its_reason_and_the_lane_goes_on() {
    let (slack, gateway, key) = scene().await;
    let nowhere = accepted(&gateway, &key, json!({ "to": { "channel": "#nowhere" }, "text": "x" })).await;
    let failed = message_in(&gateway, &key, &nowhere, "failed").await;
    assert_eq!(failed["error"], "channel_not_found");
    assert!(failed["fix"].as_str().unwrap().contains("invite the app"), "{failed}");
    accepted(&gateway, &key, json!({ "to": { "channel": "#general" }, "text": "goes on" })).await;
    slack.wait_for_message("goes on").await;
}

#[tokio::test]
async fn a_repeated_request_gets_its_answer_whatever_changed_meanwhile() {
    let (slack, gateway, key) = scene().await;
    let ask = async || {
        let body = json!({ "to": { "channel": "#general" }, "text": "once" });
        let request = http().post(format!("{}{MESSAGES}", gateway.url)).bearer_auth(&key);
        let request = request.header("idempotency-key", "k-2").header("content-type", "application/json");
        request.body(body.to_string()).send().await.unwrap().text().await.unwrap()
    };
    let first = ask().await;
    let link = gateway.connect_link(&key).await;
    let browser = Browser::default();
    let consent = browser.begin(&link).await;
    let callback = browser.decide_for(&slack, &consent, "allow", Some("Globex")).await;
    assert_eq!(browser.get(&callback).await.status, StatusCode::OK);
    let (status, refused) =
        post(&gateway, &key, json!({ "to": { "channel": "#general" }, "text": "which?" })).await;
    assert_eq!((status, &refused["code"]), (StatusCode::BAD_REQUEST, &json!("team_required")));
    assert_eq!(ask().await, first, "the same answer, though a new message would have to name a workspace");
}

#[tokio::test]
async fn another_tenants_message_is_none() {
    let (_slack, gateway, key) = scene().await;
    let id = accepted(&gateway, &key, json!({ "to": { "channel": "#general" }, "text": "mine" })).await;
    let globex = gateway.tenant("globex").await;
    let (status, refused) = gateway.get(&format!("{MESSAGES}/{id}"), &globex).await;
    assert_eq!((status, &refused["code"]), (StatusCode::NOT_FOUND, &json!("message_unknown")));
    let (_, list) = gateway.get(MESSAGES, &globex).await;
    assert_eq!(list["messages"], json!([]));
    let (_, list) = gateway.get(MESSAGES, &key).await;
    assert_eq!(list["messages"][0]["id"].as_str(), Some(id.as_str()));
}

#[tokio::test]
async fn what_was_accepted_outlives_a_kill_and_a_slack_that_is_away() {
    let (slack, mut gateway, key) = scene().await;
    let address = slack.address;
    slack.stop_and_wait().await;
    let id = accepted(&gateway, &key, json!({ "to": { "channel": "#general" }, "text": "after all" })).await;
    eventually("an attempt that did not reach Slack", async || {
        let (_, found) = gateway.get(&format!("{MESSAGES}/{id}"), &key).await;
        (found["attempts"][0]["outcome"] == "not_reached").then_some(())
    })
    .await;
    gateway.kill();
    // Somebody answers in Slack's place, as the simulation would have forgotten the token.
    let posted = "HTTP/1.1 200 OK\r\ncontent-length: 49\r\n\r\n{\"ok\":true,\"channel\":\"C1\",\"ts\":\"1700000000.0001\"}";
    let receiver = Receiver::start(address.port(8081), Reply::Say(posted)).await;
    gateway.restart();
    let sent = message_in(&gateway, &key, &id, "sent").await;
    assert_eq!((&sent["channel"], &sent["ts"]), (&json!("C1"), &json!("1700000000.0001")));
    assert_eq!(receiver.received().len(), 1);
}

/// A Slack that loses the answers to posts, and shows of a channel what the test says.
async fn losing(address: Address, history: &'static str) -> Receiver {
    let answer = move |got: Received| async move {
        match got.path.split('/').next_back() {
            Some("chat.postMessage") => response(502, "", ""),
            Some(method) if method.starts_with("conversations.history") => response(200, "", history),
            _ => response(200, "", r#"{"ok":false,"error":"unknown_method"}"#),
        }
    };
    Receiver::start(address.port(8081), Reply::of(answer)).await
}

fn posts(receiver: &Receiver) -> Vec<String> {
    let posts = receiver.received().into_iter().filter(|got| got.path.ends_with("chat.postMessage"));
    posts.map(|got| got.text()).collect()
}

#[tokio::test]
async fn an_answer_that_never_came_leaves_a_message_uncertain_until_it_is_found() {
    let (slack, gateway, key) = scene().await;
    let address = slack.address;
    slack.stop_and_wait().await;
    let answers = move |got: Received| async move {
        static POSTED: std::sync::OnceLock<String> = std::sync::OnceLock::new();
        let form = form_urlencoded::parse(&got.body).into_owned().collect::<HashMap<_, _>>();
        match got.path.split('/').next_back() {
            Some("chat.postMessage") if form["text"] == "perhaps" => {
                POSTED.set(form["metadata"].clone()).unwrap();
                response(502, "", "")
            }
            Some("chat.postMessage") => response(200, "", r#"{"ok":true,"channel":"C01","ts":"17.2"}"#),
            _ => {
                let shown = json!([
                    { "ts": "17.3", "text": "somebody else's" },
                    { "ts": "17.1", "text": "perhaps",
                      "metadata": serde_json::from_str::<Value>(POSTED.get().unwrap()).unwrap() },
                ]);
                response(200, "", &json!({ "ok": true, "messages": shown }).to_string())
            }
        }
    };
    let receiver = Receiver::start(address.port(8081), Reply::of(answers)).await;
    let id = accepted(&gateway, &key, json!({ "to": { "channel": "C01" }, "text": "perhaps" })).await;
    let next = accepted(&gateway, &key, json!({ "to": { "channel": "C01" }, "text": "the next" })).await;
    let uncertain = message_in(&gateway, &key, &id, "uncertain").await;
    assert_eq!(uncertain["attempts"][0]["outcome"], "unknown");
    let found = message_in(&gateway, &key, &id, "sent").await;
    assert_eq!((&found["ts"], &found["possible_duplicate"]), (&json!("17.1"), &json!(false)), "{found}");
    assert_eq!(found["attempts"][1]["outcome"], "found");
    message_in(&gateway, &key, &next, "sent").await;
    let posts = posts(&receiver);
    assert!(posts.len() == 2 && posts[1].contains("the+next"), "once, and the next after it: {posts:?}");
}

#[tokio::test]
async fn what_cannot_be_looked_for_is_sent_again_once_and_marked_or_held() {
    let (slack, gateway, key) = scene().await;
    let address = slack.address;
    slack.stop_and_wait().await;
    let receiver = losing(address, r#"{"ok":false,"error":"not_in_channel"}"#).await;
    let held = json!({ "to": { "channel": "C01" }, "text": "not twice", "on_uncertain": "hold" });
    let held = accepted(&gateway, &key, held).await;
    let resent = accepted(&gateway, &key, json!({ "to": { "channel": "C02" }, "text": "again" })).await;
    let first = message_in(&gateway, &key, &held, "held").await;
    assert_eq!(first["error"], "the app may not look there: not_in_channel");
    assert!(first["fix"].as_str().unwrap().contains("look in the channel"), "{first}");
    let second = message_in(&gateway, &key, &resent, "held").await;
    assert_eq!(second["possible_duplicate"], true, "blindly once, and not for ever");
    let said = |words: &str| posts(&receiver).iter().filter(|post| post.contains(words)).count();
    assert_eq!((said("not+twice"), said("again")), (1, 2));
    let path = format!("{MESSAGES}/{held}");
    let (status, taken) = gateway.ask(Method::DELETE, &path, Some(&key), None, None).await;
    assert_eq!((status, &taken["state"]), (StatusCode::OK, &json!("cancelled")));
}

#[tokio::test]
async fn what_is_sent_again_blindly_is_marked_before() {
    let (slack, mut gateway, key) = scene().await;
    let address = slack.address;
    slack.stop_and_wait().await;
    let begun = Arc::new(AtomicUsize::new(0));
    let counted = begun.clone();
    // The answer to the first post is lost; while Slack holds that to the second, the gateway dies.
    let answers = move |got: Received| {
        let nth =
            if got.path.ends_with("chat.postMessage") { counted.fetch_add(1, Ordering::SeqCst) } else { 9 };
        async move {
            match nth {
                0 => response(502, "", ""),
                1 => std::future::pending().await,
                _ => response(200, "", r#"{"ok":false,"error":"not_in_channel"}"#),
            }
        }
    };
    let _receiver = Receiver::start(address.port(8081), Reply::of(answers)).await;
    let id = accepted(&gateway, &key, json!({ "to": { "channel": "C01" }, "text": "perhaps" })).await;
    eventually("a second post", async || (begun.load(Ordering::SeqCst) == 2).then_some(())).await;
    gateway.kill();
    gateway.restart();
    let held = message_in(&gateway, &key, &id, "held").await;
    assert_eq!(held["possible_duplicate"], true, "{held}");
    assert_eq!(begun.load(Ordering::SeqCst), 2, "blindly once, whoever dies");
}

/// In Slack's place, somebody who asks for an hour's patience.
async fn busy(slack: Slack) -> Receiver {
    let address = slack.address;
    slack.stop_and_wait().await;
    let busy = "HTTP/1.1 429 Too Many Requests\r\nretry-after: 3600\r\ncontent-length: 0\r\n\r\n";
    Receiver::start(address.port(8081), Reply::Say(busy)).await
}

#[tokio::test]
async fn slack_is_given_the_time_it_asks_for() {
    let (slack, gateway, key) = scene().await;
    let _receiver = busy(slack).await;
    let id = accepted(&gateway, &key, json!({ "to": { "channel": "#general" }, "text": "x" })).await;
    let waiting = eventually("an attempt", async || {
        let (_, found) = gateway.get(&format!("{MESSAGES}/{id}"), &key).await;
        (found["attempts"][0]["outcome"] == "limited").then_some(found)
    })
    .await;
    assert_eq!(waiting["state"], "queued");
    assert_eq!(waiting["error"], "Slack asked to wait 3600 s");
    let at = |field: &str| waiting[field].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let wait = at("next_at").duration_since(at("accepted_at")).as_secs();
    assert!((3600..3660).contains(&wait), "and it says until when: {waiting}");
}

#[tokio::test]
async fn what_is_asked_on_the_way_keeps_slacks_pace_as_well() {
    let (slack, gateway, key) = scene().await;
    let receiver = busy(slack).await;
    let asked = |method: &str| {
        let path = format!("/api/{method}");
        receiver.received().iter().filter(|call| call.path == path).count()
    };
    let said = [
        "Slack asked to wait 3600 s with users.lookupByEmail",
        "Slack's pace for users.lookupByEmail is used up",
    ];
    for (email, said) in ["ada@acme-rockets.example", "bob@acme-rockets.example"].into_iter().zip(said) {
        let id = accepted(&gateway, &key, json!({ "to": { "email": email }, "text": "x" })).await;
        let waiting = eventually("an attempt", async || {
            let (_, found) = gateway.get(&format!("{MESSAGES}/{id}"), &key).await;
            (found["attempts"][0]["outcome"] == "not_reached").then_some(found)
        })
        .await;
        assert_eq!(waiting["error"], said);
        let at = |field: &str| waiting[field].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
        let wait = at("next_at").duration_since(at("accepted_at")).as_secs();
        assert!((3590..3700).contains(&wait), "when Slack will take it, and not by trying: {waiting}");
    }
    assert_eq!(asked("users.lookupByEmail"), 1, "who is next does not ask in vain");
    for _ in 0..2 {
        let path = format!("{}/api/v1/integrations/slack/files?channel=C01&filename=a.txt", gateway.url);
        let refused = http().post(path).bearer_auth(&key).body("a file").send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        let wait = refused.headers()["retry-after"].to_str().unwrap().parse::<u32>().unwrap();
        assert!((3500..3602).contains(&wait), "{wait}");
        assert!(refused.text().await.unwrap().contains("too_soon"));
    }
    assert_eq!(asked("files.getUploadURLExternal"), 1);
    let (_, list) = gateway.get("/api/v1/integrations/slack/installations", &key).await;
    let id = list["installations"][0]["id"].as_str().unwrap();
    for _ in 0..2 {
        let path = format!("/api/v1/integrations/slack/installations/{id}/channels?q=C0UNSEEN1");
        let (status, refused) = gateway.get(&path, &key).await;
        assert_eq!((status, &refused["code"]), (StatusCode::TOO_MANY_REQUESTS, &json!("too_soon")));
    }
    assert_eq!(asked("conversations.info"), 1);
}

#[tokio::test]
async fn a_kill_while_slack_holds_its_answer_sends_nothing_twice() {
    let (slack, mut gateway, key) = scene().await;
    let address = slack.address;
    slack.stop_and_wait().await;
    let receiver = Receiver::start(address.port(8081), Reply::Hang).await;
    let perhaps = json!({ "to": { "channel": "C01" }, "text": "perhaps" });
    let id = accepted(&gateway, &key, perhaps).await;
    receiver.wait_for(1).await;
    gateway.kill();
    gateway.restart();
    let uncertain = message_in(&gateway, &key, &id, "uncertain").await;
    assert_eq!(uncertain["attempts"][0]["outcome"], "interrupted");
    assert_eq!(posts(&receiver).len(), 1);
}

#[tokio::test]
async fn messages_are_listed_by_their_state() {
    let (_slack, gateway, key) = scene().await;
    let nowhere = accepted(&gateway, &key, json!({ "to": { "channel": "#nowhere" }, "text": "x" })).await;
    let sent = accepted(&gateway, &key, json!({ "to": { "channel": "#general" }, "text": "x" })).await;
    message_in(&gateway, &key, &nowhere, "failed").await;
    message_in(&gateway, &key, &sent, "sent").await;
    let (_, failed) = gateway.get(&format!("{MESSAGES}?state=failed"), &key).await;
    assert_eq!(failed["messages"].as_array().unwrap().len(), 1);
    assert_eq!(failed["messages"][0]["id"], nowhere.as_str());
    let (status, refused) = gateway.get(&format!("{MESSAGES}?state=lost"), &key).await;
    assert_eq!((status, &refused["code"]), (StatusCode::BAD_REQUEST, &json!("unknown_state")));
}
