//! Nothing acknowledged is lost: real processes, killed for real.

use std::sync::Arc;

use serde_json::json;
use tokio::sync::Notify;

use crate::support::{Browser, Gateway, GatewaySetup, OK, Receiver, Reply, Slack, eventually, signed};

async fn scene(reply: Reply) -> (Slack, Gateway, Receiver, String) {
    scene_on(reply, |setup| setup).await
}

async fn scene_on(
    reply: Reply,
    store: impl FnOnce(GatewaySetup) -> GatewaySetup,
) -> (Slack, Gateway, Receiver, String) {
    let slack = Slack::start().await;
    let receiver = Receiver::start(slack.address.port(3000), reply).await;
    let gateway = store(GatewaySetup::of(&slack))
        .with("TAUTLINE_FORWARD_URL", &receiver.url)
        .with("TAUTLINE_FORWARD_SECRET", "app-secret")
        .start();
    let key = gateway.tenant("acme").await;
    Browser::default().connect(&slack, &gateway.connect_link(&key).await).await;
    (slack, gateway, receiver, key)
}

#[tokio::test]
async fn a_command_that_a_crash_cut_short_is_unanswered_and_not_run_again() {
    let (slack, mut gateway, receiver, key) = scene(Reply::Hang).await;
    let typed = slack.command("/deploy");
    let (_, ()) = tokio::join!(typed, async {
        receiver.wait_for(1).await;
        gateway.kill();
    });
    receiver.reply(Reply::Say(OK));
    gateway.restart();
    let request = gateway.inbox(&key).await.remove(0);
    assert_eq!(request["answer"], "unanswered");
    let delivery = &request["deliveries"][0];
    assert_eq!((&delivery["state"], &delivery["dead_reason"]), (&json!("dead"), &json!("not_repeatable")));
    assert_eq!(delivery["attempts"][0]["outcome"], "interrupted");
    // Another command goes through: what would have been run again, would have been by then.
    slack.command("/other").await;
    let bodies = receiver.wait_for(2).await;
    assert!(bodies[1].text().contains("%2Fother"), "{}", bodies[1].text());
}

#[tokio::test]
async fn what_was_acknowledged_under_load_is_all_there_after_a_kill() {
    let (slack, mut gateway, _receiver, key) = scene(Reply::Hang).await;
    let url = format!("{}/api/v1/integrations/webhooks/slack", gateway.url);
    let (_, found) = gateway.get("/api/v1/integrations/slack/installations", &key).await;
    let installation = found["installations"][0].clone();
    let event = |id: String| {
        json!({
            "type": "event_callback", "api_app_id": installation["app_id"], "team_id": installation["team"]["id"],
            "event_id": id, "event": { "type": "message", "text": id },
        })
        .to_string()
    };
    let acknowledged = Arc::new(std::sync::Mutex::new(Vec::new()));
    let enough = Arc::new(Notify::new());
    let senders = (0..16).map(|sender| {
        let (url, event, acknowledged, enough) = (&url, &event, acknowledged.clone(), enough.clone());
        async move {
            for number in 0.. {
                let id = format!("Ev-{sender}-{number}");
                match signed(url, "application/json", event(id.clone())).send().await {
                    Ok(answer) if answer.status().is_success() => acknowledged.lock().unwrap().push(id),
                    _ => return,
                }
                if acknowledged.lock().unwrap().len() >= 200 {
                    enough.notify_one();
                }
            }
        }
    });
    let killing = async {
        enough.notified().await;
        gateway.process.kill();
    };
    futures(senders, killing).await;
    gateway.restart();
    let mut kept = std::collections::BTreeSet::new();
    let mut cursor = String::new();
    loop {
        let (_, page) = gateway.get(&format!("/api/v1/inbox?limit=500&cursor={cursor}"), &key).await;
        kept.extend(
            page["requests"].as_array().unwrap().iter().map(|r| r["slack_id"].as_str().unwrap().to_owned()),
        );
        match page["next_cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    let acknowledged = acknowledged.lock().unwrap();
    assert!(acknowledged.len() >= 200);
    let lost = acknowledged.iter().filter(|id| !kept.contains(*id)).collect::<Vec<_>>();
    assert!(
        lost.is_empty(),
        "{} of {} acknowledged events are lost: {lost:?}",
        lost.len(),
        acknowledged.len()
    );
    drop(slack);
}

/// Runs the senders beside the killing, all to their end.
async fn futures(senders: impl Iterator<Item = impl Future<Output = ()>>, killing: impl Future<Output = ()>) {
    use std::pin::pin;
    use std::task::Poll;
    let mut senders = senders.map(Box::pin).map(Some).collect::<Vec<_>>();
    let mut killing = pin!(killing);
    let mut killed = false;
    std::future::poll_fn(|context| {
        killed = killed || killing.as_mut().poll(context).is_ready();
        for sender in &mut senders {
            if sender.as_mut().is_some_and(|sending| sending.as_mut().poll(context).is_ready()) {
                *sender = None;
            }
        }
        if killed && senders.iter().all(Option::is_none) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

#[tokio::test]
async fn while_the_store_cannot_commit_slack_is_not_told_ok() {
    let (slack, gateway, _receiver, key) = scene_on(Reply::Say(OK), GatewaySetup::on_sqlite).await;
    // Somebody else holds the file's write lock: commits have to wait.
    let other = rusqlite::Connection::open(gateway.database()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let ids = slack.say("are you there?").await;
    let first = slack.wait_for_answer(&ids[0]).await;
    assert_eq!(first["status"], 503, "{first}");
    let typed = slack.command("/deploy").await;
    assert_eq!(typed["status"], 503, "the person sees an error: {typed}");
    other.execute_batch("ROLLBACK").unwrap();
    // Slack retries the event, and it is there once; the command is shown, and was not run.
    let requests = eventually("both are in the inbox", async || {
        let requests = gateway.inbox(&key).await;
        let of = |kind: &str| {
            requests.iter().filter(|request| request["kind"] == kind).cloned().collect::<Vec<_>>()
        };
        let (events, commands) = (of("event"), of("command"));
        let settled = events.first()?["deliveries"][0]["state"] == "delivered"
            && commands.first()?["answer"] == "unanswered";
        settled.then_some((events, commands))
    });
    let (events, commands) = requests.await;
    assert_eq!((events.len(), commands.len()), (1, 1));
    assert_eq!(commands[0]["deliveries"][0]["state"], "dead");
}
