//! The front door, from outside: what is answered what.

use http::Status::{self, *};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tautline_server::slack::signing::{SIGNATURE_HEADER, TIMESTAMP_HEADER};

use crate::support::{Address, Gateway, GatewaySetup, SIGNING_SECRET, Slack, form, http as client, signed};

/// Statuses by their names, as the tables below read best.
mod http {
    #[derive(Debug, PartialEq, Eq)]
    #[repr(u16)]
    pub enum Status {
        Taken = 200,
        Unreadable = 400,
        NotSlack = 401,
        TooBig = 413,
        Off = 503,
    }
}

const MOUNTS: [&str; 3] =
    ["/api/v1/integrations/webhooks/slack", "/api/v1/webhooks/slack/events", "/slack/commands"];
const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

async fn answered(request: RequestBuilder, expected: Status) -> String {
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let body = answer.text().await.unwrap();
    assert_eq!(status, expected as u16, "{body}");
    body
}

async fn open_door() -> (Slack, Gateway) {
    let slack = Slack::start().await;
    let gateway = GatewaySetup::of(&slack).start();
    (slack, gateway)
}

fn event(team: &str, id: &str) -> String {
    json!({
        "type": "event_callback", "team_id": team, "api_app_id": "A1", "event_id": id,
        "event": { "type": "message", "text": "hello" },
    })
    .to_string()
}

#[tokio::test]
async fn without_a_signing_secret_nothing_gets_in() {
    let gateway = GatewaySetup::bare(Address::new()).start();
    for mount in MOUNTS {
        let url = format!("{}{mount}", gateway.url);
        let body = answered(signed(&url, JSON, event("T1", "Ev1")), Off).await;
        assert!(body.contains("SLACK_SIGNING_SECRET"), "the fix is named: {body}");
        answered(client().post(&url).body("ssl_check=1").header("content-type", FORM), Off).await;
    }
}

#[tokio::test]
async fn every_mount_has_the_same_door() {
    let (_slack, gateway) = open_door().await;
    for mount in MOUNTS {
        let url = format!("{}{mount}", gateway.url);
        let challenge = json!({ "type": "url_verification", "challenge": "c-7", "token": "x" }).to_string();
        let body = answered(signed(&url, JSON, challenge.clone()), Taken).await;
        assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), json!({ "challenge": "c-7" }));

        let unsigned = client().post(&url).header("content-type", JSON).body(challenge);
        let body = answered(unsigned, NotSlack).await;
        assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), json!({ "error": "invalid signature" }));

        let body = answered(signed(&url, JSON, event("T1", &format!("Ev{mount}"))), Taken).await;
        assert_eq!(body, "", "an event is acknowledged with nothing");
    }
}

#[tokio::test]
async fn what_is_not_signed_by_slack_is_refused() {
    let (_slack, gateway) = open_door().await;
    let url = format!("{}{}", gateway.url, MOUNTS[0]);
    let secret = tautline_server::slack::signing::SigningSecret::new(SIGNING_SECRET).unwrap();
    let body = event("T1", "Ev1");
    let send = |headers: Vec<(&'static str, String)>| {
        headers
            .into_iter()
            .fold(client().post(&url).header("content-type", JSON).body(body.clone()), |r, (n, v)| {
                r.header(n, v)
            })
    };
    let old = 1_531_420_618;
    for (name, headers) in [
        ("nothing", vec![]),
        ("no timestamp", vec![(SIGNATURE_HEADER, secret.sign(old, body.as_bytes()))]),
        (
            "an old one",
            vec![(TIMESTAMP_HEADER, old.to_string()), (SIGNATURE_HEADER, secret.sign(old, body.as_bytes()))],
        ),
        ("from the future", {
            let future = 33_000_000_000;
            vec![
                (TIMESTAMP_HEADER, future.to_string()),
                (SIGNATURE_HEADER, secret.sign(future, body.as_bytes())),
            ]
        }),
        ("nonsense", vec![(TIMESTAMP_HEADER, "soon".into()), (SIGNATURE_HEADER, "v0=yes".into())]),
    ] {
        let answer = answered(send(headers), NotSlack).await;
        assert!(!answer.contains(SIGNING_SECRET) && !answer.contains("v0="), "{name}: {answer}");
    }
    // The signature of one body on another.
    let other = signed(&url, JSON, "{}").body(body);
    answered(other, NotSlack).await;
    // A header twice.
    let twice = signed(&url, JSON, "{}").header(SIGNATURE_HEADER, "v0=00");
    answered(twice, NotSlack).await;
}

#[tokio::test]
async fn ssl_check_is_answered_and_nothing_else_in_it_is_looked_at() {
    let (_slack, gateway) = open_door().await;
    let key = gateway.tenant("acme").await;
    let url = format!("{}{}", gateway.url, MOUNTS[0]);
    let post = |body: String| client().post(&url).header("content-type", FORM).body(body);
    assert_eq!(answered(post("ssl_check=1&token=x".into()), Taken).await, "");
    let smuggled = form(&[
        ("ssl_check", "1"),
        ("command", "/deploy"),
        ("team_id", "T1"),
        ("payload", "{\"type\":\"shortcut\"}"),
    ]);
    assert_eq!(answered(post(smuggled), Taken).await, "");
    answered(post("ssl_check=0&command=%2Fx".into()), NotSlack).await;
    answered(post("ssl_check=1&ssl_check=1".into()), NotSlack).await;
    assert!(gateway.inbox(&key).await.is_empty());
    let (_, unclaimed) = gateway.get("/api/v1/inbox?unclaimed=true", crate::support::ADMIN_KEY).await;
    assert_eq!(unclaimed["requests"], json!([]), "nothing unsigned is ever kept");
}

#[tokio::test]
async fn what_is_signed_but_unreadable_is_400_and_what_is_too_big_413() {
    let (_slack, gateway) = open_door().await;
    let url = format!("{}{}", gateway.url, MOUNTS[0]);
    for (content_type, body) in [
        (JSON, b"[]".to_vec()),
        (JSON, b"7".to_vec()),
        (JSON, b"not json".to_vec()),
        (JSON, b"".to_vec()),
        (JSON, b"{\"type\":\"event_callback\xff\"}".to_vec()),
        (JSON, b"{}".to_vec()),
        (JSON, b"{\"type\":\"url_verification\"}".to_vec()),
        (FORM, b"text=hello".to_vec()),
        (FORM, b"payload=nothing".to_vec()),
        (FORM, b"payload=%5B%5D".to_vec()),
        ("text/plain", b"hello".to_vec()),
    ] {
        let shown = String::from_utf8_lossy(&body).into_owned();
        let answer = answered(signed(&url, content_type, body), Unreadable).await;
        assert!(answer.contains("\"code\":\"unreadable\""), "{shown}: {answer}");
    }
    let big = json!({ "type": "event_callback", "x": "y".repeat(2 * 1024 * 1024) }).to_string();
    answered(signed(&url, JSON, big), TooBig).await;
    let exact = 1024 * 1024;
    let frame = json!({ "type": "event_callback", "team_id": "T1", "x": "" }).to_string().len();
    let fits =
        json!({ "type": "event_callback", "team_id": "T1", "x": "y".repeat(exact - frame) }).to_string();
    assert_eq!(fits.len(), exact);
    answered(signed(&url, JSON, fits), Taken).await;
}

#[tokio::test]
async fn hostile_text_is_kept_as_it_came() {
    let (_slack, gateway) = open_door().await;
    let url = format!("{}{}", gateway.url, MOUNTS[0]);
    let body = "{\"type\":\"event_callback\",\"event\":{\"type\":\"a\\u0000b\"},\"team_id\":\"T\\u0000\",\"x\":\"\\ud83d\\ude00'\\\"; DROP TABLE inbox\"}";
    answered(signed(&url, JSON, body), Taken).await;
    let (_, found) = gateway.get("/api/v1/inbox?unclaimed=true", crate::support::ADMIN_KEY).await;
    let id = found["requests"][0]["id"].as_str().unwrap();
    assert_eq!(found["requests"][0]["type"], "a\u{fffd}b", "names are made printable");
    let (_, one) =
        gateway.get(&format!("/api/v1/inbox/{id}?unclaimed=true"), crate::support::ADMIN_KEY).await;
    assert_eq!(one["body"], body, "bytes are not touched");
}

#[tokio::test]
async fn two_secrets_are_in_force_while_one_is_rolled_over() {
    let slack = Slack::start().await;
    let both = format!("the-new-one,{SIGNING_SECRET}");
    let gateway =
        GatewaySetup::of(&slack).without("SLACK_SIGNING_SECRET").with("SLACK_SIGNING_SECRET", &both).start();
    let url = format!("{}{}", gateway.url, MOUNTS[0]);
    answered(signed(&url, JSON, event("T1", "Ev1")), Taken).await;
}
