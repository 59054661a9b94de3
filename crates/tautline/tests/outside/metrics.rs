//! What is counted, for whoever operates the gateway.

use reqwest::StatusCode;
use serde_json::Value;

use crate::support::{ADMIN_KEY, Browser, GatewaySetup, OK, Receiver, Reply, Slack, eventually, http};

#[tokio::test]
async fn what_came_and_what_became_of_it_is_counted_without_naming_a_tenant() {
    let slack = Slack::start().await;
    let receiver = Receiver::start(slack.address.port(3000), Reply::Say(OK)).await;
    let gateway = GatewaySetup::of(&slack)
        .with("TAUTLINE_FORWARD_URL", &receiver.url)
        .with("TAUTLINE_FORWARD_SECRET", "app-secret")
        .start();
    let key = gateway.tenant("acme").await;
    Browser::default().connect(&slack, &gateway.connect_link(&key).await).await;
    slack.say("hello").await;
    slack.command("/deploy").await;
    let forged = http().post(format!("{}/slack/commands", gateway.url)).body("command=/x");
    assert_eq!(forged.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);

    let read = async || match gateway.get("/metrics", ADMIN_KEY).await {
        (StatusCode::OK, Value::String(page)) => page,
        other => panic!("{other:?}"),
    };
    let is_counted =
        async || Some(read().await).filter(|page| page.contains("outcome=\"answered\",le=\"30\"} 2"));
    let page = eventually("both attempts are counted", is_counted).await;
    for line in [
        "tautline_inbound_requests_total{kind=\"event\"} 1",
        "tautline_inbound_requests_total{kind=\"command\"} 1",
        "tautline_inbound_rejected_total{reason=\"invalid_signature\"} 1",
        "tautline_inbound_commit_seconds_count 2",
        "tautline_inbound_answer_seconds_count{kind=\"command\"} 1",
        "tautline_delivery_lag_seconds_count{attempt=\"first\"} 2",
        "tautline_queue_age_seconds 0",
        "tautline_endpoints_failing 0",
        "tautline_lanes_parked 0",
        "tautline_fallbacks_total{kind=\"command\"} 0",
    ] {
        assert!(page.lines().any(|found| found == line), "{line:?} is not in\n{page}");
    }
    assert!(!page.contains("acme"), "no tenant is named");
    for (key, expected) in [(key.as_str(), StatusCode::FORBIDDEN), ("tl_unknown", StatusCode::UNAUTHORIZED)] {
        assert_eq!(gateway.get("/metrics", key).await.0, expected);
    }
}

#[tokio::test]
async fn failures_that_near_slacks_limit_are_said_aloud() {
    let slack = Slack::start().await;
    let gateway = GatewaySetup::of(&slack).start();
    for _ in 0..100 {
        let forged = http().post(format!("{}/slack/commands", gateway.url)).body("command=/x");
        assert_eq!(forged.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    }
    gateway.process.wait_for("at 95 % Slack switches the events off");
}

#[tokio::test]
async fn traces_go_to_whoever_gathers_them_and_name_no_tenant() {
    let slack = Slack::start().await;
    let receiver = Receiver::start(slack.address.port(3000), Reply::Say(OK)).await;
    let gatherer = Receiver::start(slack.address.port(4318), Reply::Say(OK)).await;
    let gateway = GatewaySetup::of(&slack)
        .with("TAUTLINE_FORWARD_URL", &receiver.url)
        .with("TAUTLINE_FORWARD_SECRET", "app-secret")
        .with("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{}", slack.address.port(4318)))
        .with("OTEL_BSP_SCHEDULE_DELAY", "100")
        .start();
    let key = gateway.tenant("acme").await;
    Browser::default().connect(&slack, &gateway.connect_link(&key).await).await;
    slack.say("hello").await;
    let told = |text: &str| gatherer.received().iter().any(|got| got.text().contains(text));
    let all =
        async || ["inbound", "commit", "attempt", "answered"].iter().all(|span| told(span)).then_some(());
    eventually("the way of a request is traced", all).await;
    assert!(!told("acme"), "no tenant is named");
}
