//! The first ten minutes, in a real browser: what a newcomer does, from the printed link on.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use thirtyfour::prelude::*;

use crate::dev::{dev, link, row};
use crate::support::{Chromium, LOOKS, Process, eventually, http};

/// `tautline dev`, and somebody in front of it.
struct Desk {
    _process: Process,
    _home: TempDir,
    gateway: String,
    slack: String,
    link: String,
    key: String,
    browser: Chromium,
}

impl Desk {
    async fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let process = dev(&home.path().join("state"), &[]);
        let address = |name| row(&process, name).trim_end_matches('/').to_owned();
        Self {
            gateway: address("gateway"),
            slack: address("simulated Slack"),
            link: link(&process),
            key: row(&process, "its API key"),
            browser: Chromium::start().await,
            _process: process,
            _home: home,
        }
    }

    /// Signed in, with a workspace connected.
    async fn connected() -> Self {
        let desk = Self::new().await;
        let browser = &desk.browser;
        browser.go(&desk.link).await;
        browser.press("Channels").await;
        browser.press("Connect Workspace").await;
        browser.press("Allow").await;
        browser.wait_for("Connected.").await;
        desk
    }

    async fn api(&self, method: Method, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let mut request = http().request(method, format!("{}{path}", self.gateway)).bearer_auth(&self.key);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.unwrap();
        let status = answer.status();
        (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap())
    }

    /// Waits until a request of this kind and type was handled.
    async fn handled(&self, kind: &str, name: &str) -> Value {
        eventually(&format!("{kind} {name:?} in the inbox"), async || {
            let (_, found) = self.api(Method::GET, &format!("/api/v1/inbox?kind={kind}"), None).await;
            let mut requests = found["requests"].as_array().unwrap().iter();
            let request = requests.find(|request| request["type"] == name)?.clone();
            (request["deliveries"][0]["state"] == "delivered").then_some(request)
        })
        .await
    }
}

#[tokio::test]
async fn the_first_ten_minutes() {
    let desk = Desk::new().await;
    let browser = &desk.browser;
    browser.go(&desk.link).await;
    browser.wait_for("Slack for Acme").await;
    browser.press("Go to Channels").await;
    browser.wait_for("No workspace yet").await;
    browser.press("Connect Workspace").await;
    browser.wait_for("tautline asks for access").await;
    browser.press("Allow").await;
    browser.wait_for("Connected.").await;
    browser.wait_for("Acme Rockets").await;

    browser.press("simulated Slack").await;
    browser.wait_for("# general").await;
    browser.type_into("#text", "@tautline hello").await;
    browser.press("Send").await;
    browser.wait_for("You said: hello").await;

    browser.go(&format!("{}/inbox?type=app_mention", desk.gateway)).await;
    desk.handled("event", "app_mention").await;
    browser.press("Refresh").await;
    browser.click(By::XPath("//a[.//strong[.='app_mention']]")).await;
    browser.wait_for("What Slack sent").await;
    let page = browser.text().await;
    for part in
        ["echo (in this process)", "delivered", "Attempt 1", "answered 200", "\"type\": \"app_mention\""]
    {
        assert!(page.contains(part), "{part} is not on the page:\n{page}");
    }

    let body = json!({ "to": { "channel": "#general" }, "text": "Sent by the *API*" });
    let (status, made) = desk.api(Method::POST, "/api/v1/integrations/slack/messages", Some(body)).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{made}");
    browser.go(&desk.slack).await;
    browser.wait_for("Sent by the API").await;
    browser.go(&format!("{}/messages", desk.gateway)).await;
    browser.click(By::XPath("//a[.//strong[.='#general']]")).await;
    browser.wait_for("Attempt 1").await;

    browser.press("Messages").await;
    browser.type_into("#text", "Sent by hand").await;
    browser.press("Send").await;
    browser.wait_for_url("/messages/msg_").await;
    browser.go(&desk.slack).await;
    browser.wait_for("Sent by hand").await;
    desk.browser.close().await;
}

#[tokio::test]
async fn cancel_and_a_replay_end_on_pages_of_their_own() {
    let desk = Desk::new().await;
    let browser = &desk.browser;
    browser.go(&desk.link).await;
    browser.press("Channels").await;
    browser.press("Connect Workspace").await;
    browser.press("Cancel").await;
    browser.wait_for("Nothing was connected").await;
    browser.wait_for("You chose not to let the app into your workspace.").await;
    let callback = browser.url().await;
    assert!(callback.contains("error=access_denied"), "{callback}");
    browser.go(&callback).await;
    browser.wait_for("This link was used before").await;
    browser.press("Go back").await;
    browser.wait_for("No workspace yet").await;
    let (_, found) = desk.api(Method::GET, "/api/v1/integrations/slack/installations", None).await;
    assert_eq!(found["installations"], json!([]));
    // With a workspace connected a moment ago, a second one that was not is not called connected.
    browser.press("Connect Workspace").await;
    browser.press("Allow").await;
    browser.wait_for("Connected.").await;
    browser.press("Connect Workspace").await;
    browser.press("Cancel").await;
    browser.press("Go back").await;
    browser.wait_for("Acme Rockets").await;
    assert!(!browser.text().await.contains("Connected."));
    desk.browser.close().await;
}

#[tokio::test]
async fn a_keyboard_alone_is_enough() {
    let desk = Desk::new().await;
    let browser = &desk.browser;
    browser.go(&desk.gateway).await;
    browser.tab_to("id", "key").await;
    browser.keys(desk.key.as_str()).await;
    browser.keys(Key::Enter).await;
    browser.wait_for("Slack for Acme").await;
    browser.keys(Key::Tab).await;
    let focused = browser.driver.active_element().await.unwrap();
    assert_eq!(focused.text().await.unwrap(), "To the content", "the first stop leads past the navigation");

    browser.tab_to("href", "/channels/slack").await;
    browser.keys(Key::Enter).await;
    browser.wait_for("No workspace yet").await;
    browser.tab_to("href", "oauth/start").await;
    browser.keys(Key::Enter).await;
    browser.wait_for("tautline asks for access").await;
    browser.tab_to("value", "allow").await;
    browser.keys(Key::Enter).await;
    browser.wait_for("Connected.").await;

    browser.go(&desk.slack).await;
    // The composer has the focus, and Enter sends, as in Slack.
    browser.keys("/demo").await;
    browser.keys(Key::Enter).await;
    browser.wait_for("What a message can hold").await;
    browser.tab_to("value", "|open_form").await;
    browser.keys(Key::Enter).await;
    browser.wait_for("Order a pizza").await;
    browser.wait_for_focus("type", "text").await;
    browser.keys("Marinara").await;
    browser.tab_to("type", "radio").await;
    browser.keys(" ").await;
    browser.tab_to("type", "text").await;
    // Enter in a field submits the modal, and does not close it.
    browser.keys(Key::Enter).await;
    browser.wait_for("ordered Marinara").await;
    desk.handled("view_submission", "order").await;
    browser.tab_to("value", "|open_form").await;
    browser.keys(Key::Enter).await;
    browser.wait_for("Order a pizza").await;
    browser.wait_for_focus("type", "text").await;
    browser.keys(Key::Escape).await;
    browser.wait_for("You closed the form; nothing was ordered.").await;

    browser.go(&format!("{}/inbox", desk.gateway)).await;
    browser.tab_to("href", "/inbox/req_").await;
    browser.keys(Key::Enter).await;
    browser.wait_for_url("/inbox/req_").await;
    browser.go(&format!("{}/messages", desk.gateway)).await;
    browser.tab_to("id", "text").await;
    browser.keys("Typed, never clicked").await;
    browser.keys(Key::Tab).await;
    browser.keys(Key::Enter).await;
    browser.wait_for_url("/messages/msg_").await;
    desk.browser.close().await;
}

#[tokio::test]
async fn an_answer_is_in_sight_when_it_comes() {
    let desk = Desk::connected().await;
    let browser = &desk.browser;
    browser.go(&desk.slack).await;
    // More than fits on the screen.
    for count in 1..=3 {
        browser.press("/demo").await;
        browser.find_all("article", count).await;
    }
    // From elsewhere, so that no page of its own brings it.
    let body = json!({ "to": { "channel": "#general" }, "text": "From your code" });
    desk.api(Method::POST, "/api/v1/integrations/slack/messages", Some(body)).await;
    browser.wait_for("From your code").await;
    let hidden = "const bottom = [...document.querySelectorAll('article')].pop().getBoundingClientRect().bottom; \
        return bottom - document.querySelector('.composer').getBoundingClientRect().top";
    eventually("the answer above the composer", async || {
        let hidden: f64 = browser.driver.execute(hidden, vec![]).await.unwrap().convert().unwrap();
        (hidden <= 1.0).then_some(())
    })
    .await;
    desk.browser.close().await;
}

#[tokio::test]
async fn every_kind_of_request_can_be_made_by_hand() {
    let desk = Desk::connected().await;
    let browser = &desk.browser;
    browser.go(&desk.slack).await;
    browser.press("/hello").await;
    browser.wait_for("You typed /hello").await;
    desk.handled("command", "/hello").await;
    browser.press("/demo").await;
    browser.wait_for("What a message can hold").await;

    // A select, and one whose options the app brings.
    browser.choose("Size", "Large").await;
    browser.wait_for("You used pick_size: Large").await;
    desk.handled("block_action", "pick_size").await;
    browser.type_into("input[placeholder^='A city']", "ber").await;
    browser.keys(Key::Enter).await;
    browser.wait_for("1 to choose from").await;
    browser.choose("A city, from the app", "Berlin").await;
    browser.wait_for("You used pick_city: Berlin").await;
    desk.handled("block_suggestion", "pick_city").await;

    // A modal: refused, submitted; and another, closed.
    browser.press("Open a form").await;
    browser.wait_for("Order a pizza").await;
    browser.type_into("[role=dialog] input[type=text]", "ab").await;
    browser.click(By::XPath("//label[contains(., 'Large')]/input")).await;
    browser.press("Order").await;
    browser.wait_for("Three letters or more, please.").await;
    browser.type_into("[role=dialog] input[type=text]", "Marinara").await;
    browser.press("Order").await;
    browser.wait_for("Ada Lovelace ordered Marinara (large).").await;
    desk.handled("view_submission", "order").await;
    browser.press("Open a form").await;
    browser.wait_for("Order a pizza").await;
    browser.press("Cancel").await;
    browser.wait_for("You closed the form; nothing was ordered.").await;
    desk.handled("view_closed", "order").await;

    // Shortcuts: of a message, and global.
    browser.press("Shortcut").await;
    browser.type_into("details[open] input[name=callback_id]", "note_it").await;
    browser.press("Run").await;
    desk.handled("message_action", "note_it").await;
    browser.press("Make something else happen").await;
    browser.type_into("#callback", "order_pizza").await;
    browser.click(By::XPath("//form[.//input[@id='callback']]//button")).await;
    browser.wait_for("Order a pizza").await;
    desk.handled("shortcut", "order_pizza").await;
    browser.click(By::Css("[name=close_all]")).await;

    // The ancestors: an attachment's button, a dialog.
    browser.press("Yes").await;
    browser.wait_for("You voted yes.").await;
    desk.handled("interactive_message", "legacy").await;
    for (button, kind) in [("Send", "dialog_submission"), ("Cancel", "dialog_cancellation")] {
        browser.type_into("#text", "/dialog").await;
        browser.keys(Key::Enter).await;
        browser.wait_for("A legacy dialog").await;
        browser.type_into("[role=dialog] input[type=text]", "Ada").await;
        browser.type_into("[role=dialog] input[name^='q.']", "far").await;
        browser.click(By::Css("[role=dialog] [name=suggest]")).await;
        browser.wait_for("far North").await;
        browser.click(By::XPath(format!("//section[@role='dialog']//button[.='{button}']"))).await;
        desk.handled(kind, "legacy_order").await;
    }
    desk.handled("dialog_suggestion", "legacy_order").await;

    // And what no face makes.
    browser.press("Make something else happen").await;
    browser.press("Send the event").await;
    desk.handled("event", "team_join").await;
    browser.press("Make something else happen").await;
    browser.press("Send the interaction").await;
    desk.handled("dialog_cancellation", "order").await;
    browser.press("tautline: Home").await;
    browser.wait_for("The echo at home").await;
    desk.handled("event", "app_home_opened").await;
    desk.browser.close().await;
}

#[tokio::test]
async fn people_and_places_are_told_apart() {
    let desk = Desk::connected().await;
    let browser = &desk.browser;
    browser.go(&desk.slack).await;
    browser.press("/hello").await;
    browser.wait_for("You typed /hello").await;
    browser.press("Grace Hopper").await;
    browser.wait_for("as Grace Hopper").await;
    assert!(!browser.text().await.contains("You typed /hello"), "ephemeral: Ada's alone");
    browser.press("# random").await;
    browser.wait_for_url("channel=").await;
    browser.type_into("#text", "@tautline from random").await;
    browser.press("Send").await;
    browser.wait_for("You said: from random").await;
    browser.press("# general").await;
    browser.wait_for("Nothing was said here yet.").await;
    // In a direct message nobody needs to be named.
    browser.press("tautline").await;
    browser.type_into("#text", "between us").await;
    browser.press("Send").await;
    browser.wait_for("You said: between us").await;
    browser.press("Globex").await;
    browser.wait_for("is not in this workspace yet").await;
    desk.browser.close().await;
}

#[tokio::test]
async fn no_page_has_a_serious_fault_in_either_theme_or_on_a_phone() {
    let desk = Desk::new().await;
    let browser = &desk.browser;
    let mut faults = Vec::new();
    let mut inspect = async |name: &str, url: Option<&str>| {
        for look in LOOKS {
            browser.look(look).await;
            if let Some(url) = url {
                browser.go(url).await;
            }
            browser.screenshot(&format!("{name}-{}", look.name)).await;
            let found = browser.serious_faults().await;
            faults.extend(found.into_iter().map(|fault| format!("{name} ({}): {fault}", look.name)));
            // A phone's window grows with what does not fit, so it is no measure.
            let width = "return document.documentElement.scrollWidth";
            let width: i64 = browser.driver.execute(width, vec![]).await.unwrap().convert().unwrap();
            let over = width - i64::from(look.width);
            if over > 0 {
                faults.push(format!("{name} ({}): {over} pixels too wide", look.name));
            }
        }
        browser.look(LOOKS[0]).await;
    };
    let at = |path: &str| format!("{}{path}", desk.gateway);
    inspect("sign-in", Some(&at("/sign-in"))).await;
    inspect("slack-empty", Some(&desk.slack)).await;
    browser.go(&desk.link).await;
    inspect("overview-empty", Some(&at("/"))).await;
    inspect("channels-empty", Some(&at("/channels/slack"))).await;
    inspect("inbox-empty", Some(&at("/inbox"))).await;
    inspect("messages-empty", Some(&at("/messages"))).await;
    inspect("inbox-none", Some(&at("/inbox?type=nothing"))).await;
    inspect("not-here", Some(&at("/inbox/req_1"))).await;
    inspect("link-ended", Some(&at("/api/v1/dashboard-links/none"))).await;
    inspect("slack-not-here", Some(&format!("{}/?team=T0", desk.slack))).await;

    browser.go(&at("/channels/slack")).await;
    browser.press("Connect Workspace").await;
    inspect("consent", None).await;
    browser.press("Cancel").await;
    inspect("cancelled", None).await;
    browser.go(&at("/channels/slack")).await;
    browser.press("Connect Workspace").await;
    browser.press("Allow").await;
    inspect("channels", None).await;

    browser.go(&desk.slack).await;
    browser.press("@tautline hello").await;
    browser.wait_for("You said: hello").await;
    browser.press("/demo").await;
    browser.wait_for("What a message can hold").await;
    inspect("slack", None).await;
    browser.press("Open a form").await;
    browser.wait_for("Order a pizza").await;
    inspect("modal", None).await;
    browser.press("Order").await;
    browser.wait_for("Please complete this required field.").await;
    inspect("modal-refused", None).await;
    browser.click(By::Css("[name=close_all]")).await;
    browser.press("tautline: Home").await;
    browser.wait_for("The echo at home").await;
    inspect("home", None).await;
    browser.press("# general").await;
    browser.press("Reply in thread").await;
    browser.wait_for("Leave the thread").await;
    inspect("thread", None).await;

    inspect("overview", Some(&at("/"))).await;
    inspect("inbox", Some(&at("/inbox"))).await;
    browser.click(By::Css(".rows a")).await;
    inspect("request", None).await;
    browser.go(&at("/messages")).await;
    browser.type_into("#text", "Hello from the desk").await;
    browser.press("Send").await;
    browser.wait_for_url("/messages/msg_").await;
    inspect("message", None).await;
    inspect("messages", Some(&at("/messages"))).await;
    browser.type_into("#channel", "two words").await;
    browser.type_into("#text", "Hello").await;
    browser.press("Send").await;
    browser.wait_for("is no channel").await;
    inspect("messages-refused", None).await;
    browser.type_into("#channel", "#nowhere").await;
    browser.press("Send").await;
    browser.wait_for_url("/messages/msg_").await;
    let failed = browser.url().await;
    eventually("a refusal", async || {
        browser.go(&failed).await;
        browser.text().await.contains("channel_not_found").then_some(())
    })
    .await;
    inspect("message-failed", None).await;
    browser.press("Sign out").await;
    browser.wait_for("You are signed out.").await;
    browser.type_into("#key", "tl_wrong").await;
    browser.keys(Key::Enter).await;
    browser.wait_for("This key is unknown.").await;
    inspect("sign-in-refused", None).await;
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
    desk.browser.close().await;
}
