//! The Web API proxy.

use std::path::Path;
use std::process::Command;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{
    ADMIN_KEY, Browser, Gateway, GatewaySetup, OK, Receiver, Reply, Slack, form, http, response,
};

async fn scene() -> (Slack, Gateway, String) {
    let slack = Slack::start().await;
    let gateway = GatewaySetup::of(&slack).start();
    let key = gateway.tenant("acme").await;
    Browser::default().connect(&slack, &gateway.connect_link(&key).await).await;
    gateway.crawled(&key).await;
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

/// What an SDK says to whatever stands at a URL, with whatever stands for a token.
async fn said_by(sdk: &[&str], recorder: &Receiver, url: &str, token: &str) -> Vec<(String, String, String)> {
    let before = recorder.received().len();
    let apps = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/apps");
    let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/bolt-js/node_modules");
    let mut command = Command::new(sdk[0]);
    command.args(&sdk[1..]).args([url, token]).current_dir(&apps).env("NODE_PATH", modules);
    let ended = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(ended.status.success(), "{sdk:?}: {}", String::from_utf8_lossy(&ended.stderr));
    let said = recorder.received().split_off(before).into_iter().map(|got| {
        let header = |name: &str| got.header(name).unwrap_or_default().to_owned();
        let kinds = format!("{} by {}", header("content-type"), header("user-agent"));
        (got.path.clone(), kinds, got.text().replace(token, ""))
    });
    said.collect()
}

#[tokio::test]
async fn the_official_sdks_say_the_same_as_without_a_gateway() {
    let (slack, gateway, key) = scene().await;
    let address = slack.address;
    slack.stop_and_wait().await;
    let answer = r#"{"ok":true,"channel":"C1","ts":"1.1","channels":[]}"#;
    let answer = move |_| async move { response(200, "content-type: application/json\r\n", answer) };
    let recorder = Receiver::start(address.port(8081), Reply::of(answer)).await;
    let python = ".venv/bin/python";
    for sdk in
        [&["node", "web_api.cjs"][..], &[python, "web_api.py", "sync"], &[python, "web_api.py", "async"]]
    {
        let direct = said_by(sdk, &recorder, &format!("{}/api/", address.url(8081)), "xoxb-direct").await;
        let through = said_by(sdk, &recorder, &format!("{}/slack/api/", gateway.url), &key).await;
        assert_eq!(direct.len(), 3, "{direct:?}");
        assert_eq!(through, direct, "{sdk:?}");
    }
}

#[tokio::test]
async fn what_is_said_keeps_slacks_pace_and_is_else_told_when_to_come_again() {
    let slack = Slack::start().await;
    let gateway = GatewaySetup::of(&slack).with("TAUTLINE_CHANNEL_PACE_MS", "60000").start();
    let key = gateway.tenant("acme").await;
    Browser::default().connect(&slack, &gateway.connect_link(&key).await).await;
    let say = async |channel: &str, text: &str| {
        let request = http().post(format!("{}/slack/api/chat.postMessage", gateway.url)).bearer_auth(&key);
        let body = json!({ "channel": channel, "text": text }).to_string();
        request.header("content-type", "application/json").body(body).send().await.unwrap()
    };
    assert_eq!(say("#general", "one").await.status(), StatusCode::OK);
    let second = say("general", "two").await;
    assert_eq!(second.status(), StatusCode::TOO_MANY_REQUESTS);
    let wait_s: u64 = second.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((30..=61).contains(&wait_s), "{wait_s}");
    let told: Value = serde_json::from_str(&second.text().await.unwrap()).unwrap();
    assert_eq!((&told["ok"], &told["error"]), (&json!(false), &json!("ratelimited")));
    assert_eq!(say("random", "elsewhere").await.status(), StatusCode::OK, "another channel");
    let queued = json!({ "to": { "channel": "#general" }, "text": "three" });
    let path = "/api/v1/integrations/slack/messages";
    let (_, made) = gateway.ask(reqwest::Method::POST, path, Some(&key), None, Some(queued)).await;
    let (_, waiting) = gateway.get(&format!("{path}/{}", made["id"].as_str().unwrap()), &key).await;
    assert_eq!(waiting["state"], "queued", "what is queued keeps the same pace: {waiting}");
    assert_eq!(slack.messages().await.len(), 1);
    let info = http().get(format!("{}/slack/api/conversations.list", gateway.url)).bearer_auth(&key);
    assert_eq!(send(info).await.0, StatusCode::OK, "to look is free");
}

#[tokio::test]
async fn files_go_up_as_they_come_are_shown_in_their_turn_and_come_down_again() {
    let slack = Slack::start().await;
    let scopes = "chat:write,channels:read,channels:history,files:write,files:read";
    let gateway = GatewaySetup::of(&slack).with("SLACK_BOT_SCOPES", scopes).start();
    let key = gateway.tenant("acme").await;
    Browser::default().connect(&slack, &gateway.connect_link(&key).await).await;
    let bytes = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect::<Vec<_>>();
    let channel = slack.channel("general").await;
    let path = "/api/v1/integrations/slack/files";
    let url = format!("{}{path}?channel={channel}&filename=report.bin&initial_comment=look", gateway.url);
    let upload = |body: Vec<u8>| {
        let request = http().post(&url).bearer_auth(&key).header("idempotency-key", "file-1");
        send(request.header("content-type", "application/octet-stream").body(body))
    };
    let (status, made) = upload(bytes.clone()).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{made}");
    let (_, again) = upload(bytes.clone()).await;
    assert_eq!((&again["id"], &again["file"]), (&made["id"], &Value::Null), "once");
    let shown = slack.wait_for_message("look").await;
    assert_eq!(shown["files"][0]["id"], made["file"]);
    assert_eq!(slack.messages().await.len(), 1);
    let private = shown["files"][0]["url_private"].as_str().unwrap();
    let get = |url: &str| {
        let url = format!("{}/slack/files?{}", gateway.url, form(&[("url", url)]));
        http().get(url).bearer_auth(&key).send()
    };
    let down = get(private).await.unwrap();
    assert_eq!(down.status(), StatusCode::OK);
    assert_eq!(down.bytes().await.unwrap(), bytes);
    assert_eq!(
        get(&format!("{private}x")).await.unwrap().status(),
        StatusCode::FORBIDDEN,
        "a page to sign in at"
    );
    for foreign in ["https://files.slack.com.evil.example/x", "file:///etc/passwd", "https://example.com/"] {
        assert_eq!(get(foreign).await.unwrap().status(), StatusCode::BAD_REQUEST, "{foreign}");
    }
    let unsaid = upload(Vec::new()).await;
    assert_eq!((unsaid.0, &unsaid.1["code"]), (StatusCode::LENGTH_REQUIRED, &json!("length_required")));
    let unknown = http().get(format!("{}/slack/files?{}", gateway.url, form(&[("url", private)])));
    assert_eq!(unknown.bearer_auth("tl_wrong").send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn what_slack_gets_is_the_same_bytes_token_aside() {
    let (slack, gateway, key) = scene().await;
    // In Slack's place, after the connect: somebody who writes down what comes.
    let address = slack.address.port(8081);
    slack.stop_and_wait().await;
    let recorder = Receiver::start(address, Reply::Say(OK)).await;
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
