//! Consent, and what a code is good for.

use serde_json::{Value, json};

use crate::scene::{REDIRECT, scene};

#[tokio::test]
async fn the_consent_screen_refuses_what_slack_would() {
    let scene = scene().await;
    let refused = async |id, redirect, scope| scene.consent(id, redirect, scope, "allow").await.unwrap_err();
    assert!(refused("9.9", REDIRECT, "chat:write").await.contains("invalid_client_id"));
    assert!(refused("1.2", REDIRECT, "").await.contains("invalid_scope"));
    for elsewhere in [
        "http://127.0.0.1/other",
        "http://127.0.0.1/callbacks",
        "https://evil.example/callback",
        "http://127.0.0.1/callback#x",
        "nonsense",
    ] {
        assert!(refused("1.2", elsewhere, "chat:write").await.contains("bad_redirect_uri"), "{elsewhere}");
    }
    assert!(scene.consent("1.2", "http://127.0.0.1/callback/below", "chat:write", "allow").await.is_ok());
    let back = scene.consent("1.2", REDIRECT, "chat:write", "deny").await.unwrap();
    assert_eq!(back, format!("{REDIRECT}?error=access_denied&state=s"));
}

#[tokio::test]
async fn a_code_is_good_for_one_exchange_by_the_right_app_at_the_right_place() {
    let scene = scene().await;
    let code = scene.code().await;
    assert_eq!(scene.access("9.9", "right", &code, REDIRECT).await["error"], "invalid_client_id");
    assert_eq!(scene.access("1.2", "wrong", &code, REDIRECT).await["error"], "bad_client_secret");
    assert_eq!(scene.access("1.2", "right", "no-code", REDIRECT).await["error"], "invalid_code");
    let answer = scene.access("1.2", "right", &code, REDIRECT).await;
    assert_eq!((&answer["ok"], &answer["enterprise"]), (&json!(true), &Value::Null));
    assert_eq!(scene.access("1.2", "right", &code, REDIRECT).await["error"], "invalid_code", "once");
    let code = scene.code().await;
    assert_eq!(
        scene.access("1.2", "right", &code, "http://127.0.0.1/callback/x").await["error"],
        "bad_redirect_uri"
    );
}
