//! The outbox: messages, and what is on record of them. How they move is in `lanes.rs`.

use async_trait::async_trait;
use bytes::Bytes;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use tautline_core::delivery::{Finished, Reap};
use tautline_core::idempotency::IdempotencyKey;
use tautline_core::outbox::{
    Claimed, Message, MessageFilter, MessageState, NewMessage, Outbox, Posted, Queued,
};
use tautline_core::sending::{SendAttempt, SendNext, SendOutcome};
use tautline_core::{InstallationId, MessageId, Page, PageRequest, StoreResult, TenantId, Timestamp, limits};

use super::clock::DatabaseClock;
use super::database::{Sql, sql};
use super::idempotency::Before;
use super::{PostgresStore, idempotency, lanes, unsent, value};
use crate::sealed;

/// The columns of a message, of the table `messages` under the name `m`.
macro_rules! columns {
    () => {
        "m.id, m.tenant_id, m.installation_id, m.channel, m.state, m.accepted_at, m.expires_at, m.posted_channel,
         m.ts, m.error, m.sealed_arguments,
         (SELECT l.next_at FROM lanes l WHERE l.installation_id = m.installation_id AND l.lane = m.lane
            AND m.state = 'queued') AS next_at"
    };
}

#[async_trait]
impl Outbox for PostgresStore {
    async fn message_before(&self, key: &IdempotencyKey) -> StoreResult<Option<Queued>> {
        let mut tx = self.database.read().await?;
        let found = idempotency::find(&mut tx, key).await?;
        tx.finish(found.map(queued)).await
    }

    async fn message_accept(&self, new: NewMessage, key: Option<IdempotencyKey>) -> StoreResult<Queued> {
        let sealed = self.vault.seal(sealed::arguments(&new.tenant, &new.id), &new.arguments);
        let mut tx = self.database.write().await?;
        if lanes::waiting(&mut tx, &new.tenant).await? >= limits::WAITING_MESSAGES {
            let before = match &key {
                Some(key) => idempotency::find(&mut tx, key).await?.map(queued),
                None => None,
            };
            return tx.finish(before.unwrap_or(Queued::Full)).await;
        }
        if let Some(key) = &key
            && let Some(before) = idempotency::claim(&mut tx, key, Some(new.id.as_bytes())).await?
        {
            return tx.finish(queued(before)).await;
        }
        let lane = lanes::of(&mut tx, &new).await?;
        // The lane first: its row is held until the commit, so that the order of the numbers is that of the commits.
        lanes::join(&mut tx, &self.clock, &new, &lane).await?;
        tx.execute(insert(&new, &lane, sealed)).await?;
        tx.finish(Queued::Now).await
    }

    async fn message_due(&self, now: Timestamp) -> StoreResult<bool> {
        let mut tx = self.database.read().await?;
        let due = lanes::is_due(&mut tx, &self.clock, now).await?;
        tx.finish(due).await
    }

    async fn message_claim(
        &self,
        now: Timestamp,
        leased_until: Timestamp,
        most: usize,
    ) -> StoreResult<Vec<Claimed>> {
        let mut tx = self.database.write().await?;
        let taken = lanes::claim(&mut tx, &self.clock, now, leased_until, most).await?;
        let taken = tx.finish(taken).await?;
        let (opened, shut) = sealed::open_claimed(self.vault.as_ref(), taken);
        // What can be sent must be, whatever becomes of the rest: its lease is running.
        if let Err(error) = self.put_back(&shut, leased_until).await {
            tracing::error!(%error, "messages that cannot be opened could not be put back yet");
        }
        Ok(opened)
    }

    async fn message_settle(
        &self,
        claimed: &Claimed,
        attempt: SendAttempt,
        posted: Option<Posted>,
        next: SendNext,
    ) -> StoreResult<Finished> {
        let mut tx = self.database.write().await?;
        let settled = lanes::settle(&mut tx, &self.clock, claimed, &attempt, posted.as_ref(), next).await?;
        tx.finish(settled).await
    }

    async fn message_reap(&self, now: Timestamp, which: Reap) -> StoreResult<usize> {
        unsent::reap(&self.database, &self.clock, now, which).await
    }

    async fn messages_fail(
        &self,
        tenant: &TenantId,
        installation: InstallationId,
        error: &str,
    ) -> StoreResult<usize> {
        let mut tx = self.database.write().await?;
        let failed = unsent::fail(&mut tx, tenant, installation, error).await?;
        tx.finish(failed).await
    }

    async fn messages(
        &self,
        tenant: &TenantId,
        filter: MessageFilter,
        page: PageRequest,
    ) -> StoreResult<Page<Message>> {
        let mut tx = self.lists.read().await?;
        let found = sql(concat!(
            "SELECT ",
            columns!(),
            " FROM messages m
             WHERE m.tenant_id = $1 AND ($2 IS NULL OR m.id < $2) AND ($3 IS NULL OR m.state = $3)
             ORDER BY m.id DESC LIMIT $4"
        ))
        .bind(tenant.to_string())
        .bind(page.after.map(|cursor| value::uuid(&cursor.0)))
        .bind(filter.state.map(MessageState::as_str))
        .bind(i64::from(page.limit) + 1);
        let found = tx.all(found, |row| read(row, &self.clock)).await?;
        let found = tx.finish(found).await?;
        let open = |(message, sealed): (Message, Vec<u8>)| {
            // What does not open is listed all the same; looking at it says why.
            let opened = sealed::open_arguments(self.vault.as_ref(), tenant, message.id, &sealed);
            Message { arguments: opened.unwrap_or_default(), ..message }
        };
        let found = found.into_iter().map(open).collect();
        Ok(Page::of(found, page, |message| *message.id.as_bytes()))
    }

    async fn messages_waiting(&self, tenant: &TenantId) -> StoreResult<u32> {
        let mut tx = self.database.read().await?;
        let waiting = lanes::waiting(&mut tx, tenant).await?;
        tx.finish(waiting).await
    }

    async fn message(&self, tenant: &TenantId, id: MessageId) -> StoreResult<Option<Message>> {
        let mut tx = self.lists.read().await?;
        let found =
            sql(concat!("SELECT ", columns!(), " FROM messages m WHERE m.id = $1 AND m.tenant_id = $2"))
                .bind(value::uuid(id.as_bytes()))
                .bind(tenant.to_string());
        let Some((message, sealed)) = tx.maybe(found, |row| read(row, &self.clock)).await? else {
            return tx.finish(None).await;
        };
        let attempts = sql("SELECT number, started_at, duration_us, outcome, error FROM message_attempts
                            WHERE message_id = $1 ORDER BY number")
        .bind(value::uuid(id.as_bytes()));
        let attempts = tx.all(attempts, read_attempt).await?;
        let attempts = tx.finish(attempts).await?;
        let arguments = sealed::open_arguments(self.vault.as_ref(), tenant, id, &sealed)?;
        Ok(Some(Message { arguments, attempts, ..message }))
    }
}

impl PostgresStore {
    /// Each in a transaction of its own: of several at once the lanes and counts would not be taken in their order.
    async fn put_back(&self, shut: &[Claimed], next_at: Timestamp) -> StoreResult<()> {
        for claimed in shut {
            let mut tx = self.database.write().await?;
            lanes::put_back(&mut tx, &self.clock, claimed, next_at).await?;
            tx.finish(()).await?;
        }
        Ok(())
    }
}

/// What was accepted before under a key.
fn queued(before: Before) -> Queued {
    match before.made.filter(|_| before.is_same) {
        Some(id) => Queued::Before(MessageId::from_bytes(id)),
        None => Queued::Conflict,
    }
}

fn insert(new: &NewMessage, lane: &str, sealed: Vec<u8>) -> Sql {
    sql("INSERT INTO messages (id, tenant_id, installation_id, channel, lane, state, attempt, accepted_at,
           expires_at, sealed_arguments) VALUES ($1, $2, $3, $4, $5, 'queued', 0, $6, $7, $8)")
    .bind(value::uuid(new.id.as_bytes()))
    .bind(new.tenant.to_string())
    .bind(value::uuid(new.installation.as_bytes()))
    .bind(value::text(&new.channel))
    .bind(value::text(lane))
    .bind(new.accepted_at.as_micros())
    .bind(new.expires_at.as_micros())
    .bind(sealed)
}

/// Reads a message, its arguments still sealed.
fn read(row: &PgRow, clock: &DatabaseClock) -> sqlx::Result<(Message, Vec<u8>)> {
    let posted = match (value::read_text_opt(row, "posted_channel")?, value::read_text_opt(row, "ts")?) {
        (Some(channel), Some(ts)) => Some(Posted { channel, ts }),
        _ => None,
    };
    let message = Message {
        id: MessageId::from_bytes(value::id(row, "id")?),
        tenant: value::parsed(row, "tenant_id")?,
        installation: InstallationId::from_bytes(value::id(row, "installation_id")?),
        channel: value::read_text(row, "channel")?,
        state: value::named(row, "state", MessageState::from_name)?,
        posted,
        error: value::read_text_opt(row, "error")?,
        accepted_at: value::time(row, "accepted_at")?,
        expires_at: value::time(row, "expires_at")?,
        next_at: row.try_get::<Option<i64>, _>("next_at")?.map(|at| clock.own(at)),
        arguments: Bytes::new(),
        attempts: Vec::new(),
    };
    Ok((message, row.try_get("sealed_arguments")?))
}

fn read_attempt(row: &PgRow) -> sqlx::Result<SendAttempt> {
    Ok(SendAttempt {
        number: value::number(row, "number")?,
        started_at: value::time(row, "started_at")?,
        duration: value::duration_opt(row, "duration_us")?,
        outcome: value::named(row, "outcome", SendOutcome::from_name)?,
        error: value::read_text_opt(row, "error")?,
    })
}
