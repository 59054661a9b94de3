//! Secrets never leave: the whole story at trace level, searched for everything that was issued in it.

use std::fs;
use std::path::Path;

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::bolt_js::{bolt_app, forwarding};
use crate::support::{
    ADMIN_KEY, Browser, CLIENT_SECRET, GatewaySetup, Receiver, Reply, SIGNING_SECRET, Slack, eventually, http,
};

/// The spellings in which a secret might slip out.
fn spellings(secret: &str) -> Vec<Vec<u8>> {
    let bytes = secret.as_bytes();
    let hex = |format: fn(&u8) -> String| bytes.iter().map(format).collect::<String>();
    let percent = bytes.iter().map(|byte| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' => char::from(*byte).to_string(),
        other => format!("%{other:02X}"),
    });
    let mut all = vec![secret.to_owned(), percent.collect(), hex(|byte| format!("{byte:02x}"))];
    // Base64 of a text that stands inside a longer one depends on where it begins there.
    for offset in 0..3 {
        let padded = [&vec![b'#'; offset], bytes].concat();
        let encoded = base64(&padded);
        let whole = encoded.len() - 4;
        all.push(encoded[4 * usize::from(offset > 0)..whole].to_owned());
    }
    all.into_iter().map(String::into_bytes).collect()
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let sextets = bytes.chunks(3).flat_map(|chunk| {
        let word =
            chunk.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        [18, 12, 6, 0].map(|shift| char::from(ALPHABET[(word >> shift & 63) as usize]))
    });
    sextets.collect()
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                vec![(path.display().to_string(), fs::read(&path).unwrap())]
            }
        })
        .collect()
}

#[test]
fn the_search_finds_what_it_looks_for() {
    for spelled in [
        "xoxb-1-secret",
        "eG94Yi0xLXNlY3JldA==",
        "Basic YTp4b3hiLTEtc2VjcmV0",
        "xoxb%2D1%2Dsecret",
        "786f78622d312d736563726574",
    ] {
        let found = spellings("xoxb-1-secret").iter().any(|needle| contains(spelled.as_bytes(), needle));
        assert!(found, "{spelled}");
    }
}

#[tokio::test]
async fn nothing_issued_in_the_story_is_in_logs_answers_or_files() {
    let slack = Slack::start().await;
    let mut gateway = forwarding(&slack).with("TAUTLINE_LOG", "trace").start();
    let key = gateway.tenant("acme").await;
    let link = gateway.connect_link(&key).await;
    let browser = Browser::default();
    let consent = browser.begin(&link).await;
    let callback = browser.decide(&slack, &consent, "allow").await;
    let last_page = browser.get(&callback).await;
    assert_eq!(last_page.status, StatusCode::OK);
    let app = bolt_app(slack.address, &gateway, &key);
    slack.say("@tautline my hovercraft is full of eels").await;
    slack.wait_for_message("hi").await;
    assert_eq!(slack.command("/hello").await["body"], "hello");
    browser.get(&callback).await;

    // The dashboard: a link, a session, a message.
    let made =
        gateway.ask(Method::POST, "/api/v1/dashboard-links", Some(&key), None, Some(json!({}))).await.1;
    let dashboard_link = made["url"].as_str().unwrap().to_owned();
    let dashboard = Browser::default();
    assert_eq!(dashboard.get(&dashboard_link).await.status, StatusCode::SEE_OTHER);
    let session = dashboard.cookies().split('=').next_back().unwrap().to_owned();
    let words =
        json!({ "to": { "channel": "#general" }, "text": "I will not buy this record, it is scratched" });
    let path = "/api/v1/integrations/slack/messages";
    let message = gateway.ask(Method::POST, path, Some(&key), None, Some(words)).await.1;
    slack.wait_for_message("I will not buy this record, it is scratched").await;

    // Whatever the API answers, and the dashboard shows.
    let mut answers = vec![last_page.html];
    for path in ["/", "/channels/slack", "/inbox", "/messages", "/sign-in"] {
        answers.push(dashboard.get(&format!("{}{path}", gateway.url)).await.html);
    }
    let id = message["id"].as_str().unwrap();
    answers.push(dashboard.get(&format!("{}/messages/{id}", gateway.url)).await.html);
    answers.push(gateway.get(&format!("{path}/{id}"), &key).await.1.to_string());
    answers.push(gateway.get(path, &key).await.1.to_string());
    for path in [
        "/api/v1/inbox",
        "/api/v1/integrations/slack/installations",
        "/openapi.json",
        "/readyz",
        "/",
        "/nope",
    ] {
        answers.push(gateway.get(path, &key).await.1.to_string());
    }
    for request in gateway.inbox(&key).await {
        let id = request["id"].as_str().unwrap();
        answers.push(gateway.get(&format!("/api/v1/inbox/{id}"), &key).await.1.to_string());
    }

    // The token itself: what the proxy puts in is what Slack gave.
    let sees = |what: &str| what.to_owned();
    let token = issued_token(&slack, &gateway.url, &key).await;
    let code = callback.split("code=").nth(1).unwrap().split('&').next().unwrap();
    let secrets = [
        ("the bot token", sees(&token)),
        ("the client secret", sees(CLIENT_SECRET)),
        ("the signing secret", sees(SIGNING_SECRET)),
        ("the app's signing secret", sees("b0lt5own51gn1ng5ecretxxxxxxxxxxx")),
        ("the platform key", sees(ADMIN_KEY)),
        ("the API key", sees(&key)),
        ("the connect link", sees(link.rsplit('/').next().unwrap())),
        ("the dashboard link", sees(dashboard_link.rsplit('/').next().unwrap())),
        ("the session", sees(&session)),
        ("the code", sees(code)),
        ("the encryption key", "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef".to_owned()),
        ("what a customer wrote", "hovercraft is full".to_owned()),
        ("what the product said", "buy this record".to_owned()),
    ];
    let log = gateway.kill();
    assert!(log.contains("TRACE"), "the log is at trace level");
    let mut places = files(gateway.data());
    match gateway.dump() {
        Some(dump) => places.push(("the database".into(), dump)),
        None => assert!(
            places.iter().any(|(name, _)| name.ends_with("tautline.db-wal")),
            "the files were searched"
        ),
    }
    places.push(("the log".into(), log.into_bytes()));
    places.push(("the app's output".into(), app.said().into_bytes()));
    for (what, secret) in &secrets {
        for needle in spellings(secret) {
            for (place, content) in &places {
                assert!(!contains(content, &needle), "{what} is in {place}");
            }
            let content_is_shown = what.starts_with("what ");
            for answer in answers.iter().filter(|_| !content_is_shown) {
                assert!(!contains(answer.as_bytes(), &needle), "{what} is in an answer: {answer}");
            }
        }
    }
}

/// Takes Slack's place for one call, to see the token that the gateway sends.
async fn issued_token(slack: &Slack, gateway: &str, key: &str) -> String {
    slack.stop();
    let address = slack.address.port(8081);
    eventually("Slack is down", async || tokio::net::TcpListener::bind(address).await.ok().map(drop)).await;
    let recorder = Receiver::start(address, Reply::Say(crate::support::OK)).await;
    let call = http().post(format!("{gateway}/slack/api/auth.test")).bearer_auth(key).send();
    call.await.unwrap();
    let got = recorder.wait_for(1).await.remove(0);
    let token = got.header("authorization").unwrap().strip_prefix("Bearer ").unwrap().to_owned();
    assert!(token.starts_with("xoxb-"), "{}", json!(token));
    token
}

#[tokio::test]
async fn no_token_that_slack_ever_issued_is_in_logs_answers_files_or_a_dump() {
    let slack = Slack::rotating(43_200).await;
    let mut gateway = GatewaySetup::of(&slack).with("TAUTLINE_LOG", "trace").start();
    let key = gateway.tenant("acme").await;
    let globex = gateway.tenant("globex").await;
    // A person's token beside the bot's, and both again.
    let browser = Browser::default();
    for _ in 0..2 {
        let consent =
            format!("{}&user_scope=search%3Aread", browser.begin(&gateway.connect_link(&key).await).await);
        let page = browser.get(&browser.decide(&slack, &consent, "allow").await).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.html);
    }
    // One that began at Slack, and nobody claims.
    let consent = browser.begin(&gateway.connect_link(&key).await).await;
    let callback = browser.decide(&slack, &consent, "allow").await;
    let parked = browser.get(callback.split("&state=").next().unwrap()).await;
    assert_eq!(parked.status, StatusCode::SEE_OTHER);
    let claim = browser.get(&parked.location.unwrap()).await;
    // Renewed, and lost on the way once.
    slack.post("/lose", &json!({ "method": "oauth.v2.access" })).await;
    slack.post("/tokens/expire", &json!({})).await;
    let called = http().post(format!("{}/slack/api/auth.test", gateway.url)).bearer_auth(&key);
    let tested = eventually("it is renewed", async || {
        let said = called.try_clone().unwrap().send().await.unwrap().text().await.unwrap();
        said.contains("\"ok\":true").then_some(said)
    })
    .await;
    // Moved in, and one that is refused.
    let granted = slack.granted(Some("Globex")).await;
    let row = |token: &str| {
        json!({ "tenant": "globex", "installation": {
            "app_id": granted["app_id"], "team_id": granted["team"]["id"], "bot_token": token,
            "bot_refresh_token": granted["refresh_token"], "bot_token_expires_at": 4_000_000_000_i64,
        } })
    };
    let (token, other) = (granted["access_token"].as_str().unwrap(), "xoxb-made-up-and-refused");
    let rows = json!({ "installations": [row(other), row(token)] });
    let (status, report) = gateway.post("/api/v1/integrations/slack/installations/import", rows).await;
    assert_eq!(status, StatusCode::OK, "{report}");
    // Moved to another, and one that leaves.
    let path = "/api/v1/integrations/slack/installations";
    let (_, listed) = gateway.get(path, &globex).await;
    let one = format!("{path}/{}", listed["installations"][0]["id"].as_str().unwrap());
    let (_, moved) = gateway.post(&format!("{one}/move"), json!({ "tenant": "acme" })).await;
    let (_, listed) = gateway.get(path, &key).await;
    let gone = format!("{path}/{}", moved["id"].as_str().unwrap());
    let (status, disconnected) = gateway.ask(Method::DELETE, &gone, Some(&key), None, None).await;
    assert_eq!(status, StatusCode::OK, "{disconnected}");

    let said = gateway.kill();
    let mut places = files(gateway.data());
    places.extend(gateway.dump().map(|dump| ("the dump".to_owned(), dump)));
    places.push(("the log".to_owned(), said.into_bytes()));
    for answer in [
        claim.html,
        tested,
        report.to_string(),
        moved.to_string(),
        listed.to_string(),
        disconnected.to_string(),
    ] {
        places.push(("an answer".to_owned(), answer.into_bytes()));
    }
    let issued = slack.issued();
    assert!(issued.len() >= 12, "tokens and what renews them: {}", issued.len());
    for secret in issued.iter().map(String::as_str).chain([other]) {
        for needle in spellings(secret) {
            for (place, bytes) in &places {
                assert!(!contains(bytes, &needle), "{}… is in {place}", &secret[..12]);
            }
        }
    }
}
