//! Lanes: one message in flight in each, in order; and whose turn is next.

use tautline_core::outbox::{MessageState, NewMessage, Queued};
use tautline_core::sending::SendNext;
use tautline_core::settlement::Settlement;
use tautline_core::{InstallationId, MessageId, SystemRng};

use crate::outbox::{accept, claim, claiming, new, sent, settle, settlement, stands};
use crate::scene::{NOW, Scene, later};

/// It stands in the channel, and counts for its pace.
fn posted(lane_at_s: u64) -> SendNext {
    SendNext::Settled { state: MessageState::Sent, is_posted: true, lane_at: later(lane_at_s) }
}

pub async fn a_lane_has_one_in_flight_and_keeps_its_order(scene: &Scene) {
    for number in [1, 2, 3] {
        accept(scene, "C1", number).await;
    }
    let other = accept(scene, "C2", 9).await;
    let mut order = Vec::new();
    for round in 0..3 {
        let now_s = round * 2;
        let claimed = claim(scene, now_s, 10).await;
        assert!(claim(scene, now_s, 10).await.is_empty(), "all that may move does");
        for claimed in &claimed {
            settle(scene, claimed, sent(now_s + 1)).await;
            if claimed.id != other {
                order.push(claimed.arguments.clone());
            }
        }
        assert!(claim(scene, now_s, 10).await.is_empty(), "not before its time");
    }
    assert_eq!(order, ["{\"text\":\"1\"}", "{\"text\":\"2\"}", "{\"text\":\"3\"}"]);
}

pub async fn two_senders_never_share_a_lane(scene: &Scene) {
    for number in 0..40 {
        accept(scene, &format!("C{}", number % 10), number).await;
    }
    let takers = (0..8).map(|_| {
        let store = scene.store.clone();
        tokio::spawn(async move { store.message_claim(claiming(NOW, later(30), 3)).await.unwrap() })
    });
    let mut lanes = Vec::new();
    for taker in takers.collect::<Vec<_>>() {
        lanes.extend(taker.await.unwrap().into_iter().map(|claimed| claimed.channel));
    }
    lanes.sort();
    let all = lanes.len();
    lanes.dedup();
    assert_eq!((all, lanes.len()), (10, 10), "each lane once");
}

pub async fn a_head_that_waits_parks_its_own_lane_only(scene: &Scene) {
    let first = accept(scene, "C1", 1).await;
    accept(scene, "C1", 2).await;
    let claimed = claim(scene, 0, 10).await;
    settle(scene, &claimed[0], SendNext::Again { at: later(60) }).await;
    let kept = stands(scene, first).await;
    assert_eq!((kept.state, kept.next_at), (MessageState::Queued, Some(later(60))), "and says so");
    let other = accept(scene, "C2", 3).await;
    let claimed = claim(scene, 59, 10).await;
    assert_eq!(claimed.iter().map(|claimed| claimed.id).collect::<Vec<_>>(), [other]);
    let claimed = claim(scene, 60, 10).await;
    assert_eq!((claimed[0].id, claimed[0].attempt), (first, 2), "the same message, and its second attempt");
}

pub async fn a_lane_that_does_not_move_says_so(scene: &Scene) {
    let id = accept(scene, "C1", 1).await;
    let parked = async |at_s| scene.store.lanes_parked(later(at_s)).await.unwrap();
    let claimed = claim(scene, 0, 1).await.remove(0);
    settle(scene, &claimed, SendNext::Again { at: later(300) }).await;
    let since = stands(scene, id).await.parked_since.expect("it waits");
    assert!(since <= later(1));
    assert_eq!((parked(30).await, parked(100).await), (0, 1));
    let claimed = claim(scene, 300, 1).await.remove(0);
    settle(scene, &claimed, sent(301)).await;
    assert_eq!(parked(10_000).await, 0);
}

pub async fn the_lanes_of_a_tenant_take_turns(scene: &Scene) {
    for channel in ["C9", "C5", "C7"] {
        for number in [1, 2] {
            accept(scene, channel, number).await;
        }
    }
    let mut order = Vec::new();
    for _ in 0..6 {
        let claimed = claim(scene, 0, 1).await.remove(0);
        settle(scene, &claimed, sent(0)).await;
        order.push(claimed.channel);
    }
    assert_eq!(order, ["C9", "C5", "C7", "C9", "C5", "C7"]);
}

/// Messages of one tenant.
const FLOOD: u32 = 100_000;

pub async fn one_tenants_flood_is_before_nobody_elses_first_message(scene: &Scene) {
    let mut accepting = tokio::task::JoinSet::new();
    for number in 0..FLOOD {
        if accepting.len() == 500 {
            assert_eq!(accepting.join_next().await.unwrap().unwrap(), Queued::Now);
        }
        let message = new(&scene.acme, &format!("C{}", number % 100), "x");
        let store = scene.store.clone();
        accepting.spawn(async move { store.message_accept(message, None).await.unwrap() });
    }
    accepting.join_all().await;
    assert_eq!(scene.store.messages_waiting(&scene.acme).await.unwrap(), FLOOD);
    let other = new(&scene.globex, "C1", "one");
    let other = NewMessage { installation: InstallationId::from_bytes([8; 16]), ..other };
    let mut order = Vec::new();
    let first = claim(scene, 0, 1).await.remove(0);
    scene.store.message_accept(other.clone(), None).await.unwrap();
    order.push(first.id);
    for _ in 0..10 {
        order.extend(claim(scene, 0, 1).await.into_iter().map(|one| one.id));
    }
    assert_eq!(order[1], other.id, "next but one");
    settle(scene, &first, sent(1)).await;
    let again = NewMessage { id: MessageId::generate(NOW, &SystemRng), accepted_at: later(1), ..other };
    let mine = claim(scene, 1, 1).await;
    assert_eq!(mine[0].tenant, scene.acme, "turn by turn");
    scene.store.message_accept(again, None).await.unwrap();
    assert!(
        claim(scene, 1, 40).await.iter().all(|one| one.tenant == scene.acme),
        "its lane has one in flight"
    );
}

pub async fn what_answers_a_person_goes_before_the_rest(scene: &Scene) {
    for number in 0..20 {
        accept(scene, &format!("C{}", number % 10), number).await;
    }
    let urgent = NewMessage { is_urgent: true, ..new(&scene.acme, "C9", "done") };
    scene.store.message_accept(urgent.clone(), None).await.unwrap();
    let bulk = claim(scene, 0, 1).await.remove(0);
    let next = claim(scene, 0, 1).await.remove(0);
    let first_two = [bulk.id, next.id];
    assert!(first_two.contains(&urgent.id), "before its lane, and its lane before the others");
    let late = NewMessage { is_urgent: true, ..new(&scene.acme, "C0", "also done") };
    scene.store.message_accept(late.clone(), None).await.unwrap();
    for one in [&bulk, &next] {
        settle(scene, one, sent(0)).await;
    }
    let order = [claim(scene, 0, 1).await.remove(0).id, claim(scene, 0, 1).await.remove(0).id];
    assert!(order.contains(&late.id), "{order:?}");
}

pub async fn what_answers_a_person_pays_for_its_turn(scene: &Scene) {
    for number in 0..5 {
        let urgent = NewMessage { is_urgent: true, ..new(&scene.acme, &format!("C{number}"), "done") };
        scene.store.message_accept(urgent, None).await.unwrap();
    }
    let later = accept(scene, "C9", 9).await;
    let other =
        NewMessage { installation: InstallationId::from_bytes([8; 16]), ..new(&scene.globex, "C1", "one") };
    scene.store.message_accept(other.clone(), None).await.unwrap();
    let order = claim(scene, 0, 10).await.into_iter().map(|one| one.id).collect::<Vec<_>>();
    let nth = |id| order.iter().position(|one| *one == id).unwrap();
    assert!(nth(other.id) < nth(later), "whoever has said all that at once lets others go first");
}

pub async fn however_it_is_spelled_a_channel_is_one_lane(scene: &Scene) {
    let [first, second] = [accept(scene, "#general", 1).await, accept(scene, "general", 2).await];
    let claimed = claim(scene, 0, 10).await;
    assert_eq!(claimed.iter().map(|one| one.id).collect::<Vec<_>>(), [first], "one in flight");
    settle(scene, &claimed[0], sent(1)).await;
    let by_id = accept(scene, "C1", 3).await;
    // Those that came before Slack told which channel that is stay in their lane.
    let claimed = claim(scene, 1, 10).await;
    assert_eq!(claimed.len(), 2);
    for one in &claimed {
        settle(scene, one, sent(2)).await;
    }
    let [fourth, fifth] = [accept(scene, "#general", 4).await, accept(scene, "C1", 5).await];
    let claimed = claim(scene, 2, 10).await;
    assert_eq!(claimed.iter().map(|one| one.id).collect::<Vec<_>>(), [fourth], "now it is known");
    assert_eq!(claimed[0].channel, "#general", "Slack gets what the caller wrote");
    settle(scene, &claimed[0], sent(3)).await;
    assert_eq!(claim(scene, 3, 10).await[0].id, fifth);
    let _ = (second, by_id);
}

pub async fn a_channels_pace_counts_whatever_is_posted_there(scene: &Scene) {
    for (spelled, at_s) in [("#fresh", 0), ("U1", 10)] {
        accept(scene, spelled, 1).await;
        let first = claim(scene, at_s, 10).await.remove(0);
        let ended = Settlement { ended_at: later(at_s), ..settlement(&first, posted(at_s)) };
        scene.store.message_settle(&first, ended).await.unwrap();
        let second = accept(scene, spelled, 2).await;
        assert_eq!(stands(scene, second).await.next_at, Some(later(at_s + 1)), "{spelled} is C1");
        assert!(claim(scene, at_s, 10).await.is_empty(), "{spelled}");
        let second = claim(scene, at_s + 1, 10).await.remove(0);
        settle(scene, &second, sent(at_s + 2)).await;
    }
}

pub async fn what_waits_under_a_spelling_is_not_overtaken(scene: &Scene) {
    let [first, second] = [accept(scene, "U1", 1).await, accept(scene, "U1", 2).await];
    let claimed = claim(scene, 0, 10).await;
    assert_eq!(claimed[0].id, first);
    // Slack says which conversation that is, and more is said to the same person.
    settle(scene, &claimed[0], sent(1)).await;
    let third = accept(scene, "U1", 3).await;
    let mut order = Vec::new();
    for at_s in [1, 2] {
        let claimed = claim(scene, at_s, 10).await;
        for one in &claimed {
            settle(scene, one, sent(at_s + 1)).await;
        }
        order.extend(claimed.into_iter().map(|one| one.id));
    }
    assert_eq!(order, [second, third]);
    accept(scene, "U1", 4).await;
    assert_eq!(claim(scene, 3, 10).await[0].lane, "C1", "and then it is that conversation's");
}
