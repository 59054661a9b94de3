//! How much of Slack's methods each workspace has used up. See `tautline_core::pace`.

use std::collections::{BTreeMap, HashMap};

use sqlx::Row as _;
use sqlx::postgres::PgRow;
use tautline_core::outbox::{Passing, Turn};
use tautline_core::pace::{Called, Window};
use tautline_core::{InstallationId, Timestamp};

use super::clock::DatabaseClock;
use super::database::{Tx, sql};
use super::failure::Work;
use super::{lanes, value};

/// The windows of these calls; nobody else uses them until this is done.
pub(super) async fn lock(
    tx: &mut Tx,
    clock: &DatabaseClock,
    calls: &[Called],
) -> Work<HashMap<Called, Window>> {
    let mut sorted = calls.iter().map(|(id, method)| (*id.as_bytes(), *method)).collect::<Vec<_>>();
    sorted.sort_unstable();
    sorted.dedup();
    let locked = sql("INSERT INTO paces AS p (installation_id, method, used_until, rests_until, slow_until)
         SELECT c.installation_id, c.method, 0, 0, 0
         FROM unnest($1::uuid[], $2::text[]) WITH ORDINALITY AS c (installation_id, method, nth) ORDER BY nth
         ON CONFLICT (installation_id, method) DO UPDATE SET used_until = p.used_until
         RETURNING p.installation_id, p.method, p.used_until, p.rests_until, p.limited_lane, p.limited_until,
           p.slow_until")
    .bind(sorted.iter().map(|(id, _)| value::uuid(id)).collect::<Vec<_>>())
    .bind(sorted.iter().map(|(_, method)| (*method).to_owned()).collect::<Vec<_>>());
    let found = tx.all(locked, |row| {
        Ok(((value::id(row, "installation_id")?, row.try_get::<String, _>("method")?), read(row, clock)?))
    });
    let mut found = found.await?.into_iter().collect::<BTreeMap<_, _>>();
    let windows = sorted.into_iter().map(|(id, method)| {
        let window = found.remove(&(id, method.to_owned())).unwrap_or_default();
        ((InstallationId::from_bytes(id), method), window)
    });
    Ok(windows.collect())
}

fn read(row: &PgRow, clock: &DatabaseClock) -> sqlx::Result<Window> {
    // What never was is not moved by what the clocks differ.
    let time = |us: i64| if us == 0 { Timestamp::default() } else { clock.own(us) };
    let limited =
        match (value::read_text_opt(row, "limited_lane")?, row.try_get::<Option<i64>, _>("limited_until")?) {
            (Some(lane), Some(until)) => Some((lane, time(until))),
            _ => None,
        };
    Ok(Window {
        used_until: time(row.try_get("used_until")?),
        rests_until: time(row.try_get("rests_until")?),
        limited,
        slow_until: time(row.try_get("slow_until")?),
    })
}

/// Keeps windows that were locked.
pub(super) async fn keep(tx: &mut Tx, clock: &DatabaseClock, windows: &HashMap<Called, Window>) -> Work<()> {
    let time = |at: Timestamp| if at == Timestamp::default() { 0 } else { clock.database_us(at) };
    let each = |of: fn(&Window) -> Timestamp| windows.values().map(|one| time(of(one))).collect::<Vec<_>>();
    tx.execute(
        sql("UPDATE paces p SET used_until = w.used_until, rests_until = w.rests_until,
               limited_lane = w.limited_lane, limited_until = w.limited_until, slow_until = w.slow_until
             FROM unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::bigint[], $7::bigint[])
               AS w (installation_id, method, used_until, rests_until, limited_lane, limited_until, slow_until)
             WHERE p.installation_id = w.installation_id AND p.method = w.method")
        .bind(windows.keys().map(|(id, _)| value::uuid(id.as_bytes())).collect::<Vec<_>>())
        .bind(windows.keys().map(|(_, method)| (*method).to_owned()).collect::<Vec<_>>())
        .bind(each(|window| window.used_until))
        .bind(each(|window| window.rests_until))
        .bind(windows.values().map(|one| one.limited.as_ref().map(|(lane, _)| value::text(lane))).collect::<Vec<_>>())
        .bind(windows.values().map(|one| one.limited.as_ref().map(|(_, at)| time(*at))).collect::<Vec<_>>())
        .bind(each(|window| window.slow_until)),
    )
    .await?;
    Ok(())
}

/// A turn for a call that goes past the outbox.
pub(super) async fn take_turn(
    tx: &mut Tx,
    clock: &DatabaseClock,
    call: &Passing,
    now: Timestamp,
    until: Timestamp,
) -> Work<Turn> {
    let lane = match &call.channel {
        Some(channel) => {
            let lane = lanes::of(tx, call.installation, channel).await?;
            let lane = (call.installation, lane);
            lanes::make(tx, clock, &lane, now).await?;
            Some(lane)
        }
        None => None,
    };
    let free_at = match &lane {
        Some(lane) => lanes::hold(tx, clock, std::slice::from_ref(lane)).await?.remove(lane).unwrap_or(now),
        None => now,
    };
    let (rule, called) = (call.paces.rule(call.method), (call.installation, call.method));
    let mut windows = match rule {
        Some(_) => lock(tx, clock, &[called]).await?,
        None => HashMap::new(),
    };
    let window = windows.entry(called).or_default();
    let at = free_at.max(rule.map_or(now, |rule| window.free_at(rule, now)));
    if at > until {
        return Ok(Turn::Later(at));
    }
    if let Some(rule) = rule {
        window.reserve(rule, at);
        keep(tx, clock, &windows).await?;
    }
    if let Some(lane) = lane {
        let next_at = call.paces.channel.next_free(free_at, at);
        lanes::rest(tx, clock, &[(lane, next_at)]).await?;
    }
    Ok(Turn::At(at))
}

/// Slack refused such a call.
pub(super) async fn limited(
    tx: &mut Tx,
    clock: &DatabaseClock,
    call: &Passing,
    until: Timestamp,
    now: Timestamp,
) -> Work<()> {
    let lane = match &call.channel {
        Some(channel) => lanes::of(tx, call.installation, channel).await?,
        None => String::new(),
    };
    let lane = (call.installation, lane);
    lanes::rest(tx, clock, &[(lane.clone(), until)]).await?;
    rest(tx, clock, (call.installation, call.method), &lane.1, until, now).await
}

/// A window rests as Slack asked for, of which a post was refused in a lane.
pub(super) async fn rest(
    tx: &mut Tx,
    clock: &DatabaseClock,
    called: Called,
    lane: &str,
    until: Timestamp,
    now: Timestamp,
) -> Work<()> {
    let mut windows = lock(tx, clock, &[called]).await?;
    windows.entry(called).or_default().limited(called.1, lane, until, now);
    keep(tx, clock, &windows).await
}
