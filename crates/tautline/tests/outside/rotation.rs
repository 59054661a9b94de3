//! Tokens that end: they are renewed before they do, and when a call meets one that has ended; nobody notices.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Browser, Gateway, GatewaySetup, Slack, eventually, http};

const HALF_A_DAY_S: i64 = 43_200;
const MESSAGES: &str = "/api/v1/integrations/slack/messages";

async fn scene(token_life_s: i64) -> (Slack, Gateway, String) {
    let slack = Slack::rotating(token_life_s).await;
    let gateway = GatewaySetup::of(&slack).start();
    let key = gateway.tenant("acme").await;
    let page = Browser::default().connect(&slack, &gateway.connect_link(&key).await).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.html);
    (slack, gateway, key)
}

/// How often Slack gave a token out. (The first is that of the install.)
async fn given(slack: &Slack) -> usize {
    let of = |entry: &&Value| entry["what"] == "oauth.v2.access" && entry["error"].is_null();
    slack.log().await.iter().filter(of).count()
}

async fn expire(slack: &Slack) {
    let (status, expired) = slack.post("/tokens/expire", &json!({})).await;
    assert_eq!(status, StatusCode::OK);
    assert!(expired["expired"].as_u64() > Some(0), "{expired}");
}

async fn say(gateway: &Gateway, key: &str, text: &str) {
    let message = json!({ "to": { "channel": "#general" }, "text": text });
    let (status, sent) = gateway.ask(Method::POST, MESSAGES, Some(key), None, Some(message)).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{sent}");
}

async fn health(gateway: &Gateway, key: &str) -> Value {
    let (_, listed) = gateway.get("/api/v1/integrations/slack/installations", key).await;
    listed["installations"][0]["health"].clone()
}

async fn proxied(gateway: &Gateway, key: &str) -> Value {
    let request = http().post(format!("{}/slack/api/auth.test", gateway.url)).bearer_auth(key);
    serde_json::from_str(&request.send().await.unwrap().text().await.unwrap()).unwrap()
}

#[tokio::test]
async fn what_meets_a_token_that_has_ended_does_not_notice() {
    let (slack, gateway, key) = scene(HALF_A_DAY_S).await;
    expire(&slack).await;
    say(&gateway, &key, "a message").await;
    slack.wait_for_message("a message").await;
    assert_eq!(given(&slack).await, 2);
    expire(&slack).await;
    let (first, second) = tokio::join!(proxied(&gateway, &key), proxied(&gateway, &key));
    assert_eq!((&first["ok"], &second["ok"]), (&json!(true), &json!(true)), "{first} {second}");
    assert_eq!(given(&slack).await, 3, "of two that need it one renews it");
    assert_eq!(health(&gateway, &key).await, "connected");
}

#[tokio::test]
async fn tokens_are_renewed_before_they_end() {
    let (slack, gateway, key) = scene(10).await;
    eventually("renewed twice, while it is used", async || {
        assert_eq!(proxied(&gateway, &key).await["ok"], true);
        (given(&slack).await >= 3).then_some(())
    })
    .await;
    let mut met = slack.log().await;
    met.retain(|entry| entry["error"] != Value::Null);
    assert!(
        met.iter().all(|entry| entry["error"] != "token_expired"),
        "no call met one that had ended: {met:?}"
    );
    let (_, metrics) = gateway.get("/metrics", crate::support::ADMIN_KEY).await;
    let metrics = metrics.as_str().unwrap_or_default().to_owned();
    assert!(metrics.contains("tautline_token_refreshes_total{outcome=\"renewed\"}"), "{metrics}");
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again() {
    let (slack, gateway, key) = scene(HALF_A_DAY_S).await;
    slack.post("/lose", &json!({ "method": "oauth.v2.access", "times": 2 })).await;
    expire(&slack).await;
    say(&gateway, &key, "after two lost answers").await;
    slack.wait_for_message("after two lost answers").await;
    assert_eq!(given(&slack).await, 4);
    assert_eq!(health(&gateway, &key).await, "connected");
}

#[tokio::test]
async fn a_kill_while_slack_renews_bricks_nothing() {
    let (slack, mut gateway, key) = scene(HALF_A_DAY_S).await;
    slack.post("/lose", &json!({ "method": "oauth.v2.access", "held": true })).await;
    expire(&slack).await;
    let url = format!("{}/slack/api/auth.test", gateway.url);
    let cut_off = tokio::spawn(http().post(url).bearer_auth(&key).send());
    eventually("Slack has renewed it", async || (given(&slack).await == 2).then_some(())).await;
    gateway.kill();
    assert!(cut_off.await.unwrap().is_err());
    gateway.restart();
    assert_eq!(proxied(&gateway, &key).await["ok"], true);
    assert_eq!(given(&slack).await, 3, "the same refresh token, within its grace");
    assert_eq!(health(&gateway, &key).await, "connected");
}

#[tokio::test]
async fn a_refresh_token_that_slack_takes_no_more_ends_in_a_problem_that_says_so() {
    let (slack, gateway, key) = scene(HALF_A_DAY_S).await;
    let (_, expired) = slack.post("/tokens/expire", &json!({ "refresh": true })).await;
    assert_eq!(expired["expired"], 1);
    say(&gateway, &key, "never").await;
    eventually("it is broken", async || (health(&gateway, &key).await == "broken").then_some(())).await;
    let (_, listed) = gateway.get("/api/v1/integrations/slack/installations", &key).await;
    let found = &listed["installations"][0];
    assert_eq!(found["last_error"]["error"], "invalid_refresh_token", "{found}");
    assert_eq!(found["problems"][0]["code"], "token_dead", "{found}");
    assert_eq!(found["tokens"][0]["state"], "ended", "{found}");
    let failed = eventually("the message failed", async || {
        let (_, messages) = gateway.get(&format!("{MESSAGES}?state=failed"), &key).await;
        messages["messages"].get(0).cloned()
    })
    .await;
    assert_eq!(failed["error"], "token_expired", "{failed}");
    assert!(failed["fix"].as_str().unwrap().contains("connect the workspace again"), "{failed}");
}

#[tokio::test]
async fn what_slack_takes_no_more_is_to_be_connected_again() {
    let (slack, gateway, key) = scene(HALF_A_DAY_S).await;
    let address = slack.address;
    slack.stop_and_wait().await;
    // It knows none of the tokens any more.
    let slack = Slack::start_with(address, Some(HALF_A_DAY_S)).await;
    say(&gateway, &key, "never").await;
    eventually("it is broken", async || (health(&gateway, &key).await == "broken").then_some(())).await;
    assert_eq!(proxied(&gateway, &key).await["error"], "invalid_auth", "Slack's own word");
    let page = Browser::default().connect(&slack, &gateway.connect_link(&key).await).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.html);
    assert_eq!(health(&gateway, &key).await, "connected");
}

#[tokio::test]
async fn with_rotation_switched_on_the_tokens_that_do_not_end_are_exchanged() {
    let address = crate::support::Address::new();
    let state = tempfile::tempdir().unwrap();
    let slack = Slack::start_in(address, None, state.path()).await;
    let gateway = GatewaySetup::of(&slack).start();
    let (acme, globex) = (gateway.tenant("acme").await, gateway.tenant("globex").await);
    Browser::default().connect(&slack, &gateway.connect_link(&acme).await).await;
    slack.stop_and_wait().await;
    let slack = Slack::start_in(address, Some(HALF_A_DAY_S), state.path()).await;
    let browser = Browser::default();
    let consent = browser.begin(&gateway.connect_link(&globex).await).await;
    let back = browser.decide_for(&slack, &consent, "allow", Some("Globex")).await;
    assert_eq!(browser.get(&back).await.status, StatusCode::OK);
    let exchanged = async || {
        let log = slack.log().await;
        log.iter().any(|entry| entry["what"] == "oauth.v2.exchange" && entry["error"].is_null()).then_some(())
    };
    eventually("acme's token was exchanged", exchanged).await;
    expire(&slack).await;
    eventually("and is renewed like any other", async || {
        (proxied(&gateway, &acme).await["ok"] == true).then_some(())
    })
    .await;
}
