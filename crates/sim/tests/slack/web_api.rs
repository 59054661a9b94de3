//! The Web API.

use serde_json::json;

use crate::scene::{client, read, scene};

#[tokio::test]
async fn the_web_api_answers_and_refuses_in_slacks_words() {
    let scene = scene().await;
    assert_eq!(scene.call("auth.test", "xoxb-unknown", &json!({})).await["error"], "invalid_auth");
    let token = scene.token().await;
    let me = scene.call("auth.test", &token, &json!({})).await;
    assert!(me["bot_id"].as_str().unwrap().starts_with('B'));
    assert_eq!(scene.call("no.such", &token, &json!({})).await["error"], "unknown_method");
    assert_eq!(
        scene.call("chat.postMessage", &token, &json!({ "channel": "general" })).await["error"],
        "no_text"
    );
    let nowhere = json!({ "channel": "nowhere", "text": "x" });
    assert_eq!(scene.call("chat.postMessage", &token, &nowhere).await["error"], "channel_not_found");
    let posted = scene.call("chat.postMessage", &token, &json!({ "channel": "#general", "text": "x" })).await;
    assert_eq!(posted["message"]["text"], "x");
    let missing = scene.call("conversations.list", &token, &json!({})).await;
    assert_eq!((&missing["error"], &missing["needed"]), (&json!("missing_scope"), &json!("channels:read")));
    let request = client().get(format!("{}/api/auth.test?token={token}", scene.url));
    assert_eq!(read(request).await["error"], "not_authed", "no token in a query");
    let body = json!({ "token": token }).to_string();
    let request =
        client().post(format!("{}/api/auth.test", scene.url)).header("content-type", "application/json");
    assert_eq!(read(request.body(body)).await["error"], "not_authed", "nor in JSON");
}
