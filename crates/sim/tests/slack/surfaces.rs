//! Messages, modals and the Home tab: what an app puts there, and what using it says.

use http::StatusCode;
use serde_json::{Value, json};

use crate::scene::{FORM, Reply, Scene, client, form, scene};

impl Scene {
    /// A token, and the person who is asked.
    async fn installed(&self) -> (String, String) {
        let token = self.token().await;
        let users = self.call("users.list", &token, &json!({})).await;
        (token, users["members"][0]["id"].as_str().unwrap_or_default().to_owned())
    }

    /// The last request to the app, once there are so many.
    async fn last_payload(&self, count: usize) -> Value {
        let (_, body) = self.wait_for(count).await.pop().unwrap();
        let fields = form_urlencoded::parse(&body).collect::<Vec<_>>();
        match fields.iter().find(|(name, _)| name == "payload") {
            Some((_, payload)) => serde_json::from_str(payload).unwrap(),
            None => {
                fields.iter().map(|(name, value)| (name.to_string(), Value::from(value.as_ref()))).collect()
            }
        }
    }

    /// A form of the face.
    async fn submit(&self, path: &str, fields: &[(&str, &str)]) -> Value {
        let request = client().post(format!("{}{path}", self.url)).header(FORM.0, FORM.1);
        let answer = request.body(form(fields)).send().await.unwrap();
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }

    async fn page(&self, query: &str) -> String {
        client().get(format!("{}/{query}", self.url)).send().await.unwrap().text().await.unwrap()
    }

    /// The conversation alone: the log beside it repeats what was sent.
    async fn conversation(&self, query: &str) -> String {
        let page = self.page(query).await;
        page.split("id=\"conversation\"").nth(1).unwrap().split("<aside").next().unwrap().to_owned()
    }

    /// A trigger that a command pulled.
    async fn trigger(&self, count: usize) -> String {
        self.act("/command", &json!({ "command": "/x" })).await;
        self.last_payload(count).await["trigger_id"].as_str().unwrap().to_owned()
    }

    fn answers(&self, reply: Reply) {
        *self.app.answer.lock().unwrap() = reply;
    }
}

fn plain(text: &str) -> Value {
    json!({ "type": "plain_text", "text": text })
}

fn modal() -> Value {
    json!({
        "type": "modal", "callback_id": "order", "title": plain("Order"), "submit": plain("Go"), "notify_on_close": true,
        "blocks": [{ "type": "input", "block_id": "name", "label": plain("Name"),
                     "element": { "type": "plain_text_input", "action_id": "name" } }],
    })
}

#[tokio::test]
async fn a_trigger_opens_one_modal() {
    let scene = scene().await;
    let (token, _) = scene.installed().await;
    let trigger = scene.trigger(1).await;
    let open = async |trigger: &str, view: Value| {
        scene.call("views.open", &token, &json!({ "trigger_id": trigger, "view": view })).await
    };
    assert_eq!(open("1.2.3", modal()).await["error"], "invalid_trigger_id");
    let mut untitled = modal();
    untitled["title"] = Value::Null;
    assert_eq!(open(&trigger, untitled).await["error"], "invalid_arguments");
    let opened = open(&trigger, modal()).await;
    assert_eq!(opened["view"]["callback_id"], "order", "{opened}");
    assert_eq!(open(&trigger, modal()).await["error"], "exchanged_trigger_id");
    let page = scene.page("").await;
    assert!(page.contains("role=\"dialog\"") && page.contains(">Order</h2>"), "{page}");
}

#[tokio::test]
async fn a_modal_is_refused_updated_stacked_and_closed() {
    let scene = scene().await;
    let (token, user) = scene.installed().await;
    let trigger = scene.trigger(1).await;
    let opened = scene.call("views.open", &token, &json!({ "trigger_id": trigger, "view": modal() })).await;
    let id = opened["view"]["id"].as_str().unwrap();
    let submit = [("view_id", id), ("submit", "1"), ("v.name|name", "Ada")];

    // Nothing typed: Slack asks itself.
    let refused = scene.submit("/use", &[("view_id", id), ("submit", "1"), ("v.name|name", "")]).await;
    assert_eq!(refused["error"], "required_fields");
    assert_eq!(scene.app.got.lock().unwrap().len(), 1, "the app hears nothing");

    scene.answers(Reply::Json(json!({ "response_action": "errors", "errors": { "name": "Too short" } })));
    scene.submit("/use", &submit).await;
    let payload = scene.last_payload(2).await;
    assert_eq!(payload["type"], "view_submission");
    assert_eq!(payload["view"]["state"]["values"]["name"]["name"]["value"], "Ada");
    assert_eq!(payload["user"]["id"], user.as_str());
    let page = scene.page("").await;
    assert!(page.contains("Too short") && page.contains("value=\"Ada\""), "what was typed stays: {page}");

    let mut second = modal();
    second["title"] = plain("Second");
    scene.answers(Reply::Json(json!({ "response_action": "push", "view": second })));
    scene.submit("/use", &submit).await;
    assert!(scene.page("").await.contains(">Second</h2>"));
    let stale = json!({ "view_id": id, "view": modal(), "hash": "1.1" });
    assert_eq!(scene.call("views.update", &token, &stale).await["error"], "hash_conflict");
    let top = "V0000000002";
    scene.answers(Reply::Status(StatusCode::OK));
    scene.submit("/use", &[("view_id", top), ("close", "1")]).await;
    assert_eq!(scene.last_payload(4).await["type"], "view_closed");
    assert!(scene.page("").await.contains(">Order</h2>"), "the one beneath");

    scene.answers(Reply::Status(StatusCode::INTERNAL_SERVER_ERROR));
    scene.submit("/use", &submit).await;
    assert!(scene.page("").await.contains("We had some trouble connecting"));
    scene.answers(Reply::Status(StatusCode::OK));
    scene.submit("/use", &submit).await;
    assert!(!scene.page("").await.contains("role=\"dialog\""), "an empty 200 closes it");
}

#[tokio::test]
async fn what_was_typed_stays_with_its_field() {
    let scene = scene().await;
    let (token, _) = scene.installed().await;
    let trigger = scene.trigger(1).await;
    let opened = scene.call("views.open", &token, &json!({ "trigger_id": trigger, "view": modal() })).await;
    let id = opened["view"]["id"].as_str().unwrap();
    let mut second = modal();
    second["blocks"] = json!([{ "type": "input", "block_id": "email", "label": plain("E-mail"),
        "element": { "type": "email_text_input", "action_id": "email" } }]);
    scene.answers(Reply::Json(json!({ "response_action": "update", "view": second })));
    scene.submit("/use", &[("view_id", id), ("submit", "1"), ("v.name|name", "Ada")]).await;
    let page = scene.page("").await;
    let modal = page.split("role=\"dialog\"").nth(1).unwrap();
    assert!(modal.contains("E-mail") && !modal.contains("value=\"Ada\""), "not in another: {modal}");
    // A form of the first step, sent late: its field is not taken for the second's.
    scene.submit("/use", &[("view_id", id), ("submit", "1"), ("v.name|name", "Late")]).await;
    assert_eq!(scene.app.got.lock().unwrap().len(), 2, "the e-mail is asked for first");
}

#[tokio::test]
async fn a_message_is_posted_changed_and_taken_back() {
    let scene = scene().await;
    let (token, user) = scene.installed().await;
    // A name that begins like the place of a legacy attachment's action.
    let button = json!([{ "type": "actions", "block_id": "l0.0", "elements": [
        { "type": "button", "action_id": "go", "text": plain("Go"), "value": "7" },
    ]}]);
    let said = json!({ "channel": "general", "text": "first", "blocks": button });
    let posted = scene.call("chat.postMessage", &token, &said).await;
    let ts = posted["ts"].as_str().unwrap();
    scene.act("/click", &json!({ "ts": ts, "action_id": "go" })).await;
    let payload = scene.last_payload(1).await;
    assert_eq!(payload["actions"][0]["value"], "7");
    assert_eq!(payload["message"]["blocks"][0]["block_id"], payload["actions"][0]["block_id"]);
    assert_eq!(payload["container"]["message_ts"], ts);

    let change = json!({ "channel": "general", "ts": ts, "text": "second" });
    assert_eq!(scene.call("chat.update", &token, &change).await["ok"], true);
    let page = scene.conversation("").await;
    assert!(page.contains("second") && !page.contains("first"), "{page}");
    let others = scene.act("/say", &json!({ "text": "a person's" })).await;
    let foreign = json!({ "channel": "general", "ts": others["ts"], "text": "x" });
    assert_eq!(scene.call("chat.update", &token, &foreign).await["error"], "cant_update_message");

    let whisper = json!({ "channel": "general", "user": user, "text": "for Ada alone" });
    assert_eq!(scene.call("chat.postEphemeral", &token, &whisper).await["ok"], true);
    assert!(scene.conversation("?user=ada").await.contains("for Ada alone"));
    assert!(!scene.conversation("?user=grace").await.contains("for Ada alone"), "ephemeral");

    let direct = json!({ "channel": user, "text": "between us" });
    let posted = scene.call("chat.postMessage", &token, &direct).await;
    assert!(posted["channel"].as_str().unwrap().starts_with('D'), "a user's id opens a direct message");
    assert_eq!(
        scene.call("chat.delete", &token, &json!({ "channel": "general", "ts": ts })).await["ok"],
        true
    );
    assert!(!scene.conversation("").await.contains("second"));
}

#[tokio::test]
async fn what_an_app_says_is_never_markup() {
    let scene = scene().await;
    let (token, _) = scene.installed().await;
    let evil = "<img src=x onerror=alert(1)>";
    let blocks = json!([
        { "type": "header", "text": plain(evil) },
        { "type": "section", "text": { "type": "mrkdwn", "text": evil }, "accessory": { "type": "button", "text": plain(evil), "action_id": evil, "value": evil } },
        { "type": "actions", "elements": [{ "type": "static_select", "action_id": "s", "placeholder": plain(evil), "options": [{ "text": plain(evil), "value": evil }] }] },
        { "type": "image", "image_url": "http://x/\"onerror=\"alert(1)", "alt_text": evil },
        { "type": "markdown", "text": evil },
        { "type": "rich_text", "elements": [{ "type": "rich_text_section", "elements": [{ "type": "text", "text": evil }, { "type": "link", "url": "javascript:alert(1)", "text": evil }] }] },
        { "type": "unheard_of", "text": evil },
        { "type": "context", "elements": [{ "type": "mrkdwn", "text": evil }, { "type": "image", "alt_text": evil }] },
        { "type": "table", "rows": [[{ "type": "raw_text", "text": evil }]] },
    ]);
    let attachments = json!([{ "text": evil, "title": evil, "title_link": "javascript:alert(1)", "fields": [{ "title": evil, "value": evil }],
        "footer": evil, "actions": [{ "name": evil, "type": "button", "text": evil, "value": evil }] }]);
    let said = json!({ "channel": "general", "text": evil, "blocks": blocks, "attachments": attachments });
    assert_eq!(scene.call("chat.postMessage", &token, &said).await["ok"], true);
    let page = scene.page("").await;
    for markup in ["<img src=x", "\"onerror=", "href=\"javascript:"] {
        assert!(!page.contains(markup), "{markup} in {page}");
    }
}

#[tokio::test]
async fn the_home_tab_is_what_the_app_published() {
    let scene = scene().await;
    let (token, user) = scene.installed().await;
    let home = json!({ "type": "home", "blocks": [{ "type": "section", "text": plain("Welcome home") }] });
    let asked = json!({ "user_id": user, "view": home });
    assert_eq!(scene.call("views.publish", &token, &asked).await["ok"], true);
    assert!(scene.conversation("?channel=home").await.contains("Welcome home"));
    assert!(!scene.conversation("?channel=home&user=grace").await.contains("Welcome home"), "hers is empty");
}
