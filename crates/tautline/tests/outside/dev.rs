//! `tautline dev`: a newcomer's first minute.

use std::path::Path;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{Browser, Process, eventually, http, tautline};

/// Ports of the system's choosing: `dev` listens on 127.0.0.1 alone.
pub fn dev(data: &Path, more: &[&str]) -> Process {
    let mut command = tautline();
    command
        .args(["dev", "--port", "0", "--slack-port", "0", "--data"])
        .arg(data)
        .args(more)
        .current_dir(data.parent().unwrap());
    Process::start(&mut command)
}

/// A value of the printed table.
pub fn row(process: &Process, name: &str) -> String {
    let line = process.wait_for(&format!("  {name}  "));
    line.trim().strip_prefix(name).unwrap().trim().to_owned()
}

pub fn link(process: &Process) -> String {
    process.wait_for("1. Open the dashboard:").split_whitespace().last().unwrap().to_owned()
}

async fn get(url: &str, key: Option<&str>) -> (StatusCode, String) {
    let mut request = http().get(url).header("accept", "text/html");
    if let Some(key) = key {
        request = request.bearer_auth(key);
    }
    let answer = request.send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

async fn say(slack: &str, text: &str) {
    let body = json!({ "text": text }).to_string();
    let request = http().post(format!("{slack}say")).header("content-type", "application/json").body(body);
    assert_eq!(request.send().await.unwrap().status(), StatusCode::OK);
}

async fn wait_for_message(slack: &str, text: &str) {
    eventually(&format!("{text:?} in #general"), async || {
        let (_, said) = get(&format!("{slack}messages"), None).await;
        let said: Value = serde_json::from_str(&said).unwrap();
        said["messages"].as_array().unwrap().iter().any(|message| message["text"] == text).then_some(())
    })
    .await;
}

/// Signs in by the printed link, and connects a workspace from the dashboard.
async fn connect(slack: &str, link: &str) -> String {
    let browser = Browser::default();
    assert_eq!(browser.get(link).await.status, StatusCode::SEE_OTHER);
    let gateway = link.split("/api/").next().unwrap();
    let page = browser.get(&format!("{gateway}/channels/slack")).await;
    let start = page.html.split("href=\"").find(|rest| rest.contains("oauth/start")).unwrap();
    let start = start.split('"').next().unwrap();
    let consent = browser.begin(&format!("{gateway}{start}")).await;
    let page = browser.get(&consent).await;
    let team = page.html.split("<option value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let asked = url::Url::parse(&consent).unwrap();
    let asked = asked.query_pairs().collect::<Vec<_>>();
    let mut pairs = asked.iter().map(|(n, v)| (n.as_ref(), v.as_ref())).collect::<Vec<_>>();
    pairs.extend([("decision", "allow"), ("team", team.as_str())]);
    let page = browser.submit(&format!("{slack}oauth/v2/authorize"), &pairs).await;
    let back = browser.get(&page.location.unwrap()).await;
    browser.get(&back.location.expect("back to the dashboard")).await.html
}

#[tokio::test]
async fn the_first_minute_and_the_second_run() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("state");
    let mut first = dev(&data, &[]);
    let (gateway, slack) = (row(&first, "gateway"), row(&first, "simulated Slack"));
    assert_eq!(row(&first, "tenant"), "acme");
    let key = row(&first, "its API key");

    let (status, page) = get(&gateway, None).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "the sign-in page");
    assert!(page.contains("Sign in") && page.contains("tautline dev"), "{page}");
    let (status, page) = get(&slack, None).await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("is not in this workspace yet"), "{page}");

    let page = connect(&slack, &link(&first)).await;
    assert!(page.contains("Acme Rockets") && page.contains("Connected."), "{page}");
    say(&slack, "@tautline hello").await;
    wait_for_message(&slack, "You said: hello").await;
    let (_, inbox) = get(&format!("{gateway}api/v1/inbox?kind=event"), Some(&key)).await;
    let inbox: Value = serde_json::from_str(&inbox).unwrap();
    assert_eq!(inbox["requests"].as_array().unwrap().len(), 2, "the message and the mention");

    first.terminate();
    assert!(first.wait().success(), "{}", first.said());
    let second = dev(&data, &[]);
    let (gateway, slack) = (row(&second, "gateway"), row(&second, "simulated Slack"));
    assert_eq!(row(&second, "its API key"), key, "the key is kept");
    assert_eq!(row(&second, "connected already"), "Acme Rockets");
    let (status, page) = get(&format!("{slack}?team=globex"), None).await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("Globex") && page.contains("is not in this workspace yet"), "{page}");
    let (_, inbox) = get(&format!("{gateway}api/v1/inbox?kind=event"), Some(&key)).await;
    assert_eq!(serde_json::from_str::<Value>(&inbox).unwrap()["requests"].as_array().unwrap().len(), 2);
    say(&slack, "@tautline still there?").await;
    wait_for_message(&slack, "You said: still there?").await;
    let (_, said) = get(&format!("{slack}messages"), None).await;
    assert!(said.contains("You said: hello"), "what was said is kept");
    drop(second);

    let third = dev(&data, &["--fresh"]);
    assert_ne!(row(&third, "its API key"), key, "--fresh forgets");
}

#[tokio::test]
async fn a_port_in_use_is_named_with_its_flag() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let home = tempfile::tempdir().unwrap();
    for flag in ["--port", "--slack-port"] {
        let other = if flag == "--port" { "--slack-port" } else { "--port" };
        let mut command = tautline();
        command
            .args(["dev", flag, &port, other, "0", "--data"])
            .arg(home.path().join("state"))
            .current_dir(home.path());
        let mut process = Process::start(&mut command);
        assert_eq!(process.wait().code(), Some(1));
        let said = process.wait_for("in use");
        assert!(said.contains(&port) && said.contains(flag), "{said}");
    }
}

#[tokio::test]
async fn nothing_of_the_simulation_lies_about_in_plain() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("state");
    let process = dev(&data, &["--forward", "http://127.0.0.1:9/slack/events"]);
    let slack = row(&process, "simulated Slack");
    let secrets =
        [row(&process, "its API key"), row(&process, "platform key"), row(&process, "its signing secret")];
    connect(&slack, &link(&process)).await;
    let entries = std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().path());
    for path in entries.filter(|path| path.is_file()) {
        let content = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        assert!(!content.contains("xoxb-"), "a token in {}", path.display());
        for secret in &secrets {
            assert!(!content.contains(secret), "a secret in {}", path.display());
        }
    }
}
