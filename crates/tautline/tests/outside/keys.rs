//! API keys: made, listed, ended. And who did that.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{ADMIN_KEY, Browser, Gateway, GatewaySetup, Slack, eventually};

const KEYS: &str = "/api/v1/keys";

async fn make(gateway: &Gateway, new: Value) -> (String, String) {
    let (status, made) = gateway.post(KEYS, new).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let text = |name: &str| made[name].as_str().unwrap().to_owned();
    (text("id"), text("key"))
}

async fn delete(gateway: &Gateway, path: &str, key: &str) -> (StatusCode, Value) {
    gateway.ask(Method::DELETE, path, Some(key), None, None).await
}

#[tokio::test]
async fn a_revoked_or_expired_key_opens_nothing() {
    let slack = Slack::start().await;
    let gateway = GatewaySetup::of(&slack).start();
    let key = gateway.tenant("acme").await;
    let other = gateway.tenant("globex").await;
    let end = "2100-01-01T00:00:00Z";
    let (id, reader) =
        make(&gateway, json!({ "tenant": "acme", "scopes": ["read"], "expires_at": end })).await;
    assert_eq!(gateway.get("/api/v1/inbox", &reader).await.0, StatusCode::OK);
    let used = async || {
        let (_, listed) = gateway.get(KEYS, &key).await;
        let found = listed["keys"].as_array()?.iter().find(|each| each["id"] == id.as_str())?.clone();
        assert_eq!(
            (&found["tenant"], &found["expires_at"]),
            (&json!("acme"), &json!("2100-01-01T00:00:00.000000Z"))
        );
        assert!(found.get("key").is_none(), "shown once");
        found["last_used_at"].is_string().then_some(())
    };
    eventually("that it was used is on record", used).await;
    assert_eq!(gateway.get(KEYS, &other).await.1["keys"].as_array().unwrap().len(), 1, "its own alone");
    assert_eq!(gateway.get(KEYS, &reader).await.0, StatusCode::FORBIDDEN, "not with every scope");

    let person = Browser::default();
    person
        .submit(&format!("{}/sign-in", gateway.url), &[("key", &reader), ("tenant", ""), ("return_to", "")])
        .await;
    assert_eq!(person.get(&format!("{}/inbox", gateway.url)).await.status, StatusCode::OK);
    let path = format!("{KEYS}/{id}");
    assert_eq!(delete(&gateway, &path, &other).await.0, StatusCode::NOT_FOUND, "another tenant's");
    assert_eq!(delete(&gateway, &path, &key).await.0, StatusCode::NO_CONTENT);
    assert_eq!(gateway.get("/api/v1/inbox", &reader).await.0, StatusCode::UNAUTHORIZED);
    let page = person.get(&format!("{}/inbox", gateway.url)).await;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED, "nor does what was opened with it stay open");
    let (status, gone) = delete(&gateway, &path, ADMIN_KEY).await;
    assert_eq!((status, &gone["code"]), (StatusCode::NOT_FOUND, &json!("key_unknown")));

    for wrong in ["soon", "2001-01-01T00:00:00Z"] {
        let new = json!({ "scopes": ["read"], "expires_at": wrong });
        let (status, refused) = gateway.post(KEYS, new).await;
        assert_eq!((status, &refused["code"]), (StatusCode::BAD_REQUEST, &json!("invalid_expires_at")));
    }
}

#[tokio::test]
async fn the_audit_says_who_did_what() {
    let slack = Slack::start().await;
    let gateway = GatewaySetup::of(&slack).start();
    let key = gateway.tenant("acme").await;
    let other = gateway.tenant("globex").await;
    Browser::default().connect(&slack, &gateway.connect_link(&key).await).await;
    let new = json!({ "url": "http://app.internal/", "form": "slack", "filters": ["*"], "tenants": ["*"] });
    let (_, made) = gateway.post("/api/v1/endpoints", new).await;
    let endpoint = format!("/api/v1/endpoints/{}", made["id"].as_str().unwrap());
    let change = json!({ "paused": true });
    gateway.ask(Method::PATCH, &endpoint, Some(ADMIN_KEY), None, Some(change)).await;
    gateway.post(&format!("{endpoint}/rotate-secret"), json!({})).await;
    delete(&gateway, &endpoint, ADMIN_KEY).await;
    let actions = async |key: &str| {
        let (status, audit) = gateway.get("/api/v1/audit", key).await;
        assert_eq!(status, StatusCode::OK, "{audit}");
        let entries = audit["entries"].as_array().unwrap().clone();
        entries.iter().map(|entry| entry["action"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        actions(ADMIN_KEY).await,
        [
            "endpoint.removed",
            "endpoint.secret_rotated",
            "endpoint.changed",
            "endpoint.made",
            "installation.connected",
            "key.made",
            "key.made",
        ]
    );
    assert_eq!(actions(&key).await, ["installation.connected", "key.made"], "what concerns the tenant");
    assert_eq!(actions(&other).await, ["key.made"]);
    let (_, audit) = gateway.get("/api/v1/audit?limit=1", ADMIN_KEY).await;
    assert_eq!(audit["entries"][0]["actor"], "the platform's first key");
    assert_eq!(audit["entries"][0]["tenant"], "home");
    assert!(audit["next_cursor"].is_string());
}

#[tokio::test]
async fn a_disconnected_workspace_is_revoked_at_slack_and_erased_here() {
    let slack = Slack::start().await;
    let gateway = GatewaySetup::of(&slack).start();
    let key = gateway.tenant("acme").await;
    let other = gateway.tenant("globex").await;
    let connect = async || {
        Browser::default().connect(&slack, &gateway.connect_link(&key).await).await;
        let (_, found) = gateway.get("/api/v1/integrations/slack/installations", &key).await;
        let id = found["installations"][0]["id"].as_str().unwrap().to_owned();
        format!("/api/v1/integrations/slack/installations/{id}")
    };
    let path = connect().await;
    assert_eq!(delete(&gateway, &path, &other).await.0, StatusCode::NOT_FOUND, "another tenant's");
    let (status, said) = delete(&gateway, &path, &key).await;
    assert_eq!((status, &said["revoked"], &said["error"]), (StatusCode::OK, &json!(true), &Value::Null));
    let log = slack.log().await;
    assert!(log.iter().any(|entry| entry["what"] == "auth.revoke" && entry["error"].is_null()), "{log:?}");
    let (_, found) = gateway.get("/api/v1/integrations/slack/installations", &key).await;
    assert_eq!(found["installations"], json!([]));
    assert_eq!(delete(&gateway, &path, &key).await.0, StatusCode::NOT_FOUND, "once");
    let (_, audit) = gateway.get("/api/v1/audit?limit=1", &key).await;
    assert_eq!(audit["entries"][0]["action"], "installation.disconnected");

    // Whatever Slack answers.
    let path = connect().await;
    slack.stop_and_wait().await;
    let (status, said) = delete(&gateway, &path, &key).await;
    assert_eq!((status, &said["revoked"]), (StatusCode::OK, &json!(false)));
    assert!(said["error"].is_string(), "{said}");
    let (_, found) = gateway.get("/api/v1/integrations/slack/installations", &key).await;
    assert_eq!(found["installations"], json!([]), "its tokens are gone from here");
}

#[tokio::test]
async fn what_a_revoked_key_made_ends_with_it() {
    let slack = Slack::start().await;
    let gateway = GatewaySetup::of(&slack).start();
    gateway.tenant("acme").await;
    let (id, key) = make(&gateway, json!({ "tenant": "acme", "scopes": ["read", "manage"] })).await;
    let connect = gateway.connect_link(&key).await;
    let dashboard = async || {
        let (status, made) =
            gateway.ask(Method::POST, "/api/v1/dashboard-links", Some(&key), None, Some(json!({}))).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        made["url"].as_str().unwrap().to_owned()
    };
    let (opened, unopened) = (dashboard().await, dashboard().await);
    let person = Browser::default();
    assert_eq!(person.get(&opened).await.status, StatusCode::SEE_OTHER);
    assert_eq!(delete(&gateway, &format!("{KEYS}/{id}"), ADMIN_KEY).await.0, StatusCode::NO_CONTENT);
    assert_eq!(Browser::default().get(&connect).await.status, StatusCode::GONE);
    assert_eq!(Browser::default().get(&unopened).await.status, StatusCode::GONE);
    let page = person.get(&format!("{}/inbox", gateway.url)).await;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED, "who came in by its link is out as well");
}
