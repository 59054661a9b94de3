//! Looking after the store: keys, tenants, backups, migrations.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Output;

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::{
    ADMIN_KEY, Address, Browser, ENCRYPTION_KEYS, Gateway, GatewaySetup, Slack, eventually, tautline,
};

const NEW_KEYS: &str = "k2:ZmVkY2JhWllYV1ZVVFNSUVBPTk1MS0pJSEdGRURDQkE=";

async fn connected() -> (Slack, Gateway, String) {
    let slack = Slack::start().await;
    let gateway = GatewaySetup::of(&slack).start();
    let key = gateway.tenant("acme").await;
    Browser::default().connect(&slack, &gateway.connect_link(&key).await).await;
    (slack, gateway, key)
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs a command with the gateway's own configuration.
fn run(gateway: &Gateway, arguments: &[&str]) -> Output {
    gateway.command(arguments).output().unwrap()
}

#[tokio::test]
async fn a_key_is_rotated_while_serving_and_the_old_one_taken_out() {
    let (slack, mut gateway, key) = connected().await;
    slack.say("what a customer wrote").await;
    eventually("it is in the inbox", async || (!gateway.inbox(&key).await.is_empty()).then_some(())).await;
    let request = gateway.inbox(&key).await[0]["id"].as_str().unwrap().to_owned();

    gateway.kill();
    gateway.set("TAUTLINE_ENCRYPTION_KEYS", &format!("{NEW_KEYS},{ENCRYPTION_KEYS}"));
    gateway.restart();
    let rotated = run(&gateway, &["keys", "rotate"]);
    assert!(rotated.status.success(), "{}", said(&rotated));
    assert!(said(&rotated).contains("nothing is left under older keys"), "{}", said(&rotated));
    let again = run(&gateway, &["keys", "rotate"]);
    assert!(said(&again).contains(" 0 values sealed anew"), "{}", said(&again));

    gateway.kill();
    gateway.set("TAUTLINE_ENCRYPTION_KEYS", NEW_KEYS);
    gateway.restart();
    let (status, found) = gateway.get(&format!("/api/v1/inbox/{request}"), &key).await;
    assert_eq!(status, StatusCode::OK, "{found}");
    assert!(found.to_string().contains("what a customer wrote"), "{found}");
    let sent = json!({ "to": { "channel": "#general" }, "text": "with the same token" });
    let (status, _) =
        gateway.ask(Method::POST, "/api/v1/integrations/slack/messages", Some(&key), None, Some(sent)).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    slack.wait_for_message("with the same token").await;
}

#[tokio::test]
async fn a_rotation_that_the_server_does_not_know_of_is_refused() {
    let slack = Slack::start().await;
    let mut gateway = GatewaySetup::of(&slack).on_sqlite().start();
    // The new key is configured, and nobody has started the server anew.
    gateway.set("TAUTLINE_ENCRYPTION_KEYS", &format!("{NEW_KEYS},{ENCRYPTION_KEYS}"));
    let rotated = run(&gateway, &["keys", "rotate"]);
    assert_eq!(rotated.status.code(), Some(1), "{}", said(&rotated));
    assert!(said(&rotated).contains("start the server anew"), "{}", said(&rotated));
}

#[tokio::test]
async fn another_key_under_the_old_name_is_noticed() {
    let (_slack, mut gateway, _key) = connected().await;
    gateway.kill();
    gateway.set("TAUTLINE_ENCRYPTION_KEYS", "k1:ZmVkY2JhWllYV1ZVVFNSUVBPTk1MS0pJSEdGRURDQkE=");
    let rotated = run(&gateway, &["keys", "rotate"]);
    assert_eq!(rotated.status.code(), Some(1), "{}", said(&rotated));
    assert!(said(&rotated).contains("does not open") && !said(&rotated).contains("can be taken out"));
}

#[tokio::test]
async fn a_restore_never_meets_what_an_earlier_store_left() {
    let gateway = GatewaySetup::bare(Address::new()).start();
    let file = gateway.data().join("copy");
    assert!(run(&gateway, &["backup", file.to_str().unwrap()]).status.success());
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let restore = || {
        tautline()
            .args(["restore", file.to_str().unwrap()])
            .env("TAUTLINE_DATA_DIR", elsewhere.path())
            .output()
            .unwrap()
    };
    // A log that was left beside would be taken for the restored file's own.
    let log = elsewhere.path().join("tautline.db-wal");
    std::fs::write(&log, b"left").unwrap();
    let refused = restore();
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("tautline.db-wal"), "{}", said(&refused));
    std::fs::remove_file(&log).unwrap();
    assert!(restore().status.success());
    let mode = elsewhere.path().join("tautline.db").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "whatever the copy's was");
    // A server whose file was moved away under it still has its place.
    let moved = gateway.data().join("moved.db");
    for ending in ["", "-wal", "-shm"] {
        let _ = std::fs::rename(
            format!("{}{ending}", gateway.database().display()),
            format!("{}{ending}", moved.display()),
        );
    }
    let refused = run(&gateway, &["restore", file.to_str().unwrap()]);
    assert!(said(&refused).contains("in use by another server"), "{}", said(&refused));
}

#[tokio::test]
async fn a_backup_of_postgres_that_was_cut_off_is_refused() {
    let slack = Slack::start().await;
    let cluster = tautline_testing::Cluster::shared();
    let mut gateway = GatewaySetup::of(&slack).on_postgres(cluster.database()).start();
    let file = gateway.data().join("copy");
    assert!(run(&gateway, &["backup", file.to_str().unwrap()]).status.success());
    gateway.kill();
    gateway.empty_store();
    let whole = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, whole.split_once("ADD CONSTRAINT").unwrap().0).unwrap();
    let refused = run(&gateway, &["restore", file.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains("no whole backup"), "{}", said(&refused));
    std::fs::write(&file, whole).unwrap();
    let restored = run(&gateway, &["restore", file.to_str().unwrap()]);
    assert!(restored.status.success(), "{}", said(&restored));
    gateway.restart();
}

#[tokio::test]
async fn without_the_old_key_a_rotation_fails_and_names_the_installation() {
    let (_slack, mut gateway, _key) = connected().await;
    gateway.kill();
    gateway.set("TAUTLINE_ENCRYPTION_KEYS", NEW_KEYS);
    // No server runs: the command opens the store itself.
    let rotated = run(&gateway, &["keys", "rotate"]);
    assert_eq!(rotated.status.code(), Some(1), "{}", said(&rotated));
    let said = said(&rotated);
    assert!(said.contains("ins_") && said.contains("\"k1\"") && said.contains("acme"), "{said}");
}

#[tokio::test]
async fn a_tenant_is_erased_with_a_receipt_and_nothing_of_it_answers() {
    let (slack, gateway, key) = connected().await;
    slack.say("soon forgotten").await;
    eventually("it is in the inbox", async || (!gateway.inbox(&key).await.is_empty()).then_some(())).await;
    let unsure = run(&gateway, &["tenants", "erase", "acme"]);
    assert_eq!(unsure.status.code(), Some(2), "{}", said(&unsure));
    assert!(said(&unsure).contains("--yes"), "{}", said(&unsure));
    let erased = run(&gateway, &["tenants", "erase", "acme", "--yes"]);
    assert!(erased.status.success(), "{}", said(&erased));
    let receipt: serde_json::Value = serde_json::from_slice(&erased.stdout).unwrap();
    assert_eq!(receipt["tenant"], "acme");
    assert_eq!(
        (&receipt["erased"]["credentials"], &receipt["erased"]["installations"]),
        (&json!(1), &json!(1))
    );
    assert!(receipt["erased"]["inbox"].as_u64() >= Some(1), "{receipt}");
    let (status, _) = gateway.get("/api/v1/inbox", &key).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "its key is gone");
    for (id, code) in [("acme", 1), ("home", 1), ("a.b", 2), ("a\"b", 2), (&"a".repeat(49), 2)] {
        let refused = run(&gateway, &["tenants", "erase", id, "--yes"]);
        assert_eq!(refused.status.code(), Some(code), "{id}: {}", said(&refused));
    }
    // What Slack goes on sending belongs to nobody.
    let ids = slack.say("still there?").await;
    assert_eq!(slack.wait_for_answer(&ids[0]).await["status"], 200);
    let (_, unclaimed) =
        gateway.ask(Method::GET, "/api/v1/inbox?unclaimed=true", Some(ADMIN_KEY), None, None).await;
    assert!(!unclaimed["requests"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn a_backup_made_while_serving_comes_back_with_its_messages_held() {
    let (slack, mut gateway, key) = connected().await;
    // Slack is gone: what is accepted now waits.
    slack.stop_and_wait().await;
    let sent = json!({ "to": { "channel": "#general" }, "text": "not twice" });
    let (status, made) =
        gateway.ask(Method::POST, "/api/v1/integrations/slack/messages", Some(&key), None, Some(sent)).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{made}");
    let message = format!("/api/v1/integrations/slack/messages/{}", made["id"].as_str().unwrap());
    let file = gateway.data().join("copy");
    let backup = |gateway: &Gateway| run(gateway, &["backup", file.to_str().unwrap()]);
    let made = backup(&gateway);
    assert!(made.status.success(), "{}", said(&made));
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "for the owner alone");
    assert_eq!(backup(&gateway).status.code(), Some(1), "nothing is overwritten");

    gateway.kill();
    let refused = run(&gateway, &["restore", file.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(1), "there is a store: {}", said(&refused));
    gateway.empty_store();
    let restored = run(&gateway, &["restore", file.to_str().unwrap()]);
    assert!(restored.status.success() && said(&restored).contains("held"), "{}", said(&restored));
    gateway.restart();
    let (_, found) = gateway.get(&message, &key).await;
    assert_eq!(found["state"], "held", "{found}");
    assert!(found["error"].as_str().unwrap().contains("backup"), "{found}");
}

#[tokio::test]
async fn a_damaged_backup_is_refused_and_leaves_nothing_behind() {
    let gateway = GatewaySetup::bare(Address::new()).start();
    let file = gateway.data().join("copy");
    std::fs::write(&file, b"this is no store").unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let restored = tautline()
        .args(["restore", file.to_str().unwrap()])
        .env("TAUTLINE_DATA_DIR", elsewhere.path())
        .output()
        .unwrap();
    assert_eq!(restored.status.code(), Some(1));
    assert!(said(&restored).contains("copy"), "{}", said(&restored));
    assert!(!elsewhere.path().join("tautline.db").exists());
}

#[tokio::test]
async fn migrate_says_what_it_would_do_and_does_it() {
    let dir = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        tautline().args(arguments).env("TAUTLINE_DATA_DIR", dir.path()).output().unwrap()
    };
    let check = run(&["migrate", "--check"]);
    assert_eq!(check.status.code(), Some(3), "{}", said(&check));
    assert!(
        said(&check).contains("schema 0") && said(&check).contains("tautline migrate"),
        "{}",
        said(&check)
    );
    assert!(!dir.path().join("tautline.db").exists(), "nothing was done");
    let migrated = run(&["migrate"]);
    assert!(migrated.status.success() && said(&migrated).contains("synchronous=FULL"), "{}", said(&migrated));
    let check = run(&["migrate", "--check"]);
    assert!(check.status.success() && said(&check).contains("nothing to do"), "{}", said(&check));
}

#[tokio::test]
async fn on_postgres_nothing_is_stored_without_a_key() {
    let database = tautline_testing::Cluster::shared().database();
    let address = Address::new();
    let data = tempfile::tempdir().unwrap();
    let process = GatewaySetup::bare(address).on_postgres(database.clone()).launch(data.path());
    process.wait_for("TAUTLINE_ENCRYPTION_KEYS");
    let url = address.url(8080);
    let ask = async |path: &str| {
        eventually("it answers", async || {
            crate::support::http().get(format!("{url}{path}")).send().await.ok()
        })
        .await
    };
    assert_eq!(ask("/healthz").await.status(), StatusCode::OK);
    for path in ["/readyz", "/api/v1/inbox", "/"] {
        let answer = ask(path).await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert!(answer.text().await.unwrap().contains("TAUTLINE_ENCRYPTION_KEYS"), "{path}");
    }
    assert_eq!(database.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), "0");
}

#[tokio::test]
async fn a_store_that_cannot_be_used_is_named_with_what_is_wrong() {
    let start = |url: &str, dir: &Path| {
        let mut process = GatewaySetup::bare(Address::new())
            .with("TAUTLINE_ENCRYPTION_KEYS", ENCRYPTION_KEYS)
            .with("TAUTLINE_DATABASE_URL", url)
            .launch(dir);
        (process.wait().code(), process.said())
    };
    let dir = tempfile::tempdir().unwrap();
    let not_a_store = dir.path().join("notes.txt");
    std::fs::write(
        &not_a_store,
        "these are my notes, and they are longer than the header of a file of SQLite's. ".repeat(9),
    )
    .unwrap();
    for (url, code, named) in [
        ("mysql://user:hush@host/db", 2, "TAUTLINE_DATABASE_URL"),
        ("postgres://user:hush@127.0.0.1:1/tautline", 1, "127.0.0.1:1/tautline"),
        ("postgres://user:hush@no.such.host.invalid/tautline", 1, "no.such.host.invalid"),
        (&format!("sqlite://{}", not_a_store.display()), 1, "notes.txt"),
        ("sqlite:///no/such/directory/tautline.db", 1, "/no/such/directory"),
        ("sqlite:///proc/version", 1, "/proc/version"),
        ("postgres://user:hu@sh@127.0.0.1:1/tautline", 1, "%40"),
        ("postgres://user@127.0.0.1:1/tautline?passwd=hush", 1, "passwd"),
    ] {
        let (ended, said) = start(url, dir.path());
        assert_eq!(ended, Some(code), "{url}: {said}");
        assert!(said.contains(named) && !said.contains("hush"), "{url}: {said}");
    }
    let mut short = GatewaySetup::bare(Address::new())
        .with("TAUTLINE_ENCRYPTION_KEYS", "k1:QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZQ==")
        .launch(dir.path());
    assert_eq!(short.wait().code(), Some(2));
    assert!(short.said().contains("31 bytes") && short.said().contains("openssl"), "{}", short.said());
}

#[tokio::test]
async fn what_a_person_said_is_erased_with_a_receipt() {
    let slack = Slack::start().await;
    let gateway = GatewaySetup::of(&slack).start();
    let key = gateway.tenant("acme").await;
    Browser::default().connect(&slack, &gateway.connect_link(&key).await).await;
    slack.say("<@BOT> my secret words").await;
    let said = eventually("it is in the inbox", async || gateway.inbox(&key).await.pop()).await;
    let one = format!("/api/v1/inbox/{}", said["id"].as_str().unwrap());
    let payload = async || gateway.get(&one, &key).await.1.to_string();
    let before = payload().await;
    assert!(before.contains("my secret words"), "{before}");
    let plain = before.replace('\\', "");
    let (_, rest) = plain.split_once(r#""user":"U"#).unwrap_or_else(|| panic!("{plain}"));
    let user = format!("U{}", rest.split('"').next().unwrap());
    let erase = async |user: &str, key: &str| {
        let path = format!("/api/v1/integrations/slack/users/{user}/content");
        gateway.ask(Method::DELETE, &path, Some(key), None, None).await
    };
    assert_eq!(erase("ada", &key).await.0, StatusCode::BAD_REQUEST);
    let (status, receipt) = erase(&user, &key).await;
    assert_eq!((status, &receipt["user"]), (StatusCode::OK, &json!(user)), "{receipt}");
    assert!(receipt["requests"].as_u64() > Some(0), "{receipt}");
    assert!(!payload().await.contains("my secret words"));
    let (_, audit) = gateway.get("/api/v1/audit", &key).await;
    assert!(audit.to_string().contains("user.erased"), "{audit}");
}
