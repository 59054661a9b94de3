//! Nothing acknowledged is lost: real processes, killed for real.

use serde_json::json;

use crate::support::{Browser, Gateway, GatewaySetup, OK, Receiver, Reply, Slack, eventually};

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
async fn a_click_that_was_acknowledged_before_a_crash_is_delivered_after_it() {
    let (slack, mut gateway, receiver, key) = scene(Reply::Hang).await;
    let click = json!({ "type": "block_actions", "actions": [{ "type": "button", "action_id": "approve" }] });
    let (_, clicked) = slack.post("/interaction", &json!({ "payload": click })).await;
    assert_eq!(clicked["status"], 200, "Slack waits for nothing: {clicked}");
    let before = receiver.wait_for(1).await.remove(0);
    gateway.kill();
    receiver.reply(Reply::Say(OK));
    gateway.restart();
    let after = receiver.wait_for(2).await.remove(1);
    assert_eq!(after.header("tautline-request-id"), before.header("tautline-request-id"));
    assert_eq!((after.header("tautline-attempt"), &after.body), (Some("2"), &before.body));
    let delivered = async || {
        let request = gateway.inbox(&key).await.remove(0);
        (request["deliveries"][0]["state"] == "delivered").then_some(())
    };
    eventually("the click is delivered", delivered).await;
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
