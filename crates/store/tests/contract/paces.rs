//! Slack's pace: what is saved up, what rests, and what goes past the outbox.

use std::time::Duration;

use tautline_core::outbox::{Claim, Claimed, Passing, Turn};
use tautline_core::pace::{POSTS, Paces, Rule};
use tautline_core::sending::SendNext;
use tautline_core::settlement::Settlement;

use crate::outbox::{INSTALLATION, accept, claim, claiming, is_due, settlement};
use crate::scene::{Scene, later};

pub async fn slacks_pace_holds_across_lanes_and_senders(scene: &Scene) {
    for number in 0..6 {
        accept(scene, &format!("C{number}"), number).await;
    }
    let paces = Paces { workspace: Rule::every(Duration::from_secs(1), 2), ..Paces::default() };
    let claim = async |at_s| {
        let claim = Claim { paces, ..claiming(later(at_s), later(at_s + 30), 10) };
        scene.store.message_claim(claim).await.unwrap().len()
    };
    let mut sent = Vec::new();
    for at_s in [0, 0, 1, 1, 2, 9] {
        sent.push(claim(at_s).await);
        assert!(
            !is_due(scene, later(at_s)).await,
            "what is held back says for when, and nobody asks in vain"
        );
    }
    assert_eq!(sent, [2, 0, 1, 0, 1, 2], "two saved up, and one a second, whoever asks");
}

pub async fn a_refusal_rests_what_earned_it(scene: &Scene) {
    for (number, channel) in ["C1", "C2", "C3", "C4"].into_iter().enumerate() {
        accept(scene, channel, u8::try_from(number).unwrap()).await;
    }
    let limited = async |claimed: &Claimed, until_s| {
        let until = later(until_s);
        let settlement =
            Settlement { limited_until: Some(until), ..settlement(claimed, SendNext::Again { at: until }) };
        scene.store.message_settle(claimed, settlement).await.unwrap();
    };
    let first = claim(scene, 0, 1).await.remove(0);
    limited(&first, 20).await;
    let second = claim(scene, 1, 1).await.remove(0);
    assert_ne!(second.lane, first.lane, "the others go on");
    limited(&second, 10).await;
    assert!(claim(scene, 9, 10).await.is_empty(), "two lanes: it is the workspace");
    let mut lanes = claim(scene, 11, 10).await.into_iter().map(|one| one.lane).collect::<Vec<_>>();
    lanes.sort();
    assert_eq!(lanes.len(), 3, "{lanes:?} and not the first, which rests for longer");
}

pub async fn a_call_past_the_outbox_takes_its_turn(scene: &Scene) {
    let paces = Paces::default();
    let call = Passing { installation: INSTALLATION, method: POSTS, channel: Some("#general".into()), paces };
    let take = async |call: &Passing, at_s: u64, wait_s: u64| {
        scene.store.turn_take(call, later(at_s), later(at_s + wait_s)).await.unwrap()
    };
    assert_eq!(take(&call, 0, 5).await, Turn::At(later(0)));
    assert_eq!(take(&call, 0, 5).await, Turn::At(later(1)), "one a second");
    accept(scene, "general", 1).await;
    assert!(claim(scene, 1, 10).await.is_empty(), "the lane is the same");
    assert_eq!(claim(scene, 2, 10).await.len(), 1);
    assert_eq!(take(&call, 0, 1).await, Turn::Later(later(2)), "and nothing is taken by who would not wait");
    scene.store.turn_limited(&call, later(60), later(3)).await.unwrap();
    assert_eq!(take(&call, 3, 5).await, Turn::Later(later(60)));
    let other = Passing { channel: Some("C2".into()), ..call.clone() };
    assert_eq!(take(&other, 3, 5).await, Turn::At(later(3)), "the channel earned it");
    let update = Passing { method: "chat.update", channel: None, ..call };
    let mut at_once = 0;
    while take(&update, 10, 0).await == Turn::At(later(10)) {
        at_once += 1;
    }
    assert_eq!(at_once, 50 / 20, "what its tier gives at once");
}
