//! A company with one workspace: a bot token, a signing secret, no OAuth.

use serde_json::json;

use crate::support::{GatewaySetup, OK, Receiver, Reply, Slack, form, signed};
use reqwest::{Method, StatusCode};

#[tokio::test]
async fn every_signed_request_is_homes() {
    let slack = Slack::start().await;
    let receiver = Receiver::start(slack.address.port(3000), Reply::Say(OK)).await;
    let gateway = GatewaySetup::bare(slack.address)
        .with("SLACK_SIGNING_SECRET", crate::support::SIGNING_SECRET)
        .with("TAUTLINE_FORWARD_URL", &receiver.url)
        .with("TAUTLINE_FORWARD_SECRET", "app-secret")
        .start();
    let body = form(&[("command", "/deploy"), ("team_id", "T-any")]);
    let url = format!("{}/slack/commands", gateway.url);
    let answer = signed(&url, "application/x-www-form-urlencoded", body).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(receiver.wait_for(1).await[0].header("tautline-tenant"), Some("home"));
    let (_, made) = gateway.post("/api/v1/keys", json!({ "tenant": "home", "scopes": ["read"] })).await;
    assert_eq!(gateway.inbox(made["key"].as_str().unwrap()).await.len(), 1);
}

#[tokio::test]
async fn a_bot_token_makes_its_workspace_an_installation_of_home() {
    let slack = Slack::start().await;
    let token = slack.grant().await;
    let gateway = GatewaySetup::bare(slack.address)
        .with("TAUTLINE_SLACK_URL", &slack.url)
        .with("SLACK_SIGNING_SECRET", crate::support::SIGNING_SECRET)
        .with("SLACK_BOT_TOKEN", &token)
        .start();
    gateway.process.wait_for("home is connected");
    let (_, made) =
        gateway.post("/api/v1/keys", json!({ "tenant": "home", "scopes": ["read", "send"] })).await;
    let key = made["key"].as_str().unwrap();
    let (_, found) = gateway.get("/api/v1/integrations/slack/installations", key).await;
    assert_eq!(found["installations"][0]["team"]["name"], "Acme Rockets");
    assert_eq!(
        found["installations"][0]["scopes"].as_array().unwrap().len(),
        15,
        "as Slack's header tells them"
    );
    let (_, answer) = gateway.ask(Method::POST, "/slack/api/auth.test", Some(key), None, None).await;
    assert_eq!(answer["ok"], true);
    assert!(gateway.process.said().contains("connect is off"), "OAuth is off, and said so");
}
