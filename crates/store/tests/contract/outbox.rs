//! Messages and their lanes.

use std::time::Duration;

use tautline_core::delivery::{Finished, Reap};
use tautline_core::idempotency::IdempotencyKey;
use tautline_core::looking::Doubt;
use tautline_core::operation::Operation;
use tautline_core::outbox::{
    Change, Changed, Claim, Claimed, Message, MessageFilter, MessageState, NewMessage, Passing, Posted,
    Queued, Settlement, Turn,
};
use tautline_core::pace::{POSTS, Paces, Rule};
use tautline_core::sending::{SendAttempt, SendNext, SendOutcome, SendResult};
use tautline_core::{InstallationId, MessageId, SystemRng, TenantId, Timestamp, limits};

use crate::scene::{NOW, Scene, later, page};

const INSTALLATION: InstallationId = InstallationId::from_bytes([7; 16]);

pub fn new(tenant: &TenantId, channel: &str, text: &str) -> NewMessage {
    let id = MessageId::generate(NOW, &SystemRng);
    let arguments = format!("{{\"text\":\"{text}\"}}").into();
    NewMessage::post(id, tenant.clone(), INSTALLATION, channel.into(), arguments, NOW)
}

/// With an id that sorts before those of lower numbers: ids made in one millisecond sort by chance.
fn nth(message: NewMessage, number: u8) -> NewMessage {
    let mut bytes = *message.id.as_bytes();
    (bytes[6], bytes[7]) = (0x70, u8::MAX - number);
    NewMessage { id: MessageId::from_bytes(bytes), ..message }
}

async fn accept(scene: &Scene, channel: &str, number: u8) -> MessageId {
    let new = nth(new(&scene.acme, channel, &number.to_string()), number);
    let id = new.id;
    assert_eq!(scene.store.message_accept(new, None).await.unwrap(), Queued::Now);
    id
}

async fn claim(scene: &Scene, at_s: u64, most: usize) -> Vec<Claimed> {
    let claim = claiming(later(at_s), later(at_s).after(limits::SEND_LEASE), most);
    scene.store.message_claim(claim).await.unwrap()
}

/// At the usual paces.
pub fn claiming(now: Timestamp, leased_until: Timestamp, most: usize) -> Claim {
    Claim { now, leased_until, most, paces: Paces::default() }
}

pub async fn settle(scene: &Scene, claimed: &Claimed, next: SendNext) -> Finished {
    scene.store.message_settle(claimed, settlement(claimed, next)).await.unwrap()
}

/// As the attempt ended at the time at which the lane moves again.
fn settlement(claimed: &Claimed, next: SendNext) -> Settlement {
    let sent = matches!(next, SendNext::Settled { state: MessageState::Sent, .. });
    let attempt = SendAttempt {
        number: claimed.attempt,
        started_at: NOW,
        duration: Some(Duration::from_millis(80)),
        outcome: if sent { SendOutcome::Sent } else { SendOutcome::NotReached },
        error: (!sent).then(|| "connection refused".to_owned()),
    };
    let posted = sent.then(|| Posted { channel: "C1".into(), ts: "1.000001".into() });
    let pace = Paces::default().channel;
    let ended_at = NOW.after(Duration::from_millis(80));
    Settlement { attempt, ended_at, posted, next, limited_until: None, is_possible_duplicate: false, pace }
}

pub fn sent(lane_at_s: u64) -> SendNext {
    SendNext::Settled { state: MessageState::Sent, is_posted: false, lane_at: later(lane_at_s) }
}

pub async fn is_due(scene: &Scene, at: Timestamp) -> bool {
    scene.store.message_due(at).await.unwrap().is_some_and(|due| due <= at)
}

async fn stands(scene: &Scene, id: MessageId) -> Message {
    scene.store.message(&scene.acme, id).await.unwrap().expect("acme's message")
}

pub async fn a_message_is_kept_with_its_lane(scene: &Scene) {
    assert!(!is_due(scene, NOW).await);
    let id = accept(scene, "C1", 1).await;
    assert!(is_due(scene, NOW).await);
    let kept = stands(scene, id).await;
    assert_eq!((kept.state, kept.channel.as_str()), (MessageState::Queued, "C1"));
    assert_eq!(kept.arguments, "{\"text\":\"1\"}");
    let claimed = claim(scene, 0, 10).await;
    assert_eq!((claimed[0].id, claimed[0].attempt), (id, 1));
    assert_eq!(claimed[0].arguments, "{\"text\":\"1\"}");
    assert_eq!(settle(scene, &claimed[0], sent(1)).await, Finished::Recorded);
    let kept = stands(scene, id).await;
    assert_eq!(kept.state, MessageState::Sent);
    assert_eq!(kept.posted, Some(Posted { channel: "C1".into(), ts: "1.000001".into() }));
    assert_eq!(kept.attempts.len(), 1);
    assert_eq!(kept.attempts[0].duration, Some(Duration::from_millis(80)));
    assert!(!is_due(scene, later(100)).await);
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

pub async fn a_sender_that_died_leaves_its_message_uncertain_at_the_head_of_its_lane(scene: &Scene) {
    let first = accept(scene, "C1", 1).await;
    let second = accept(scene, "C1", 2).await;
    let dead = claim(scene, 0, 10).await;
    assert_eq!(scene.store.message_reap(later(29), Reap::RunOut).await.unwrap(), 0);
    assert_eq!(scene.store.message_reap(later(30), Reap::RunOut).await.unwrap(), 1);
    let kept = stands(scene, first).await;
    assert_eq!(kept.state, MessageState::Uncertain, "it may stand in the channel");
    assert_eq!(kept.attempts[0].outcome, SendOutcome::Interrupted);
    assert_eq!(kept.error, SendResult::Interrupted.error());
    let looking = claim(scene, 31, 10).await;
    assert_eq!((looking[0].id, looking[0].attempt), (first, 2), "it is looked for before the lane goes on");
    let doubt = Doubt { since: NOW, at: later(30) };
    assert_eq!(looking[0].doubt, Some(doubt), "since the attempt began of which nobody knows");
    let look = SendNext::Doubt { at: later(40), since: None };
    assert_eq!(settle(scene, &looking[0], look).await, Finished::Recorded);
    assert!(claim(scene, 39, 10).await.is_empty());
    assert_eq!(scene.store.messages_waiting(&scene.acme).await.unwrap(), 2, "both wait");
    let looking = claim(scene, 40, 10).await;
    assert_eq!(looking[0].doubt, Some(doubt), "a look changes nothing about it");
    settle(scene, &looking[0], sent(41)).await;
    assert_eq!(stands(scene, first).await.state, MessageState::Sent);
    assert_eq!(claim(scene, 41, 10).await[0].id, second, "the lane goes on");
    assert_eq!(settle(scene, &dead[0], sent(41)).await, Finished::Fenced, "who comes late finds it settled");
    assert_eq!(
        scene.store.message_reap(later(42), Reap::All).await.unwrap(),
        1,
        "a start takes back everything"
    );
}

pub async fn what_slack_surely_said_makes_an_uncertain_message_certain(scene: &Scene) {
    let first = accept(scene, "C1", 1).await;
    let second = accept(scene, "C1", 2).await;
    let late = claim(scene, 0, 10).await;
    scene.store.message_reap(later(30), Reap::RunOut).await.unwrap();
    let again = SendNext::Again { at: later(31) };
    assert_eq!(settle(scene, &late[0], again).await, Finished::Fenced, "who comes late repeats nothing");
    assert_eq!(stands(scene, first).await.state, MessageState::Uncertain);
    assert_eq!(settle(scene, &late[0], sent(31)).await, Finished::Recorded);
    assert_eq!(stands(scene, first).await.state, MessageState::Sent);
    assert_eq!(scene.store.messages_waiting(&scene.acme).await.unwrap(), 1);
    assert_eq!(claim(scene, 31, 10).await.iter().map(|one| one.id).collect::<Vec<_>>(), [second]);
    assert!(claim(scene, 1000, 10).await.is_empty(), "one in flight");
}

pub async fn what_comes_to_the_same_when_repeated_is_repeated(scene: &Scene) {
    let posted = accept(scene, "C1", 1).await;
    let update = NewMessage {
        operation: Operation::Update,
        about: Some(posted),
        ..nth(new(&scene.acme, "C1", "other words"), 2)
    };
    scene.store.message_accept(update.clone(), None).await.unwrap();
    let claimed = claim(scene, 0, 10).await;
    assert_eq!(claimed.iter().map(|one| one.id).collect::<Vec<_>>(), [posted], "one after the other");
    settle(scene, &claimed[0], sent(1)).await;
    let claimed = claim(scene, 1, 10).await;
    let there = Posted { channel: "C1".into(), ts: "1.000001".into() };
    assert_eq!(claimed[0].about, Some((MessageState::Sent, Some(there))), "it knows where that stands");
    scene.store.message_reap(later(31), Reap::RunOut).await.unwrap();
    let kept = stands(scene, update.id).await;
    assert_eq!((kept.state, kept.about), (MessageState::Queued, Some(posted)));
    assert_eq!(claim(scene, 32, 10).await[0].doubt, None);
    let foreign = NewMessage { about: Some(posted), ..new(&scene.globex, "C1", "not theirs") };
    assert_eq!(scene.store.message_accept(foreign, None).await.unwrap(), Queued::Unknown);
}

pub async fn one_tenants_flood_is_before_nobody_elses_first_message(scene: &Scene) {
    for number in 0..100 {
        accept(scene, &format!("C{}", number % 25), number).await;
    }
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

pub async fn what_is_scheduled_waits_in_no_lane(scene: &Scene) {
    let then = NewMessage { starts_at: Some(later(60)), ..nth(new(&scene.acme, "C1", "then"), 1) };
    scene.store.message_accept(then.clone(), None).await.unwrap();
    let now = accept(scene, "C1", 2).await;
    assert_eq!(scene.store.messages_waiting(&scene.acme).await.unwrap(), 2);
    let claimed = claim(scene, 0, 10).await;
    assert_eq!(claimed.iter().map(|one| one.id).collect::<Vec<_>>(), [now]);
    settle(scene, &claimed[0], sent(1)).await;
    assert_eq!(scene.store.message_due(later(1)).await.unwrap(), Some(later(60)), "it wakes the sender");
    assert!(claim(scene, 59, 10).await.is_empty());
    let kept = stands(scene, then.id).await;
    assert_eq!((kept.state, kept.starts_at), (MessageState::Queued, Some(later(60))));
    let rewritten = scene.store.message_rewrite(&scene.acme, then.id, "{\"text\":\"else\"}".into()).await;
    assert!(rewritten.unwrap(), "it was never tried");
    assert!(!scene.store.message_rewrite(&scene.globex, then.id, "{}".into()).await.unwrap());
    let claimed = claim(scene, 60, 10).await;
    assert_eq!((claimed[0].id, &claimed[0].arguments[..]), (then.id, &b"{\"text\":\"else\"}"[..]));
    assert!(
        !scene.store.message_rewrite(&scene.acme, then.id, "{}".into()).await.unwrap(),
        "it is on its way"
    );
    settle(scene, &claimed[0], sent(61)).await;
    assert_eq!(scene.store.messages_waiting(&scene.acme).await.unwrap(), 0);
}

pub async fn a_message_is_taken_back_or_sent_after_all(scene: &Scene) {
    let change =
        async |tenant, id, change| scene.store.message_change(tenant, id, change, later(5)).await.unwrap();
    let retry = Change::Retry { expires_at: later(1000) };
    let [first, second] = [accept(scene, "C1", 1).await, accept(scene, "C1", 2).await];
    let scheduled = NewMessage { starts_at: Some(later(60)), ..new(&scene.acme, "C2", "then") };
    scene.store.message_accept(scheduled.clone(), None).await.unwrap();
    assert_eq!(change(&scene.globex, first, Change::Cancel).await, Changed::Unknown);
    for id in [first, scheduled.id] {
        assert_eq!(change(&scene.acme, id, Change::Cancel).await, Changed::Now(MessageState::Cancelled));
    }
    assert_eq!(scene.store.messages_waiting(&scene.acme).await.unwrap(), 1);
    let claimed = claim(scene, 60, 10).await;
    assert_eq!(claimed.iter().map(|one| one.id).collect::<Vec<_>>(), [second]);
    let on_its_way = Changed::Not(MessageState::Sending);
    assert_eq!(change(&scene.acme, second, Change::Cancel).await, on_its_way);
    assert_eq!(change(&scene.acme, second, retry).await, on_its_way);
    let hold = SendNext::Settled { state: MessageState::Held, is_posted: false, lane_at: later(61) };
    settle(scene, &claimed[0], hold).await;
    for id in [first, second, scheduled.id] {
        assert_eq!(change(&scene.acme, id, retry).await, Changed::Now(MessageState::Queued));
    }
    assert!(stands(scene, second).await.is_possible_duplicate, "what was held may stand there");
    assert!(!stands(scene, first).await.is_possible_duplicate, "what was cancelled does not");
    assert_eq!(scene.store.messages_waiting(&scene.acme).await.unwrap(), 3);
    assert_eq!(
        stands(scene, scheduled.id).await.expires_at,
        later(60).after(limits::MESSAGE_LIFE),
        "for its time"
    );
    let claimed = claim(scene, 70, 10).await;
    let ids = claimed.iter().map(|one| one.id).collect::<Vec<_>>();
    assert!(ids.contains(&first) && ids.contains(&scheduled.id), "{ids:?}");
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

pub async fn messages_are_settled_together_each_by_itself(scene: &Scene) {
    for number in 0..20 {
        accept(scene, &format!("C{number}"), number).await;
        accept(scene, &format!("C{number}"), 100 + number).await;
    }
    let claimed = claim(scene, 0, 20).await;
    let stale = Claimed { attempt: 9, ..claimed[0].clone() };
    let next = |nth: usize| match nth % 3 {
        0 => sent(1),
        1 => SendNext::Again { at: later(60) },
        _ => SendNext::Doubt { at: later(2), since: Some(NOW) },
    };
    let settling = claimed.iter().chain([&stale]).enumerate().map(|(nth, one)| {
        let (store, one, settlement) = (scene.store.clone(), one.clone(), settlement(one, next(nth)));
        tokio::spawn(async move { store.message_settle(&one, settlement).await.unwrap() })
    });
    let mut outcomes = Vec::new();
    for settled in settling.collect::<Vec<_>>() {
        outcomes.push(settled.await.unwrap());
    }
    assert_eq!(outcomes.pop(), Some(Finished::Fenced), "another attempt");
    assert!(outcomes.iter().all(|outcome| *outcome == Finished::Recorded), "{outcomes:?}");
    let count = async |state| {
        let filter = MessageFilter { state: Some(state) };
        scene.store.messages(&scene.acme, filter, page(100, None)).await.unwrap().items.len()
    };
    let counts = [
        count(MessageState::Sent).await,
        count(MessageState::Queued).await,
        count(MessageState::Uncertain).await,
    ];
    assert_eq!(counts, [7, 27, 6]);
    assert_eq!(scene.store.messages_waiting(&scene.acme).await.unwrap(), 33);
    assert_eq!(claim(scene, 1, 100).await.len(), 7, "lanes whose message was sent move on");
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

pub async fn what_waits_for_an_installation_that_is_gone_fails_with_the_reason(scene: &Scene) {
    let kept =
        NewMessage { installation: InstallationId::from_bytes([8; 16]), ..new(&scene.acme, "C1", "x") };
    scene.store.message_accept(kept.clone(), None).await.unwrap();
    let gone = accept(scene, "C1", 1).await;
    accept(scene, "C2", 2).await;
    let on_its_way = claim(scene, 0, 3).await.into_iter().find(|claimed| claimed.lane == "C2").unwrap();
    settle(scene, &on_its_way, SendNext::Again { at: later(60) }).await;
    accept(scene, "C2", 3).await;
    let fail = async |tenant| scene.store.messages_fail(tenant, INSTALLATION, "it is gone").await.unwrap();
    assert_eq!(fail(&scene.globex).await, 0, "another tenant's");
    assert_eq!(
        [fail(&scene.acme).await, fail(&scene.acme).await],
        [2, 0],
        "what waits, and not what is on its way"
    );
    let found = async |id| scene.store.message(&scene.acme, id).await.unwrap().unwrap();
    assert_eq!(found(on_its_way.id).await.error.as_deref(), Some("it is gone"));
    assert_eq!(found(gone).await.state, MessageState::Sending);
    assert_eq!(scene.store.messages_waiting(&scene.acme).await.unwrap(), 0);
    assert!(claim(scene, 60, 9).await.is_empty(), "its lanes are idle");
    assert_eq!(found(kept.id).await.state, MessageState::Sending, "another installation's goes on");
}

pub async fn what_is_queued_is_counted(scene: &Scene) {
    let waiting = async || scene.store.messages_waiting(&scene.acme).await.unwrap();
    let queued = async || {
        let mut waiting = 0;
        for state in [MessageState::Queued, MessageState::Uncertain] {
            let filter = MessageFilter { state: Some(state) };
            waiting += scene.store.messages(&scene.acme, filter, page(100, None)).await.unwrap().items.len();
        }
        waiting
    };
    let mut steps = Vec::new();
    let old = NewMessage { expires_at: later(60), ..new(&scene.acme, "C3", "old") };
    scene.store.message_accept(old, None).await.unwrap();
    for number in 1..=3 {
        accept(scene, "C1", number).await;
    }
    steps.push((waiting().await as usize, queued().await));
    let claimed = claim(scene, 0, 1).await;
    steps.push((waiting().await as usize, queued().await));
    settle(scene, &claimed[0], SendNext::Again { at: later(5) }).await;
    steps.push((waiting().await as usize, queued().await));
    scene.store.message_reap(later(60), Reap::RunOut).await.unwrap();
    steps.push((waiting().await as usize, queued().await));
    let claimed = claim(scene, 61, 10).await;
    settle(scene, &claimed[0], sent(62)).await;
    steps.push((waiting().await as usize, queued().await));
    claim(scene, 62, 10).await;
    scene.store.message_reap(later(200), Reap::All).await.unwrap();
    steps.push((waiting().await as usize, queued().await));
    assert!(steps.iter().all(|(counted, there)| counted == there), "{steps:?}");
    assert_eq!(steps.iter().map(|(counted, _)| *counted).collect::<Vec<_>>(), [4, 3, 4, 3, 2, 2]);
    assert_eq!(scene.store.messages_waiting(&scene.globex).await.unwrap(), 0);
}

pub async fn a_message_and_its_attempts_are_of_one_moment(scene: &Scene) {
    for number in 0..100 {
        let id = accept(scene, &format!("C{number}"), number).await;
        let (store, acme) = (scene.store.clone(), scene.acme.clone());
        let looking = tokio::spawn(async move {
            loop {
                let seen = store.message(&acme, id).await.unwrap().unwrap();
                let is_sent = seen.state == MessageState::Sent;
                assert_eq!(is_sent, !seen.attempts.is_empty(), "{seen:?}");
                if is_sent {
                    return;
                }
            }
        });
        let claimed = claim(scene, number.into(), 1).await.remove(0);
        settle(scene, &claimed, sent(1)).await;
        looking.await.unwrap();
    }
}

pub async fn what_waited_too_long_expires(scene: &Scene) {
    let old = NewMessage { expires_at: later(60), ..new(&scene.acme, "C1", "old") };
    let id = old.id;
    scene.store.message_accept(old, None).await.unwrap();
    assert_eq!(scene.store.message_reap(later(59), Reap::RunOut).await.unwrap(), 0);
    assert!(claim(scene, 60, 10).await.is_empty(), "not sent any more, even before it is reaped");
    assert_eq!(scene.store.message_reap(later(60), Reap::RunOut).await.unwrap(), 1);
    assert_eq!(stands(scene, id).await.state, MessageState::Expired);
    assert!(!is_due(scene, later(61)).await);
}

pub async fn an_idempotency_key_sends_one_message(scene: &Scene) {
    let key = |request: u8| {
        Some(IdempotencyKey { scope: "a".into(), key: "k".into(), request: [request; 32], at: NOW })
    };
    let first = new(&scene.acme, "C1", "once");
    assert_eq!(scene.store.message_accept(first.clone(), key(1)).await.unwrap(), Queued::Now);
    let again = scene.store.message_accept(new(&scene.acme, "C1", "once"), key(1)).await.unwrap();
    assert_eq!(again, Queued::Before(first.id));
    let before = async |request| scene.store.message_before(&key(request).unwrap()).await.unwrap();
    assert_eq!(before(1).await, Some(Queued::Before(first.id)));
    assert_eq!(before(2).await, Some(Queued::Conflict));
    let other = scene.store.message_accept(new(&scene.acme, "C1", "other"), key(2)).await.unwrap();
    assert_eq!(other, Queued::Conflict);
    assert_eq!(
        scene
            .store
            .messages(&scene.acme, MessageFilter::default(), page(10, None))
            .await
            .unwrap()
            .items
            .len(),
        1
    );
}

pub async fn another_tenants_messages_are_none(scene: &Scene) {
    let id = accept(scene, "C1", 1).await;
    assert_eq!(scene.store.message(&scene.globex, id).await.unwrap(), None);
    assert!(
        scene
            .store
            .messages(&scene.globex, MessageFilter::default(), page(10, None))
            .await
            .unwrap()
            .items
            .is_empty()
    );
    let claimed = claim(scene, 0, 10).await;
    let stolen = Claimed { tenant: scene.globex.clone(), ..claimed[0].clone() };
    assert_eq!(settle(scene, &stolen, sent(1)).await, Finished::Fenced);
    assert_eq!(stands(scene, id).await.state, MessageState::Sending);
}

pub async fn messages_come_in_pages_newest_first(scene: &Scene) {
    for number in (1..=5).rev() {
        accept(scene, "C1", number).await;
    }
    let first = scene.store.messages(&scene.acme, MessageFilter::default(), page(3, None)).await.unwrap();
    let second =
        scene.store.messages(&scene.acme, MessageFilter::default(), page(3, first.next)).await.unwrap();
    assert_eq!((first.items.len(), second.items.len(), second.next), (3, 2, None));
    assert!(first.items[0].id > first.items[2].id && first.items[2].id > second.items[0].id);
    assert_eq!(first.items[0].arguments, "{\"text\":\"1\"}");
}
