//! Slack on a bad day: it limits, breaks, hangs, and loses answers to what it did; and gateways are killed meanwhile. Every message
//! comes to an end with a true reason, in its order, and none stands there twice unmarked.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tautline_testing::Cluster;

use crate::support::{Address, Browser, Gateway, GatewaySetup, Slack};

const MESSAGES: &str = "/api/v1/integrations/slack/messages";
const CHANNELS: usize = 50;
/// As slow as it may be before the test gives up; it is a bound, not a measure.
const PATIENCE: Duration = Duration::from_secs(900);

/// How many messages; `cargo xtask soak` says more.
fn messages() -> usize {
    let more = std::env::var_os("TAUTLINE_TEST_MESSAGES").and_then(|text| text.to_str()?.parse().ok());
    more.unwrap_or(3_000)
}

struct Tenant {
    key: String,
    team: String,
    channels: Vec<String>,
    /// The ids of what was accepted, with its number and channel.
    accepted: HashMap<String, (usize, String)>,
}

async fn tenant(slack: &Slack, gateway: &Gateway, id: &str, workspace: &str) -> Tenant {
    let key = gateway.tenant(id).await;
    let browser = Browser::default();
    let consent = browser.begin(&gateway.connect_link(&key).await).await;
    let callback = browser.decide_for(slack, &consent, "allow", Some(workspace)).await;
    assert_eq!(browser.get(&callback).await.status, StatusCode::OK);
    let team = slack.team(workspace).await;
    let made = json!({ "team": team, "name": "storm-", "count": CHANNELS });
    let (_, made) = slack.post("/channels", &made).await;
    let channels = made["channels"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned());
    Tenant { key, team, channels: channels.collect(), accepted: HashMap::new() }
}

impl Tenant {
    /// Says so many things, a hundred at a time.
    async fn say(&mut self, gateway: &Gateway, numbers: std::ops::Range<usize>) {
        let numbers = numbers.collect::<Vec<_>>();
        for part in numbers.chunks(100) {
            let channel = |number: &usize| &self.channels[number % CHANNELS];
            let wanted = part.iter().map(
                |number| json!({ "to": { "channel": channel(number) }, "text": format!("message {number}") }),
            );
            let body = json!({ "messages": wanted.collect::<Vec<_>>() });
            let path = format!("{MESSAGES}/batch");
            let (status, made) = gateway.ask(Method::POST, &path, Some(&self.key), None, Some(body)).await;
            assert_eq!(status, StatusCode::ACCEPTED, "{made}");
            for (number, made) in part.iter().zip(made["messages"].as_array().unwrap()) {
                let id = made["id"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned();
                self.accepted.insert(id, (*number, channel(number).clone()));
            }
        }
    }

    /// What has become of all, once nothing moves any more.
    async fn ends(&self, gateway: &Gateway) -> HashMap<String, Value> {
        let give_up =
            tokio::time::Instant::now() + PATIENCE.max(Duration::from_millis(40) * messages() as u32);
        loop {
            let mut waiting = 0;
            for state in ["queued", "sending", "uncertain"] {
                let (_, list) = gateway.get(&format!("{MESSAGES}?state={state}&limit=1"), &self.key).await;
                waiting += list["messages"].as_array().unwrap().len();
            }
            if waiting == 0 {
                break;
            }
            if tokio::time::Instant::now() >= give_up {
                let (_, list) = gateway.get(&format!("{MESSAGES}?state=uncertain&limit=3"), &self.key).await;
                let (_, queued) = gateway.get(&format!("{MESSAGES}?state=queued&limit=3"), &self.key).await;
                panic!("it does not end: {list} {queued}");
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let (mut found, mut cursor) = (HashMap::new(), String::new());
        loop {
            let (_, list) = gateway.get(&format!("{MESSAGES}?limit=500{cursor}"), &self.key).await;
            for message in list["messages"].as_array().unwrap() {
                found.insert(message["id"].as_str().unwrap().to_owned(), message.clone());
            }
            match list["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return found,
            }
        }
    }

    /// Holds what is on record against what stands in Slack.
    async fn is_all_true(&self, slack: &Slack, gateway: &Gateway) {
        let ends = self.ends(gateway).await;
        let mut stands = BTreeMap::<String, Vec<usize>>::new();
        for channel in &self.channels {
            let shown = slack.get(&format!("/messages?team={}&channel={channel}", self.team)).await;
            let numbers = shown["messages"].as_array().unwrap().iter().map(|message| {
                message["text"].as_str().unwrap().strip_prefix("message ").unwrap().parse().unwrap()
            });
            stands.insert(channel.clone(), numbers.collect());
        }
        for (id, (number, channel)) in &self.accepted {
            let end = ends.get(id).unwrap_or_else(|| panic!("message {number} is lost"));
            let times = stands[channel].iter().filter(|stands| *stands == number).count();
            let marked = end["possible_duplicate"] == true;
            match end["state"].as_str().unwrap() {
                "sent" => assert!(times == 1 || marked && times == 2, "{times} times: {end}"),
                "failed" | "expired" => {
                    assert!(times == 0 && end["error"].is_string(), "{times} times: {end}");
                }
                other => panic!("{other}: {end}"),
            }
        }
        for (channel, numbers) in &stands {
            assert!(numbers.is_sorted(), "out of order in {channel}: {numbers:?}");
        }
    }
}

/// Ten times as fast as Slack, so that a test need not wait for an hour.
fn fast(setup: GatewaySetup) -> GatewaySetup {
    setup.with("TAUTLINE_CHANNEL_PACE_MS", "100").with("TAUTLINE_WORKSPACE_POSTS_PER_MINUTE", "6000")
}

async fn bad(slack: &Slack) {
    let weather = json!({
        "limits": true, "speed": 10, "limited": 5, "limited_bare": 5, "broken": 4, "cut": 4, "internal": 4,
        "lost": 5, "held": 1,
    });
    assert_eq!(slack.post("/weather", &weather).await.0, StatusCode::OK);
}

async fn was_careful(slack: &Slack) {
    let sky = slack.get("/weather").await;
    let (too_fast, counted) = (sky["too_fast"].as_u64().unwrap(), sky["counted"].as_u64().unwrap());
    assert!(too_fast * 100 < counted, "{too_fast} of {counted} calls came too fast");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_message_ends_truly_through_kills() {
    let slack = Slack::start().await;
    match std::env::var_os("TAUTLINE_TEST_STORE") {
        Some(store) if store == "postgres" => of_two_servers_one_is_killed(&slack).await,
        _ => the_only_server_is_killed(&slack).await,
    }
    was_careful(&slack).await;
}

async fn the_only_server_is_killed(slack: &Slack) {
    let mut gateway = fast(GatewaySetup::of(slack).on_sqlite()).start();
    let mut acme = tenant(slack, &gateway, "acme", "Acme Rockets").await;
    let mut globex = tenant(slack, &gateway, "globex", "Globex").await;
    bad(slack).await;
    let half = messages() / 2;
    for part in 0..3 {
        let numbers = half * part / 3..half * (part + 1) / 3;
        acme.say(&gateway, numbers.clone()).await;
        globex.say(&gateway, numbers).await;
        gateway.kill();
        gateway.restart();
    }
    acme.is_all_true(slack, &gateway).await;
    globex.is_all_true(slack, &gateway).await;
}

async fn of_two_servers_one_is_killed(slack: &Slack) {
    let database = Cluster::shared().database();
    let setup = || fast(GatewaySetup::of(slack).on_postgres(database.clone()));
    let mut first = setup().start();
    let second = setup().at(Address::new()).start();
    let mut acme = tenant(slack, &first, "acme", "Acme Rockets").await;
    let mut globex = tenant(slack, &first, "globex", "Globex").await;
    bad(slack).await;
    let half = messages() / 2;
    for part in 0..2 {
        let numbers = half * part / 2..half * (part + 1) / 2;
        acme.say(&first, numbers.clone()).await;
        globex.say(&second, numbers).await;
        first.kill();
        first.restart_beside();
    }
    acme.is_all_true(slack, &second).await;
    globex.is_all_true(slack, &first).await;
}
