//! Nothing acknowledged is lost, whichever moment anything dies at: the gateway, one of two, the database.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tautline_testing::Cluster;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::support::{
    Address, Browser, Gateway, GatewaySetup, OK, Receiver, Reply, Slack, eventually, http, signed,
};

/// How often a gateway is killed; `cargo xtask soak` says more.
fn kills() -> usize {
    std::env::var_os("TAUTLINE_TEST_KILLS").and_then(|kills| kills.to_str()?.parse().ok()).unwrap_or(5)
}

/// Somebody who sends without end, and remembers what was acknowledged.
#[derive(Clone, Default)]
struct Load {
    events: Arc<Mutex<Vec<String>>>,
    messages: Arc<Mutex<Vec<String>>>,
    sent: Arc<AtomicUsize>,
    enough: Arc<Notify>,
}

impl Load {
    fn acknowledged(&self) -> usize {
        self.events.lock().unwrap().len() + self.messages.lock().unwrap().len()
    }

    /// Sends events and messages until the gateway is gone or `until` is told; then everybody stops.
    fn begin(&self, url: &str, key: &str, installation: &Value, until: usize) -> JoinSet<()> {
        let mut senders = JoinSet::new();
        for sender in 0..12 {
            let (load, url, installation) = (self.clone(), url.to_owned(), installation.clone());
            senders.spawn(async move {
                loop {
                    let id = format!("Ev-{sender}-{}", load.sent.fetch_add(1, Ordering::SeqCst));
                    let event = json!({
                        "type": "event_callback", "api_app_id": installation["app_id"],
                        "team_id": installation["team"]["id"], "event_id": id,
                        "event": { "type": "message", "text": id },
                    });
                    let door = format!("{url}/api/v1/integrations/webhooks/slack");
                    match signed(&door, "application/json", event.to_string()).send().await {
                        Ok(answer) if answer.status() == StatusCode::OK => {
                            load.events.lock().unwrap().push(id);
                        }
                        // Not durable in time, and told so: Slack would send it again.
                        Ok(answer) if answer.status() == StatusCode::SERVICE_UNAVAILABLE => {}
                        _ => return,
                    }
                    load.is_enough(until);
                }
            });
        }
        for sender in 0..4 {
            let (load, url, key) = (self.clone(), url.to_owned(), key.to_owned());
            senders.spawn(async move {
                loop {
                    let number = load.sent.fetch_add(1, Ordering::SeqCst);
                    let message = json!({ "to": { "channel": format!("#c{}", number % 9) }, "text": format!("{sender}") });
                    let request = http().post(format!("{url}/api/v1/integrations/slack/messages")).bearer_auth(&key);
                    let request = request.header("content-type", "application/json").body(message.to_string());
                    match request.send().await {
                        Ok(answer) if answer.status() == StatusCode::ACCEPTED => {
                            let Ok(text) = answer.text().await else { return };
                            let made: Value = serde_json::from_str(&text).unwrap();
                            load.messages.lock().unwrap().push(made["id"].as_str().unwrap().to_owned());
                        }
                        Ok(answer) if answer.status() == StatusCode::SERVICE_UNAVAILABLE => {}
                        _ => return,
                    }
                    load.is_enough(until);
                }
            });
        }
        senders
    }

    fn is_enough(&self, until: usize) {
        if self.acknowledged() >= until {
            self.enough.notify_one();
        }
    }

    /// Everything that was acknowledged is there, and every event once.
    async fn is_all_there(&self, gateway: &Gateway, key: &str) {
        let requests = all(gateway, key, "/api/v1/inbox", "requests", "slack_id").await;
        let messages = all(gateway, key, "/api/v1/integrations/slack/messages", "messages", "id").await;
        let lost = |acknowledged: &Mutex<Vec<String>>, kept: &BTreeMap<String, usize>| {
            acknowledged
                .lock()
                .unwrap()
                .iter()
                .filter(|id| !kept.contains_key(*id))
                .cloned()
                .collect::<Vec<_>>()
        };
        assert_eq!(
            lost(&self.events, &requests),
            [""; 0],
            "events, of {}",
            self.events.lock().unwrap().len()
        );
        assert_eq!(
            lost(&self.messages, &messages),
            [""; 0],
            "messages, of {}",
            self.messages.lock().unwrap().len()
        );
        let doubled = requests.iter().filter(|(_, times)| **times > 1).collect::<Vec<_>>();
        assert!(doubled.is_empty(), "{doubled:?}");
    }
}

/// All entries of a list by a field, with how often each is there.
async fn all(gateway: &Gateway, key: &str, path: &str, list: &str, field: &str) -> BTreeMap<String, usize> {
    let (mut found, mut cursor) = (BTreeMap::new(), String::new());
    loop {
        let (status, page) = gateway.get(&format!("{path}?limit=500&cursor={cursor}"), key).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        for entry in page[list].as_array().unwrap() {
            *found.entry(entry[field].as_str().unwrap_or_default().to_owned()).or_default() += 1;
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => return found,
        }
    }
}

async fn connected(setup: GatewaySetup, slack: &Slack) -> (Gateway, String, Value) {
    let gateway = setup.start();
    let key = gateway.tenant("acme").await;
    Browser::default().connect(slack, &gateway.connect_link(&key).await).await;
    let (_, found) = gateway.get("/api/v1/integrations/slack/installations", &key).await;
    let installation = found["installations"][0].clone();
    (gateway, key, installation)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_killed_again_and_again_under_load_loses_nothing() {
    let slack = Slack::start().await;
    let receiver = Receiver::start(slack.address.port(3000), Reply::Say(OK)).await;
    let setup = GatewaySetup::of(&slack)
        .with("TAUTLINE_FORWARD_URL", &receiver.url)
        .with("TAUTLINE_FORWARD_SECRET", "app-secret");
    let (mut gateway, key, installation) = connected(setup, &slack).await;
    let load = Load::default();
    for _ in 0..kills() {
        // At any moment: in a batch, between two, while messages are on their way.
        let until = load.acknowledged() + fastrand::usize(1..150);
        let senders = load.begin(&gateway.url, &key, &installation, until);
        load.enough.notified().await;
        gateway.process.kill();
        senders.join_all().await;
        gateway.restart();
    }
    load.is_all_there(&gateway, &key).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_replicas_one_is_killed_and_the_other_does_its_work() {
    let slack = Slack::start().await;
    let receiver = Receiver::start(slack.address.port(3000), Reply::Say(OK)).await;
    let database = Cluster::shared().database();
    let setup = || {
        GatewaySetup::of(&slack)
            .on_postgres(database.clone())
            .with("TAUTLINE_FORWARD_URL", &receiver.url)
            .with("TAUTLINE_FORWARD_SECRET", "app-secret")
    };
    let (mut first, key, installation) = connected(setup(), &slack).await;
    let second = setup().at(Address::new()).start();
    let load = Load::default();
    let to_first = load.begin(&first.url, &key, &installation, 200);
    let mut to_second = load.begin(&second.url, &key, &installation, 200);
    load.enough.notified().await;
    first.process.kill();
    to_first.join_all().await;
    let before = load.acknowledged();
    eventually("the other goes on", async || (load.acknowledged() > before + 50).then_some(())).await;
    to_second.shutdown().await;
    // The dead one's leases run out: the other takes its work up.
    database.sql("UPDATE deliveries SET leased_until = 0 WHERE state = 'leased'");
    load.is_all_there(&second, &key).await;
    let undelivered = "SELECT count(*) FROM deliveries WHERE state <> 'delivered'";
    eventually("all of it is delivered", async || (database.sql(undelivered) == "0").then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_crashes_under_load_loses_nothing_and_slack_hears_of_it() {
    let slack = Slack::start().await;
    let receiver = Receiver::start(slack.address.port(3000), Reply::Say(OK)).await;
    let cluster = Cluster::start(true);
    let setup = GatewaySetup::of(&slack)
        .on_postgres(cluster.database())
        .with("TAUTLINE_FORWARD_URL", &receiver.url)
        .with("TAUTLINE_FORWARD_SECRET", "app-secret");
    let (gateway, key, installation) = connected(setup, &slack).await;
    let load = Load::default();
    let mut senders = load.begin(&gateway.url, &key, &installation, 150);
    load.enough.notified().await;
    cluster.crash();
    let (status, body) = gateway.ask(Method::GET, "/readyz", None, None, None).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{body}");
    let unheard = signed(
        &format!("{}/slack/commands", gateway.url),
        "application/json",
        r#"{"type":"event_callback","event_id":"Ev","event":{"type":"x"}}"#,
    );
    assert_eq!(unheard.send().await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    cluster.start_again();
    let before = load.acknowledged();
    eventually("it goes on by itself", async || (load.acknowledged() > before + 100).then_some(())).await;
    senders.shutdown().await;
    load.is_all_there(&gateway, &key).await;
}
