//! The outbox: messages, and what is on record of them. How they move is in `lanes.rs`.

use async_trait::async_trait;
use bytes::Bytes;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use tautline_core::delivery::{Finished, Reap};
use tautline_core::idempotency::IdempotencyKey;
use tautline_core::operation::Operation;
use tautline_core::outbox::{
    Change, Changed, Claim, Claimed, Message, MessageFilter, MessageState, NewMessage, Outbox, Passing,
    Posted, Queued, Turn,
};
use tautline_core::sending::{SendAttempt, SendOutcome};
use tautline_core::settlement::Settlement;
use tautline_core::{InstallationId, MessageId, Page, PageRequest, StoreResult, TenantId, Timestamp, limits};

use super::clock::DatabaseClock;
use super::database::sql;
use super::enqueue::{Enqueue, queued};
use super::settle::Settle;
use super::{PostgresStore, changes, claim, idempotency, lanes, paces, settle, turns, unsent, value};
use crate::sealed;

/// The columns of a message, of the table `messages` under the name `m`.
macro_rules! columns {
    () => {
        "m.id, m.tenant_id, m.installation_id, m.operation, m.about, m.channel, m.route, m.state,
         m.is_possible_duplicate, m.accepted_at, m.expires_at, m.starts_at, m.posted_channel, m.ts, m.error,
         m.sealed_arguments,
         (SELECT l.next_at FROM lanes l WHERE l.installation_id = m.installation_id AND l.lane = m.lane
            AND (m.state = 'queued' OR m.doubt_since IS NOT NULL)) AS next_at,
         (SELECT l.parked_since FROM lanes l WHERE l.installation_id = m.installation_id AND l.lane = m.lane
            AND m.state = 'queued' AND m.attempt > 0) AS parked_since"
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
        let sealed_arguments = self.vault.seal(sealed::arguments(&new.tenant, &new.id), &new.arguments);
        self.enqueuing.ask(Enqueue { new, key, sealed_arguments }).await
    }

    async fn message_due(&self, _: Timestamp) -> StoreResult<Option<Timestamp>> {
        let mut tx = self.database.read().await?;
        let due = lanes::due(&mut tx, &self.clock).await?;
        tx.finish(due).await
    }

    async fn message_claim(&self, claim: Claim) -> StoreResult<Vec<Claimed>> {
        let mut tx = self.database.write().await?;
        changes::begin(&mut tx, &self.clock, claim.now).await?;
        let taken = claim::claim(&mut tx, &self.clock, &claim).await?;
        let taken = tx.finish(taken).await?;
        let (opened, shut) = sealed::open_claimed(self.vault.as_ref(), taken);
        // What can be sent must be, whatever becomes of the rest: its lease is running.
        if let Err(error) = self.put_back(&shut, &claim).await {
            tracing::error!(%error, "messages that cannot be opened could not be put back yet");
        }
        Ok(opened)
    }

    async fn message_settle(&self, claimed: &Claimed, settlement: Settlement) -> StoreResult<Finished> {
        let claimed = Claimed { arguments: Bytes::new(), ..claimed.clone() };
        self.settling.ask(Settle { claimed, settlement }).await
    }

    async fn message_mark(&self, claimed: &Claimed) -> StoreResult<bool> {
        let mut tx = self.database.write().await?;
        let mark = sql("UPDATE messages SET is_possible_duplicate = TRUE
                        WHERE id = $1 AND tenant_id = $2 AND state = 'sending' AND attempt = $3")
        .bind(value::uuid(claimed.id.as_bytes()))
        .bind(claimed.tenant.to_string())
        .bind(i64::from(claimed.attempt));
        let marked = tx.execute(mark).await? == 1;
        tx.finish(marked).await
    }

    async fn message_is_anothers(&self, claimed: &Claimed, posted: &Posted) -> StoreResult<bool> {
        let mut tx = self.database.read().await?;
        let others = sql("SELECT EXISTS (SELECT FROM messages WHERE installation_id = $1 AND ts = $2
                            AND posted_channel = $3 AND id <> $4) AS is_anothers")
        .bind(value::uuid(claimed.installation.as_bytes()))
        .bind(value::text(&posted.ts))
        .bind(value::text(&posted.channel))
        .bind(value::uuid(claimed.id.as_bytes()));
        let found = tx.one(others, |row| row.try_get("is_anothers")).await?;
        tx.finish(found).await
    }

    async fn message_change(
        &self,
        tenant: &TenantId,
        id: MessageId,
        change: Change,
        now: Timestamp,
    ) -> StoreResult<Changed> {
        let mut tx = self.database.write().await?;
        let changed = changes::change(&mut tx, &self.clock, tenant, id, change, now).await?;
        tx.finish(changed).await
    }

    async fn message_rewrite(&self, tenant: &TenantId, id: MessageId, arguments: Bytes) -> StoreResult<bool> {
        let sealed = self.vault.seal(sealed::arguments(tenant, &id), &arguments);
        let mut tx = self.database.write().await?;
        let rewritten = changes::rewrite(&mut tx, tenant, id, sealed).await?;
        tx.finish(rewritten).await
    }

    async fn turn_take(&self, call: &Passing, now: Timestamp, until: Timestamp) -> StoreResult<Turn> {
        let mut tx = self.database.write().await?;
        let turn = paces::take_turn(&mut tx, &self.clock, call, now, until).await?;
        tx.finish(turn).await
    }

    async fn turn_limited(&self, call: &Passing, until: Timestamp, now: Timestamp) -> StoreResult<()> {
        let mut tx = self.database.write().await?;
        paces::limited(&mut tx, &self.clock, call, until, now).await?;
        tx.finish(()).await
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

    async fn lanes_parked(&self, now: Timestamp) -> StoreResult<u32> {
        let mut tx = self.database.read().await?;
        let parked = lanes::parked(&mut tx, &self.clock, now.before(limits::LANE_PARKED)).await?;
        tx.finish(parked).await
    }

    async fn messages_waiting(&self, tenant: &TenantId) -> StoreResult<u32> {
        let mut tx = self.database.read().await?;
        let waiting = turns::waiting(&mut tx, tenant).await?;
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
    async fn put_back(&self, shut: &[Claimed], claim: &Claim) -> StoreResult<()> {
        for claimed in shut {
            let mut tx = self.database.write().await?;
            settle::put_back(&mut tx, &self.clock, claimed, claim.leased_until, claim.now).await?;
            tx.finish(()).await?;
        }
        Ok(())
    }
}

/// Reads a message, its arguments still sealed.
fn read(row: &PgRow, clock: &DatabaseClock) -> sqlx::Result<(Message, Vec<u8>)> {
    let posted = value::read_text_opt(row, "posted_channel")?
        .zip(value::read_text_opt(row, "ts")?)
        .map(|(channel, ts)| Posted { channel, ts });
    let message = Message {
        id: MessageId::from_bytes(value::id(row, "id")?),
        tenant: value::parsed(row, "tenant_id")?,
        installation: InstallationId::from_bytes(value::id(row, "installation_id")?),
        operation: value::named(row, "operation", Operation::from_name)?,
        about: value::id_opt(row, "about")?.map(MessageId::from_bytes),
        channel: value::read_text(row, "channel")?,
        route: value::read_text_opt(row, "route")?,
        state: value::named(row, "state", MessageState::from_name)?,
        is_possible_duplicate: row.try_get("is_possible_duplicate")?,
        posted,
        error: value::read_text_opt(row, "error")?,
        accepted_at: value::time(row, "accepted_at")?,
        expires_at: value::time(row, "expires_at")?,
        starts_at: value::time_opt(row, "starts_at")?,
        next_at: row.try_get::<Option<i64>, _>("next_at")?.map(|at| clock.own(at)),
        parked_since: row.try_get::<Option<i64>, _>("parked_since")?.map(|at| clock.own(at)),
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
