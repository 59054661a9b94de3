//! Claiming: the heads of lanes that are due, in the order of their turns, as far as Slack's pace allows.

use bytes::Bytes;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use tautline_core::looking::Doubt;
use tautline_core::operation::{OnUncertain, Operation};
use tautline_core::outbox::{Claim, Claimed, MessageState, Posted};
use tautline_core::pace::{Called, Gate};
use tautline_core::{InstallationId, MessageId, Timestamp};

use super::clock::DatabaseClock;
use super::database::{Tx, sql};
use super::failure::Work;
use super::{lanes, paces, turns, value};

/// What [`read`] reads of a message.
macro_rules! claimed_columns {
    () => {
        "m.id, m.tenant_id, m.installation_id, m.operation, m.channel, m.route, m.lane, m.attempt, m.doubt_since,
         m.doubt_at, m.on_uncertain, m.is_possible_duplicate, m.accepted_at, m.expires_at"
    };
}
pub(super) use claimed_columns;

/// Takes the heads of lanes that are due and that nobody else is just taking, their arguments still sealed. What the pace holds
/// back moves its lane to when it may go.
pub(super) async fn claim(
    tx: &mut Tx,
    clock: &DatabaseClock,
    claim: &Claim,
) -> Work<Vec<(Claimed, Vec<u8>)>> {
    let heads = heads(tx, clock, claim).await?;
    if heads.is_empty() {
        return Ok(heads);
    }
    let calls: Vec<Called> =
        heads.iter().map(|(message, _)| (message.installation, message.operation.method())).collect();
    let windows = paces::lock(tx, clock, &calls).await?;
    let mut gate = Gate::new(&claim.paces, claim.now, windows);
    let (mut passed, mut held_back) = (Vec::new(), Vec::new());
    for (head, call) in heads.into_iter().zip(calls) {
        match gate.pass(call) {
            Ok(()) => passed.push(head),
            Err(at) => held_back.push((lanes::key(&head.0), at)),
        }
    }
    lanes::rest(tx, clock, &held_back).await?;
    paces::keep(tx, clock, &gate.into_windows()).await?;
    take(tx, clock, passed, claim.leased_until).await
}

async fn heads(tx: &mut Tx, clock: &DatabaseClock, claim: &Claim) -> Work<Vec<(Claimed, Vec<u8>)>> {
    let heads = sql(concat!(
        "SELECT ",
        claimed_columns!(),
        ", m.sealed_arguments, a.state AS about_state, a.posted_channel AS about_channel, a.ts AS about_ts
         FROM (SELECT installation_id, lane, turn FROM lanes
               WHERE waiting > 0 AND leased_until IS NULL AND next_at <= $1
               ORDER BY turn LIMIT $2 FOR UPDATE SKIP LOCKED) AS l
         CROSS JOIN LATERAL (
           SELECT * FROM messages
           WHERE installation_id = l.installation_id AND lane = l.lane
             AND (state = 'queued' OR doubt_since IS NOT NULL) AND state IN ('queued', 'uncertain')
             AND (expires_at > $3 OR doubt_since IS NOT NULL)
           ORDER BY rank, seq LIMIT 1) AS m
         LEFT JOIN messages a ON a.id = m.about
         ORDER BY l.turn"
    ))
    .bind(clock.database_us(claim.now))
    .bind(value::limit(claim.most))
    .bind(claim.now.as_micros());
    tx.all(heads, |row| {
        let message = read(row)?;
        let claimed = Claimed { attempt: message.attempt + 1, about: about(row)?, ..message };
        Ok((claimed, row.try_get("sealed_arguments")?))
    })
    .await
}

async fn take(
    tx: &mut Tx,
    clock: &DatabaseClock,
    heads: Vec<(Claimed, Vec<u8>)>,
    leased_until: Timestamp,
) -> Work<Vec<(Claimed, Vec<u8>)>> {
    let ids = heads.iter().map(|(message, _)| value::uuid(message.id.as_bytes())).collect::<Vec<_>>();
    // Somebody may have ended one since it was looked at.
    let take = sql("UPDATE messages SET state = 'sending', attempt = attempt + 1 WHERE id IN (
                      SELECT id FROM messages WHERE id = ANY($1)
                        AND (state = 'queued' OR state = 'uncertain' AND doubt_since IS NOT NULL)
                      FOR UPDATE SKIP LOCKED)
                    RETURNING id");
    let taken = tx.all(take.bind(ids), |row| value::id(row, "id")).await?;
    let claimed =
        heads.into_iter().filter(|(message, _)| taken.contains(message.id.as_bytes())).collect::<Vec<_>>();
    if claimed.is_empty() {
        return Ok(claimed);
    }
    let installations = claimed.iter().map(|(message, _)| value::uuid(message.installation.as_bytes()));
    let installations = installations.collect::<Vec<_>>();
    let lanes = claimed.iter().map(|(message, _)| value::text(&message.lane)).collect::<Vec<_>>();
    let tenants = claimed.iter().map(|(message, _)| message.tenant.to_string()).collect::<Vec<_>>();
    tx.execute(
        sql("UPDATE lanes l SET leased_until = $1, waiting = waiting - 1
             FROM unnest($2::uuid[], $3::text[]) AS c (installation_id, lane)
             WHERE l.installation_id = c.installation_id AND l.lane = c.lane")
        .bind(clock.database_us(leased_until))
        .bind(installations)
        .bind(lanes),
    )
    .await?;
    turns::count_off(tx, tenants).await?;
    Ok(claimed)
}

fn about(row: &PgRow) -> sqlx::Result<Option<(MessageState, Option<Posted>)>> {
    if row.try_get::<Option<String>, _>("about_state")?.is_none() {
        return Ok(None);
    }
    let posted = value::read_text_opt(row, "about_channel")?
        .zip(value::read_text_opt(row, "about_ts")?)
        .map(|(channel, ts)| Posted { channel, ts });
    Ok(Some((value::named(row, "about_state", MessageState::from_name)?, posted)))
}

pub(super) fn read(row: &PgRow) -> sqlx::Result<Claimed> {
    let doubt = value::time_opt(row, "doubt_since")?
        .zip(value::time_opt(row, "doubt_at")?)
        .map(|(since, at)| Doubt { since, at });
    Ok(Claimed {
        id: MessageId::from_bytes(value::id(row, "id")?),
        tenant: value::parsed(row, "tenant_id")?,
        installation: InstallationId::from_bytes(value::id(row, "installation_id")?),
        operation: value::named(row, "operation", Operation::from_name)?,
        about: None,
        channel: value::read_text(row, "channel")?,
        route: value::read_text_opt(row, "route")?,
        lane: value::read_text(row, "lane")?,
        attempt: value::number(row, "attempt")?,
        doubt,
        on_uncertain: value::named(row, "on_uncertain", OnUncertain::from_name)?,
        is_possible_duplicate: row.try_get("is_possible_duplicate")?,
        accepted_at: value::time(row, "accepted_at")?,
        expires_at: value::time(row, "expires_at")?,
        arguments: Bytes::new(),
    })
}
