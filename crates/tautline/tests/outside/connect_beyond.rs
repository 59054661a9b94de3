//! Connecting, beyond the straight way: installs that begin at Slack, orgs, scopes that are declined, tokens of people, moves.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{
    ADMIN_KEY, Address, Browser, Gateway, GatewaySetup, Page, Received, Receiver, Reply, Slack, eventually,
    http, response,
};

const INSTALLATIONS: &str = "/api/v1/integrations/slack/installations";
const MESSAGES: &str = "/api/v1/integrations/slack/messages";

async fn scene() -> (Slack, Gateway, String) {
    let slack = Slack::start().await;
    let gateway = GatewaySetup::of(&slack).start();
    let key = gateway.tenant("acme").await;
    (slack, gateway, key)
}

async fn signed_in(gateway: &Gateway, key: &str) -> Browser {
    let browser = Browser::default();
    let pairs = [("key", key), ("tenant", ""), ("return_to", "")];
    let page = browser.submit(&format!("{}/sign-in", gateway.url), &pairs).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.html);
    browser
}

fn field(page: &Page, name: &str) -> String {
    let (_, rest) =
        page.html.split_once(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("{}", page.html));
    rest.split('"').next().unwrap().to_owned()
}

/// Slack's own page sends somebody back who began nothing here; the address at which it is claimed.
async fn begun_at_slack(slack: &Slack, gateway: &Gateway, name: Option<&str>) -> String {
    let key = gateway.tenant("somebody").await;
    let browser = Browser::default();
    let consent = browser.begin(&gateway.connect_link(&key).await).await;
    let callback = browser.decide_for(slack, &consent, "allow", name).await;
    // With an empty state, as Slack has it.
    let parked =
        Browser::default().get(&format!("{}&state=", callback.split("&state=").next().unwrap())).await;
    assert_eq!(parked.status, StatusCode::SEE_OTHER, "{}", parked.html);
    parked.location.unwrap()
}

#[tokio::test]
async fn what_begins_at_slack_waits_for_somebody_who_claims_it() {
    let (slack, gateway, key) = scene().await;
    let claim = begun_at_slack(&slack, &gateway, None).await;
    for _ in 0..2 {
        let stranger = Browser::default().get(&claim).await;
        assert_eq!(stranger.status, StatusCode::OK);
        assert!(stranger.html.contains("install_parked"), "however often it is loaded: {}", stranger.html);
        assert!(
            stranger.html.contains("/sign-in?return_to=%2Fchannels%2Fslack%2Fclaim"),
            "{}",
            stranger.html
        );
    }
    assert!(gateway.installations(&key).await.is_empty(), "nobody has it by itself");
    let (_, unclaimed) = gateway.post("/api/v1/keys", json!({ "tenant": "acme", "scopes": ["read"] })).await;
    let reader = signed_in(&gateway, unclaimed["key"].as_str().unwrap()).await;
    assert_eq!(reader.get(&claim).await.status, StatusCode::FORBIDDEN, "only who may manage");

    let admin = signed_in(&gateway, &key).await;
    let page = admin.get(&claim).await;
    assert!(page.html.contains("<strong>Acme Rockets</strong>"), "{}", page.html);
    assert!(page.html.contains("<strong>acme</strong>"), "{}", page.html);
    assert!(gateway.installations(&key).await.is_empty(), "to look is not to claim");
    let (token, install) = (field(&page, "form_token"), field(&page, "install"));
    let post_to = claim.split('?').next().unwrap();
    let forged = admin.submit(post_to, &[("form_token", "AAAA"), ("install", &install)]).await;
    assert_eq!(forged.status, StatusCode::FORBIDDEN);
    let done = admin.submit(post_to, &[("form_token", &token), ("install", &install)]).await;
    assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.html);
    assert_eq!(gateway.installations(&key).await[0]["team"]["name"], "Acme Rockets");
    assert_eq!(admin.get(&claim).await.status, StatusCode::GONE, "once");

    let globex = gateway.tenant("globex").await;
    let claim = begun_at_slack(&slack, &gateway, None).await;
    let other = signed_in(&gateway, &globex).await;
    let page = other.get(&claim).await;
    let pairs = [("form_token", field(&page, "form_token")), ("install", field(&page, "install"))];
    let pairs = pairs.each_ref().map(|(name, value)| (*name, value.as_str()));
    let taken = other.submit(claim.split('?').next().unwrap(), &pairs).await;
    assert_eq!(taken.status, StatusCode::CONFLICT, "another tenant has it: {}", taken.html);
    assert_eq!(gateway.installations(&globex).await.len(), 0);
}

#[tokio::test]
async fn a_denial_without_a_state_is_a_denial() {
    let (_slack, gateway, _) = scene().await;
    let callback = format!("{}/api/v1/integrations/slack/oauth/callback", gateway.url);
    let page = Browser::default().get(&format!("{callback}?error=access_denied")).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert!(page.html.contains("access_denied"));
    let page = Browser::default().get(&format!("{callback}?code=made-up")).await;
    assert!(page.html.contains("code_refused"), "{}", page.html);
}

#[tokio::test]
async fn scopes_that_are_declined_are_said_and_add_up_later() {
    let (slack, gateway, key) = scene().await;
    let connect = async |declined: &str| {
        let browser = Browser::default();
        let consent = browser.begin(&gateway.connect_link(&key).await).await;
        let declined = format!("{consent}&declined={declined}");
        browser.get(&browser.decide(&slack, &declined, "allow").await).await
    };
    let page = connect("files:write,links:read").await;
    assert!(page.html.contains("Not granted: links:read, files:write"), "{}", page.html);
    let missing = async || gateway.installations(&key).await[0]["missing_scopes"].clone();
    assert_eq!(missing().await, json!(["links:read", "files:write"]));
    let page = connect("chat:write,links:read").await;
    assert!(page.html.contains("Not granted: links:read."), "what was granted before stays: {}", page.html);
    assert_eq!(missing().await, json!(["links:read"]));
}

#[tokio::test]
async fn the_workspace_that_is_hinted_at_is_not_believed() {
    let (slack, gateway, key) = scene().await;
    let hinted = format!("{}?team=T0123HINT", gateway.connect_link(&key).await);
    let browser = Browser::default();
    let consent = browser.begin(&hinted).await;
    assert!(consent.contains("&team=T0123HINT"), "{consent}");
    let done = browser.get(&browser.decide(&slack, &consent, "allow").await).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.html);
    assert_eq!(
        gateway.installations(&key).await[0]["team"]["name"],
        "Acme Rockets",
        "what was chosen counts"
    );
    let odd = format!("{}?team=T1%26scope%3Dadmin", gateway.connect_link(&key).await);
    let consent = browser.begin(&odd).await;
    assert!(!consent.contains("admin"), "{consent}");
}

#[tokio::test]
async fn a_persons_token_is_kept_with_the_bots_and_revoked_with_it() {
    let (slack, gateway, key) = scene().await;
    let browser = Browser::default();
    let consent = browser.begin(&gateway.connect_link(&key).await).await;
    let consent = format!("{consent}&user_scope=search%3Aread");
    let page = browser.get(&browser.decide(&slack, &consent, "allow").await).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.html);
    let id = gateway.installations(&key).await[0]["id"].as_str().unwrap().to_owned();
    let path = format!("{INSTALLATIONS}/{id}");
    let (status, gone) = gateway.ask(Method::DELETE, &path, Some(&key), None, None).await;
    assert_eq!((status, &gone["revoked"]), (StatusCode::OK, &json!(true)), "{gone}");
    let revoked = slack.log().await.iter().filter(|entry| entry["what"] == "auth.revoke").count();
    assert_eq!(revoked, 2, "the person's and the bot's");
}

/// A Slack whose every install is of a whole org, with a webhook.
async fn org_slack(address: Address) -> Receiver {
    let access = json!({
        "ok": true, "access_token": "xoxb-org", "token_type": "bot", "app_id": "A0ORG", "bot_user_id": "U0BOT",
        "scope": "chat:write,commands,incoming-webhook", "team": null, "enterprise": { "id": "E0ORG", "name": "Mega Corp" },
        "is_enterprise_install": true, "authed_user": { "id": "U0ADMIN" },
        "incoming_webhook": { "url": "https://hooks.slack.com/services/T/B/hook-secret", "channel": "#x" },
    });
    let tested = json!({ "ok": true, "url": "https://mega.enterprise.slack.com/", "team_id": "E0ORG",
        "enterprise_id": "E0ORG", "is_enterprise_install": true, "user_id": "U0BOT", "bot_id": "B0BOT" });
    let answer = move |got: Received| {
        let body =
            if got.path.ends_with("oauth.v2.access") { access.to_string() } else { tested.to_string() };
        async move { response(200, "content-type: application/json\r\n", &body) }
    };
    Receiver::start(address.port(8081), Reply::of(answer)).await
}

#[tokio::test]
async fn an_org_is_connected_as_a_whole() {
    let address = Address::new();
    let _slack = org_slack(address).await;
    let gateway = GatewaySetup::bare(address)
        .with("TAUTLINE_SLACK_URL", &address.url(8081))
        .with("SLACK_CLIENT_ID", "1.2")
        .with("SLACK_CLIENT_SECRET", "client-secret")
        .with("SLACK_BOT_SCOPES", "chat:write,commands,incoming-webhook")
        .with("TAUTLINE_ENCRYPTION_KEYS", crate::support::ENCRYPTION_KEYS)
        .start();
    let key = gateway.tenant("acme").await;
    let browser = Browser::default();
    let consent = browser.begin(&gateway.connect_link(&key).await).await;
    let state = consent.split("state=").nth(1).unwrap().split('&').next().unwrap();
    let callback = format!("{}/api/v1/integrations/slack/oauth/callback?code=c&state={state}", gateway.url);
    let page = browser.get(&callback).await;
    assert!(page.html.contains("Mega Corp is connected"), "{}", page.html);
    let add = "https://app.slack.com/manage/E0ORG/integrations/profile/A0ORG/workspaces/add";
    assert!(page.html.contains(add), "where its workspaces are chosen: {}", page.html);
    let found = gateway.installations(&key).await.remove(0);
    assert_eq!((&found["team"], &found["is_enterprise_install"]), (&Value::Null, &json!(true)));
    assert_eq!(found["enterprise"]["id"], "E0ORG");
    // What acts in one of its workspaces acts as the org.
    let request =
        http().post(format!("{}/slack/api/auth.test", gateway.url)).bearer_auth(format!("{key}.T0WORK"));
    let tested: Value = serde_json::from_str(&request.send().await.unwrap().text().await.unwrap()).unwrap();
    assert_eq!(tested["enterprise_id"], "E0ORG", "{tested}");
    let message = json!({ "to": { "channel": "C1" }, "text": "x", "team_id": "T0WORK" });
    let (status, accepted) = gateway.ask(Method::POST, MESSAGES, Some(&key), None, Some(message)).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{accepted}");
    assert!(!std::fs::read(gateway.database()).unwrap().windows(11).any(|part| part == b"hook-secret"));
}

#[tokio::test]
async fn a_workspace_goes_to_another_tenant() {
    let (slack, gateway, acme) = scene().await;
    let globex = gateway.tenant("globex").await;
    Browser::default().connect(&slack, &gateway.connect_link(&acme).await).await;
    let id = gateway.installations(&acme).await[0]["id"].as_str().unwrap().to_owned();
    let mut waiting = Vec::new();
    // Of one channel one goes a second: the last is far away.
    for number in 0..30 {
        let message = json!({ "to": { "channel": "#general" }, "text": format!("number {number}") });
        let (_, sent) = gateway.ask(Method::POST, MESSAGES, Some(&acme), None, Some(message)).await;
        waiting.push(sent["id"].as_str().unwrap().to_owned());
    }
    let path = format!("{INSTALLATIONS}/{id}/move");
    let to = async |key: &str, tenant: &str| {
        gateway.ask(Method::POST, &path, Some(key), None, Some(json!({ "tenant": tenant }))).await
    };
    assert_eq!(to(&acme, "globex").await.0, StatusCode::FORBIDDEN, "a tenant gives nothing away");
    assert_eq!(to(ADMIN_KEY, "initech").await.0, StatusCode::NOT_FOUND);
    let (_, same) = to(ADMIN_KEY, "acme").await;
    assert_eq!(same["from"], Value::Null, "{same}");
    let (status, moved) = to(ADMIN_KEY, "globex").await;
    assert_eq!((status, &moved["from"]), (StatusCode::OK, &json!("acme")), "{moved}");
    assert!(gateway.installations(&acme).await.is_empty());
    let found = gateway.installations(&globex).await.remove(0);
    assert_eq!((&found["id"], &found["health"]), (&moved["id"], &json!("connected")));
    assert_ne!(moved["id"], id.as_str(), "what is on record of it stays acme's");
    let (_, last) = gateway.get(&format!("{MESSAGES}/{}", waiting[29]), &acme).await;
    assert_eq!(last["state"], "failed");
    assert_eq!(last["error"], "the workspace went to another account before it was sent");
    slack.say("<@BOT> hello").await;
    eventually("what is said there is globex's", async || {
        (!gateway.inbox(&globex).await.iter().all(|request| request["kind"] != "event")).then_some(())
    })
    .await;
    let message = json!({ "to": { "channel": "#general" }, "text": "by globex" });
    gateway.ask(Method::POST, MESSAGES, Some(&globex), None, Some(message)).await;
    slack.wait_for_message("by globex").await;
    for (key, who) in [(&acme, "acme"), (&globex, "globex")] {
        let (_, audit) = gateway.get("/api/v1/audit", key).await;
        let moved =
            audit["entries"].as_array().unwrap().iter().any(|entry| entry["action"] == "installation.moved");
        assert!(moved, "{who}: {audit}");
    }
}

#[tokio::test]
async fn what_waits_for_a_workspace_that_leaves_fails_with_the_reason() {
    let (slack, gateway, key) = scene().await;
    Browser::default().connect(&slack, &gateway.connect_link(&key).await).await;
    let mut waiting = Vec::new();
    // Of one channel one goes a second: the last is far away.
    for number in 0..30 {
        let message = json!({ "to": { "channel": "#general" }, "text": format!("number {number}") });
        let (_, sent) = gateway.ask(Method::POST, MESSAGES, Some(&key), None, Some(message)).await;
        waiting.push(sent["id"].as_str().unwrap().to_owned());
    }
    let id = gateway.installations(&key).await[0]["id"].as_str().unwrap().to_owned();
    let path = format!("{INSTALLATIONS}/{id}");
    assert_eq!(gateway.ask(Method::DELETE, &path, Some(&key), None, None).await.0, StatusCode::OK);
    let (_, last) = gateway.get(&format!("{MESSAGES}/{}", waiting[29]), &key).await;
    assert_eq!(last["state"], "failed", "at once, and not one by one");
    assert_eq!(last["error"], "the workspace was disconnected before it was sent");
}
