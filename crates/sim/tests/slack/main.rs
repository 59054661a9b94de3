//! The simulated Slack refuses what Slack would refuse, and retries as Slack does.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tautline_sim::{Options, Registration, RetryWaits, Sim};
use tautline_slack::signing::{self, SigningSecret};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const REDIRECT: &str = "http://127.0.0.1/callback";

struct Scene {
    url: String,
    app: Arc<App>,
    _stop: tokio_util::sync::DropGuard,
}

/// An app that notes what it gets and answers what it is told to.
struct App {
    got: Mutex<Vec<(HeaderMap, Bytes)>>,
    answer: Mutex<StatusCode>,
}

async fn receive(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Response {
    app.got.lock().unwrap().push((headers, body));
    app.answer.lock().unwrap().into_response()
}

async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

async fn scene() -> Scene {
    let app = Arc::new(App { got: Mutex::default(), answer: Mutex::new(StatusCode::OK) });
    let app_url = serve(Router::new().route("/", post(receive)).with_state(app.clone())).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let sim = Sim::new(Options {
        public_url: url.parse().unwrap(),
        registration: Registration {
            client_id: "1.2".into(),
            client_secret: "right".into(),
            signing_secret: SigningSecret::new("signing").unwrap(),
            redirect_urls: vec![REDIRECT.into()],
            request_url: app_url.parse().unwrap(),
            bot_name: "tautline".into(),
        },
        state_file: None,
        seed: 7,
        retry_waits: RetryWaits([Duration::from_millis(1); 3]),
        patience: None,
        suggestions: Vec::new(),
    })
    .unwrap();
    let stop = CancellationToken::new();
    tokio::spawn(sim.serve(listener, stop.clone()));
    Scene { url, app, _stop: stop.drop_guard() }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap()
}

fn form(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

impl Scene {
    /// Where the consent screen sends the person, or the error it shows.
    async fn consent(
        &self,
        client_id: &str,
        redirect: &str,
        scope: &str,
        decision: &str,
    ) -> Result<String, String> {
        let page = client().get(format!("{}/messages", self.url)).send().await.unwrap();
        assert!(page.status().is_success());
        let asked = [("client_id", client_id), ("redirect_uri", redirect), ("scope", scope), ("state", "s")];
        let page =
            client().get(format!("{}/oauth/v2/authorize?{}", self.url, form(&asked))).send().await.unwrap();
        let html = page.text().await.unwrap();
        let Some(team) = html.split("<option value=\"").nth(1) else { return Err(html) };
        let team = team.split('"').next().unwrap();
        let pairs = [asked.as_slice(), &[("decision", decision), ("team", team)]].concat();
        let request = client().post(format!("{}/oauth/v2/authorize", self.url)).header(FORM.0, FORM.1);
        let answer = request.body(form(&pairs)).send().await.unwrap();
        Ok(answer.headers()["location"].to_str().unwrap().to_owned())
    }

    async fn code(&self) -> String {
        let back = self.consent("1.2", REDIRECT, "chat:write,users:read", "allow").await.unwrap();
        back.split("code=").nth(1).unwrap().split('&').next().unwrap().to_owned()
    }

    async fn access(&self, id: &str, secret: &str, code: &str, redirect: &str) -> Value {
        let request = client().post(format!("{}/api/oauth.v2.access", self.url)).basic_auth(id, Some(secret));
        let body = form(&[("code", code), ("redirect_uri", redirect)]);
        read(request.header(FORM.0, FORM.1).body(body)).await
    }

    async fn token(&self) -> String {
        let code = self.code().await;
        let answer = self.access("1.2", "right", &code, REDIRECT).await;
        answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    async fn call(&self, method: &str, token: &str, args: &Value) -> Value {
        let request = client().post(format!("{}/api/{method}", self.url)).bearer_auth(token);
        read(request.header("content-type", "application/json").body(args.to_string())).await
    }

    async fn act(&self, path: &str, act: &Value) -> Value {
        let request = client().post(format!("{}{path}", self.url)).header("content-type", "application/json");
        read(request.body(act.to_string())).await
    }

    async fn wait_for(&self, count: usize) -> Vec<(HeaderMap, Bytes)> {
        loop {
            let got = self.app.got.lock().unwrap().clone();
            if got.len() >= count {
                return got;
            }
            tokio::task::yield_now().await;
        }
    }
}

async fn read(request: reqwest::RequestBuilder) -> Value {
    serde_json::from_slice(&request.send().await.unwrap().bytes().await.unwrap()).unwrap()
}

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

#[tokio::test]
async fn an_event_is_retried_three_times_each_signed_afresh() {
    let scene = scene().await;
    scene.token().await;
    *scene.app.answer.lock().unwrap() = StatusCode::INTERNAL_SERVER_ERROR;
    let said = scene.act("/say", &json!({ "text": "hello" })).await;
    let got = scene.wait_for(4).await;
    let secret = [SigningSecret::new("signing").unwrap()];
    for (number, (headers, body)) in got.iter().enumerate() {
        let at = headers[signing::TIMESTAMP_HEADER].to_str().unwrap().parse().unwrap();
        assert!(signing::verify(&secret, headers, body.clone(), at).is_ok());
        let retry = headers.get("x-slack-retry-num").map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(retry, (number > 0).then(|| number.to_string()));
        let envelope: Value = serde_json::from_slice(body).unwrap();
        assert_eq!(envelope["event_id"], said["event_ids"][0], "the id stays");
    }
    assert_eq!(got[1].0["x-slack-retry-reason"], "http_error");
}

#[tokio::test]
async fn a_mention_is_two_events_and_a_command_none() {
    let scene = scene().await;
    assert_eq!(
        scene.act("/say", &json!({ "text": "anybody?" })).await["event_ids"],
        json!([]),
        "not installed yet"
    );
    scene.token().await;
    let said = scene.act("/say", &json!({ "text": "@tautline hello" })).await;
    assert_eq!(said["event_ids"].as_array().unwrap().len(), 2);
    let types: Vec<String> = scene
        .wait_for(2)
        .await
        .iter()
        .map(|(_, body)| {
            let envelope: Value = serde_json::from_slice(body).unwrap();
            envelope["event"]["type"].as_str().unwrap().to_owned()
        })
        .collect();
    assert!(types.contains(&"message".to_owned()) && types.contains(&"app_mention".to_owned()), "{types:?}");
    let came_back = scene.act("/command", &json!({ "command": "/x" })).await;
    assert_eq!(came_back["status"], 200);
    let (headers, body) = scene.wait_for(3).await.remove(2);
    assert_eq!(headers["content-type"], FORM.1);
    assert!(String::from_utf8_lossy(&body).contains("command=%2Fx"));
}

#[tokio::test]
async fn a_response_url_takes_five_answers() {
    let scene = scene().await;
    scene.token().await;
    scene.act("/command", &json!({ "command": "/x" })).await;
    let (_, body) = scene.wait_for(1).await.remove(0);
    let (_, url) = form_urlencoded::parse(&body).find(|(name, _)| name == "response_url").unwrap();
    for number in 1..=6 {
        let answer =
            client().post(url.as_ref()).body(json!({ "text": format!("word {number}") }).to_string()).send();
        let expected = if number <= 5 { StatusCode::OK } else { StatusCode::NOT_FOUND };
        assert_eq!(answer.await.unwrap().status(), expected, "answer {number}");
    }
}
