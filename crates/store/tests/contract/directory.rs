//! The directory of channels, and the routes that lead to them.

use tautline_core::channel::{Channel, Crawl, CrawlNext};
use tautline_core::route::Route;
use tautline_core::{InstallationId, limits};

use crate::installations::connected;
use crate::scene::{NOW, Scene, later};

fn channel(id: &str, name: &str) -> Channel {
    Channel { id: id.into(), name: name.into(), is_private: false, is_member: true, dead: None }
}

async fn claim(scene: &Scene, at_s: u64) -> Option<Crawl> {
    scene.store.crawl_claim(later(at_s), later(at_s + 30)).await.unwrap()
}

async fn named(scene: &Scene, installation: InstallationId, text: &str) -> Vec<String> {
    let found = scene.store.channels(&scene.acme, installation, text, 10).await.unwrap();
    found.into_iter().map(|channel| channel.name).collect()
}

pub async fn a_workspace_is_crawled_page_by_page_and_what_is_gone_goes(scene: &Scene) {
    let installation = connected(scene, &scene.acme).await;
    let first = claim(scene, 0).await.expect("what is connected is crawled");
    assert_eq!((first.installation, first.cursor.as_deref()), (installation, None));
    assert_eq!(claim(scene, 29).await, None, "by one at a time");
    let page = |crawl: Crawl, channels, next, at| {
        let store = scene.store.clone();
        async move { store.crawl_page(&crawl, channels, next, later(at)).await.unwrap() }
    };
    let more = CrawlNext::Page { cursor: "two".into(), at: later(3) };
    page(first.clone(), vec![channel("C1", "general"), channel("C2", "old")], more.clone(), 1).await;
    assert_eq!(named(scene, installation, "").await, ["old", "general"]);
    let second = claim(scene, 3).await.unwrap();
    assert_eq!(second.cursor.as_deref(), Some("two"));
    page(first, vec![channel("C9", "late")], more, 4).await;
    assert!(!named(scene, installation, "").await.contains(&"late".to_owned()), "who is late keeps nothing");
    page(second, vec![channel("C3", "random")], CrawlNext::Done { at: later(100) }, 5).await;
    let state = scene.store.directory(&scene.acme, installation).await.unwrap().unwrap();
    assert_eq!((state.crawled_at, state.error), (Some(later(5)), None));
    assert_eq!(claim(scene, 99).await, None);
    let again = claim(scene, 100).await.unwrap();
    let failed = CrawlNext::Failed { error: Some("missing_scope".into()), at: later(200) };
    page(again, Vec::new(), failed, 101).await;
    let state = scene.store.directory(&scene.acme, installation).await.unwrap().unwrap();
    assert_eq!(state.error.as_deref(), Some("missing_scope"));
    assert_eq!(named(scene, installation, "").await.len(), 3, "what was known stays");
    scene.store.crawl_ask(&scene.acme, installation, later(150)).await.unwrap();
    let again = claim(scene, 150).await.expect("somebody asked");
    page(again, vec![channel("C1", "lobby")], CrawlNext::Done { at: later(900) }, 151).await;
    assert_eq!(named(scene, installation, "").await, ["lobby"]);
    assert_eq!(scene.store.directory(&scene.acme, installation).await.unwrap().unwrap().error, None);
}

pub async fn channels_are_found_by_what_their_names_hold(scene: &Scene) {
    let installation = connected(scene, &scene.acme).await;
    for (id, name) in
        [("C1", "deploys"), ("C2", "web-deploys"), ("C3", "deploy_x"), ("C4", "a%b"), ("C5", "a\\b")]
    {
        scene.store.channel_keep(&scene.acme, installation, &channel(id, name)).await.unwrap();
    }
    assert_eq!(named(scene, installation, "deploy").await, ["deploys", "deploy_x", "web-deploys"]);
    assert_eq!(named(scene, installation, "DEPLOYS").await, ["deploys", "web-deploys"]);
    assert_eq!(named(scene, installation, "y_").await, ["deploy_x"], "for itself");
    assert_eq!(named(scene, installation, "%").await, ["a%b"]);
    assert_eq!(named(scene, installation, "\\").await, ["a\\b"]);
    let theirs = scene.store.channels(&scene.globex, installation, "", 10).await.unwrap();
    assert_eq!(theirs, [], "another tenant's");
    assert_eq!(scene.store.channel(&scene.globex, installation, "C1").await.unwrap(), None);
    let ids = ["C9", "C2", "C1"].map(str::to_owned);
    let mut known = scene.store.channels_by_id(&scene.acme, installation, &ids).await.unwrap();
    known.sort_by(|one, other| one.id.cmp(&other.id));
    assert_eq!(known.iter().map(|known| known.id.as_str()).collect::<Vec<_>>(), ["C1", "C2"], "as asked");
    scene.store.channel_keep(&scene.globex, installation, &channel("C1", "stolen")).await.unwrap();
    scene.store.channel_forget(&scene.globex, installation, "C2").await.unwrap();
    assert_eq!(named(scene, installation, "deploys").await, ["deploys", "web-deploys"]);
    scene.store.channel_forget(&scene.acme, installation, "C2").await.unwrap();
    assert_eq!(named(scene, installation, "deploys").await, ["deploys"]);
}

pub async fn a_channel_that_takes_nothing_is_marked_until_it_does(scene: &Scene) {
    let installation = connected(scene, &scene.acme).await;
    let dead = async |tenant, dead| scene.store.channel_dead(tenant, installation, "C1", dead).await.unwrap();
    assert!(!dead(&scene.globex, Some("is_archived")).await, "another tenant's");
    assert!(dead(&scene.acme, Some("is_archived")).await, "even one that no crawl has seen");
    assert!(!dead(&scene.acme, Some("is_archived")).await, "once");
    let known = async || scene.store.channel(&scene.acme, installation, "C1").await.unwrap().unwrap();
    assert_eq!(known().await.dead.as_deref(), Some("is_archived"));
    assert!(dead(&scene.acme, Some("restricted_action")).await);
    let crawl = claim(scene, 0).await.unwrap();
    let more = CrawlNext::Page { cursor: "x".into(), at: later(3) };
    scene.store.crawl_page(&crawl, vec![channel("C1", "general")], more, later(1)).await.unwrap();
    assert_eq!(
        known().await.dead.as_deref(),
        Some("restricted_action"),
        "a look cannot tell that it is over"
    );
    assert_eq!(known().await.name, "general");
    scene.store.channel_keep(&scene.acme, installation, &channel("C1", "general")).await.unwrap();
    assert_eq!(known().await.dead, None, "Slack told of it");
    assert!(dead(&scene.acme, Some("not_in_channel")).await && dead(&scene.acme, None).await);
}

pub async fn routes_are_a_workspaces_own(scene: &Scene) {
    let route = |name: &str, channels: &[&str]| Route {
        place: "T1".into(),
        name: name.into(),
        channels: channels.iter().map(|id| (*id).to_owned()).collect(),
        is_enabled: true,
        updated_at: NOW,
    };
    for (name, channels) in [("default", &["C1"][..]), ("billing.*", &["C2", "C3"]), ("default", &["C4"])] {
        assert!(scene.store.route_put(&scene.acme, &route(name, channels)).await.unwrap());
    }
    let kept = scene.store.routes(&scene.acme, "T1").await.unwrap();
    assert_eq!(kept, [route("billing.*", &["C2", "C3"]), route("default", &["C4"])]);
    assert_eq!(scene.store.routes(&scene.acme, "T2").await.unwrap(), []);
    assert_eq!(scene.store.routes(&scene.globex, "T1").await.unwrap(), []);
    assert!(!scene.store.route_remove(&scene.globex, "T1", "default").await.unwrap());
    assert!(scene.store.route_remove(&scene.acme, "T1", "default").await.unwrap());
    assert!(!scene.store.route_remove(&scene.acme, "T1", "default").await.unwrap());
    for number in 1..limits::ROUTES {
        assert!(scene.store.route_put(&scene.acme, &route(&format!("r{number}"), &["C1"])).await.unwrap());
    }
    assert!(!scene.store.route_put(&scene.acme, &route("one-too-many", &["C1"])).await.unwrap());
    assert!(
        scene.store.route_put(&scene.acme, &route("r1", &["C9"])).await.unwrap(),
        "but a change is none more"
    );
}
