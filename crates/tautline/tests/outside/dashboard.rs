//! The dashboard's doors: who gets in, how, and for how long.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{ADMIN_KEY, Browser, Gateway, GatewaySetup, Slack, http};

const LINKS: &str = "/api/v1/dashboard-links";

async fn scene() -> (Slack, Gateway, String) {
    let slack = Slack::start().await;
    let gateway = GatewaySetup::of(&slack).with("TAUTLINE_RETURN_ORIGINS", "https://app.example.com").start();
    let key = gateway.tenant("acme").await;
    (slack, gateway, key)
}

async fn link(gateway: &Gateway, key: &str, body: Value) -> String {
    let (status, made) = gateway.ask(Method::POST, LINKS, Some(key), None, Some(body)).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    assert!(made["expires_at"].is_string());
    made["url"].as_str().unwrap().to_owned()
}

/// A browser that is signed in at acme's dashboard.
async fn signed_in(gateway: &Gateway, key: &str) -> Browser {
    let browser = Browser::default();
    assert_eq!(browser.get(&link(gateway, key, json!({})).await).await.status, StatusCode::SEE_OTHER);
    browser
}

fn field<'p>(page: &'p str, name: &str) -> &'p str {
    let marked = format!("name=\"{name}\" value=\"");
    page.split(marked.as_str()).nth(1).and_then(|rest| rest.split('"').next()).expect("a field of the form")
}

#[tokio::test]
async fn a_link_signs_in_once_and_leads_where_it_says() {
    let (_slack, gateway, key) = scene().await;
    let link = link(&gateway, &key, json!({ "return_to": "/inbox" })).await;
    let (first, second) = (Browser::default(), Browser::default());
    let looked = http().head(&link).send().await.unwrap();
    assert_eq!(looked.status(), StatusCode::OK, "a program that only looks uses nothing up");
    assert!(looked.headers().get("set-cookie").is_none());
    let page = first.get(&link).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    assert_eq!(page.location.as_deref(), Some(format!("{}/inbox", gateway.url).as_str()));
    let page = first.get(&page.location.unwrap()).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.html.contains("<h1>Inbox</h1>") && page.html.contains("acme"), "{}", page.html);
    for browser in [&second, &first] {
        let page = browser.get(&link).await;
        assert_eq!(page.status, StatusCode::GONE);
        assert!(page.html.contains("link_used"), "{}", page.html);
    }
    assert_eq!(second.get(&format!("{}/inbox", gateway.url)).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_link_is_made_by_who_may_manage_and_leads_nowhere_else() {
    let (_slack, gateway, key) = scene().await;
    let elsewhere = json!({ "return_to": "https://evil.example/" });
    let (status, refused) = gateway.ask(Method::POST, LINKS, Some(&key), None, Some(elsewhere)).await;
    assert_eq!((status, &refused["code"]), (StatusCode::BAD_REQUEST, &json!("return_to_refused")));
    let start = json!({ "return_to": "/api/v1/integrations/slack/oauth/start" });
    let (status, refused) = gateway.ask(Method::POST, LINKS, Some(&key), None, Some(start)).await;
    assert_eq!((status, &refused["code"]), (StatusCode::BAD_REQUEST, &json!("return_to_refused")));
    let reader = json!({ "tenant": "acme", "scopes": ["read"] });
    let (_, reader) = gateway.post("/api/v1/keys", reader).await;
    let (status, refused) =
        gateway.ask(Method::POST, LINKS, reader["key"].as_str(), None, Some(json!({}))).await;
    assert_eq!((status, &refused["code"]), (StatusCode::FORBIDDEN, &json!("scope_missing")));
    let (status, _) = gateway.ask(Method::POST, LINKS, Some(ADMIN_KEY), Some("acme"), Some(json!({}))).await;
    assert_eq!(status, StatusCode::CREATED, "the platform names the tenant");
    let (status, _) = gateway.ask(Method::GET, &format!("{LINKS}/guess"), None, None, None).await;
    assert_eq!(status, StatusCode::GONE);
}

#[tokio::test]
async fn a_key_signs_in_through_the_form() {
    let (_slack, gateway, key) = scene().await;
    let submit = async |key: &str, tenant: &str, return_to: &str| {
        let browser = Browser::default();
        let url = format!("{}/sign-in", gateway.url);
        let fields = [("key", key), ("tenant", tenant), ("return_to", return_to)];
        let page = browser.submit(&url, &fields).await;
        (browser, page)
    };
    let (browser, page) = submit(&key, "", "/messages").await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    assert_eq!(page.location.as_deref(), Some(format!("{}/messages", gateway.url).as_str()));
    assert_eq!(browser.get(&page.location.unwrap()).await.status, StatusCode::OK);
    for elsewhere in
        ["https://evil.example/", "//evil.example", "/\\evil.example", "https://app.example.com/"]
    {
        let (_, page) = submit(&key, "", elsewhere).await;
        assert_eq!(page.location.as_deref(), Some("/"), "nobody is led elsewhere: {elsewhere}");
    }
    let (browser, page) = submit("tl_guess", "", "").await;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED);
    assert!(page.html.contains("This key is unknown"), "{}", page.html);
    assert!(!page.html.contains("tl_guess"), "a key is not repeated");
    assert_eq!(browser.get(&gateway.url).await.status, StatusCode::UNAUTHORIZED);
    let (_, page) = submit(ADMIN_KEY, "", "").await;
    assert!(page.html.contains("Name the tenant"), "a platform key is not a tenant's: {}", page.html);
    let (_, page) = submit(ADMIN_KEY, "nobody", "").await;
    assert!(page.html.contains("There is no tenant"), "{}", page.html);
    let (browser, _) = submit(ADMIN_KEY, "acme", "").await;
    assert!(browser.get(&gateway.url).await.html.contains("Slack for acme"));
    gateway.tenant("globex").await;
    let (_, page) = submit(&key, "globex", "").await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST, "another tenant's dashboard is not this key's");
}

#[tokio::test]
async fn without_a_session_every_page_is_the_sign_in_page() {
    let (_slack, gateway, _) = scene().await;
    for path in ["/", "/channels/slack", "/inbox", "/inbox/req_1", "/messages", "/messages/msg_1?x=1"] {
        let page = Browser::default().get(&format!("{}{path}", gateway.url)).await;
        assert_eq!(page.status, StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(field(&page.html, "return_to"), path, "and signing in leads back");
    }
    for path in ["/messages", "/sign-out"] {
        let page = Browser::default().submit(&format!("{}{path}", gateway.url), &[("text", "x")]).await;
        assert_eq!(page.status, StatusCode::UNAUTHORIZED, "{path}");
    }
}

#[tokio::test]
async fn a_session_ends_with_sign_out_whoever_kept_the_cookie() {
    let (_slack, gateway, key) = scene().await;
    let browser = signed_in(&gateway, &key).await;
    let page = browser.get(&gateway.url).await;
    let kept = browser.clone();
    let token = field(&page.html, "form_token").to_owned();
    let page = browser.submit(&format!("{}/sign-out", gateway.url), &[("form_token", &token)]).await;
    assert_eq!(page.location.as_deref(), Some("/sign-in?signed_out=yes"));
    assert_eq!(browser.get(&gateway.url).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(kept.get(&gateway.url).await.status, StatusCode::UNAUTHORIZED, "ended, not only forgotten");
}

#[tokio::test]
async fn signing_in_again_ends_the_session_before() {
    let (_slack, gateway, key) = scene().await;
    let browser = signed_in(&gateway, &key).await;
    let before = browser.clone();
    browser.submit(&format!("{}/sign-in", gateway.url), &[("key", &key)]).await;
    assert_eq!(browser.get(&gateway.url).await.status, StatusCode::OK);
    assert_eq!(before.get(&gateway.url).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn who_may_only_look_sees_no_way_to_speak() {
    let (slack, gateway, key) = scene().await;
    Browser::default().connect(&slack, &gateway.connect_link(&key).await).await;
    slack.command("/hello").await;
    let request = gateway.inbox(&key).await[0]["id"].as_str().unwrap().to_owned();
    let reader = json!({ "tenant": "acme", "scopes": ["read"] });
    let (_, reader) = gateway.post("/api/v1/keys", reader).await;
    let looking = Browser::default();
    looking.submit(&format!("{}/sign-in", gateway.url), &[("key", reader["key"].as_str().unwrap())]).await;
    let url = format!("{}/inbox/{request}", gateway.url);
    let page = looking.get(&url).await.html;
    assert!(page.contains("/hello") && page.contains("hidden: it speaks to Slack"), "{page}");
    assert!(!page.contains("/response/") && !page.contains("The bytes as they came"), "{page}");
    assert!(
        signed_in(&gateway, &key).await.get(&url).await.html.contains("/response/"),
        "who may send may see"
    );
}

#[tokio::test]
async fn a_form_of_another_site_or_another_session_does_nothing() {
    let (slack, gateway, key) = scene().await;
    Browser::default().connect(&slack, &gateway.connect_link(&key).await).await;
    let (browser, other) = (signed_in(&gateway, &key).await, signed_in(&gateway, &key).await);
    let foreign = other.get(&format!("{}/messages", gateway.url)).await;
    let foreign = field(&foreign.html, "form_token").to_owned();
    for token in ["", "forged", &foreign] {
        let fields = [("channel", "#general"), ("text", "x"), ("once", "1"), ("form_token", token)];
        let page = browser.submit(&format!("{}/messages", gateway.url), &fields).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{token}");
        let page = browser.submit(&format!("{}/sign-out", gateway.url), &[("form_token", token)]).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{token}");
    }
    let (_, sent) = gateway.get("/api/v1/integrations/slack/messages", &key).await;
    assert_eq!(sent["messages"], json!([]));
    for (header, value) in [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")] {
        let cross = http()
            .post(format!("{}/sign-in", gateway.url))
            .header(header, value)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("key={key}"));
        let answer = cross.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::FORBIDDEN);
        assert!(answer.headers().get("set-cookie").is_none(), "nobody is signed in by another site");
    }
}

#[tokio::test]
async fn the_dashboard_shows_its_own_tenants_things_alone() {
    let (slack, gateway, key) = scene().await;
    Browser::default().connect(&slack, &gateway.connect_link(&key).await).await;
    slack.say("@tautline hello").await;
    let request = gateway.inbox(&key).await[0]["id"].as_str().unwrap().to_owned();
    let body = json!({ "to": { "channel": "#general" }, "text": "hi" });
    let path = "/api/v1/integrations/slack/messages";
    let (_, message) = gateway.ask(Method::POST, path, Some(&key), None, Some(body)).await;
    let message = message["id"].as_str().unwrap().to_owned();
    let globex = gateway.tenant("globex").await;
    let (acme, globex) = (signed_in(&gateway, &key).await, signed_in(&gateway, &globex).await);
    for path in [format!("/inbox/{request}"), format!("/messages/{message}")] {
        assert_eq!(acme.get(&format!("{}{path}", gateway.url)).await.status, StatusCode::OK, "{path}");
        assert_eq!(
            globex.get(&format!("{}{path}", gateway.url)).await.status,
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
    for path in ["/inbox", "/messages", "/channels/slack"] {
        let page = globex.get(&format!("{}{path}", gateway.url)).await;
        assert!(!page.html.contains(&request) && !page.html.contains(&message), "{path}");
        assert!(!page.html.contains("Acme Rockets"), "{path}");
    }
}

#[tokio::test]
async fn who_may_only_look_is_shown_no_button_and_let_through_no_form() {
    let (slack, gateway, key) = scene().await;
    Browser::default().connect(&slack, &gateway.connect_link(&key).await).await;
    let reader = json!({ "tenant": "acme", "scopes": ["read"] });
    let (_, reader) = gateway.post("/api/v1/keys", reader).await;
    let browser = Browser::default();
    browser.submit(&format!("{}/sign-in", gateway.url), &[("key", reader["key"].as_str().unwrap())]).await;
    let page = browser.get(&format!("{}/channels/slack", gateway.url)).await;
    assert!(page.html.contains("Acme Rockets") && !page.html.contains("oauth/start"), "{}", page.html);
    let start = format!("{}/api/v1/integrations/slack/oauth/start", gateway.url);
    assert_eq!(browser.get(&start).await.status, StatusCode::FORBIDDEN);
    let page = browser.get(&format!("{}/messages", gateway.url)).await;
    assert!(!page.html.contains("Send one"), "{}", page.html);
    let token = field(&page.html, "form_token").to_owned();
    let fields = [("channel", "#general"), ("text", "x"), ("once", "1"), ("form_token", &token)];
    let page = browser.submit(&format!("{}/messages", gateway.url), &fields).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn who_may_not_look_sees_no_page() {
    let (_slack, gateway, _) = scene().await;
    let sender = json!({ "tenant": "acme", "scopes": ["send"] });
    let (_, sender) = gateway.post("/api/v1/keys", sender).await;
    let browser = Browser::default();
    browser.submit(&format!("{}/sign-in", gateway.url), &[("key", sender["key"].as_str().unwrap())]).await;
    for path in ["/", "/channels/slack", "/inbox", "/inbox/req_1", "/messages", "/messages/msg_1"] {
        let page = browser.get(&format!("{}{path}", gateway.url)).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{path}");
    }
}

#[tokio::test]
async fn a_button_pressed_twice_sends_one_message() {
    let (slack, gateway, key) = scene().await;
    Browser::default().connect(&slack, &gateway.connect_link(&key).await).await;
    let browser = signed_in(&gateway, &key).await;
    let url = format!("{}/messages", gateway.url);
    let page = browser.get(&url).await;
    let (token, once) = (field(&page.html, "form_token").to_owned(), field(&page.html, "once").to_owned());
    let fields =
        [("channel", "#general"), ("text", "pressed twice"), ("once", &once), ("form_token", &token)];
    let (first, second) = (browser.submit(&url, &fields).await, browser.submit(&url, &fields).await);
    assert_eq!(first.status, StatusCode::SEE_OTHER);
    assert_eq!(first.location, second.location);
    slack.wait_for_message("pressed twice").await;
    let (_, sent) = gateway.get("/api/v1/integrations/slack/messages", &key).await;
    assert_eq!(sent["messages"].as_array().unwrap().len(), 1);
    let fields = [("channel", "two words"), ("text", "kept"), ("once", "2"), ("form_token", &token)];
    let page = browser.submit(&url, &fields).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert!(page.html.contains("is no channel") && page.html.contains(">kept</textarea>"), "{}", page.html);
}

#[tokio::test]
async fn pages_run_nothing_and_are_framed_by_nobody() {
    let (_slack, gateway, key) = scene().await;
    let browser = signed_in(&gateway, &key).await;
    for path in ["/", "/channels/slack", "/inbox", "/messages", "/sign-in", "/inbox/nothing"] {
        let request = http().get(format!("{}{path}", gateway.url)).header("cookie", browser.cookies());
        let answer = request.send().await.unwrap();
        let headers = answer.headers().clone();
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'self';"), "{path}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("script-src"), "{policy}");
        assert_eq!(headers["cache-control"], "no-store");
        assert_eq!(headers["referrer-policy"], "no-referrer");
        let html = answer.text().await.unwrap();
        assert!(
            !html.contains("<script") && !html.contains("style=\"") && !html.contains(" onclick"),
            "{path}"
        );
    }
}
