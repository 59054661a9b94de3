//! Starting, looking at, and stopping a gateway.

use std::sync::Arc;

use reqwest::{Method, StatusCode};
use serde_json::json;
use tokio::sync::Notify;

use crate::support::{ADMIN_KEY, Address, Browser, GatewaySetup, Receiver, Reply, Slack};

#[tokio::test]
async fn health_and_readiness_are_told_apart() {
    let gateway = GatewaySetup::bare(Address::new()).start();
    let (status, body) = gateway.ask(Method::GET, "/healthz", None, None, None).await;
    assert_eq!((status, body), (StatusCode::OK, json!({ "status": "ok" })));
    let (status, body) = gateway.ask(Method::GET, "/readyz", None, None, None).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        body["store"]["durability"], "journal_mode=wal synchronous=FULL",
        "read from the running connection"
    );

    let other = rusqlite::Connection::open(gateway.database()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (status, body) = gateway.ask(Method::GET, "/readyz", None, None, None).await;
    assert_eq!((status, body["code"].as_str()), (StatusCode::SERVICE_UNAVAILABLE, Some("store_unavailable")));
    let (status, _) = gateway.ask(Method::GET, "/healthz", None, None, None).await;
    assert_eq!(status, StatusCode::OK, "the process lives");
}

#[tokio::test]
async fn what_is_off_is_said_at_the_start_with_its_fix() {
    let gateway = GatewaySetup::bare(Address::new()).start();
    for (what, variable) in [
        ("inbound", "SLACK_SIGNING_SECRET"),
        ("connect", "SLACK_CLIENT_ID"),
        ("dispatch", "TAUTLINE_FORWARD_URL"),
    ] {
        let line = gateway.process.wait_for(&format!("{what} is off"));
        assert!(line.contains(variable), "{line}");
    }
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &gateway.data().join("encryption.key").metadata().unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600, "the key that was made is the owner's alone");
}

#[tokio::test]
async fn a_wrong_configuration_names_every_culprit_and_starts_nothing() {
    let data = tempfile::tempdir().unwrap();
    let setup = GatewaySetup::bare(Address::new())
        .with("TAUTLINE_ENCRYPTION_KEYS_FILE", "/no/such/file")
        .with("SLACK_BOT_TOKEN", "xoxb-one")
        .with("DEVOTEL_SLACK_BOT_TOKEN", "xoxb-two")
        .with("TAUTLINE_DATABASE_URL", "mysql://user:hush@host/db");
    let mut process = setup.launch(data.path());
    assert_eq!(process.wait().code(), Some(2));
    process.wait_for("TAUTLINE_DATABASE_URL");
    let said = process.said();
    for name in ["TAUTLINE_ENCRYPTION_KEYS_FILE", "SLACK_BOT_TOKEN and DEVOTEL_SLACK_BOT_TOKEN"] {
        assert!(said.contains(name), "{said}");
    }
    assert!(!said.contains("xoxb") && !said.contains("hush"), "{said}");
}

#[tokio::test]
async fn a_second_server_on_one_store_is_refused() {
    let first = GatewaySetup::bare(Address::new()).start();
    let mut second = GatewaySetup::bare(Address::new()).launch(first.data());
    assert_eq!(second.wait().code(), Some(1));
    let said = second.wait_for("in use by another server");
    assert!(said.contains(&first.url), "and says which: {said}");
}

#[tokio::test]
async fn an_address_in_use_names_its_variable() {
    let first = GatewaySetup::bare(Address::new());
    let data = tempfile::tempdir().unwrap();
    let mut second = first.launch(data.path());
    second.wait_for("serving");
    let mut third = first.launch(tempfile::tempdir().unwrap().path());
    assert_eq!(third.wait().code(), Some(1));
    let line = third.wait_for("in use");
    assert!(line.contains("8080") && line.contains("TAUTLINE_LISTEN"), "{line}");
    second.kill();
}

#[tokio::test]
async fn a_stopping_gateway_finishes_what_is_in_hand() {
    let slack = Slack::start().await;
    let go = Arc::new(Notify::new());
    let reply = Reply::HoldThen(go.clone(), "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ndone");
    let receiver = Receiver::start(slack.address.port(3000), reply).await;
    let mut gateway = GatewaySetup::of(&slack)
        .with("TAUTLINE_FORWARD_URL", &receiver.url)
        .with("TAUTLINE_FORWARD_SECRET", "app-secret")
        .start();
    let key = gateway.tenant("acme").await;
    Browser::default().connect(&slack, &gateway.connect_link(&key).await).await;
    let (typed, ()) = tokio::join!(slack.command("/deploy"), async {
        receiver.wait_for(1).await;
        gateway.process.terminate();
        gateway.process.wait_for("finishing what is in hand");
        go.notify_one();
    });
    assert_eq!(typed["body"], "done", "{typed}");
    assert!(gateway.process.wait().success(), "{}", gateway.process.said());
}

#[tokio::test]
async fn logs_are_structured_when_asked() {
    let gateway = GatewaySetup::bare(Address::new()).with("TAUTLINE_LOG_FORMAT", "json").start();
    let line = gateway.process.wait_for("serving");
    assert!(line.starts_with('{') && line.contains("\"level\":\"INFO\""), "{line}");
}

#[tokio::test]
async fn errors_have_one_shape() {
    let gateway = GatewaySetup::bare(Address::new()).start();
    for (method, path) in [
        (Method::GET, "/nope"),
        (Method::DELETE, "/api/v1/tenants"),
        (Method::GET, "/api/v1/inbox?limit=0"),
        (Method::GET, "/api/v1/inbox?cursor=%00"),
        (Method::GET, "/api/v1/inbox?kind=party"),
        (Method::GET, "/api/v1/inbox"),
    ] {
        let (status, body) = gateway.ask(method, path, Some(ADMIN_KEY), None, None).await;
        assert!(status.is_client_error(), "{path}: {status}");
        assert!(body["error"].is_string() && body["code"].is_string(), "{path}: {body}");
    }
    let (status, document) = gateway.ask(Method::GET, "/openapi.json", None, None, None).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(document["openapi"].as_str().map(|version| &version[..2]), Some("3."));
}

#[tokio::test]
async fn half_a_request_holds_no_connection_for_ever() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let address = Address::new();
    let _gateway = GatewaySetup::bare(address).start();
    let mut half = tokio::net::TcpStream::connect(address.port(8080)).await.unwrap();
    half.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n").await.unwrap();
    // Ends when the gateway hangs up; were it to wait for ever, so would this test.
    let mut rest = Vec::new();
    half.read_to_end(&mut rest).await.unwrap();
    assert!(!rest.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&rest));
}
