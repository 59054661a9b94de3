//! The Web API proxy.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{ADMIN_KEY, Browser, Gateway, GatewaySetup, OK, Receiver, Reply, Slack, form, http};

async fn scene() -> (Slack, Gateway, String) {
    let slack = Slack::start().await;
    let gateway = GatewaySetup::of(&slack).start();
    let key = gateway.tenant("acme").await;
    Browser::default().connect(&slack, &gateway.connect_link(&key).await).await;
    (slack, gateway, key)
}

async fn send(request: reqwest::RequestBuilder) -> (StatusCode, Value) {
    let answer = request.send().await.unwrap();
    let status = answer.status();
    (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap())
}

fn error(answer: &(StatusCode, Value)) -> &str {
    assert_eq!(answer.0, StatusCode::OK, "Slack refuses with 200: {}", answer.1);
    assert_eq!(answer.1["ok"], false);
    answer.1["error"].as_str().unwrap()
}

#[tokio::test]
async fn a_gateway_key_does_what_a_token_would() {
    let (slack, gateway, key) = scene().await;
    let url = |method: &str| format!("{}/slack/api/{method}", gateway.url);
    let (_, answer) = send(http().get(url("conversations.list?limit=1")).bearer_auth(&key)).await;
    assert_eq!(
        (answer["ok"].as_bool(), answer["channels"].as_array().unwrap().len()),
        (Some(true), 1),
        "a GET with its query"
    );

    let fields = [("token", key.as_str()), ("channel", "#general"), ("text", "by form")];
    let request =
        http().post(url("chat.postMessage")).header("content-type", "application/x-www-form-urlencoded");
    let (_, answer) = send(request.body(form(&fields))).await;
    assert_eq!(answer["ok"], true, "a key in the body: {answer}");
    slack.wait_for_message("by form").await;

    let body = json!({ "channel": "general", "text": "by JSON" }).to_string();
    let request = http()
        .post(url("chat.postMessage"))
        .bearer_auth(&key)
        .header("content-type", "application/json; charset=utf-8");
    let answer = request.body(body).send().await.unwrap();
    assert!(answer.headers().contains_key("x-oauth-scopes"), "Slack's headers come back");
    slack.wait_for_message("by JSON").await;
}

#[tokio::test]
async fn refusals_have_slacks_own_shape() {
    let (_slack, gateway, key) = scene().await;
    let url = |method: &str| format!("{}/slack/api/{method}", gateway.url);
    assert_eq!(error(&send(http().post(url("auth.test"))).await), "not_authed");
    assert_eq!(error(&send(http().get(url("auth.test"))).await), "not_authed");
    assert_eq!(
        error(&send(http().get(url(&format!("auth.test?token={key}")))).await),
        "not_authed",
        "no key in a query"
    );
    assert_eq!(error(&send(http().post(url("auth.test")).bearer_auth("tl_unknown")).await), "invalid_auth");
    assert_eq!(error(&send(http().post(url("auth.test")).bearer_auth("xoxb-1-2")).await), "invalid_auth");
    assert_eq!(
        error(&send(http().post(url("auth.test")).bearer_auth(ADMIN_KEY)).await),
        "invalid_auth",
        "whose workspace?"
    );
    assert_eq!(
        error(&send(http().post(url("no.such")).bearer_auth(&key)).await),
        "unknown_method",
        "Slack's own refusal"
    );
    assert_eq!(error(&send(http().post(url("%ff")).bearer_auth(&key)).await), "unknown_method");
    assert_eq!(error(&send(http().post(url("..%2Foauth")).bearer_auth(&key)).await), "unknown_method");
    let list = http()
        .post(url("auth.test"))
        .bearer_auth(&key)
        .header("content-type", "application/json")
        .body("[1]");
    assert_eq!(error(&send(list).await), "json_not_object");
    let hidden = http().post(url("auth.test")).bearer_auth(&key).header("content-type", "text/plain");
    assert_eq!(
        error(&send(hidden.body(format!("x={key}"))).await),
        "invalid_arguments",
        "it leaves in no shape"
    );
    assert_eq!(error(&send(http().post(url("auth..revoke")).bearer_auth(&key)).await), "unknown_method");
    for withheld in
        ["auth.revoke", "Auth.Revoke", "oauth.v2.exchange", "apps.uninstall", "tooling.tokens.rotate"]
    {
        let answer = send(http().post(url(withheld)).bearer_auth(&key)).await;
        assert_eq!(error(&answer), "not_allowed_token_type", "{withheld}");
    }
    let lonely = gateway.tenant("lonely").await;
    assert_eq!(error(&send(http().post(url("auth.test")).bearer_auth(&lonely)).await), "account_inactive");
    let (_, made) = gateway.post("/api/v1/keys", json!({ "tenant": "acme", "scopes": ["read"] })).await;
    let read_only = made["key"].as_str().unwrap();
    assert_eq!(error(&send(http().post(url("auth.test")).bearer_auth(read_only)).await), "missing_scope");
}

#[tokio::test]
async fn where_there_are_several_workspaces_the_key_names_one() {
    let (slack, gateway, key) = scene().await;
    let browser = Browser::default();
    let consent = browser.begin(&gateway.connect_link(&key).await).await;
    let callback = browser.decide_for(&slack, &consent, "allow", Some("Globex")).await;
    assert_eq!(browser.get(&callback).await.status, StatusCode::OK);
    let url = format!("{}/slack/api/auth.test", gateway.url);
    let bare = send(http().post(&url).bearer_auth(&key)).await;
    assert_eq!(error(&bare), "team_not_found");
    assert!(bare.1.to_string().contains("KEY.T0123"), "the fix is named: {}", bare.1);
    let (_, found) = gateway.get("/api/v1/integrations/slack/installations", &key).await;
    let of_tenant = http().post(&url).bearer_auth(ADMIN_KEY).header("tautline-tenant", "acme");
    assert_eq!(
        error(&send(of_tenant).await),
        "team_not_found",
        "a platform key may name the tenant: several here, too"
    );
    for installation in found["installations"].as_array().unwrap() {
        let team = installation["team"]["id"].as_str().unwrap();
        for key in [&key, ADMIN_KEY] {
            let (_, answer) = send(http().post(&url).bearer_auth(format!("{key}.{team}"))).await;
            assert_eq!(answer["team_id"], team, "{answer}");
        }
        let stranger = gateway.tenant("stranger").await;
        let answer = send(http().post(&url).bearer_auth(format!("{stranger}.{team}"))).await;
        assert_eq!(error(&answer), "team_not_found", "another tenant's workspace is none");
    }
}

#[tokio::test]
async fn what_slack_gets_is_the_same_bytes_token_aside() {
    let (slack, gateway, key) = scene().await;
    // In Slack's place, after the connect: somebody who writes down what comes.
    slack.stop();
    let address = slack.address.port(8081);
    let recorder = loop {
        match tokio::net::TcpListener::bind(address).await {
            Ok(free) => {
                drop(free);
                break Receiver::start(address, Reply::Say(OK)).await;
            }
            Err(_) => tokio::task::yield_now().await,
        }
    };
    let body = "channel=C1&text=%F0%9F%98%80+a%2Bb&token=KEY&blocks=%5B%20%5D&&odd".replace("KEY", &key);
    let request = http()
        .post(format!("{}/slack/api/chat.postMessage", gateway.url))
        .header("content-type", "application/x-www-form-urlencoded; charset=UTF-8")
        .header("user-agent", "some-sdk/1")
        .header("x-forwarded-for", "10.0.0.1")
        .body(body);
    request.send().await.unwrap();
    let got = recorder.wait_for(1).await.remove(0);
    assert_eq!(got.text(), "channel=C1&text=%F0%9F%98%80+a%2Bb&blocks=%5B%20%5D&&odd");
    assert_eq!(got.header("content-type"), Some("application/x-www-form-urlencoded; charset=UTF-8"));
    assert_eq!(got.header("user-agent"), Some("some-sdk/1"));
    assert_eq!(got.header("x-forwarded-for"), None);
    assert!(got.header("authorization").unwrap().starts_with("Bearer xoxb-"), "the token was put in");
}

#[tokio::test]
async fn a_slack_that_is_down_is_said_in_slacks_shape() {
    let (slack, gateway, key) = scene().await;
    slack.stop();
    let url = format!("{}/slack/api/auth.test", gateway.url);
    let answer = crate::support::eventually("Slack is down", async || {
        let (status, body) = send(http().post(&url).bearer_auth(&key)).await;
        (status == StatusCode::BAD_GATEWAY).then_some(body)
    })
    .await;
    assert_eq!(
        (answer["ok"].as_bool(), answer["error"].as_str()),
        (Some(false), Some("service_unavailable"))
    );
}
