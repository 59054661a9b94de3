//! The inbox and `seen`.

use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, Row, params};
use tautline_core::delivery::{DeadReason, NewDelivery};
use tautline_core::inbox::{
    Accepted, AnswerState, Inbox, Incoming, Request, RequestFilter, RequestSummary, Retries, Revive, Whose,
};
use tautline_core::{InstallationId, Page, PageRequest, RequestId, StoreResult, TenantId, Timestamp, limits};

use tautline_slack::request::Kind;

use super::{SqliteStore, deliveries, value};
use crate::sealed;

/// The columns of a request, of the table `inbox` under the name `i`.
pub(super) const COLUMNS: &str = "i.id AS inbox_id, i.tenant_id AS owner, i.installation_id, i.kind, i.name,
    i.slack_id, i.team_id, i.message, i.received_at, i.expires_at, i.content_type, i.answer, i.retries, i.retry_reason";

#[async_trait]
impl Inbox for SqliteStore {
    async fn request_accept(&self, incoming: Incoming) -> StoreResult<Accepted> {
        // Sealed here, by the caller's thread: the writer's time is everybody's.
        let request = &incoming.request;
        let sealed = self.vault.seal(sealed::body(request.tenant.as_ref(), &request.id), &request.body);
        let accepted = self.writer.write(move |connection| {
            let request = &incoming.request;
            let new = connection
                .prepare_cached(
                    "INSERT INTO seen (key, seen_at, request_id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                )?
                .execute(params![incoming.seen.0, request.received_at.as_micros(), request.id.as_bytes()])?;
            if new == 0 {
                count_retry(connection, &incoming)?;
                return Ok(Accepted::AlreadySeen);
            }
            insert(connection, &incoming, &sealed)?;
            if let Some(tenant) = &request.tenant {
                for delivery in &incoming.deliveries {
                    deliveries::insert(connection, tenant, request, delivery)?;
                }
            }
            Ok(Accepted::Stored)
        });
        accepted.await
    }

    async fn request_answered(
        &self,
        tenant: &TenantId,
        id: RequestId,
        answer: AnswerState,
    ) -> StoreResult<()> {
        let tenant = tenant.clone();
        let recorded = self.writer.write(move |connection| {
            connection
                .prepare_cached(
                    "UPDATE inbox SET answer = ? WHERE id = ? AND tenant_id = ? AND answer = 'waiting'",
                )?
                .execute(params![answer.as_str(), id.as_bytes(), tenant.as_str()])?;
            if answer == AnswerState::Unanswered {
                deliveries::give_up(connection, &tenant, id)?;
            }
            Ok(())
        });
        recorded.await
    }

    async fn request_respond(&self, tenant: &TenantId, id: RequestId) -> StoreResult<bool> {
        let tenant = tenant.clone();
        let taken = self.writer.write(move |connection| {
            let taken = connection
                .prepare_cached(
                    "UPDATE inbox SET responses = responses + 1 WHERE id = ? AND tenant_id = ? AND responses < ?",
                )?
                .execute(params![id.as_bytes(), tenant.as_str(), limits::RESPONSES])?;
            Ok(taken > 0)
        });
        taken.await
    }

    async fn request_claim(&self, request: &Request, deliveries: Vec<NewDelivery>) -> StoreResult<bool> {
        let Some(tenant) = request.tenant.clone() else { return Ok(false) };
        // The tenant is part of the seal.
        let sealed = self.vault.seal(sealed::body(Some(&tenant), &request.id), &request.body);
        let request = request.clone();
        let claimed = self.writer.write(move |connection| {
            let changed = connection
                .prepare_cached(
                    "UPDATE inbox SET tenant_id = ?, installation_id = ?, sealed_body = ?
                     WHERE id = ? AND tenant_id IS NULL",
                )?
                .execute(params![
                    tenant.as_str(),
                    request.installation.map(|id| *id.as_bytes()),
                    sealed,
                    request.id.as_bytes(),
                ])?;
            if changed == 1 {
                for delivery in &deliveries {
                    deliveries::insert(connection, &tenant, &request, delivery)?;
                }
            }
            Ok(changed == 1)
        });
        claimed.await
    }

    async fn request_replay(
        &self,
        tenant: &TenantId,
        id: RequestId,
        which: Revive,
        now: Timestamp,
        turn: Timestamp,
        expires_at: Timestamp,
    ) -> StoreResult<u64> {
        let tenant = tenant.clone();
        let replayed = self.writer.write(move |connection| {
            let revived = connection
                .prepare_cached(&format!(
                    "UPDATE deliveries SET state = 'ready', next_at = ?3, turn = ?4, dead_reason = NULL,
                       expires_at = ?5
                     WHERE request_id = ?6 AND tenant_id = ?7 AND {}",
                    deliveries::REVIVABLE
                ))?
                .execute(params![
                    which == Revive::All,
                    DeadReason::NotRepeatable.as_str(),
                    now.as_micros(),
                    turn.as_micros(),
                    expires_at.as_micros(),
                    id.as_bytes(),
                    tenant.as_str(),
                ])?;
            if revived > 0 {
                connection
                    .prepare_cached("UPDATE inbox SET expires_at = ? WHERE id = ? AND tenant_id = ?")?
                    .execute(params![expires_at.as_micros(), id.as_bytes(), tenant.as_str()])?;
            }
            Ok(revived as u64)
        });
        replayed.await
    }

    async fn requests(
        &self,
        whose: Whose<'_>,
        filter: &RequestFilter,
        page: PageRequest,
    ) -> StoreResult<Page<RequestSummary>> {
        let (owner, filter) = (owner(whose), filter.clone());
        let found = self.lists.read(move |connection| {
            let found = connection
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM inbox i
                     WHERE i.tenant_id IS ?1 AND (?2 IS NULL OR i.id < ?2) AND (?3 IS NULL OR i.kind = ?3)
                       AND (?4 IS NULL OR i.name = ?4) AND (?5 IS NULL OR i.team_id = ?5)
                       AND (?6 IS NULL OR i.received_at >= ?6)
                     ORDER BY i.id DESC LIMIT ?7"
                ))?
                .query_map(
                    params![
                        owner,
                        page.after.map(|cursor| cursor.0),
                        filter.kind.map(Kind::as_str),
                        filter.name,
                        filter.team_id,
                        filter.since.map(Timestamp::as_micros),
                        i64::from(page.limit) + 1,
                    ],
                    |row| Ok((read(row, Bytes::new())?, told(row)?)),
                )?
                .collect::<rusqlite::Result<Vec<_>>>()?;
            let page = Page::of(found, page, |(request, _)| *request.id.as_bytes());
            let summary = |(request, (answer, retries)): (Request, (AnswerState, Retries))| {
                let deliveries = deliveries::of(connection, &request, None)?;
                Ok(RequestSummary { request, answer, retries, deliveries })
            };
            let items = page.items.into_iter().map(summary).collect::<StoreResult<Vec<_>>>()?;
            Ok(Page { items, next: page.next })
        });
        found.await
    }

    async fn request(&self, whose: Whose<'_>, id: RequestId) -> StoreResult<Option<RequestSummary>> {
        let (owner, vault) = (owner(whose), self.vault.clone());
        let found = self.lists.read(move |connection| {
            let found = connection
                .prepare_cached(&format!(
                    "SELECT {COLUMNS}, i.sealed_body FROM inbox i WHERE i.id = ? AND i.tenant_id IS ?"
                ))?
                .query_row(params![id.as_bytes(), owner], |row| {
                    Ok((read(row, Bytes::new())?, told(row)?, row.get::<_, Vec<u8>>("sealed_body")?))
                })
                .optional()?;
            let Some((mut request, (answer, retries), sealed)) = found else { return Ok(None) };
            request.body = sealed::open_body(vault.as_ref(), &request, &sealed)?;
            let deliveries = deliveries::of(connection, &request, Some(vault.as_ref()))?;
            Ok(Some(RequestSummary { request, answer, retries, deliveries }))
        });
        found.await
    }
}

/// Slack sent it again. What it was stored as may be gone by age: then nobody counts.
fn count_retry(connection: &Connection, incoming: &Incoming) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE inbox SET retries = retries + 1, retry_reason = coalesce(?, retry_reason)
             WHERE id = (SELECT request_id FROM seen WHERE key = ?)",
        )?
        .execute(params![incoming.retry_reason, incoming.seen.0])?;
    Ok(())
}

/// What Slack was told, and how often it asked again.
fn told(row: &Row<'_>) -> rusqlite::Result<(AnswerState, Retries)> {
    let retries = Retries { count: row.get("retries")?, reason: row.get("retry_reason")? };
    Ok((value::named(row, "answer", AnswerState::from_name)?, retries))
}

fn owner(whose: Whose<'_>) -> Option<String> {
    match whose {
        Whose::Tenant(tenant) => Some(tenant.to_string()),
        Whose::Unclaimed => None,
    }
}

fn insert(connection: &Connection, incoming: &Incoming, sealed_body: &[u8]) -> rusqlite::Result<()> {
    let request = &incoming.request;
    connection
        .prepare_cached(
            "INSERT INTO inbox (id, tenant_id, installation_id, kind, name, slack_id, team_id, message, received_at,
               expires_at, content_type, sealed_body, answer, retry_reason)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            request.id.as_bytes(),
            request.tenant.as_ref().map(TenantId::as_str),
            request.installation.map(|id| *id.as_bytes()),
            request.kind.as_str(),
            request.name,
            request.slack_id,
            request.team_id,
            request.message,
            request.received_at.as_micros(),
            request.expires_at.as_micros(),
            request.content_type,
            sealed_body,
            incoming.answer.as_str(),
            incoming.retry_reason,
        ])?;
    Ok(())
}

/// Reads a request; its body is opened apart, outside the writer.
pub(super) fn read(row: &Row<'_>, body: Bytes) -> rusqlite::Result<Request> {
    Ok(Request {
        id: RequestId::from_bytes(value::id(row, "inbox_id")?),
        tenant: value::tenant_opt(row, "owner")?,
        installation: row.get::<_, Option<[u8; 16]>>("installation_id")?.map(InstallationId::from_bytes),
        kind: kind(row)?,
        name: row.get("name")?,
        slack_id: row.get("slack_id")?,
        team_id: row.get("team_id")?,
        message: row.get("message")?,
        received_at: value::time(row, "received_at")?,
        expires_at: value::time(row, "expires_at")?,
        content_type: row.get("content_type")?,
        body,
    })
}

/// A newer version, of which the file may come, can know kinds that this one does not: they are treated like
/// interactions of an unknown type, of which nothing is repeated.
pub(super) fn kind(row: &Row<'_>) -> rusqlite::Result<Kind> {
    Ok(row.get::<_, String>("kind")?.parse().unwrap_or(Kind::Interaction))
}
