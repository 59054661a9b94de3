//! Requests to the app: signed, retried, answered later.

use http::StatusCode;
use serde_json::{Value, json};
use tautline_slack::signing::{self, SigningSecret};

use crate::scene::{FORM, Reply, client, scene};

#[tokio::test]
async fn an_event_is_retried_three_times_each_signed_afresh() {
    let scene = scene().await;
    scene.token().await;
    *scene.app.answer.lock().unwrap() = Reply::Status(StatusCode::INTERNAL_SERVER_ERROR);
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

#[tokio::test]
async fn a_page_of_another_site_puts_no_words_into_the_apps_ears() {
    let scene = scene().await;
    scene.token().await;
    let act = async |header: &'static str, value: &'static str| {
        let request = client().post(format!("{}/event", scene.url)).header("content-type", "text/plain");
        let body = r#"{"event":{"type":"evil"}}"#;
        request.header(header, value).body(body).send().await.unwrap().status()
    };
    assert_eq!(act("sec-fetch-site", "cross-site").await, StatusCode::FORBIDDEN);
    assert_eq!(act("host", "rebind.evil.example").await, StatusCode::FORBIDDEN);
    assert!(scene.app.got.lock().unwrap().is_empty());
}
