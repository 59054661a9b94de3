//! `tautline alert`: never fails what it reports on.

use std::process::Output;

use serde_json::{Value, json};

use crate::support::{Address, Receiver, Reply, tautline};

const TOOK_IT: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const GONE: &str = "HTTP/1.1 404 Not Found\r\ncontent-length: 10\r\n\r\nno_service";

async fn alert(url: Option<&str>, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = tautline();
    command.arg("alert").args(arguments).current_dir(std::env::temp_dir());
    if let Some(url) = url {
        command.env("SLACK_OPS_WEBHOOK_URL", url);
    }
    let Output { status, stderr, stdout } =
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = [stdout, stderr].concat();
    (status.code(), String::from_utf8_lossy(&said).into_owned())
}

#[tokio::test]
async fn an_alert_reaches_the_webhook() {
    let slack = Receiver::start(Address::new().port(8081), Reply::Say(TOOK_IT)).await;
    let (code, said) = alert(Some(&slack.url), &["deployed 1.2.3"]).await;
    assert_eq!((code, said.as_str()), (Some(0), ""));
    let got = slack.wait_for(1).await.remove(0);
    assert_eq!(serde_json::from_slice::<Value>(&got.body).unwrap(), json!({ "text": "deployed 1.2.3" }));
    assert_eq!(got.header("content-type"), Some("application/json"));

    alert(Some(&slack.url), &["with blocks", "--blocks", r#"[{"type":"divider"}]"#]).await;
    let got = slack.wait_for(2).await.remove(1);
    let expected = json!({ "text": "with blocks", "blocks": [{ "type": "divider" }] });
    assert_eq!(serde_json::from_slice::<Value>(&got.body).unwrap(), expected);
}

#[tokio::test]
async fn what_goes_wrong_is_said_without_the_secret_and_harms_nobody() {
    let address = Address::new();
    let slack = Receiver::start(address.port(8081), Reply::Say(GONE)).await;
    let secret = "XXXXsecretXXXX";
    let gone = format!("{}/services/T1/B1/{secret}", address.url(8081));
    let (code, said) = alert(Some(&gone), &["deployed"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("no_service") && said.contains("404"), "{said}");
    assert!(!said.contains(secret), "{said}");
    drop(slack);

    let down = format!("{}/services/T1/B1/{secret}", address.url(9));
    let (code, said) = alert(Some(&down), &["deployed"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("not delivered") && !said.contains(secret), "{said}");

    let (code, said) = alert(Some(&format!("nonsense/{secret}")), &["deployed"]).await;
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains(secret), "{said}");
}

#[tokio::test]
async fn only_a_wrong_command_or_configuration_is_an_error() {
    let (code, said) = alert(None, &["deployed"]).await;
    assert_eq!(code, Some(2));
    assert!(said.contains("SLACK_OPS_WEBHOOK_URL is not set"), "{said}");
    let (code, _) = alert(Some("http://127.0.0.1:9/"), &["x", "--blocks", "{}"]).await;
    assert_eq!(code, Some(2), "blocks are a list");
}
