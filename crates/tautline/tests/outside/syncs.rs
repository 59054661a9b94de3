//! What SIGKILL cannot see: whether what is acknowledged was brought to the disk. The kernel is asked.

use std::process::{Command, Stdio};

use serde_json::json;

use crate::support::{Address, GatewaySetup, SIGNING_SECRET, eventually, signed};

/// How often the file was synced so far.
fn syncs(log: &std::path::Path) -> usize {
    let log = std::fs::read_to_string(log).unwrap_or_default();
    log.lines().filter(|line| line.contains("sync(") && line.trim_end().ends_with("= 0")).count()
}

#[tokio::test]
async fn every_acknowledged_batch_was_synced() {
    let gateway = GatewaySetup::bare(Address::new()).with("SLACK_SIGNING_SECRET", SIGNING_SECRET).start();
    let log = gateway.data().join("syncs");
    let pid = gateway.process.id().to_string();
    let mut strace = Command::new("strace");
    strace.args(["-f", "-e", "trace=fsync,fdatasync", "-p", &pid, "-o"]).arg(&log);
    let mut strace = strace
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("`cargo xtask setup` installs strace");
    let send = async |number: usize| {
        let event = json!({ "type": "event_callback", "event_id": format!("Ev{number}"), "event": { "type": "message" } });
        let door = format!("{}/api/v1/integrations/webhooks/slack", gateway.url);
        let answer = signed(&door, "application/json", event.to_string()).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.status());
    };
    // Until strace has taken hold.
    let mut number = 0;
    while syncs(&log) == 0 {
        number += 1;
        assert!(number < 10_000, "strace counts nothing");
        send(number).await;
    }
    // One after the other: no two share a commit.
    let before = syncs(&log);
    for _ in 0..30 {
        number += 1;
        send(number).await;
    }
    eventually("each was synced", async || (syncs(&log) >= before + 30).then_some(())).await;
    let _ = strace.kill();
    let _ = strace.wait();
}
