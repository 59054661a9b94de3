//! What the tests begin with: a Slack, and an app that notes what it gets.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use tautline_sim::{Options, Registration, RetryWaits, Sim};
use tautline_slack::signing::SigningSecret;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub const REDIRECT: &str = "http://127.0.0.1/callback";

pub struct Scene {
    pub url: String,
    pub app: Arc<App>,
    _stop: tokio_util::sync::DropGuard,
}

/// What the app answers.
#[derive(Clone)]
pub enum Reply {
    Status(StatusCode),
    Json(Value),
}

/// An app that notes what it gets and answers what it is told to.
pub struct App {
    pub got: Mutex<Vec<(HeaderMap, Bytes)>>,
    pub answer: Mutex<Reply>,
}

pub async fn receive(State(app): State<Arc<App>>, headers: HeaderMap, body: Bytes) -> Response {
    app.got.lock().unwrap().push((headers, body));
    match app.answer.lock().unwrap().clone() {
        Reply::Status(status) => status.into_response(),
        Reply::Json(json) => axum::Json(json).into_response(),
    }
}

pub async fn serve(router: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

pub async fn scene() -> Scene {
    let app = Arc::new(App { got: Mutex::default(), answer: Mutex::new(Reply::Status(StatusCode::OK)) });
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
        token_life_s: None,
        suggestions: Vec::new(),
    })
    .unwrap();
    let stop = CancellationToken::new();
    tokio::spawn(sim.serve(listener, stop.clone()));
    Scene { url, app, _stop: stop.drop_guard() }
}

pub fn client() -> reqwest::Client {
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap()
}

pub fn form(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

pub const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

impl Scene {
    /// Where the consent screen sends the person, or the error it shows.
    pub async fn consent(
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

    pub async fn code(&self) -> String {
        let back = self.consent("1.2", REDIRECT, "chat:write,users:read", "allow").await.unwrap();
        back.split("code=").nth(1).unwrap().split('&').next().unwrap().to_owned()
    }

    pub async fn access(&self, id: &str, secret: &str, code: &str, redirect: &str) -> Value {
        let request = client().post(format!("{}/api/oauth.v2.access", self.url)).basic_auth(id, Some(secret));
        let body = form(&[("code", code), ("redirect_uri", redirect)]);
        read(request.header(FORM.0, FORM.1).body(body)).await
    }

    pub async fn token(&self) -> String {
        let code = self.code().await;
        let answer = self.access("1.2", "right", &code, REDIRECT).await;
        answer["access_token"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    pub async fn call(&self, method: &str, token: &str, args: &Value) -> Value {
        let request = client().post(format!("{}/api/{method}", self.url)).bearer_auth(token);
        read(request.header("content-type", "application/json").body(args.to_string())).await
    }

    pub async fn act(&self, path: &str, act: &Value) -> Value {
        let request = client().post(format!("{}{path}", self.url)).header("content-type", "application/json");
        read(request.body(act.to_string())).await
    }

    pub async fn wait_for(&self, count: usize) -> Vec<(HeaderMap, Bytes)> {
        loop {
            let got = self.app.got.lock().unwrap().clone();
            if got.len() >= count {
                return got;
            }
            tokio::task::yield_now().await;
        }
    }
}

pub async fn read(request: reqwest::RequestBuilder) -> Value {
    serde_json::from_slice(&request.send().await.unwrap().bytes().await.unwrap()).unwrap()
}
