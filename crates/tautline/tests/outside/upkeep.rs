//! What Slack tells of installations themselves, and what the gateway does about it besides delivering it.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{
    ADMIN_KEY, Browser, Gateway, GatewaySetup, OK, Receiver, Reply, Slack, eventually, signed,
};

const DOOR: &str = "/api/v1/integrations/webhooks/slack";

async fn scene() -> (Slack, Gateway, Receiver, String) {
    let slack = Slack::start().await;
    let receiver = Receiver::start(slack.address.port(3000), Reply::Say(OK)).await;
    let gateway = GatewaySetup::of(&slack)
        .with("TAUTLINE_FORWARD_URL", &receiver.url)
        .with("TAUTLINE_FORWARD_SECRET", "app-secret")
        .start();
    let key = gateway.tenant("acme").await;
    Browser::default().connect(&slack, &gateway.connect_link(&key).await).await;
    (slack, gateway, receiver, key)
}

/// The newest event of a type, once the gateway's own delivery, and the product's, are done.
async fn kept(gateway: &Gateway, key: &str, event: &str) -> Value {
    let look = async || {
        let (_, found) = gateway.get(&format!("/api/v1/inbox?type={event}"), key).await;
        let request = found["requests"].get(0)?.clone();
        let deliveries = request["deliveries"].as_array()?.clone();
        (deliveries.len() == 2 && deliveries.iter().all(|each| each["state"] == "delivered"))
            .then_some(request)
    };
    eventually(&format!("{event} was taken in and passed on"), look).await
}

async fn tell(gateway: &Gateway, envelope: &Value) {
    let answer =
        signed(&format!("{}{DOOR}", gateway.url), "application/json", envelope.to_string()).send().await;
    assert_eq!(answer.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn an_uninstalled_app_is_forgotten_in_whichever_order_slack_tells() {
    let (slack, gateway, receiver, key) = scene().await;
    assert_eq!(slack.post("/uninstall", &json!({})).await.0, StatusCode::OK);
    let is_gone = async || gateway.installations(&key).await.is_empty().then_some(());
    eventually("the installation is gone", is_gone).await;
    kept(&gateway, &key, "app_uninstalled").await;
    kept(&gateway, &key, "tokens_revoked").await;
    receiver.wait_for(2).await;

    // Connected anew, and a late copy of the news: the token lives, so it stays.
    Browser::default().connect(&slack, &gateway.connect_link(&key).await).await;
    let late = async |event: Value| {
        let anew = &gateway.installations(&key).await[0];
        let envelope = json!({
            "type": "event_callback", "api_app_id": anew["app_id"], "team_id": anew["team"]["id"],
            "event_id": format!("Ev-late-{event}"), "event_time": 4_000_000_000_i64, "event": event,
        });
        tell(&gateway, &envelope).await;
        kept(&gateway, &key, event["type"].as_str().unwrap()).await;
    };
    late(json!({ "type": "app_uninstalled" })).await;
    late(json!({ "type": "tokens_revoked", "tokens": { "bot": ["U1"] } })).await;
    late(json!({ "type": "tokens_revoked", "tokens": {} })).await;
    assert_eq!(gateway.installations(&key).await.len(), 1);
    slack.say("still here").await;
    receiver.wait_for(6).await;
}

#[tokio::test]
async fn a_message_follows_a_channel_whose_id_changed() {
    let (slack, gateway, _receiver, key) = scene().await;
    let channel = slack.channel("general").await;
    let changed =
        json!({ "type": "channel_id_changed", "old_channel_id": "G0OLD", "new_channel_id": channel });
    slack.post("/event", &json!({ "event": changed })).await;
    kept(&gateway, &key, "channel_id_changed").await;
    let message = json!({ "to": { "channel": "G0OLD" }, "text": "to the old id" });
    let path = "/api/v1/integrations/slack/messages";
    let (status, _) = gateway.ask(Method::POST, path, Some(&key), None, Some(message)).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    slack.wait_for_message("to the old id").await;
}

#[tokio::test]
async fn events_held_back_and_workspaces_granted_are_shown() {
    let (_slack, gateway, _receiver, key) = scene().await;
    let installation = gateway.installations(&key).await.remove(0);
    let limited = json!({
        "type": "app_rate_limited", "api_app_id": installation["app_id"], "team_id": installation["team"]["id"],
        "minute_rate_limited": 1_700_000_040,
    });
    tell(&gateway, &limited).await;
    kept(&gateway, &key, "app_rate_limited").await;
    let granted = json!({
        "type": "event_callback", "api_app_id": installation["app_id"], "team_id": installation["team"]["id"],
        "event_id": "Ev1", "event": { "type": "team_access_granted", "team_ids": ["T2", "T1"] },
    });
    tell(&gateway, &granted).await;
    kept(&gateway, &key, "team_access_granted").await;
    let installation = gateway.installations(&key).await.remove(0);
    assert_eq!(installation["rate_limited_at"], "2023-11-14T22:14:00.000000Z");
    assert_eq!(installation["granted_teams"], json!(["T1", "T2"]));
}

#[tokio::test]
async fn what_matched_nobody_is_claimed_once_its_workspace_is_connected() {
    let (slack, gateway, receiver, key) = scene().await;
    let globex_key = gateway.tenant("globex").await;
    let app = gateway.installations(&key).await[0]["app_id"].clone();
    // Globex's admin has the app, and Slack sends; here nobody has connected it yet.
    let browser = Browser::default();
    let link = gateway.connect_link(&globex_key).await;
    let consent = browser.begin(&link).await;
    let callback = browser.decide_for(&slack, &consent, "allow", Some("Globex")).await;
    let team = slack.team("Globex").await;
    for (id, text) in [("Ev1", "first"), ("Ev2", "second")] {
        let envelope = json!({
            "type": "event_callback", "api_app_id": app, "team_id": team, "event_id": id,
            "event": { "type": "message", "text": text },
        });
        tell(&gateway, &envelope).await;
    }
    let (_, found) = gateway.get("/api/v1/inbox?unclaimed=true", ADMIN_KEY).await;
    let id = found["requests"][1]["id"].as_str().unwrap().to_owned();
    let replay = async |path: &str, body: Option<Value>| {
        gateway.ask(Method::POST, path, Some(ADMIN_KEY), None, body).await
    };
    let one = format!("/api/v1/inbox/{id}/replay?unclaimed=true");
    let (status, refused) = replay(&one, None).await;
    assert_eq!((status, refused["code"].as_str()), (StatusCode::CONFLICT, Some("no_installation")));

    assert_eq!(browser.get(&callback).await.status, StatusCode::OK);
    let (status, taken) = replay(&one, None).await;
    assert_eq!(
        (status, &taken["tenant"], &taken["deliveries"]),
        (StatusCode::ACCEPTED, &json!("globex"), &json!(1))
    );
    assert_eq!(replay(&one, None).await.0, StatusCode::NOT_FOUND, "it is unclaimed no more");
    let (status, rest) = replay("/api/v1/inbox/replay", Some(json!({ "unclaimed": true }))).await;
    assert_eq!((status, &rest["replayed"], &rest["left"]), (StatusCode::OK, &json!(1), &json!(0)));
    let got = receiver.wait_for(2).await;
    assert!(got.iter().all(|got| got.header("tautline-tenant") == Some("globex")));
    assert_eq!(gateway.inbox(&globex_key).await.len(), 2);
    assert!(gateway.inbox(&key).await.is_empty());
    let with_tenant_key = gateway.ask(Method::POST, &one, Some(&key), None, None).await;
    assert_eq!(with_tenant_key.0, StatusCode::FORBIDDEN, "for the platform alone");
}

#[tokio::test]
async fn what_is_dead_is_replayed_by_hand() {
    let (slack, gateway, receiver, key) = scene().await;
    receiver.reply(Reply::Say("HTTP/1.1 500 X\r\ncontent-length: 0\r\n\r\n"));
    slack.command("/deploy").await;
    let dead = async || {
        let request = gateway.inbox(&key).await.into_iter().next()?;
        (request["deliveries"][0]["state"] == "dead").then_some(request)
    };
    let request = eventually("a dead delivery", dead).await;
    receiver.reply(Reply::Say("HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\ndeployed"));
    let path = format!("/api/v1/inbox/{}/replay", request["id"].as_str().unwrap());
    let (status, _) = gateway.ask(Method::POST, &path, Some(&key), None, None).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    // Slack stopped waiting long ago: the words go to the response_url.
    slack.wait_for_message("deployed").await;
    let again = receiver.wait_for(2).await.remove(1);
    assert_eq!(again.header("tautline-request-id"), request["id"].as_str(), "the same request");
    let settled = async || {
        let (status, refused) = gateway.ask(Method::POST, &path, Some(&key), None, None).await;
        (status == StatusCode::CONFLICT && refused["code"] == "nothing_to_replay").then_some(())
    };
    eventually("nothing is left to replay", settled).await;
}

#[tokio::test]
async fn a_mention_and_its_message_are_shown_as_one_and_retries_are_counted() {
    let (slack, gateway, receiver, key) = scene().await;
    slack.say("@tautline hello").await;
    receiver.wait_for(2).await;
    let inbox = gateway.inbox(&key).await;
    assert_eq!(inbox.len(), 2, "each is delivered");
    assert!(inbox[0]["message"].is_string());
    assert_eq!(inbox[0]["message"], inbox[1]["message"]);

    let envelope: Value = serde_json::from_slice(&receiver.received()[0].body).unwrap();
    let again = signed(&format!("{}{DOOR}", gateway.url), "application/json", envelope.to_string())
        .header("x-slack-retry-num", "1")
        .header("x-slack-retry-reason", "http_timeout");
    assert_eq!(again.send().await.unwrap().status(), StatusCode::OK);
    let inbox = gateway.inbox(&key).await;
    let first = inbox.iter().find(|request| request["slack_id"] == envelope["event_id"]).unwrap();
    assert_eq!((&first["retries"], &first["retry_reason"]), (&json!(1), &json!("http_timeout")));
    assert_eq!(receiver.received().len(), 2);
}
