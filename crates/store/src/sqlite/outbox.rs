//! The outbox: messages, and what is on record of them. How they move is in `lanes.rs`.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row, params};
use secrecy::ExposeSecret;
use tautline_core::delivery::{Finished, Reap};
use tautline_core::idempotency::{IdempotencyKey, Once};
use tautline_core::outbox::{
    Claimed, Message, MessageState, NewMessage, Outbox, Posted, Queued, SendAttempt, SendNext, SendOutcome,
};
use tautline_core::{
    InstallationId, MessageId, Page, PageRequest, Place, StoreError, StoreResult, TenantId, Timestamp, Vault,
    limits,
};

use super::failure::Work;
use super::idempotency::{made, once_making};
use super::{SqliteStore, lanes, value};

const COLUMNS: &str = "id, tenant_id, installation_id, channel, state, accepted_at, expires_at,
    posted_channel, ts, error";

#[async_trait]
impl Outbox for SqliteStore {
    async fn message_accept(&self, new: NewMessage, key: Option<IdempotencyKey>) -> StoreResult<Queued> {
        // Sealed here, by the caller's thread: the writer's time is everybody's.
        let sealed = self.vault.seal(arguments_place(&new.tenant, &new.id), &new.arguments);
        let accepted = self.writer.write(move |connection| {
            // Asked again, whatever else is full by now.
            if let Some(key) = &key
                && let Some(before) = made(connection, key)?
            {
                return Ok(before.map_or(Queued::Conflict, |id| Queued::Before(MessageId::from_bytes(id))));
            }
            if lanes::waiting(connection, &new.tenant)? >= limits::WAITING_MESSAGES {
                return Ok(Queued::Full);
            }
            let done = once_making(connection, key.as_ref(), Some(new.id.as_bytes()), || {
                insert(connection, &new, &sealed)?;
                Ok(lanes::join(connection, &new)?)
            });
            Ok(match done? {
                Once::Done(()) => Queued::Now,
                Once::Before | Once::Conflict => Queued::Conflict,
            })
        });
        accepted.await
    }

    async fn message_due(&self, now: Timestamp) -> StoreResult<bool> {
        self.lookups.read(move |connection| Ok(lanes::is_due(connection, now)?)).await
    }

    async fn message_claim(
        &self,
        now: Timestamp,
        leased_until: Timestamp,
        most: usize,
    ) -> StoreResult<Vec<Claimed>> {
        let taken =
            self.writer.write(move |connection| Ok(lanes::claim(connection, now, leased_until, most)?));
        let (mut opened, mut shut) = (Vec::new(), Vec::new());
        for (mut claimed, sealed) in taken.await? {
            match open_arguments(self.vault.as_ref(), &claimed.tenant, claimed.id, &sealed) {
                Ok(arguments) => {
                    claimed.arguments = arguments;
                    opened.push(claimed);
                }
                Err(error) => {
                    let cause = std::error::Error::source(&error).map(ToString::to_string);
                    tracing::error!(message = %claimed.id, %error, cause, "a message cannot be sent yet");
                    shut.push(claimed);
                }
            }
        }
        if !shut.is_empty() {
            let back = move |connection: &Connection| -> Work<()> {
                Ok(shut.iter().try_for_each(|claimed| lanes::put_back(connection, claimed, leased_until))?)
            };
            self.writer.write(back).await?;
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
        let claimed = Claimed { arguments: Bytes::new(), ..claimed.clone() };
        let settled = self.writer.write(move |connection| {
            Ok(lanes::settle(connection, &claimed, &attempt, posted.as_ref(), next)?)
        });
        settled.await
    }

    async fn message_reap(&self, now: Timestamp, which: Reap) -> StoreResult<usize> {
        self.writer.write(move |connection| Ok(lanes::reap(connection, now, which)?)).await
    }

    async fn messages(&self, tenant: &TenantId, page: PageRequest) -> StoreResult<Page<Message>> {
        let tenant = tenant.clone();
        let found = self.lists.read(move |connection| {
            let found = connection
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM messages
                     WHERE tenant_id = ?1 AND (?2 IS NULL OR id < ?2) ORDER BY id DESC LIMIT ?3"
                ))?
                .query_map(
                    params![tenant.as_str(), page.after.map(|cursor| cursor.0), i64::from(page.limit) + 1],
                    read,
                )?
                .collect::<rusqlite::Result<Vec<_>>>()?;
            Ok(Page::of(found, page, |message| *message.id.as_bytes()))
        });
        found.await
    }

    async fn message(&self, tenant: &TenantId, id: MessageId) -> StoreResult<Option<Message>> {
        let (tenant, vault) = (tenant.clone(), self.vault.clone());
        let found = self.lists.read(move |connection| {
            let found = connection
                .prepare_cached(&format!(
                    "SELECT {COLUMNS}, sealed_arguments FROM messages WHERE id = ? AND tenant_id = ?"
                ))?
                .query_row(params![id.as_bytes(), tenant.as_str()], |row| {
                    Ok((read(row)?, row.get::<_, Vec<u8>>("sealed_arguments")?))
                })
                .optional()?;
            let Some((mut message, sealed)) = found else { return Ok(None) };
            message.arguments = open_arguments(vault.as_ref(), &tenant, id, &sealed)?;
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

fn insert(connection: &Connection, new: &NewMessage, sealed: &[u8]) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO messages (id, tenant_id, installation_id, channel, state, attempt, accepted_at,
               expires_at, sealed_arguments) VALUES (?, ?, ?, ?, 'queued', 0, ?, ?, ?)",
        )?
        .execute(params![
            new.id.as_bytes(),
            new.tenant.as_str(),
            new.installation.as_bytes(),
            new.channel,
            new.accepted_at.as_micros(),
            new.expires_at.as_micros(),
            sealed,
        ])?;
    Ok(())
}

fn arguments_place<'a>(tenant: &'a TenantId, id: &'a MessageId) -> Place<'a> {
    Place { tenant: Some(tenant), table: "messages", row: id.as_bytes(), field: "arguments" }
}

fn open_arguments(vault: &dyn Vault, tenant: &TenantId, id: MessageId, sealed: &[u8]) -> StoreResult<Bytes> {
    let plain = vault.open(arguments_place(tenant, &id), sealed);
    let failed = |source| StoreError::Sealed { table: "messages", row: id.to_string(), source };
    plain.map(|plain| Bytes::copy_from_slice(plain.expose_secret())).map_err(failed)
}

fn read(row: &Row<'_>) -> rusqlite::Result<Message> {
    let posted = match (row.get("posted_channel")?, row.get("ts")?) {
        (Some(channel), Some(ts)) => Some(Posted { channel, ts }),
        _ => None,
    };
    Ok(Message {
        id: MessageId::from_bytes(value::id(row, "id")?),
        tenant: value::parsed(row, "tenant_id")?,
        installation: InstallationId::from_bytes(value::id(row, "installation_id")?),
        channel: row.get("channel")?,
        state: value::named(row, "state", MessageState::from_name)?,
        posted,
        error: row.get("error")?,
        accepted_at: value::time(row, "accepted_at")?,
        expires_at: value::time(row, "expires_at")?,
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
