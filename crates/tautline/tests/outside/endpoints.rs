//! Endpoints that the API makes, beside those of the environment.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{
    ADMIN_KEY, Address, Browser, Gateway, GatewaySetup, Receiver, Reply, Slack, eventually,
};

const PATH: &str = "/api/v1/endpoints";

async fn make(gateway: &Gateway, url: &str, filter: &str, tenant: &str) -> Value {
    let new = json!({ "url": url, "form": "slack", "filters": [filter], "tenants": [tenant] });
    let (status, made) = gateway.post(PATH, new).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    made
}

fn says(words: &'static str) -> Reply {
    Reply::Say(match words {
        "own" => "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nown",
        "platform" => "HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nplatform",
        _ => "HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nspecific",
    })
}

#[tokio::test]
async fn of_a_tenants_endpoint_and_the_platforms_one_answers_and_the_other_gets_a_copy() {
    let slack = Slack::start().await;
    let gateway = GatewaySetup::of(&slack).start();
    let key = gateway.tenant("acme").await;
    gateway.tenant("globex").await;
    Browser::default().connect(&slack, &gateway.connect_link(&key).await).await;
    let platform = Receiver::start(slack.address.port(3001), says("platform")).await;
    let own = Receiver::start(slack.address.port(3002), says("own")).await;
    let others = Receiver::start(slack.address.port(3003), says("own")).await;
    make(&gateway, &platform.url, "*", "*").await;
    make(&gateway, &own.url, "command.*", "acme").await;
    make(&gateway, &others.url, "*", "globex").await;

    let came_back = slack.command("/deploy").await;
    assert_eq!(came_back["body"], "own");
    let (answered, copied) = (own.wait_for(1).await.remove(0), platform.wait_for(1).await.remove(0));
    assert_eq!(answered.header("tautline-answer"), Some("yes"));
    assert_eq!(copied.header("tautline-answer"), Some("no"));
    assert_eq!(answered.body, copied.body);
    assert_ne!(
        answered.header("x-slack-signature"),
        copied.header("x-slack-signature"),
        "each by its own secret"
    );
    assert!(others.received().is_empty(), "another tenant's gets nothing");

    let specific = Receiver::start(slack.address.port(3004), says("specific")).await;
    let made = make(&gateway, &specific.url, "command./deploy", "*").await;
    assert_eq!(slack.command("/deploy").await["body"], "specific", "in force at once");
    let one = format!("{PATH}/{}", made["id"].as_str().unwrap());
    let remove = async |path: &str| gateway.ask(Method::DELETE, path, Some(ADMIN_KEY), None, None).await;
    assert_eq!(remove(&one).await.0, StatusCode::NO_CONTENT);
    assert_eq!(slack.command("/deploy").await["body"], "own");
    let (status, gone) = remove(&one).await;
    assert_eq!((status, gone["code"].as_str()), (StatusCode::NOT_FOUND, Some("endpoint_unknown")));
}

#[tokio::test]
async fn endpoints_survive_a_restart_and_stand_beside_the_environments() {
    let slack = Slack::start().await;
    let receiver = Receiver::start(slack.address.port(3001), says("platform")).await;
    let mut gateway = GatewaySetup::of(&slack)
        .with("TAUTLINE_FORWARD_URL", "http://127.0.0.1:9/")
        .with("TAUTLINE_FORWARD_SECRET", "app-secret")
        .start();
    let key = gateway.tenant("acme").await;
    Browser::default().connect(&slack, &gateway.connect_link(&key).await).await;
    let made = make(&gateway, &receiver.url, "command./deploy", "acme").await;
    let secret = made["secret"].as_str().unwrap().to_owned();
    gateway.kill();
    gateway.restart();
    let (_, listed) = gateway.get(PATH, ADMIN_KEY).await;
    let listed = listed["endpoints"].as_array().unwrap();
    let sources = listed.iter().map(|each| each["source"].as_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(
        sources,
        ["environment", "environment", "api"],
        "the gateway's own, the forward, and the made one"
    );
    assert!(listed.iter().all(|each| each.get("secret").is_none()), "shown once");
    assert_eq!(slack.command("/deploy").await["body"], "platform");
    let got = receiver.wait_for(1).await.remove(0);
    let secrets = [tautline_server::slack::signing::SigningSecret::new(secret).unwrap()];
    let at: i64 = got.header("x-slack-request-timestamp").unwrap().parse().unwrap();
    assert_eq!(secrets[0].sign(at, &got.body), got.header("x-slack-signature").unwrap());

    let forward = listed.iter().find(|each| each["name"] == "TAUTLINE_FORWARD_URL").unwrap();
    let path = format!("{PATH}/{}", forward["id"].as_str().unwrap());
    let (status, refused) = gateway.ask(Method::DELETE, &path, Some(ADMIN_KEY), None, None).await;
    assert_eq!((status, refused["code"].as_str()), (StatusCode::CONFLICT, Some("endpoint_declared")));
}

#[tokio::test]
async fn what_cannot_be_an_endpoint_is_refused_with_the_reason() {
    let gateway = GatewaySetup::bare(Address::new()).start();
    let key = gateway.tenant("acme").await;
    let new = |url: &str, form: &str, filters: Value, tenants: Value| json!({ "url": url, "form": form, "filters": filters, "tenants": tenants });
    let (ok, all) = ("http://app.internal/", json!(["*"]));
    for (body, code) in [
        (new("app", "slack", all.clone(), all.clone()), "invalid_url"),
        (new("ftp://app/", "slack", all.clone(), all.clone()), "invalid_url"),
        (new("http://me:hush@app/", "slack", all.clone(), all.clone()), "invalid_url"),
        (new("http://169.254.169.254/latest", "slack", all.clone(), all.clone()), "invalid_url"),
        (new("http://[::ffff:a9fe:a9fe]/", "slack", all.clone(), all.clone()), "invalid_url"),
        (new(ok, "xml", all.clone(), all.clone()), "unknown_form"),
        (new(ok, "slack", json!([]), all.clone()), "invalid_filters"),
        (new(ok, "slack", json!(["events.x"]), all.clone()), "invalid_filter"),
        (new(ok, "slack", all.clone(), json!([])), "invalid_tenants"),
        (new(ok, "slack", all.clone(), json!(["nobody"])), "tenant_unknown"),
    ] {
        let (status, refused) = gateway.post(PATH, body.clone()).await;
        assert!(status.is_client_error(), "{body}: {status}");
        assert_eq!(refused["code"], code, "{body}");
        assert!(!refused.to_string().contains("hush"), "{refused}");
    }
    let body = new(ok, "slack", all.clone(), all);
    let (status, _) = gateway.ask(Method::POST, PATH, Some(&key), None, Some(body)).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "the company's to make");
}

#[tokio::test]
async fn a_submission_with_a_dead_handler_keeps_the_modal_and_runs_once_when_it_lives() {
    let slack = Slack::start().await;
    let gateway = GatewaySetup::of(&slack).start();
    let key = gateway.tenant("acme").await;
    Browser::default().connect(&slack, &gateway.connect_link(&key).await).await;
    let address = slack.address.port(3001);
    make(&gateway, &format!("http://{address}/"), "view_submission.*", "*").await;
    let submit = async || {
        let input = json!({ "type": "input", "block_id": "name" });
        let view =
            json!({ "type": "modal", "callback_id": "form", "blocks": [input], "state": { "values": {} } });
        let payload = json!({ "type": "view_submission", "view": view });
        slack.post("/interaction", &json!({ "payload": payload })).await.1
    };
    let refused = submit().await;
    let said: Value = serde_json::from_str(refused["body"].as_str().unwrap()).unwrap();
    assert_eq!(said["response_action"], "errors");
    assert!(said["errors"]["name"].as_str().unwrap().contains("cannot be reached"), "{said}");
    let receiver = Receiver::start(address, Reply::Say("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")).await;
    let taken = submit().await;
    assert_eq!((&taken["status"], &taken["body"]), (&json!(200), &json!("")));
    let settled = async || {
        let inbox = gateway.inbox(&key).await;
        let state = |request: &Value| request["deliveries"][0]["state"].as_str().unwrap().to_owned();
        let states = inbox.iter().map(state).collect::<Vec<_>>();
        (states == ["delivered", "dead"]).then_some(())
    };
    eventually("one delivered, one dead", settled).await;
    assert_eq!(receiver.received().len(), 1, "the first was never run");
}
