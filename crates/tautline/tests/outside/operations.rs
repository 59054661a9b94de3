//! What can be done with messages besides posting them.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::{Browser, Gateway, GatewaySetup, Slack, eventually};

const MESSAGES: &str = "/api/v1/integrations/slack/messages";
const REACTIONS: &str = "/api/v1/integrations/slack/reactions";

struct Scene {
    slack: Slack,
    gateway: Gateway,
    key: String,
}

impl Scene {
    async fn with_scopes(scopes: &str) -> Self {
        let slack = Slack::start().await;
        let gateway = GatewaySetup::of(&slack).with("SLACK_BOT_SCOPES", scopes).start();
        let key = gateway.tenant("acme").await;
        Browser::default().connect(&slack, &gateway.connect_link(&key).await).await;
        Self { slack, gateway, key }
    }

    async fn new() -> Self {
        let scopes =
            "chat:write,channels:read,channels:history,users:read,users:read.email,im:write,reactions:write";
        Self::with_scopes(scopes).await
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        self.gateway.ask(method, path, Some(&self.key), None, body).await
    }

    async fn accepted(&self, path: &str, body: Value) -> String {
        let (status, made) = self.ask(Method::POST, path, Some(body)).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{made}");
        made["id"].as_str().unwrap().to_owned()
    }

    async fn post(&self, text: &str) -> String {
        self.accepted(MESSAGES, json!({ "to": { "channel": "#general" }, "text": text })).await
    }

    async fn becomes(&self, id: &str, state: &str) -> Value {
        eventually(&format!("{id} {state}"), async || {
            let (_, found) = self.gateway.get(&format!("{MESSAGES}/{id}"), &self.key).await;
            (found["state"] == state).then_some(found)
        })
        .await
    }

    async fn texts(&self) -> Vec<String> {
        let shown = self.slack.messages().await;
        shown.iter().map(|message| message["text"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn a_message_is_changed_answered_and_taken_away_in_its_order() {
    let scene = Scene::new().await;
    let id = scene.post("first words").await;
    let path = format!("{MESSAGES}/{id}");
    scene.becomes(&id, "sent").await;
    let (status, change) = scene.ask(Method::PATCH, &path, Some(json!({ "text": "other words" }))).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{change}");
    let reply = scene.accepted(MESSAGES, json!({ "reply_to": id, "text": "an answer" })).await;
    let change = scene.becomes(change["id"].as_str().unwrap(), "sent").await;
    assert_eq!((&change["operation"], &change["about"]), (&json!("update"), &json!(id)));
    let answer = scene.becomes(&reply, "sent").await;
    let shown = scene.slack.messages().await;
    assert_eq!(shown[0]["text"], "other words");
    assert_eq!((&shown[1]["text"], &shown[1]["thread_ts"]), (&json!("an answer"), &shown[0]["ts"]));
    let (status, away) = scene.ask(Method::DELETE, &format!("{MESSAGES}/{reply}"), None).await;
    assert_eq!((status, &away["state"]), (StatusCode::ACCEPTED, &json!("queued")));
    scene.becomes(away["id"].as_str().unwrap(), "sent").await;
    assert_eq!(scene.texts().await, ["other words"]);
    let (status, refused) = scene.ask(Method::PATCH, &path, Some(json!({ "text": "x".repeat(4001) }))).await;
    assert_eq!((status, &refused["code"]), (StatusCode::BAD_REQUEST, &json!("msg_too_long")));
    let of_the_answer = format!("{MESSAGES}/{}", answer["id"].as_str().unwrap());
    let (status, late) = scene.ask(Method::PATCH, &of_the_answer, Some(json!({ "text": "late" }))).await;
    assert_eq!(status, StatusCode::ACCEPTED, "as far as we know it is there: {late}");
    let late = scene.becomes(late["id"].as_str().unwrap(), "failed").await;
    assert_eq!((&late["error"], &late["class"]), (&json!("message_not_found"), &json!("not_ours")));
}

#[tokio::test]
async fn what_did_not_go_out_cannot_be_changed_and_what_is_about_it_fails_with_it() {
    let scene = Scene::new().await;
    let body = json!({ "to": { "channel": "#nowhere" }, "text": "x" });
    let id = scene.accepted(MESSAGES, body).await;
    let reply = scene.accepted(MESSAGES, json!({ "reply_to": id, "text": "an answer" })).await;
    let failed = scene.becomes(&id, "failed").await;
    assert_eq!((&failed["error"], &failed["class"]), (&json!("channel_not_found"), &json!("destination")));
    assert_eq!(scene.becomes(&reply, "failed").await["error"], "the message that it is about is failed");
    let path = format!("{MESSAGES}/{id}");
    let (status, refused) = scene.ask(Method::PATCH, &path, Some(json!({ "text": "y" }))).await;
    assert_eq!((status, &refused["code"]), (StatusCode::CONFLICT, &json!("not_sent")));
    let (status, again) = scene.ask(Method::POST, &format!("{path}/retry"), None).await;
    assert_eq!((status, &again["state"]), (StatusCode::ACCEPTED, &json!("queued")));
    let retried = eventually("it is tried again", async || {
        let failed = scene.becomes(&id, "failed").await;
        (failed["attempts"].as_array().unwrap().len() == 2).then_some(failed)
    });
    assert_eq!(retried.await["possible_duplicate"], false);
}

#[tokio::test]
async fn what_is_scheduled_is_changed_in_place_or_taken_back() {
    let scene = Scene::new().await;
    let now = jiff::Timestamp::now().as_second();
    let later = |text: &str, at: i64| json!({ "to": { "channel": "#general" }, "text": text, "post_at": at });
    let id = scene.accepted(MESSAGES, later("tomorrow", now + 86_400)).await;
    let soon = scene.accepted(MESSAGES, later("soon", now + 2)).await;
    scene.post("now").await;
    let path = format!("{MESSAGES}/{id}");
    let (_, waiting) = scene.gateway.get(&path, &scene.key).await;
    assert_eq!((&waiting["state"], &waiting["post_at"]), (&json!("queued"), &json!(now + 86_400)));
    let (_, changed) = scene.ask(Method::PATCH, &path, Some(json!({ "text": "the day after" }))).await;
    assert_eq!(changed["id"], json!(id), "it had not gone out");
    let (_, waiting) = scene.gateway.get(&path, &scene.key).await;
    assert_eq!(waiting["message"]["text"], "the day after");
    let (status, back) = scene.ask(Method::DELETE, &path, None).await;
    assert_eq!((status, &back["state"]), (StatusCode::OK, &json!("cancelled")));
    let (status, back) = scene.ask(Method::DELETE, &path, None).await;
    assert_eq!((status, &back["state"]), (StatusCode::OK, &json!("cancelled")), "the same again");
    scene.becomes(&soon, "sent").await;
    assert_eq!(scene.texts().await, ["now", "soon"]);
    for (wrong, code) in
        [(later("x", now - 1), "time_in_past"), (later("x", now + 11_000_000), "time_too_far")]
    {
        let (status, refused) = scene.ask(Method::POST, MESSAGES, Some(wrong)).await;
        assert_eq!((status, &refused["code"]), (StatusCode::BAD_REQUEST, &json!(code)));
    }
}

#[tokio::test]
async fn one_person_can_be_told_something_by_channel_id_or_address() {
    let scene = Scene::new().await;
    let team = scene.slack.team("Acme Rockets").await;
    let user = scene.slack.say("hello").await;
    assert_eq!(user.len(), 1);
    let ada = scene.slack.messages().await[0]["user"].as_str().unwrap().to_owned();
    let whisper = json!({ "to": { "channel": "#general" }, "visible_to": ada, "text": "only you" });
    let id = scene.accepted(MESSAGES, whisper).await;
    scene.becomes(&id, "sent").await;
    let shown = scene.slack.messages().await.pop().unwrap();
    assert_eq!((&shown["text"], &shown["visible_to"]), (&json!("only you"), &json!(ada)));
    let to = json!({ "to": { "email": "Ada@acme-rockets.example" }, "text": "by address" });
    let by_address = scene.becomes(&scene.accepted(MESSAGES, to).await, "sent").await;
    let to = json!({ "to": { "user": ada }, "text": "by id" });
    let by_id = scene.becomes(&scene.accepted(MESSAGES, to).await, "sent").await;
    assert_eq!(by_address["channel"], by_id["channel"], "one conversation");
    assert!(by_id["channel"].as_str().unwrap().starts_with('D'), "{by_id}");
    let shown = scene.slack.get(&format!("/messages?team={team}&channel=dm-ada")).await;
    assert_eq!(shown["messages"].as_array().unwrap().len(), 2);
    let nobody = json!({ "to": { "email": "nobody@acme-rockets.example" }, "text": "x" });
    let nobody = scene.becomes(&scene.accepted(MESSAGES, nobody).await, "failed").await;
    assert_eq!((&nobody["error"], &nobody["class"]), (&json!("users_not_found"), &json!("destination")));
    let (_, list) = scene.gateway.get("/api/v1/integrations/slack/installations", &scene.key).await;
    let installation = list["installations"][0]["id"].as_str().unwrap().strip_prefix("ins_").unwrap();
    let installation = u128::from_str_radix(installation, 16).unwrap().to_be_bytes();
    let guess = Sha256::new_with_prefix(installation).chain_update("nobody@acme-rockets.example").finalize();
    let guess = guess[..8].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let known_by = nobody["channel"].as_str().unwrap().strip_prefix('@').unwrap();
    assert!(known_by.len() == guess.len() && known_by != guess, "nor to be found out by trying: {nobody}");
    let (_, list) = scene.gateway.get(MESSAGES, &scene.key).await;
    let address = list.to_string().contains("nobody@");
    assert!(!address, "an address is nobody's to see in a list: {list}");
}

#[tokio::test]
async fn reactions_are_added_and_taken_away_and_repeating_them_changes_nothing() {
    let scene = Scene::new().await;
    let id = scene.post("well?").await;
    let react = |remove: bool| json!({ "message": id, "name": ":tada:", "remove": remove });
    for remove in [false, false, true, true] {
        let reaction = scene.accepted(REACTIONS, react(remove)).await;
        scene.becomes(&reaction, "sent").await;
        let reactions = scene.slack.messages().await[0]["reactions"].clone();
        assert_eq!(reactions, if remove { Value::Null } else { json!(["tada"]) });
    }
    let (channel, ts) = (scene.slack.channel("general").await, scene.slack.messages().await[0]["ts"].clone());
    let theirs = json!({ "channel": channel, "timestamp": ts, "name": "eyes" });
    scene.becomes(&scene.accepted(REACTIONS, theirs).await, "sent").await;
    assert_eq!(scene.slack.messages().await[0]["reactions"], json!(["eyes"]));
}

#[tokio::test]
async fn what_needs_a_scope_that_was_not_granted_says_which() {
    let scene = Scene::with_scopes("chat:write").await;
    let id = scene.post("well?").await;
    for (path, body, scope) in [
        (REACTIONS, json!({ "message": id, "name": "tada" }), "reactions:write"),
        (MESSAGES, json!({ "to": { "email": "a@b.example" }, "text": "x" }), "users:read.email"),
    ] {
        let (status, refused) = scene.ask(Method::POST, path, Some(body)).await;
        assert_eq!((status, &refused["code"]), (StatusCode::CONFLICT, &json!("missing_scope")));
        assert!(refused["error"].as_str().unwrap().contains(scope), "{refused}");
        assert!(refused["fix"].as_str().unwrap().contains("SLACK_BOT_SCOPES"), "{refused}");
    }
}

#[tokio::test]
async fn a_batch_is_accepted_each_by_itself_in_its_order_and_once() {
    let scene = Scene::new().await;
    let message = |text: &str| json!({ "to": { "channel": "#general" }, "text": text });
    let body = json!({ "messages": [message("one"), message(""), message("two")] });
    let path = format!("{MESSAGES}/batch");
    let ask = async || {
        let request = crate::support::http().post(format!("{}{path}", scene.gateway.url));
        let request = request.bearer_auth(&scene.key).header("idempotency-key", "batch-7");
        let answer = request.header("content-type", "application/json").body(body.to_string()).send();
        serde_json::from_str::<Value>(&answer.await.unwrap().text().await.unwrap()).unwrap()
    };
    let made = ask().await;
    assert_eq!(made["messages"][1]["code"], "no_text", "{made}");
    assert_eq!(ask().await, made, "the same again");
    scene.becomes(made["messages"][2]["id"].as_str().unwrap(), "sent").await;
    assert_eq!(scene.texts().await, ["one", "two"]);
    let many = json!({ "messages": vec![message("x"); 101] });
    let (status, refused) = scene.ask(Method::POST, &path, Some(many)).await;
    assert_eq!((status, &refused["code"]), (StatusCode::BAD_REQUEST, &json!("invalid_batch")));
}

#[tokio::test]
async fn of_two_equal_messages_the_second_lost_on_the_way_both_arrive() {
    let scene = Scene::new().await;
    let channel = scene.slack.channel("general").await;
    // With metadata of their own, so that they carry no mark of ours.
    let metadata = json!({ "event_type": "deal_won", "event_payload": {} });
    let equal = json!({ "to": { "channel": channel }, "text": "the same words", "metadata": metadata });
    let first = scene.accepted(MESSAGES, equal.clone()).await;
    scene.becomes(&first, "sent").await;
    scene.slack.post("/weather", &json!({ "cut": 1000 })).await;
    let second = scene.accepted(MESSAGES, equal).await;
    scene.becomes(&second, "uncertain").await;
    scene.slack.post("/weather", &json!({})).await;
    let sent = scene.becomes(&second, "sent").await;
    assert_eq!(sent["possible_duplicate"], false, "it surely was not there: {sent}");
    assert_eq!(scene.texts().await, ["the same words", "the same words"]);
}

#[tokio::test]
async fn an_update_whose_answer_was_lost_is_simply_repeated() {
    let scene = Scene::new().await;
    let id = scene.post("first words").await;
    scene.becomes(&id, "sent").await;
    scene.slack.post("/lose", &json!({ "method": "chat.update" })).await;
    let path = format!("{MESSAGES}/{id}");
    let (_, change) = scene.ask(Method::PATCH, &path, Some(json!({ "text": "other words" }))).await;
    let change = scene.becomes(change["id"].as_str().unwrap(), "sent").await;
    let outcomes = change["attempts"].as_array().unwrap().iter().map(|attempt| attempt["outcome"].clone());
    assert_eq!(outcomes.collect::<Vec<_>>(), [json!("unknown"), json!("sent")]);
    assert_eq!(scene.texts().await, ["other words"]);
}
