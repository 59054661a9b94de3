//! An unmodified Bolt app behind the gateway: `examples/bolt-js`.

use std::path::{Path, PathBuf};
use std::process::Command;

use reqwest::StatusCode;
use serde_json::json;

use crate::support::{Address, Browser, Gateway, GatewaySetup, Process, Receiver, Reply, Slack, eventually};

pub const APP_SECRET: &str = "b0lt5own51gn1ng5ecretxxxxxxxxxxx";
pub const PORT: u16 = 3000;

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/bolt-js")
}

/// The app, started as its README line says.
pub fn bolt_app(address: Address, gateway: &Gateway, key: &str) -> Process {
    let mut command = Command::new("node");
    command
        .arg("app.js")
        .current_dir(example())
        .env("HOST", address.port(PORT).ip().to_string())
        .env("PORT", PORT.to_string())
        .env("SLACK_SIGNING_SECRET", APP_SECRET)
        .env("TAUTLINE_URL", &gateway.url)
        .env("TAUTLINE_KEY", key);
    let app = Process::start(&mut command);
    app.wait_for("listening on");
    app
}

/// A gateway that forwards to the app.
pub fn forwarding(slack: &Slack) -> GatewaySetup {
    GatewaySetup::of(slack)
        .with("TAUTLINE_FORWARD_URL", &format!("{}/slack/events", slack.address.url(PORT)))
        .with("TAUTLINE_FORWARD_SECRET", APP_SECRET)
}

#[tokio::test]
async fn a_bolt_app_answers_mentions_and_commands_and_never_sees_a_token() {
    let slack = Slack::start().await;
    let gateway = forwarding(&slack).start();
    let key = gateway.tenant("acme").await;
    let page = Browser::default().connect(&slack, &gateway.connect_link(&key).await).await;
    assert_eq!(page.status, StatusCode::OK);
    let _app = bolt_app(slack.address, &gateway, &key);

    slack.say("@tautline hello").await;
    let answer = slack.wait_for_message("hi").await;
    assert!(answer["bot_id"].is_string(), "Bolt's say, through the proxy: {answer}");

    let came_back = slack.command("/hello").await;
    assert_eq!(
        (&came_back["status"], &came_back["body"]),
        (&json!(200), &json!("hello")),
        "Bolt's own bytes"
    );
}

#[tokio::test]
async fn an_event_survives_a_kill_between_slacks_200_and_the_apps_receipt() {
    let slack = Slack::start().await;
    // In the app's place, somebody who takes the connection and says nothing.
    let deaf = Receiver::start(slack.address.port(PORT), Reply::Hang).await;
    let mut gateway = forwarding(&slack).start();
    let key = gateway.tenant("acme").await;
    Browser::default().connect(&slack, &gateway.connect_link(&key).await).await;

    let ids = slack.say("@tautline hello").await;
    for id in &ids {
        assert_eq!(slack.wait_for_answer(id).await["status"], 200);
    }
    let before = deaf.wait_for(2).await;
    gateway.kill();
    drop(deaf);
    eventually("the port is free", async || {
        tokio::net::TcpListener::bind(slack.address.port(PORT)).await.ok().map(drop)
    })
    .await;
    let app = bolt_app(slack.address, &gateway, &key);
    gateway.restart();

    app.wait_for(&format!("mentioned in event {}", ids[1]));
    slack.wait_for_message("hi").await;
    let request_ids = before.iter().map(|got| got.header("tautline-request-id").unwrap().to_owned());
    let known = gateway.inbox(&key).await;
    for id in request_ids {
        let request = known.iter().find(|request| request["id"] == id).expect("the same request");
        assert_eq!(request["deliveries"].as_array().unwrap().len(), 1, "the same delivery, taken up again");
    }
}
