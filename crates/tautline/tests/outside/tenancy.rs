//! The right tenant, or none.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{
    ADMIN_KEY, Address, Browser, Gateway, GatewaySetup, OK, Receiver, Reply, Slack, form, http, signed,
};

const DOOR: &str = "/api/v1/integrations/webhooks/slack";

async fn scene() -> (Slack, Gateway, Receiver) {
    let slack = Slack::start().await;
    let receiver = Receiver::start(slack.address.port(3000), Reply::Say(OK)).await;
    let gateway = GatewaySetup::of(&slack)
        .with("TAUTLINE_FORWARD_URL", &receiver.url)
        .with("TAUTLINE_FORWARD_SECRET", "app-secret")
        .start();
    (slack, gateway, receiver)
}

async fn post(gateway: &Gateway, content_type: &str, body: String) -> (StatusCode, String) {
    let answer = signed(&format!("{}{DOOR}", gateway.url), content_type, body).send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

async fn connected_as(slack: &Slack, gateway: &Gateway, tenant: &str, workspace: &str) -> (String, Value) {
    let key = gateway.tenant(tenant).await;
    let browser = Browser::default();
    let consent = browser.begin(&gateway.connect_link(&key).await).await;
    let callback = browser.decide_for(slack, &consent, "allow", Some(workspace)).await;
    assert_eq!(browser.get(&callback).await.status, StatusCode::OK);
    let (_, found) = gateway.get("/api/v1/integrations/slack/installations", &key).await;
    (key, found["installations"][0].clone())
}

#[tokio::test]
async fn a_shared_channels_event_goes_to_the_installation_that_slack_names() {
    let (slack, gateway, receiver) = scene().await;
    let (acme_key, acme) = connected_as(&slack, &gateway, "acme", "Acme Rockets").await;
    let (globex_key, globex) = connected_as(&slack, &gateway, "globex", "Globex").await;
    // It occurred in Globex's workspace; Slack sends it for the app in Acme's.
    let body = json!({
        "type": "event_callback", "api_app_id": acme["app_id"], "event_id": "Ev1",
        "team_id": globex["team"]["id"], "context_team_id": globex["team"]["id"],
        "event": { "type": "message", "text": "across" },
        "authorizations": [{ "team_id": acme["team"]["id"], "enterprise_id": null, "is_enterprise_install": false }],
    });
    assert_eq!(post(&gateway, "application/json", body.to_string()).await.0, StatusCode::OK);
    let got = receiver.wait_for(1).await.remove(0);
    assert_eq!(got.header("tautline-tenant"), Some("acme"));
    assert_eq!(got.text(), body.to_string(), "the original bytes");
    assert_eq!(gateway.inbox(&acme_key).await.len(), 1);
    assert!(gateway.inbox(&globex_key).await.is_empty());

    let id = gateway.inbox(&acme_key).await[0]["id"].as_str().unwrap().to_owned();
    let (status, _) = gateway.get(&format!("/api/v1/inbox/{id}"), &globex_key).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "another tenant's request is none");
    let (status, one) = gateway.get(&format!("/api/v1/inbox/{id}"), &acme_key).await;
    assert_eq!((status, one["body"].as_str()), (StatusCode::OK, Some(body.to_string().as_str())));
}

#[tokio::test]
async fn what_matches_no_installation_is_kept_for_the_platform_and_delivered_to_nobody() {
    let (_slack, gateway, receiver) = scene().await;
    let key = gateway.tenant("acme").await;
    let body = json!({ "type": "event_callback", "team_id": "T-unknown", "event_id": "Ev1", "event": { "type": "message" } });
    assert_eq!(post(&gateway, "application/json", body.to_string()).await, (StatusCode::OK, String::new()));
    let command = form(&[("command", "/deploy"), ("team_id", "T-unknown"), ("api_app_id", "A1")]);
    let (status, said) = post(&gateway, "application/x-www-form-urlencoded", command).await;
    assert_eq!(status, StatusCode::OK);
    assert!(said.contains("not connected"), "a command gets a sentence: {said}");

    let (_, found) = gateway.get("/api/v1/inbox?unclaimed=true", ADMIN_KEY).await;
    let unclaimed = found["requests"].as_array().unwrap();
    assert_eq!(unclaimed.len(), 2);
    assert_eq!((&unclaimed[1]["slack_id"], &unclaimed[1]["tenant"]), (&json!("Ev1"), &Value::Null));
    assert!(gateway.inbox(&key).await.is_empty());
    let (status, refused) = gateway.get("/api/v1/inbox?unclaimed=true", &key).await;
    assert_eq!((status, refused["code"].as_str()), (StatusCode::FORBIDDEN, Some("platform_key_required")));
    assert!(receiver.received().is_empty());
}

#[tokio::test]
async fn slacks_retry_of_an_event_is_delivered_once() {
    let (slack, gateway, receiver) = scene().await;
    let (key, acme) = connected_as(&slack, &gateway, "acme", "Acme Rockets").await;
    let event = |id: &str| {
        json!({
            "type": "event_callback", "api_app_id": acme["app_id"], "team_id": acme["team"]["id"], "event_id": id,
            "event": { "type": "message" },
        })
        .to_string()
    };
    let retried = signed(&format!("{}{DOOR}", gateway.url), "application/json", event("Ev1"))
        .header("x-slack-retry-num", "1")
        .header("x-slack-retry-reason", "http_timeout");
    assert_eq!(retried.send().await.unwrap().status(), StatusCode::OK, "a retry may be the only copy");
    assert_eq!(post(&gateway, "application/json", event("Ev1")).await.0, StatusCode::OK);
    assert_eq!(post(&gateway, "application/json", event("Ev2")).await.0, StatusCode::OK);
    let got = receiver.wait_for(2).await;
    assert_eq!(got.len(), 2);
    assert_eq!(gateway.inbox(&key).await.len(), 2);
}

#[tokio::test]
async fn every_route_insists_on_a_credential_and_shows_only_ones_own() {
    let gateway = GatewaySetup::bare(Address::new()).start();
    let own = gateway.tenant("acme").await;
    gateway.tenant("globex").await;
    let (_, document) = gateway.ask(reqwest::Method::GET, "/openapi.json", None, None, None).await;
    let mut probed = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let method: reqwest::Method = method.to_uppercase().parse().unwrap();
            let concrete =
                path.replace("{id}", "req_00000000000070008000000000000000").replace("{method}", "auth.test");
            if operation["security"] == json!([]) {
                continue;
            }
            probed += 1;
            let proxied = path.starts_with("/slack/api/") || path.ends_with("/oauth/start");
            let (status, body) = gateway.ask(method.clone(), &concrete, None, None, None).await;
            if path.starts_with("/slack/api/") {
                assert_eq!(body["error"], "not_authed", "{method} {path}");
            } else if !proxied {
                assert_eq!(
                    (status, body["code"].as_str()),
                    (StatusCode::UNAUTHORIZED, Some("unauthorized")),
                    "{method} {path}"
                );
                let (status, _) =
                    gateway.ask(method.clone(), &concrete, Some("tl_unknown"), None, None).await;
                assert_eq!(status, StatusCode::UNAUTHORIZED, "{method} {path}");
                let empty = Some(json!({}));
                let (status, _) =
                    gateway.ask(method.clone(), &concrete, Some(&own), Some("globex"), empty).await;
                assert!(
                    status == StatusCode::NOT_FOUND || status == StatusCode::FORBIDDEN,
                    "{method} {path} for another tenant: {status}"
                );
            }
        }
    }
    assert!(probed >= 9, "only {probed} routes need a credential?");
}

#[tokio::test]
async fn tenants_and_keys_are_the_platforms_to_make() {
    let gateway = GatewaySetup::bare(Address::new()).start();
    let (status, made) = gateway.post("/api/v1/tenants", json!({ "id": "acme", "name": "Acme" })).await;
    assert_eq!((status, &made["name"]), (StatusCode::CREATED, &json!("Acme")));
    let (status, again) = gateway.post("/api/v1/tenants", json!({ "id": "acme", "name": "Acme" })).await;
    assert_eq!((status, again), (StatusCode::OK, made));
    for (body, code) in [
        (json!({ "id": "a.b" }), "invalid_tenant_id"),
        (json!({ "id": "x".repeat(49) }), "invalid_tenant_id"),
        (json!({ "id": "a\"; DROP TABLE tenants" }), "invalid_tenant_id"),
        (json!({ "name": "nameless" }), "invalid_body"),
        (json!([]), "invalid_body"),
    ] {
        let (status, answer) = gateway.post("/api/v1/tenants", body.clone()).await;
        assert!(status.is_client_error(), "{body}: {status}");
        assert_eq!(answer["code"], code, "{body}");
    }
    let (status, answer) = gateway.post("/api/v1/tenants", json!({ "id": "home" })).await;
    assert_eq!((status, answer["code"].as_str()), (StatusCode::CONFLICT, Some("tenant_reserved")));

    let (status, key) = gateway.post("/api/v1/keys", json!({ "tenant": "acme", "scopes": ["read"] })).await;
    assert_eq!(status, StatusCode::CREATED);
    let secret = key["key"].as_str().unwrap();
    assert!(secret.starts_with("tl_") && !secret.contains('.'));
    for (body, status, code) in [
        (json!({ "tenant": "nobody", "scopes": ["read"] }), StatusCode::NOT_FOUND, "tenant_unknown"),
        (json!({ "tenant": "acme", "scopes": ["root"] }), StatusCode::BAD_REQUEST, "unknown_scope"),
        (json!({ "tenant": "acme", "scopes": [] }), StatusCode::BAD_REQUEST, "scopes_empty"),
        // A typing error must not make a platform key.
        (json!({ "tennant": "acme", "scopes": ["read"] }), StatusCode::UNPROCESSABLE_ENTITY, "invalid_body"),
    ] {
        let (answered, answer) = gateway.post("/api/v1/keys", body.clone()).await;
        assert_eq!((answered, answer["code"].as_str()), (status, Some(code)), "{body}");
    }
    let scopes = json!({ "scopes": ["read"] });
    let (status, answer) =
        gateway.ask(reqwest::Method::POST, "/api/v1/keys", Some(secret), None, Some(scopes)).await;
    assert_eq!((status, answer["code"].as_str()), (StatusCode::FORBIDDEN, Some("platform_key_required")));
    let links = "/api/v1/integrations/slack/connect-links";
    let (status, answer) =
        gateway.ask(reqwest::Method::POST, links, Some(secret), None, Some(json!({}))).await;
    assert_eq!((status, answer["code"].as_str()), (StatusCode::FORBIDDEN, Some("scope_missing")));
}

#[tokio::test]
async fn a_post_that_is_sent_again_makes_nothing_twice() {
    let slack = Slack::start().await;
    let gateway = GatewaySetup::of(&slack).start();
    let tenant_key = gateway.tenant("acme").await;
    let ask = async |path: &str, auth: &str, key: &str, body: Value| {
        let request =
            http().post(format!("{}{path}", gateway.url)).bearer_auth(auth).header("idempotency-key", key);
        let answer =
            request.header("content-type", "application/json").body(body.to_string()).send().await.unwrap();
        let status = answer.status();
        (status, serde_json::from_str::<Value>(&answer.text().await.unwrap()).unwrap())
    };
    let new = json!({ "id": "globex", "name": "Globex" });
    let first = ask("/api/v1/tenants", ADMIN_KEY, "k-1", new.clone()).await;
    assert_eq!(first.0, StatusCode::CREATED);
    assert_eq!(ask("/api/v1/tenants", ADMIN_KEY, "k-1", new).await, first, "the same answer");
    let (status, body) = ask("/api/v1/tenants", ADMIN_KEY, "k-1", json!({ "id": "other" })).await;
    assert_eq!((status, body["code"].as_str()), (StatusCode::CONFLICT, Some("idempotency_conflict")));

    let links = "/api/v1/integrations/slack/connect-links";
    for (path, auth, body) in [
        ("/api/v1/keys", ADMIN_KEY, json!({ "tenant": "acme", "scopes": ["read"] })),
        (links, tenant_key.as_str(), json!({})),
    ] {
        assert_eq!(ask(path, auth, "k-2", body.clone()).await.0, StatusCode::CREATED, "{path}");
        let (status, again) = ask(path, auth, "k-2", body.clone()).await;
        assert_eq!(
            (status, again["code"].as_str()),
            (StatusCode::CONFLICT, Some("already_created")),
            "{path}"
        );
        assert_eq!(
            ask(path, auth, "k-3", body).await.0,
            StatusCode::CREATED,
            "{path}: another key, another thing"
        );
    }
    let (status, body) = ask("/api/v1/tenants", ADMIN_KEY, &"k".repeat(300), json!({ "id": "x" })).await;
    assert_eq!((status, body["code"].as_str()), (StatusCode::BAD_REQUEST, Some("invalid_idempotency_key")));
}
