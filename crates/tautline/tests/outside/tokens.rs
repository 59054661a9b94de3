//! Tokens (JWTs) of the product's own identity provider, sessions that begin with one, and those who guess.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tautline_server::core::{Clock as _, SystemRng};
use tautline_server::{Issuer, Ports, Server, Settings, Tuning};
use tautline_store::sqlite::SqliteOptions;
use tautline_store::{Keyring, SqliteStore};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::support::inside::{self, Moved};
use crate::support::issuer::{SigningKey, TokenIssuer};
use crate::support::{ADMIN_KEY, Address, Browser, form, http};

const PARTY: &str = "https://app.example.com";

/// A gateway whose clock the test moves, and the issuer whose tokens it takes.
struct Scene {
    url: String,
    clock: Arc<Moved>,
    issuer: TokenIssuer,
    key: SigningKey,
    stop: CancellationToken,
    _data: tempfile::TempDir,
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Scene {
    async fn new(provision: bool) -> Self {
        let (address, data, rng) = (Address::new(), tempfile::tempdir().unwrap(), Arc::new(SystemRng));
        let (issuer, key) = (TokenIssuer::start(address).await, SigningKey::es256());
        issuer.publish(&[key.public("k1")]);
        let clock = Moved::from_now();
        let vault = Arc::new(Keyring::single("test", [7; 32], rng.clone()));
        let options = SqliteOptions {
            path: data.path().join("tautline.db"),
            holder: "a test".into(),
            commit_gate: None,
        };
        let store = Arc::new(SqliteStore::open(options, vault.clone()).unwrap());
        let settings = Settings {
            issuer: Some(Issuer {
                issuer: issuer.url.clone(),
                audience: Vec::new(),
                parties: vec![PARTY.into()],
                tenant_claim: None,
                provision,
            }),
            return_origins: vec![url::Url::parse(PARTY).unwrap().origin()],
            ..inside::settings(address, Tuning::default())
        };
        let ports = Ports { store, vault, clock: clock.clone(), rng };
        let server = Server::new(settings, ports, Vec::new()).await.unwrap();
        let listener = TcpListener::bind(address.port(8080)).await.unwrap();
        let stop = CancellationToken::new();
        tokio::spawn(server.serve(listener, stop.clone()));
        Self { url: address.url(8080), clock, issuer, key, stop, _data: data }
    }

    fn claims(&self, more: Value) -> Value {
        let now_s = self.clock.now().as_secs();
        let mut claims = json!({
            "iss": self.issuer.url, "sub": "user_1", "azp": PARTY, "exp": now_s + 60, "nbf": now_s - 10,
            "v": 2, "o": { "id": "org_1", "rol": "admin", "slg": "acme" },
        });
        for (name, value) in more.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    }

    fn token(&self, more: Value) -> String {
        self.key.token(Some("k1"), &self.claims(more))
    }

    async fn ask(&self, method: Method, path: &str, key: &str, body: Option<Value>) -> (StatusCode, Value) {
        let mut request = http().request(method, format!("{}{path}", self.url)).bearer_auth(key);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default())
    }

    async fn inbox(&self, token: &str) -> (StatusCode, Value) {
        self.ask(Method::GET, "/api/v1/inbox", token, None).await
    }

    async fn tenant(&self, id: &str) {
        let (status, _) =
            self.ask(Method::POST, "/api/v1/tenants", ADMIN_KEY, Some(json!({ "id": id }))).await;
        assert!(status.is_success(), "{status}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_good_for_its_orgs_tenant_and_for_what_its_role_may() {
    let scene = Scene::new(false).await;
    let token = scene.token(json!({}));
    let (status, said) = scene.inbox(&token).await;
    assert_eq!((status, &said["code"]), (StatusCode::FORBIDDEN, &json!("org_unknown")), "{said}");
    scene.tenant("org_1").await;
    assert_eq!(scene.inbox(&token).await.0, StatusCode::OK);
    let (_, audit) = scene.ask(Method::GET, "/api/v1/audit", &token, None).await;
    assert!(audit["entries"].is_array(), "an admin may see it: {audit}");
    let member = scene.token(json!({ "o": { "id": "org_1", "rol": "member" } }));
    assert_eq!(scene.inbox(&member).await.0, StatusCode::OK);
    let (status, said) = scene.ask(Method::GET, "/api/v1/audit", &member, None).await;
    assert_eq!((status, &said["code"]), (StatusCode::FORBIDDEN, &json!("scope_missing")), "{said}");
    let first = json!({ "o": null, "v": null, "org_id": "org_1", "org_role": "org:admin" });
    assert_eq!(scene.inbox(&scene.token(first)).await.0, StatusCode::OK, "Clerk's first version");
    let (status, _) = scene.ask(Method::GET, "/api/v1/endpoints", &token, None).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "the platform's own is for platform keys");
    let home = scene.token(json!({ "o": { "id": "home", "rol": "admin" } }));
    assert_eq!(scene.inbox(&home).await.0, StatusCode::FORBIDDEN, "nobody becomes the company itself");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_org_becomes_a_tenant_only_where_that_is_wanted() {
    let scene = Scene::new(true).await;
    assert_eq!(scene.inbox(&scene.token(json!({}))).await.0, StatusCode::OK);
    let odd = scene.token(json!({ "o": { "id": "not an id", "rol": "admin" } }));
    let (status, said) = scene.inbox(&odd).await;
    assert_eq!((status, &said["code"]), (StatusCode::FORBIDDEN, &json!("token_without_tenant")), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_count_opens_nothing() {
    let scene = Scene::new(true).await;
    let code = async |token: String| {
        let (status, said) = scene.inbox(&token).await;
        (status.as_u16(), said["code"].as_str().unwrap_or_default().to_owned())
    };
    let refused = (401, "token_refused".to_owned());
    let now_s = scene.clock.now().as_secs();
    for claims in [
        json!({ "iss": "https://another.example.com" }),
        json!({ "exp": now_s - 31 }),
        json!({ "exp": null }),
        json!({ "nbf": now_s + 60 }),
        json!({ "azp": "https://evil.example.com" }),
    ] {
        assert_eq!(code(scene.token(claims.clone())).await, refused, "{claims}");
    }
    for claims in [json!({ "o": null }), json!({ "sts": "pending" })] {
        assert_eq!(code(scene.token(claims.clone())).await, (403, "token_without_tenant".into()), "{claims}");
    }
    let claims = scene.claims(json!({}));
    assert_eq!(code(SigningKey::es256().token(Some("k1"), &claims)).await, refused, "another's key");
    assert_eq!(code(SigningKey::rs256().token(Some("k1"), &claims)).await, refused, "another algorithm");
    let good = scene.token(json!({}));
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (header, body) = signed.split_once('.').unwrap();
    let with = |header: Value| format!("{}.{body}", BASE64.encode(header.to_string()));
    assert_eq!(code(format!("{}.", with(json!({ "alg": "none", "kid": "k1" })))).await, refused);
    assert_eq!(code(format!("{}.{signature}", with(json!({ "alg": "HS256", "kid": "k1" })))).await, refused);
    let forged = BASE64.encode(scene.claims(json!({ "o": { "id": "org_2", "rol": "admin" } })).to_string());
    assert_eq!(code(format!("{header}.{forged}.{signature}")).await, refused);
    assert_eq!(code("a.b.c".into()).await, refused);
    let critical = scene.key.token_with(json!({ "alg": "ES256", "kid": "k1", "crit": ["x"] }), &claims);
    assert_eq!(code(critical).await, refused, "its header insists on something unknown");
    assert_eq!(code(good).await.0, 200, "and the true one still counts");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_issuers_keys_are_looked_at_again_when_one_is_new_and_not_too_often() {
    let scene = Scene::new(true).await;
    assert_eq!(scene.inbox(&scene.token(json!({}))).await.0, StatusCode::OK);
    assert_eq!(scene.inbox(&scene.token(json!({}))).await.0, StatusCode::OK);
    assert_eq!(scene.issuer.asked(), 1, "once for many");
    let new = SigningKey::rs256();
    scene.issuer.publish(&[scene.key.public("k1"), new.public("k2")]);
    let rotated = async || {
        let claims = scene.claims(json!({}));
        scene.inbox(&new.token(Some("k2"), &claims)).await.0
    };
    assert_eq!(rotated().await, StatusCode::UNAUTHORIZED, "asked just now");
    for kid in 0..20 {
        let claims = scene.claims(json!({}));
        assert_eq!(
            scene.inbox(&new.token(Some(&format!("made up {kid}")), &claims)).await.0,
            StatusCode::UNAUTHORIZED
        );
    }
    assert_eq!(scene.issuer.asked(), 1, "nobody makes us ask");
    scene.clock.by(Duration::from_secs(30));
    assert_eq!(rotated().await, StatusCode::OK);
    scene.issuer.publish(&[new.public("k2")]);
    scene.clock.by(Duration::from_secs(10 * 60));
    assert_eq!(rotated().await, StatusCode::OK);
    assert_eq!(scene.inbox(&scene.token(json!({}))).await.0, StatusCode::UNAUTHORIZED, "the old key is gone");
    scene.issuer.receiver.reply(crate::support::Reply::Say("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n"));
    scene.clock.by(Duration::from_secs(10 * 60));
    assert_eq!(rotated().await, StatusCode::OK, "an issuer that is down locks nobody out");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_posted_once_by_the_products_page_begins_a_session_of_a_working_day() {
    let scene = Scene::new(true).await;
    let post = async |origin: Option<&str>| {
        let mut request = http()
            .post(format!("{}/sign-in", scene.url))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form(&[("key", &scene.token(json!({}))), ("return_to", "/inbox")]));
        if let Some(origin) = origin {
            request = request.header("origin", origin).header("sec-fetch-site", "cross-site");
        }
        let answer = request.send().await.unwrap();
        let cookie = answer.headers().get("set-cookie").map(|cookie| cookie.to_str().unwrap().to_owned());
        (answer.status(), cookie)
    };
    assert_eq!(post(Some("https://evil.example.com")).await.0, StatusCode::FORBIDDEN);
    let (status, cookie) = post(Some(PARTY)).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let cookie = cookie.unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    let pages = ["/", "/inbox", "/messages", "/channels/slack"];
    let page = async |path: &str| {
        let cookie = cookie.split(';').next().unwrap();
        let request = http().get(format!("{}{path}", scene.url)).header("cookie", cookie);
        request.send().await.unwrap().status()
    };
    scene.clock.by(Duration::from_secs(8 * 60 * 60 - 1));
    for path in pages {
        assert_ne!(page(path).await, StatusCode::UNAUTHORIZED, "{path}: long after the token has expired");
    }
    scene.clock.by(Duration::from_secs(1));
    for path in pages {
        assert_eq!(page(path).await, StatusCode::UNAUTHORIZED, "{path} with a session that expired");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_guess_are_told_to_wait_and_a_right_key_passes() {
    let scene = Scene::new(true).await;
    let guess = async |key: &str| {
        let answer = http().get(format!("{}/api/v1/inbox", scene.url)).bearer_auth(key).send().await.unwrap();
        let wait = answer.headers().get("retry-after").map(|wait| wait.to_str().unwrap().to_owned());
        (answer.status(), wait)
    };
    // At the beginning of a minute, whichever that is.
    let into = scene.clock.now().as_secs().rem_euclid(60);
    scene.clock.by(Duration::from_secs(60 - into.unsigned_abs()));
    for number in 0..300 {
        assert_eq!(guess(&format!("tl_guess{number}")).await.0, StatusCode::UNAUTHORIZED, "{number}");
    }
    let (status, wait) = guess("tl_one_more").await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    let wait: u64 = wait.expect("and how long").parse().unwrap();
    assert!((1..=61).contains(&wait), "{wait}");
    assert_eq!(guess(&scene.token(json!({}))).await.0, StatusCode::OK, "a right one passes");
    let proxied = http()
        .post(format!("{}/slack/api/auth.test", scene.url))
        .bearer_auth("tl_guess")
        .send()
        .await
        .unwrap();
    assert_eq!(proxied.status(), StatusCode::TOO_MANY_REQUESTS, "at every door");
    let browser = Browser::default();
    let page = browser.submit(&format!("{}/sign-in", scene.url), &[("key", "tl_guess")]).await;
    assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS);
    scene.clock.by(Duration::from_secs(60));
    assert_eq!(guess("tl_one_more").await.0, StatusCode::UNAUTHORIZED, "a new minute");
}
