//! Connecting a workspace, and every way in which that can end.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tautline_server::core::connect::ConnectState;
use tautline_server::core::{Clock as _, Purpose, SystemClock, SystemRng};
use tautline_store::Keyring;

use crate::support::{
    ADMIN_KEY, Address, Browser, ENCRYPTION_KEYS, Gateway, GatewaySetup, Slack, eventually, http,
};

const INSTALLATIONS: &str = "/api/v1/integrations/slack/installations";
const START: &str = "/api/v1/integrations/slack/oauth/start";

async fn scene() -> (Slack, Gateway, String) {
    let slack = Slack::start().await;
    let gateway = GatewaySetup::of(&slack).start();
    let key = gateway.tenant("acme").await;
    (slack, gateway, key)
}

#[tokio::test]
async fn a_workspace_is_connected_by_consent() {
    let (slack, gateway, key) = scene().await;
    let link = gateway.connect_link(&key).await;
    let page = Browser::default().connect(&slack, &link).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.html.contains("Acme Rockets is connected"), "{}", page.html);

    let found = gateway.installations(&key).await;
    assert_eq!(found.len(), 1);
    let installation = &found[0];
    assert!(installation["id"].as_str().unwrap().starts_with("ins_"));
    assert_eq!(installation["team"]["name"], "Acme Rockets");
    assert_eq!(installation["enterprise"], Value::Null);
    assert_eq!(installation["is_enterprise_install"], false);
    assert_eq!(installation["scopes"].as_array().unwrap().len(), 15);
    assert_eq!(installation["missing_scopes"], json!([]));
    assert_eq!(installation["health"], "connected");
    assert!(!found[0].to_string().contains("xoxb"), "no token in an answer");

    let (status, _) = gateway.ask(Method::GET, INSTALLATIONS, Some(ADMIN_KEY), Some("acme"), None).await;
    assert_eq!(status, StatusCode::OK, "the platform acts for the tenant it names");
    let page = Browser::default().get(&link).await;
    assert_eq!(page.status, StatusCode::GONE, "a successful connect ends the link");
}

#[tokio::test]
async fn a_link_starts_afresh_until_it_succeeds() {
    let (slack, gateway, key) = scene().await;
    let link = gateway.connect_link(&key).await;
    let browser = Browser::default();
    let first = browser.begin(&link).await;
    let callback = browser.decide(&slack, &first, "deny").await;
    let page = browser.get(&callback).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert!(page.html.contains("access_denied"), "{}", page.html);
    assert!(gateway.installations(&key).await.is_empty());

    let page = browser.get(&callback).await;
    assert_eq!(page.status, StatusCode::CONFLICT, "a denial consumes the state, too");
    let second = browser.begin(&link).await;
    assert_ne!(first, second, "a fresh state each time");
    let callback = browser.decide(&slack, &second, "allow").await;
    assert_eq!(browser.get(&callback).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_replayed_callback_connects_nothing_twice() {
    let (slack, gateway, key) = scene().await;
    let browser = Browser::default();
    let consent = browser.begin(&gateway.connect_link(&key).await).await;
    let callback = browser.decide(&slack, &consent, "allow").await;
    assert_eq!(browser.get(&callback).await.status, StatusCode::OK);
    let page = browser.get(&callback).await;
    assert_eq!(page.status, StatusCode::CONFLICT);
    assert!(page.html.contains("state_used"), "{}", page.html);
}

#[tokio::test]
async fn a_forged_or_missing_state_is_refused() {
    let (slack, gateway, key) = scene().await;
    let browser = Browser::default();
    let consent = browser.begin(&gateway.connect_link(&key).await).await;
    let callback = browser.decide(&slack, &consent, "allow").await;
    let (base, state) = callback.split_once("&state=").unwrap();
    let (claims, tag) = state.split_once('.').unwrap();
    let mut forged_claims = claims.to_owned();
    forged_claims.replace_range(10..11, if &claims[10..11] == "A" { "B" } else { "A" });
    for bad in
        [format!("{forged_claims}.{tag}"), format!("{claims}.AAAA"), "x".into(), "a.b".into(), ".".into()]
    {
        let page = browser.get(&format!("{base}&state={bad}")).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{bad}");
        assert!(page.html.contains("state_invalid"), "{}", page.html);
    }
    let page = browser.get(base.split('?').next().unwrap()).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert!(page.html.contains("state_missing"), "{}", page.html);
    assert!(gateway.installations(&key).await.is_empty());
    assert_eq!(browser.get(&callback).await.status, StatusCode::OK, "the true one still counts");
}

#[tokio::test]
async fn another_browser_is_asked_before_anything_is_redeemed() {
    let (slack, gateway, key) = scene().await;
    let (mine, theirs) = (Browser::default(), Browser::default());
    let consent = mine.begin(&gateway.connect_link(&key).await).await;
    let callback = theirs.decide(&slack, &consent, "allow").await;
    let page = theirs.get(&callback).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.html.contains("<strong>acme</strong>"), "it names the tenant: {}", page.html);
    assert!(gateway.installations(&key).await.is_empty(), "nothing is redeemed yet");

    let field = |name: &str| {
        let (_, rest) = page.html.split_once(&format!("name=\"{name}\" value=\"")).unwrap();
        rest.split('"').next().unwrap().to_owned()
    };
    let (confirmation, code) = (field("confirmation"), field("code"));
    let post_to = callback.split('?').next().unwrap();
    let other = [("confirmation", confirmation.as_str()), ("code", "another-code")];
    assert_eq!(
        theirs.submit(post_to, &other).await.status,
        StatusCode::BAD_REQUEST,
        "it confirms this code only"
    );
    let pairs = [("confirmation", confirmation.as_str()), ("code", code.as_str())];
    let done = theirs.submit(post_to, &pairs).await;
    assert_eq!(done.status, StatusCode::OK);
    assert!(done.html.contains("is connected"), "{}", done.html);
    assert_eq!(gateway.installations(&key).await.len(), 1);
    assert_eq!(theirs.submit(post_to, &pairs).await.status, StatusCode::CONFLICT, "and once");
}

#[tokio::test]
async fn a_browser_with_another_connect_under_way_is_refused() {
    let (slack, gateway, key) = scene().await;
    let (mallory, victim) = (Browser::default(), Browser::default());
    let consent = mallory.begin(&gateway.connect_link(&key).await).await;
    victim.begin(&gateway.connect_link(&key).await).await;
    let callback = victim.decide(&slack, &consent, "allow").await;
    let page = victim.get(&callback).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert!(page.html.contains("wrong_browser"), "{}", page.html);
    assert!(gateway.installations(&key).await.is_empty());
}

#[tokio::test]
async fn a_workspace_belongs_to_one_tenant() {
    let (slack, gateway, acme) = scene().await;
    let globex = gateway.tenant("globex").await;
    let browser = Browser::default();
    browser.connect(&slack, &gateway.connect_link(&acme).await).await;
    let page = browser.connect(&slack, &gateway.connect_link(&globex).await).await;
    assert_eq!(page.status, StatusCode::CONFLICT);
    assert!(page.html.contains("workspace_taken"), "{}", page.html);
    assert!(!page.html.contains("acme"), "whose it is, is not said: {}", page.html);
    assert!(gateway.installations(&globex).await.is_empty());
    assert_eq!(gateway.installations(&acme).await.len(), 1);
    slack.say("@tautline still there?").await;
    let (_, answer) = gateway.get("/slack/api/auth.test", &acme).await;
    assert_eq!(answer["ok"], true, "nothing was revoked");
}

#[tokio::test]
async fn connecting_again_renews_what_is_there() {
    let (slack, gateway, key) = scene().await;
    let browser = Browser::default();
    browser.connect(&slack, &gateway.connect_link(&key).await).await;
    let first = gateway.installations(&key).await;
    browser.connect(&slack, &gateway.connect_link(&key).await).await;
    let second = gateway.installations(&key).await;
    assert_eq!(second.len(), 1);
    assert_eq!(first[0]["id"], second[0]["id"]);
}

#[tokio::test]
async fn a_slack_that_is_down_at_callback_time_leaves_nothing_behind() {
    let (slack, gateway, key) = scene().await;
    let browser = Browser::default();
    let consent = browser.begin(&gateway.connect_link(&key).await).await;
    let callback = browser.decide(&slack, &consent, "allow").await;
    slack.stop();
    eventually("Slack is down", async || http().get(&slack.url).send().await.err().map(drop)).await;
    let page = browser.get(&callback).await;
    assert_eq!(page.status, StatusCode::BAD_GATEWAY);
    assert!(page.html.contains("slack_unreachable"), "{}", page.html);
    assert!(gateway.installations(&key).await.is_empty());
}

#[tokio::test]
async fn a_wrong_client_secret_is_the_operators_fault_and_said_so() {
    let slack = Slack::start().await;
    let setup = GatewaySetup::of(&slack).without("SLACK_CLIENT_SECRET").with("SLACK_CLIENT_SECRET", "wrong");
    let gateway = setup.start();
    let key = gateway.tenant("acme").await;
    let page = Browser::default().connect(&slack, &gateway.connect_link(&key).await).await;
    assert_eq!(page.status, StatusCode::BAD_GATEWAY);
    assert!(page.html.contains("SLACK_CLIENT_SECRET"), "{}", page.html);
    assert!(gateway.installations(&key).await.is_empty());
}

#[tokio::test]
async fn start_needs_an_operator_and_an_app() {
    let (_slack, gateway, key) = scene().await;
    let (status, body) = gateway.ask(Method::GET, START, None, None, None).await;
    assert_eq!((status, body["code"].as_str()), (StatusCode::UNAUTHORIZED, Some("unauthorized")));
    let page = Browser::default().get(&format!("{}{START}", gateway.url)).await;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED);
    assert!(
        page.html.contains("<h1>Sign in</h1>") && page.html.contains("oauth/start"),
        "people get a page: {}",
        page.html
    );
    let answer = http().get(format!("{}{START}", gateway.url)).bearer_auth(&key).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::FOUND);
    assert!(answer.headers()["location"].to_str().unwrap().contains("/oauth/v2/authorize?client_id="));
    assert!(answer.headers()["set-cookie"].to_str().unwrap().contains("HttpOnly; SameSite=Lax"));

    let off = GatewaySetup::bare(Address::new()).start();
    let (status, body) = off.ask(Method::GET, START, None, None, None).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(body["fix"].as_str().unwrap().contains("SLACK_CLIENT_ID"), "{body}");
}

#[tokio::test]
async fn one_returns_only_to_where_it_is_allowed() {
    let slack = Slack::start().await;
    let gateway = GatewaySetup::of(&slack).with("TAUTLINE_RETURN_ORIGINS", "https://app.example.com").start();
    let key = gateway.tenant("acme").await;
    let path = "/api/v1/integrations/slack/connect-links";
    let ask = async |target: &str| {
        gateway.ask(Method::POST, path, Some(&key), None, Some(json!({ "return_to": target }))).await
    };
    for foreign in [
        "https://evil.example/",
        "//evil.example/",
        "https://app.example.com.evil.example/",
        "javascript:alert(1)",
        "http://app.example.com/",
    ] {
        let (status, body) = ask(foreign).await;
        assert_eq!(
            (status, body["code"].as_str()),
            (StatusCode::BAD_REQUEST, Some("return_to_refused")),
            "{foreign}"
        );
    }
    let (status, link) = ask("https://app.example.com/settings?tab=slack").await;
    assert_eq!(status, StatusCode::CREATED);
    let page = Browser::default().connect(&slack, link["url"].as_str().unwrap()).await;
    assert_eq!(page.status, StatusCode::FOUND);
    assert_eq!(page.location.as_deref(), Some("https://app.example.com/settings?tab=slack"));
}

#[tokio::test]
async fn a_state_is_good_for_ten_minutes() {
    let (slack, gateway, key) = scene().await;
    let browser = Browser::default();
    let consent = browser.begin(&gateway.connect_link(&key).await).await;
    let callback = browser.decide(&slack, &consent, "allow").await;
    // The same gateway's own state, of eleven minutes ago.
    let keys = Keyring::parse(ENCRYPTION_KEYS, Arc::new(SystemRng)).unwrap();
    let long_ago = SystemClock.now().before(Duration::from_secs(660));
    let state = ConnectState::new(&"acme".parse().unwrap(), "somebody", long_ago, &SystemRng);
    let expired = state.seal(Purpose::OAuthState, &keys);
    let (base, _) = callback.split_once("&state=").unwrap();
    let page = browser.get(&format!("{base}&state={expired}")).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert!(page.html.contains("state_expired"), "{}", page.html);
    assert!(gateway.installations(&key).await.is_empty());
}

#[tokio::test]
async fn one_link_connects_one_workspace() {
    let (slack, gateway, key) = scene().await;
    let link = gateway.connect_link(&key).await;
    let (first, second) = (Browser::default(), Browser::default());
    let consents = (first.begin(&link).await, second.begin(&link).await);
    let callback = first.decide_for(&slack, &consents.0, "allow", Some("Acme")).await;
    assert_eq!(first.get(&callback).await.status, StatusCode::OK);
    let callback = second.decide_for(&slack, &consents.1, "allow", Some("Globex")).await;
    let page = second.get(&callback).await;
    assert_eq!(page.status, StatusCode::GONE);
    assert!(page.html.contains("link_used"), "{}", page.html);
    assert_eq!(gateway.installations(&key).await.len(), 1);
}

#[tokio::test]
async fn the_redirect_uri_may_have_a_path_of_its_own() {
    let slack = Slack::start().await;
    let own = format!("{}/slack/oauth_redirect", slack.address.url(8080));
    let gateway = GatewaySetup::of(&slack).with("SLACK_REDIRECT_URI", &own).start();
    let key = gateway.tenant("acme").await;
    let browser = Browser::default();
    let consent = browser.begin(&gateway.connect_link(&key).await).await;
    let callback = browser.decide(&slack, &consent, "allow").await;
    assert!(callback.starts_with(&own), "{callback}");
    assert_eq!(browser.get(&callback).await.status, StatusCode::OK);
    assert_eq!(gateway.installations(&key).await.len(), 1);
}

#[tokio::test]
async fn pages_and_links_keep_their_addresses_to_themselves() {
    let (_slack, gateway, key) = scene().await;
    let link = gateway.connect_link(&key).await;
    for url in [link, format!("{}{}?state=x", gateway.url, "/api/v1/integrations/slack/oauth/callback")] {
        let answer = http().get(&url).send().await.unwrap();
        assert_eq!(answer.headers()["referrer-policy"], "no-referrer", "{url}");
        assert_eq!(answer.headers()["cache-control"], "no-store", "{url}");
    }
    let page =
        http().get(format!("{}/api/v1/integrations/slack/oauth/callback", gateway.url)).send().await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("frame-ancestors 'none'") && policy.contains("default-src 'none'"), "{policy}");
}

#[tokio::test]
async fn odd_callbacks_end_on_a_page() {
    let (_slack, gateway, _key) = scene().await;
    let callback = format!("{}/api/v1/integrations/slack/oauth/callback", gateway.url);
    for query in ["?state=a&state=b", "?state=%ff%fe", "?code=x", "?%", "?state="] {
        let page = Browser::default().get(&format!("{callback}{query}")).await;
        assert_eq!(page.status, StatusCode::BAD_REQUEST, "{query}");
        assert!(page.html.contains("Nothing was connected"), "{query}: {}", page.html);
    }
    let answer = http().post(&callback).body("confirmation").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    assert!(answer.text().await.unwrap().contains("state_invalid"));
}

#[tokio::test]
async fn without_oauth_there_are_no_links() {
    let gateway = GatewaySetup::bare(Address::new()).start();
    let key = gateway.tenant("acme").await;
    let path = "/api/v1/integrations/slack/connect-links";
    let (status, body) = gateway.ask(Method::POST, path, Some(&key), None, Some(json!({}))).await;
    assert_eq!((status, body["code"].as_str()), (StatusCode::SERVICE_UNAVAILABLE, Some("oauth_off")));
}
