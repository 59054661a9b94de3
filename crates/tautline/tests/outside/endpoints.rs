//! Endpoints that the API makes, beside those of the environment.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{
    ADMIN_KEY, Address, Browser, Gateway, GatewaySetup, Received, Receiver, Reply, Slack, eventually,
    response,
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
        (new(ok, "slack", json!(["command.deploy"]), all.clone()), "invalid_filter"),
        (new(ok, "slack", json!(["event.*x*"]), all.clone()), "invalid_filter"),
        (new(ok, "slack", json!(["installation.broken"]), all.clone()), "invalid_filter"),
        (new(ok, "standard", json!(["endpoint.*"]), json!(["acme"])), "invalid_filter"),
        (new("http://[::169.254.169.254]/", "slack", all.clone(), all.clone()), "invalid_url"),
        (new(&format!("http://app/{}", "x".repeat(2100)), "slack", all.clone(), all.clone()), "invalid_url"),
        (new(ok, "slack", all.clone(), json!(["acme", "*"])), "invalid_tenants"),
        (new(ok, "slack", all.clone(), json!([])), "invalid_tenants"),
        (new(ok, "slack", all.clone(), json!(["nobody"])), "tenant_unknown"),
    ] {
        let (status, refused) = gateway.post(PATH, body.clone()).await;
        assert!(status.is_client_error(), "{body}: {status}");
        assert_eq!(refused["code"], code, "{body}");
        assert!(refused["fix"].is_string(), "{refused}");
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

/// An endpoint of the form slack for everything of everybody's.
async fn everything(gateway: &Gateway, url: &str) -> (String, String) {
    let made = make(gateway, url, "*", "*").await;
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    (format!("{PATH}/{}", text("id")), text("secret"))
}

async fn change(gateway: &Gateway, path: &str, change: Value) -> Value {
    let (status, changed) = gateway.ask(Method::PATCH, path, Some(ADMIN_KEY), None, Some(change)).await;
    assert_eq!(status, StatusCode::OK, "{changed}");
    changed
}

#[tokio::test]
async fn a_paused_endpoint_gets_nothing_until_it_is_resumed_and_moved() {
    let slack = Slack::start().await;
    let gateway = GatewaySetup::of(&slack).start();
    let key = gateway.tenant("acme").await;
    Browser::default().connect(&slack, &gateway.connect_link(&key).await).await;
    let old = Receiver::start(slack.address.port(3001), says("platform")).await;
    let new = Receiver::start(slack.address.port(3002), says("platform")).await;
    let (path, _) = everything(&gateway, &old.url).await;
    assert_eq!(change(&gateway, &path, json!({ "paused": true })).await["state"], "paused");
    slack.say("while it is paused").await;
    let command = slack.command("/deploy").await;
    assert!(command["body"].as_str().unwrap().contains("Still working on it"), "at once: {command}");
    let waits = async || {
        let (_, waiting) = gateway.get("/api/v1/deliveries?state=ready", ADMIN_KEY).await;
        (waiting["deliveries"].as_array().unwrap().len() == 2).then_some(())
    };
    eventually("both wait", waits).await;
    assert!(old.received().is_empty());

    let changed = change(&gateway, &path, json!({ "url": new.url, "paused": false, "in_flight": 2 })).await;
    assert_eq!((&changed["state"], &changed["in_flight"]), (&json!("well"), &json!(2)));
    new.wait_for(2).await;
    assert!(old.received().is_empty(), "what waited went to where it is now");
    slack.wait_for_message("platform").await; // the command's late words

    for (wrong, code) in [
        (json!({ "in_flight": 0 }), "invalid_in_flight"),
        (json!({ "filters": ["command.x"] }), "invalid_filter"),
        (json!({ "url": "http://169.254.169.254/" }), "invalid_url"),
        (json!({ "tenants": ["nobody"] }), "tenant_unknown"),
    ] {
        let (status, refused) = gateway.ask(Method::PATCH, &path, Some(ADMIN_KEY), None, Some(wrong)).await;
        assert!(status.is_client_error() && refused["code"] == code, "{refused}");
    }
    assert_eq!(
        gateway.get(&path, ADMIN_KEY).await.1["url"],
        new.url,
        "a change that is refused changes nothing"
    );
    let (status, _) =
        gateway.ask(Method::PATCH, &path, Some(&key), None, Some(json!({ "paused": true }))).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "the company's to change");
}

#[tokio::test]
async fn when_the_one_that_answers_is_gone_another_answers() {
    let slack = Slack::start().await;
    let first =
        Receiver::start(slack.address.port(3001), Reply::of(|_| async { response(410, "", "") })).await;
    let gateway = GatewaySetup::of(&slack)
        .with("TAUTLINE_FORWARD_URL", &first.url)
        .with("TAUTLINE_FORWARD_SECRET", "app-secret")
        .start();
    let key = gateway.tenant("acme").await;
    Browser::default().connect(&slack, &gateway.connect_link(&key).await).await;
    let second = Receiver::start(slack.address.port(3002), says("platform")).await;
    everything(&gateway, &second.url).await;
    let refused = slack.command("/deploy").await;
    assert!(refused["body"].as_str().unwrap().contains("did not work"), "{refused}");
    let is_disabled = async || {
        let (_, listed) = gateway.get(PATH, ADMIN_KEY).await;
        listed["endpoints"].as_array()?.iter().any(|each| each["state"] == "disabled").then_some(())
    };
    eventually("it is disabled", is_disabled).await;
    assert_eq!(slack.command("/deploy").await["body"], "platform", "at once");
    assert_eq!(first.received().len(), 1, "it is left alone");
}

/// An app that knows one secret only, as Bolt apps do.
async fn app_with_secret(address: std::net::SocketAddr, secret: String) -> Receiver {
    let secret = tautline_server::slack::signing::SigningSecret::new(secret).unwrap();
    let answer = move |got: Received| {
        let at = got.header("x-slack-request-timestamp").unwrap().parse().unwrap();
        let is_known = got.header("x-slack-signature") == Some(&secret.sign(at, &got.body));
        async move { if is_known { response(200, "", "taken") } else { response(401, "", "") } }
    };
    Receiver::start(address, Reply::of(answer)).await
}

#[tokio::test]
async fn an_app_that_has_not_heard_of_its_new_secret_is_served_for_a_day() {
    let slack = Slack::start().await;
    let gateway = GatewaySetup::of(&slack).start();
    let key = gateway.tenant("acme").await;
    Browser::default().connect(&slack, &gateway.connect_link(&key).await).await;
    let [old, new] = [3001, 3002].map(|port| slack.address.port(port));
    let url = |address| format!("http://{address}/slack/events");
    let (path, first) = everything(&gateway, &url(old)).await;
    let _old = app_with_secret(old, first).await;
    assert_eq!(slack.command("/before").await["body"], "taken");
    let (_, rotated) = gateway.post(&format!("{path}/rotate-secret"), json!({})).await;
    assert_eq!(slack.command("/after").await["body"], "taken", "by the secret that it knows");
    let _new = app_with_secret(new, rotated["secret"].as_str().unwrap().to_owned()).await;
    change(&gateway, &path, json!({ "url": url(new) })).await;
    assert_eq!(slack.command("/told").await["body"], "taken", "by the new one");
    let (_, rotated) = gateway.post(&format!("{path}/rotate-secret"), json!({})).await;
    let (_, rotated_again) = gateway.post(&format!("{path}/rotate-secret"), json!({})).await;
    assert_ne!(rotated["secret"], rotated_again["secret"]);
    let refused = slack.command("/too-old").await;
    assert!(refused["body"].as_str().unwrap().contains("did not work"), "two, and no more: {refused}");
}

#[tokio::test]
async fn an_endpoint_is_tested_before_anything_depends_on_it() {
    let slack = Slack::start().await;
    let gateway = GatewaySetup::of(&slack).start();
    let address = slack.address.port(3001);
    let (path, secret) = everything(&gateway, &format!("http://{address}/slack/events")).await;
    let test = async |path: &str| gateway.post(&format!("{path}/test"), json!({})).await.1;
    let nobody = test(&path).await;
    assert_eq!((&nobody["ok"], &nobody["status"]), (&json!(false), &Value::Null));
    assert!(
        nobody["error"].as_str().unwrap().contains("not reached") && nobody["fix"].is_string(),
        "{nobody}"
    );

    let echo = |got: Received| async move {
        let asked: Value = serde_json::from_slice(&got.body).unwrap();
        assert_eq!(asked["type"], "url_verification", "what Bolt answers by itself");
        assert!(got.header("x-slack-signature").is_some());
        response(200, "", asked["challenge"].as_str().unwrap())
    };
    let app = Receiver::start(address, Reply::of(echo)).await;
    let taken = test(&path).await;
    assert_eq!(
        (&taken["ok"], &taken["status"], &taken["error"]),
        (&json!(true), &json!(200), &Value::Null),
        "{taken}"
    );
    assert!(!taken.to_string().contains(&secret));
    drop(app);

    let page = Receiver::start(slack.address.port(3002), says("platform")).await;
    let (elsewhere, _) = everything(&gateway, &page.url).await;
    let mistaken = test(&elsewhere).await;
    assert!(
        mistaken["ok"] == false && mistaken["error"].as_str().unwrap().contains("challenge"),
        "{mistaken}"
    );
    let (_, listed) = gateway.get("/api/v1/deliveries", ADMIN_KEY).await;
    assert_eq!(listed["deliveries"], json!([]), "it leaves no record");
    let (_, shown) = gateway.get(&path, ADMIN_KEY).await;
    assert_eq!(shown["state"], "well", "and changes nothing");
}

#[tokio::test]
async fn endpoints_are_looked_after_from_the_command_line_whether_a_server_runs_or_not() {
    let slack = Slack::start().await;
    let mut gateway = GatewaySetup::of(&slack).start();
    let run = |gateway: &Gateway, arguments: &[&str]| {
        let said = gateway.command(arguments).output().unwrap();
        let (out, err) = (String::from_utf8(said.stdout).unwrap(), String::from_utf8(said.stderr).unwrap());
        (said.status.code(), out, err)
    };
    let create = [
        "endpoints",
        "create",
        "http://127.0.0.1:9/x",
        "--form",
        "standard",
        "--filter",
        "event.*",
        "--json",
    ];
    let (code, made, err) = run(&gateway, &create);
    assert_eq!(code, Some(0), "{err}");
    let made: Value = serde_json::from_str(&made).unwrap();
    assert!(made["secret"].as_str().unwrap().starts_with("whsec_"), "{made}");
    let id = made["id"].as_str().unwrap();
    let (code, out, err) = run(&gateway, &["endpoints", "test", id]);
    assert!(code == Some(1) && out.starts_with("no answer after "), "{out}{err}");
    assert!(err.contains("was not reached"), "{err}");
    let (_, out, _) = run(&gateway, &["endpoints", "pause", id]);
    assert!(out.contains("paused"), "{out}");
    let (code, _, err) = run(&gateway, &["endpoints", "create", "http://x/", "--filter", "command.deploy"]);
    assert!(code == Some(1) && err.contains("write \"command./deploy\""), "{err}");

    // PostgreSQL needs no server in between; the file of SQLite has one at a time.
    gateway.kill();
    let (code, out, err) = run(&gateway, &["endpoints", "resume", id]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("well"), "{out}");
    let (_, out, _) = run(&gateway, &["endpoints", "rotate-secret", id]);
    assert!(out.contains("whsec_") && out.contains("good until"), "{out}");
    gateway.restart();
    let (_, listed, _) = run(&gateway, &["endpoints", "list"]);
    assert!(listed.contains(id) && listed.contains("event.*"), "{listed}");
    let (code, _, err) = run(&gateway, &["endpoints", "remove", "../tenants/home", "--yes"]);
    assert!(
        code == Some(2) && err.contains("not an id"),
        "an id, and nothing that a path could make of it: {err}"
    );
    let (code, _, err) = run(&gateway, &["endpoints", "remove", id]);
    assert!(code == Some(1) && err.contains("--yes"), "{err}");
    assert_eq!(run(&gateway, &["endpoints", "remove", id, "--yes"]).0, Some(0));
    assert!(!run(&gateway, &["endpoints", "list"]).1.contains(id));
}

/// On PostgreSQL, where several servers share the work.
#[tokio::test]
async fn an_endpoint_that_a_dead_server_found_failing_is_well_again_when_another_succeeds() {
    let slack = Slack::start().await;
    let database = tautline_testing::Cluster::shared().database();
    let gateway = GatewaySetup::of(&slack).on_postgres(database.clone()).start();
    let key = gateway.tenant("acme").await;
    Browser::default().connect(&slack, &gateway.connect_link(&key).await).await;
    let receiver = Receiver::start(slack.address.port(3001), says("platform")).await;
    let (path, _) = everything(&gateway, &receiver.url).await;
    database.sql(
        "UPDATE endpoints SET failing_since = 1, failing_because = 'said the other' WHERE NOT is_declared",
    );
    let (_, shown) = gateway.get(&path, ADMIN_KEY).await;
    assert_eq!((&shown["state"], &shown["because"]), (&json!("failing"), &json!("said the other")));
    slack.say("hello").await;
    receiver.wait_for(1).await;
    let is_well = async || (gateway.get(&path, ADMIN_KEY).await.1["state"] == "well").then_some(());
    eventually("it is well", is_well).await;
}
