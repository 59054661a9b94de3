//! Moving in: what a Bolt app kept of its workspaces is taken over, and nobody connects anew.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Gateway, GatewaySetup, Slack, eventually, http};

const IMPORT: &str = "/api/v1/integrations/slack/installations/import";

fn apps() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/apps")
}

fn ran(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What Bolt for JavaScript keeps in a directory.
fn bolt_js_store(directory: &Path, answer: &Value) {
    let packages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/bolt-js/node_modules");
    let mut node = Command::new("node");
    node.arg(apps().join("store.cjs")).arg(directory).arg(answer.to_string());
    ran(node.env("NODE_PATH", packages));
}

/// The rows of what Bolt for Python keeps in a database, one object a line.
fn bolt_python_rows(database: &Path, answer: &Value) -> String {
    let mut python = Command::new(apps().join(".venv/bin/python"));
    ran(python.arg(apps().join("store.py")).arg(database).arg(answer.to_string()))
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

async fn speaks_and_is_heard(slack: &Slack, gateway: &Gateway, key: &str, team: &str) {
    let (status, _) =
        slack.post("/say", &json!({ "team": team, "text": "@tautline are you still there?" })).await;
    assert_eq!(status, StatusCode::OK);
    eventually("the next event is the tenant's", async || {
        gateway.inbox(key).await.iter().any(|request| request["type"] == "app_mention").then_some(())
    })
    .await;
    let message = json!({ "to": { "channel": "#general" }, "text": "I am" });
    let messages = "/api/v1/integrations/slack/messages";
    let (_, sent) = gateway.ask(Method::POST, messages, Some(key), None, Some(message)).await;
    let one = format!("{messages}/{}", sent["id"].as_str().unwrap());
    eventually("and its token works", async || {
        (gateway.get(&one, key).await.1["state"] == "sent").then_some(())
    })
    .await;
}

#[tokio::test]
async fn both_bolts_stores_move_in_and_their_next_events_arrive() {
    let slack = Slack::start().await;
    let (acme, globex) = (slack.granted(None).await, slack.granted(Some("Globex")).await);
    let gateway = GatewaySetup::of(&slack).start();
    let kept = tempfile::tempdir().unwrap();
    let files = kept.path().join("bolt-js");
    bolt_js_store(&files, &acme);
    let rows = kept.path().join("rows.jsonl");
    std::fs::write(&rows, bolt_python_rows(&kept.path().join("bolt.db"), &globex)).unwrap();
    let team = |answer: &Value| answer["team"]["id"].as_str().unwrap().to_owned();
    let tenants = kept.path().join("tenants.csv");
    std::fs::write(
        &tenants,
        format!("# workspace,tenant\n{},acme\n{}, globex\n", team(&acme), team(&globex)),
    )
    .unwrap();
    let import = |from: &Path, more: &[&str]| {
        let mut arguments =
            vec!["installations", "import", from.to_str().unwrap(), "--make-tenants", "--tenants"];
        arguments.push(tenants.to_str().unwrap());
        arguments.extend(more);
        gateway.command(&arguments).output().unwrap()
    };

    let dry = import(&files, &["--dry-run"]);
    assert!(dry.status.success() && said(&dry).contains("1 importable"), "{}", said(&dry));
    let acme_key = gateway.tenant("acme").await;
    assert!(gateway.installations(&acme_key).await.is_empty(), "a dry run changes nothing");

    for (from, report) in [(&files, "1 imported"), (&rows, "1 imported, 1 older rows")] {
        let done = import(from, &[]);
        assert!(done.status.success() && said(&done).contains(report), "{}", said(&done));
    }
    let again = import(&rows, &["--json"]);
    assert!(again.status.success(), "{}", said(&again));
    let report: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(report["results"][0]["result"], "present", "what is here is left as it is");

    let globex_key = gateway.tenant("globex").await;
    let found = gateway.installations(&globex_key).await;
    assert_eq!((&found[0]["team"]["name"], &found[0]["health"]), (&json!("Globex"), &json!("connected")));
    assert_eq!(found[0]["missing_scopes"], json!([]), "as Slack says, whatever the row said");
    speaks_and_is_heard(&slack, &gateway, &acme_key, &team(&acme)).await;
    speaks_and_is_heard(&slack, &gateway, &globex_key, &team(&globex)).await;
}

#[tokio::test]
async fn what_cannot_move_in_is_said_with_the_reason() {
    let slack = Slack::start().await;
    let acme = slack.granted(None).await;
    let gateway = GatewaySetup::of(&slack).start();
    let key = gateway.tenant("acme").await;
    gateway.tenant("globex").await;
    let row =
        |team: &str, token: &str| json!({ "app_id": acme["app_id"], "team_id": team, "bot_token": token });
    let (team, token) = (acme["team"]["id"].as_str().unwrap(), acme["access_token"].as_str().unwrap());
    let import = async |tenant: &str, installation: Value| {
        let rows = json!({ "installations": [{ "tenant": tenant, "installation": installation }] });
        let (status, said) = gateway.post(IMPORT, rows).await;
        assert_eq!(status, StatusCode::OK, "{said}");
        let told = &said["results"][0];
        format!("{}: {}", told["result"].as_str().unwrap(), told["error"].as_str().unwrap_or_default())
    };
    let dead = import("acme", row(team, "xoxb-dead")).await;
    assert!(dead.starts_with("refused: ") && dead.contains("invalid_auth"), "{dead}");
    let other = import("acme", row("T0THER", token)).await;
    assert!(other.contains("the row says T0THER"), "{other}");
    let nobody = import("initech", row(team, token)).await;
    assert!(nobody.contains("no tenant \"initech\""), "{nobody}");
    assert!(import("acme", json!({ "team_id": team })).await.contains("no bot token"));
    assert!(import("home", row(team, token)).await.contains("home"));
    assert_eq!(import("acme", row(team, token)).await, "imported: ");
    assert_eq!(import("globex", row(team, token)).await, "taken: another tenant has it");
    assert_eq!(import("acme", row(team, "xoxb-stale")).await, "present: ", "a stale copy replaces nothing");
    assert_eq!(gateway.installations(&key).await.len(), 1);
    let many = (0..101).map(|_| json!({ "tenant": "acme", "installation": {} })).collect::<Vec<_>>();
    let (status, refused) = gateway.post(IMPORT, json!({ "installations": many })).await;
    assert_eq!((status, &refused["code"]), (StatusCode::BAD_REQUEST, &json!("too_many_rows")));

    let broken = gateway.data().join("broken.json");
    std::fs::write(&broken, "[{\"bot_token\": \"xoxb-secret\" oops").unwrap();
    let output =
        gateway.command(&["installations", "import", broken.to_str().unwrap(), "--tenant", "acme"]).output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("line 1") && !said(&output).contains("xoxb"), "{}", said(&output));
}

#[tokio::test]
async fn a_token_that_has_ended_moves_in_and_is_renewed() {
    let slack = Slack::rotating(43_200).await;
    let acme = slack.granted(None).await;
    slack.post("/tokens/expire", &json!({})).await;
    let gateway = GatewaySetup::of(&slack).start();
    let key = gateway.tenant("acme").await;
    let installation = json!({
        "app_id": acme["app_id"], "team_id": acme["team"]["id"], "bot_token": acme["access_token"],
        "bot_refresh_token": acme["refresh_token"], "bot_token_expires_at": "2026-01-01 00:00:00",
    });
    let rows = json!({ "installations": [{ "tenant": "acme", "installation": installation }] });
    let (_, said) = gateway.post(IMPORT, rows).await;
    assert_eq!(said["results"][0]["result"], "imported", "{said}");
    speaks_and_is_heard(&slack, &gateway, &key, acme["team"]["id"].as_str().unwrap()).await;
}

#[tokio::test]
async fn a_broken_one_is_mended_by_a_row_that_works() {
    let slack = Slack::rotating(43_200).await;
    let acme = slack.granted(None).await;
    let gateway = GatewaySetup::of(&slack).start();
    let key = gateway.tenant("acme").await;
    let import = async |answer: &Value| {
        let installation = json!({
            "app_id": answer["app_id"], "team_id": answer["team"]["id"], "bot_token": answer["access_token"],
            "bot_refresh_token": answer["refresh_token"], "bot_token_expires_at": 4_000_000_000_i64,
        });
        let rows = json!({ "installations": [{ "tenant": "acme", "installation": installation }] });
        gateway.post(IMPORT, rows).await.1["results"][0]["result"].clone()
    };
    assert_eq!(import(&acme).await, "imported");
    slack.post("/tokens/expire", &json!({ "refresh": true })).await;
    let health = async || gateway.installations(&key).await[0]["health"].clone();
    let call = http().post(format!("{}/slack/api/auth.test", gateway.url)).bearer_auth(&key);
    call.send().await.unwrap();
    eventually("it is broken", async || (health().await == "broken").then_some(())).await;
    let fresh = slack.granted(None).await;
    assert_eq!(import(&fresh).await, "imported");
    assert_eq!(health().await, "connected");
    assert_eq!(import(&fresh).await, "present");
}
