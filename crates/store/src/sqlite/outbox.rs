//! The outbox: messages, and what is on record of them. How they move is in `lanes.rs`.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row, params};
use tautline_core::delivery::{Finished, Reap};
use tautline_core::idempotency::IdempotencyKey;
use tautline_core::operation::Operation;
use tautline_core::outbox::{
    Change, Changed, Claim, Claimed, Message, MessageFilter, MessageState, NewMessage, Outbox, Passing,
    Position, Posted, Queued, Turn,
};
use tautline_core::sending::{SendAttempt, SendOutcome};
use tautline_core::settlement::Settlement;
use tautline_core::{InstallationId, MessageId, Page, PageRequest, StoreResult, TenantId, Timestamp, limits};

use super::failure::Work;
use super::{SqliteStore, changes, claim, idempotency, lanes, paces, settle, turns, unsent, value};
use crate::sealed;

/// The columns of a message, of the table `messages` under the name `m`.
const COLUMNS: &str = "id, tenant_id, installation_id, operation, about, channel, route, state,
    is_possible_duplicate, accepted_at, expires_at, starts_at, posted_channel, ts, error,
    (SELECT l.next_at FROM lanes l WHERE l.installation_id = m.installation_id AND l.lane = m.lane
       AND (m.state = 'queued' OR m.doubt_since IS NOT NULL)) AS next_at,
    (SELECT l.parked_since FROM lanes l WHERE l.installation_id = m.installation_id AND l.lane = m.lane
       AND m.state = 'queued' AND m.attempt > 0) AS parked_since";

#[async_trait]
impl Outbox for SqliteStore {
    async fn message_before(&self, key: &IdempotencyKey) -> StoreResult<Option<Queued>> {
        let key = key.clone();
        self.lookups.read(move |connection| Ok(before(connection, &key)?)).await
    }

    async fn message_accept(&self, new: NewMessage, key: Option<IdempotencyKey>) -> StoreResult<Queued> {
        // Sealed here, by the caller's thread: the writer's time is everybody's.
        let sealed = self.vault.seal(sealed::arguments(&new.tenant, &new.id), &new.arguments);
        let accepted = self.writer.write(move |connection| {
            if let Some(key) = &key
                && let Some(before) = before(connection, key)?
            {
                return Ok(before);
            }
            if turns::waiting(connection, &new.tenant)? >= limits::WAITING_MESSAGES {
                return Ok(Queued::Full);
            }
            if !put(connection, &new, &sealed)? {
                return Ok(Queued::Unknown);
            }
            if let Some(key) = &key {
                idempotency::record(connection, key, Some(new.id.as_bytes()))?;
            }
            Ok(Queued::Now)
        });
        accepted.await
    }

    async fn message_due(&self, _: Timestamp) -> StoreResult<Option<Timestamp>> {
        self.look_up(lanes::due).await
    }

    async fn message_claim(&self, claim: Claim) -> StoreResult<Vec<Claimed>> {
        let taken = self.writer.write(move |connection| {
            changes::begin(connection, claim.now)?;
            Ok(claim::claim(connection, &claim)?)
        });
        let (opened, shut) = sealed::open_claimed(self.vault.as_ref(), taken.await?);
        if !shut.is_empty() {
            let back = move |connection: &Connection| -> Work<()> {
                let back = |claimed| settle::put_back(connection, claimed, claim.leased_until, claim.now);
                Ok(shut.iter().try_for_each(back)?)
            };
            // What can be sent must be, whatever becomes of the rest: its lease is running.
            if let Err(error) = self.writer.write(back).await {
                tracing::error!(%error, "messages that cannot be opened could not be put back yet");
            }
        }
        Ok(opened)
    }

    async fn message_settle(&self, claimed: &Claimed, settlement: Settlement) -> StoreResult<Finished> {
        let claimed = Claimed { arguments: Bytes::new(), ..claimed.clone() };
        let settled =
            self.writer.write(move |connection| Ok(settle::settle(connection, &claimed, &settlement)?));
        settled.await
    }

    async fn message_mark(&self, claimed: &Claimed) -> StoreResult<bool> {
        let (id, tenant, attempt) = (claimed.id, claimed.tenant.clone(), claimed.attempt);
        let marked = self.writer.write(move |connection| {
            let marked = connection
                .prepare_cached(
                    "UPDATE messages SET is_possible_duplicate = 1
                     WHERE id = ? AND tenant_id = ? AND state = 'sending' AND attempt = ?",
                )?
                .execute(params![id.as_bytes(), tenant.as_str(), attempt])?;
            Ok(marked == 1)
        });
        marked.await
    }

    async fn message_is_anothers(&self, claimed: &Claimed, posted: &Posted) -> StoreResult<bool> {
        let (installation, id, posted) = (claimed.installation, claimed.id, posted.clone());
        let found = self.lookups.read(move |connection| {
            let others = connection
                .prepare_cached(
                    "SELECT 1 FROM messages WHERE installation_id = ? AND ts = ? AND posted_channel = ? AND id <> ?",
                )?
                .exists(params![installation.as_bytes(), posted.ts, posted.channel, id.as_bytes()])?;
            Ok(others)
        });
        found.await
    }

    async fn message_change(
        &self,
        tenant: &TenantId,
        id: MessageId,
        change: Change,
        now: Timestamp,
    ) -> StoreResult<Changed> {
        let tenant = tenant.clone();
        let changed =
            self.writer.write(move |connection| Ok(changes::change(connection, &tenant, id, change, now)?));
        changed.await
    }

    async fn message_rewrite(&self, tenant: &TenantId, id: MessageId, arguments: Bytes) -> StoreResult<bool> {
        let sealed = self.vault.seal(sealed::arguments(tenant, &id), &arguments);
        let tenant = tenant.clone();
        let rewritten =
            self.writer.write(move |connection| Ok(changes::rewrite(connection, &tenant, id, &sealed)?));
        rewritten.await
    }

    async fn turn_take(&self, call: &Passing, now: Timestamp, until: Timestamp) -> StoreResult<Turn> {
        let call = call.clone();
        self.writer.write(move |connection| Ok(paces::take_turn(connection, &call, now, until)?)).await
    }

    async fn turn_limited(&self, call: &Passing, until: Timestamp, now: Timestamp) -> StoreResult<()> {
        let call = call.clone();
        self.writer.write(move |connection| Ok(paces::limited(connection, &call, until, now)?)).await
    }

    async fn message_reap(&self, now: Timestamp, which: Reap) -> StoreResult<usize> {
        self.writer.write(move |connection| Ok(unsent::reap(connection, now, which)?)).await
    }

    async fn messages_fail(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        error: &str,
    ) -> StoreResult<usize> {
        let (tenant, error) = (tenant.clone(), error.to_owned());
        let failed =
            self.writer.write(move |connection| Ok(unsent::fail(connection, &tenant, installation, &error)?));
        failed.await
    }

    async fn messages(
        &self,
        tenant: &TenantId,
        filter: MessageFilter,
        page: PageRequest,
    ) -> StoreResult<Page<Message>> {
        let (tenant, vault) = (tenant.clone(), self.vault.clone());
        let found = self.lists.read(move |connection| {
            let found = connection
                .prepare_cached(&format!(
                    "SELECT {COLUMNS}, sealed_arguments FROM messages m
                     WHERE tenant_id = ?1 AND (?2 IS NULL OR id < ?2) AND (?3 IS NULL OR state = ?3)
                     ORDER BY id DESC LIMIT ?4"
                ))?
                .query_map(
                    params![
                        tenant.as_str(),
                        page.after.map(|cursor| cursor.0),
                        filter.state.map(MessageState::as_str),
                        i64::from(page.limit) + 1
                    ],
                    |row| {
                        let (message, sealed) = (read(row)?, row.get::<_, Vec<u8>>("sealed_arguments")?);
                        // What does not open is listed all the same; looking at it says why.
                        let opened = sealed::open_arguments(vault.as_ref(), &tenant, message.id, &sealed);
                        Ok(Message { arguments: opened.unwrap_or_default(), ..message })
                    },
                )?
                .collect::<rusqlite::Result<Vec<_>>>()?;
            Ok(Page::of(found, page, |message| *message.id.as_bytes()))
        });
        found.await
    }

    async fn lanes_parked(&self, now: Timestamp) -> StoreResult<u32> {
        let since = now.before(limits::LANE_PARKED);
        self.lookups.read(move |connection| Ok(lanes::parked(connection, since)?)).await
    }

    async fn messages_waiting(&self, tenant: &TenantId) -> StoreResult<u32> {
        let tenant = tenant.clone();
        self.lookups.read(move |connection| Ok(turns::waiting(connection, &tenant)?)).await
    }

    async fn message(&self, tenant: &TenantId, id: MessageId) -> StoreResult<Option<Message>> {
        let (tenant, vault) = (tenant.clone(), self.vault.clone());
        let found = self.lists.read(move |connection| {
            let found = connection
                .prepare_cached(&format!(
                    "SELECT {COLUMNS}, sealed_arguments FROM messages m WHERE id = ? AND tenant_id = ?"
                ))?
                .query_row(params![id.as_bytes(), tenant.as_str()], |row| {
                    Ok((read(row)?, row.get::<_, Vec<u8>>("sealed_arguments")?))
                })
                .optional()?;
            let Some((mut message, sealed)) = found else { return Ok(None) };
            message.arguments = sealed::open_arguments(vault.as_ref(), &tenant, id, &sealed)?;
            message.attempts = connection
                .prepare_cached(
                    "SELECT number, started_at, duration_us, outcome, error FROM message_attempts
                     WHERE message_id = ? ORDER BY number",
                )?
                .query_map([id.as_bytes()], read_attempt)?
                .collect::<rusqlite::Result<Vec<_>>>()?;
            Ok(Some(message))
        });
        found.await
    }
}

/// What was accepted before under a key.
fn before(connection: &Connection, key: &IdempotencyKey) -> rusqlite::Result<Option<Queued>> {
    let found = idempotency::find(connection, key)?;
    Ok(found.map(|before| match before.made.filter(|_| before.is_same) {
        Some(id) => Queued::Before(MessageId::from_bytes(id)),
        None => Queued::Conflict,
    }))
}

/// Makes a message durable and puts it into its lane, if it is to go out at once. False: what it is about is not there.
fn put(connection: &Connection, new: &NewMessage, sealed: &[u8]) -> rusqlite::Result<bool> {
    let about = match new.about {
        Some(about) => match position_of(connection, &new.tenant, about)? {
            Some(position) => Some(position),
            None => return Ok(false),
        },
        None => None,
    };
    let Position { lane, is_urgent } = match new.position(about) {
        Some(position) => position,
        None => Position {
            lane: lanes::of(connection, new.installation, &new.channel)?,
            is_urgent: new.is_urgent,
        },
    };
    insert(connection, new, &lane, is_urgent, sealed)?;
    turns::count_one(connection, &new.tenant)?;
    if !lane.is_empty() {
        lanes::join(connection, new.installation, &lane, &new.tenant, is_urgent, new.accepted_at)?;
    }
    Ok(true)
}

fn position_of(
    connection: &Connection,
    tenant: &TenantId,
    message: MessageId,
) -> rusqlite::Result<Option<Position>> {
    connection
        .prepare_cached("SELECT lane, rank FROM messages WHERE id = ? AND tenant_id = ?")?
        .query_row(params![message.as_bytes(), tenant.as_str()], |row| {
            Ok(Position { lane: row.get(0)?, is_urgent: row.get::<_, u32>(1)? == 0 })
        })
        .optional()
}

fn insert(
    connection: &Connection,
    new: &NewMessage,
    lane: &str,
    is_urgent: bool,
    sealed: &[u8],
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO messages (id, tenant_id, installation_id, operation, about, channel, lane, rank, state, attempt,
               accepted_at, expires_at, starts_at, on_uncertain, route, sealed_arguments)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'queued', 0, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            new.id.as_bytes(),
            new.tenant.as_str(),
            new.installation.as_bytes(),
            new.operation.as_str(),
            new.about.map(|about| *about.as_bytes()),
            new.channel,
            lane,
            u32::from(!is_urgent),
            new.accepted_at.as_micros(),
            new.expires_at.as_micros(),
            new.starts_at.map(Timestamp::as_micros),
            new.on_uncertain.as_str(),
            new.route,
            sealed,
        ])?;
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<Message> {
    let posted = row
        .get::<_, Option<String>>("posted_channel")?
        .zip(row.get("ts")?)
        .map(|(channel, ts)| Posted { channel, ts });
    Ok(Message {
        id: MessageId::from_bytes(value::id(row, "id")?),
        tenant: value::parsed(row, "tenant_id")?,
        installation: InstallationId::from_bytes(value::id(row, "installation_id")?),
        operation: value::named(row, "operation", Operation::from_name)?,
        about: value::id_opt(row, "about")?.map(MessageId::from_bytes),
        channel: row.get("channel")?,
        route: row.get("route")?,
        state: value::named(row, "state", MessageState::from_name)?,
        is_possible_duplicate: row.get("is_possible_duplicate")?,
        posted,
        error: row.get("error")?,
        accepted_at: value::time(row, "accepted_at")?,
        expires_at: value::time(row, "expires_at")?,
        starts_at: value::time_opt(row, "starts_at")?,
        next_at: value::time_opt(row, "next_at")?,
        parked_since: value::time_opt(row, "parked_since")?,
        arguments: Bytes::new(),
        attempts: Vec::new(),
    })
}

fn read_attempt(row: &Row<'_>) -> rusqlite::Result<SendAttempt> {
    let duration_us: Option<i64> = row.get("duration_us")?;
    Ok(SendAttempt {
        number: row.get("number")?,
        started_at: value::time(row, "started_at")?,
        duration: duration_us.and_then(|us| u64::try_from(us).ok()).map(Duration::from_micros),
        outcome: value::named(row, "outcome", SendOutcome::from_name)?,
        error: row.get("error")?,
    })
}
