//! The inbox as it is read and answered. How it is filled is in `accept.rs`.

use async_trait::async_trait;
use bytes::Bytes;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use tautline_core::delivery::{DeadReason, NewDelivery};
use tautline_core::inbox::{
    Accepted, AnswerState, Inbox, Incoming, Request, RequestFilter, RequestSummary, Retries, Revive, Whose,
};
use tautline_core::{InstallationId, Page, PageRequest, RequestId, StoreResult, TenantId, Timestamp, limits};
use tautline_slack::request::Kind;
use uuid::Uuid;

use super::accept::{self, Accept};
use super::database::sql;
use super::{PostgresStore, deliveries, value};
use crate::sealed;

/// The columns of a request, of the table `inbox` under the name `i`.
macro_rules! columns {
    () => {
        "i.id AS inbox_id, i.tenant_id AS owner, i.installation_id, i.kind, i.name, i.slack_id, i.team_id,
         i.message, i.received_at, i.expires_at, i.content_type, i.answer, i.retries, i.retry_reason"
    };
}
pub(super) use columns;

#[async_trait]
impl Inbox for PostgresStore {
    async fn request_accept(&self, incoming: Incoming) -> StoreResult<Accepted> {
        let request = &incoming.request;
        let place = sealed::body(request.tenant.as_ref(), &request.id);
        let sealed_body = self.vault.seal(place, &request.body);
        self.accepting.ask(Accept { incoming, sealed_body }).await
    }

    async fn request_answered(
        &self,
        tenant: &TenantId,
        id: RequestId,
        answer: AnswerState,
    ) -> StoreResult<()> {
        let mut tx = self.database.write().await?;
        let answered =
            sql("UPDATE inbox SET answer = $1 WHERE id = $2 AND tenant_id = $3 AND answer = 'waiting'")
                .bind(answer.as_str())
                .bind(value::uuid(id.as_bytes()))
                .bind(tenant.to_string());
        tx.execute(answered).await?;
        if answer == AnswerState::Unanswered {
            deliveries::give_up(&mut tx, tenant, id).await?;
        }
        tx.finish(()).await
    }

    async fn request_respond(&self, tenant: &TenantId, id: RequestId) -> StoreResult<bool> {
        let mut tx = self.database.write().await?;
        let take = sql("UPDATE inbox SET responses = responses + 1
                        WHERE id = $1 AND tenant_id = $2 AND responses < $3")
        .bind(value::uuid(id.as_bytes()))
        .bind(tenant.to_string())
        .bind(i64::from(limits::RESPONSES));
        let taken = tx.execute(take).await?;
        tx.finish(taken > 0).await
    }

    async fn request_claim(&self, request: &Request, deliveries: Vec<NewDelivery>) -> StoreResult<bool> {
        let Some(tenant) = &request.tenant else { return Ok(false) };
        // The tenant is part of the seal.
        let sealed = self.vault.seal(sealed::body(Some(tenant), &request.id), &request.body);
        let mut tx = self.database.write().await?;
        // A tenant that is being erased takes nothing in.
        let hold = sql("SELECT id FROM tenants WHERE id = $1 FOR KEY SHARE").bind(tenant.to_string());
        if tx.maybe(hold, |row| value::read_text(row, "id")).await?.is_none() {
            return tx.finish(false).await;
        }
        let claim = sql("UPDATE inbox SET tenant_id = $1, installation_id = $2, sealed_body = $3
                         WHERE id = $4 AND tenant_id IS NULL")
        .bind(tenant.to_string())
        .bind(request.installation.map(|id| value::uuid(id.as_bytes())))
        .bind(sealed)
        .bind(value::uuid(request.id.as_bytes()));
        let claimed = tx.execute(claim).await? == 1;
        if claimed {
            let rows = deliveries.iter().map(|delivery| (tenant, request, delivery));
            tx.execute(accept::deliver(&self.clock, rows)).await?;
        }
        tx.finish(claimed).await
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
        let mut tx = self.database.write().await?;
        let revive = sql(concat!(
            "UPDATE deliveries d SET state = 'ready', next_at = $3, turn = $4, dead_reason = NULL, expires_at = $5
             WHERE d.request_id = $6 AND d.tenant_id = $7 AND ",
            deliveries::revivable!()
        ))
        .bind(which == Revive::All)
        .bind(DeadReason::NotRepeatable.as_str())
        .bind(now.as_micros())
        .bind(turn.as_micros())
        .bind(expires_at.as_micros())
        .bind(value::uuid(id.as_bytes()))
        .bind(tenant.to_string());
        let revived = tx.execute(revive).await?;
        if revived > 0 {
            let prolong = sql("UPDATE inbox SET expires_at = $1 WHERE id = $2 AND tenant_id = $3")
                .bind(expires_at.as_micros())
                .bind(value::uuid(id.as_bytes()))
                .bind(tenant.to_string());
            tx.execute(prolong).await?;
        }
        tx.finish(revived).await
    }

    async fn requests(
        &self,
        whose: Whose<'_>,
        filter: &RequestFilter,
        page: PageRequest,
    ) -> StoreResult<Page<RequestSummary>> {
        let mut tx = self.lists.read().await?;
        let found = sql(concat!(
            "SELECT ",
            columns!(),
            " FROM inbox i
             WHERE (i.tenant_id = $1 OR ($1 IS NULL AND i.tenant_id IS NULL)) AND ($2 IS NULL OR i.id < $2)
               AND ($3 IS NULL OR i.kind = $3) AND ($4 IS NULL OR i.name = $4)
               AND ($5 IS NULL OR i.team_id = $5) AND ($6 IS NULL OR i.received_at >= $6)
             ORDER BY i.id DESC LIMIT $7"
        ))
        .bind(owner(whose))
        .bind(page.after.map(|cursor| value::uuid(&cursor.0)))
        .bind(filter.kind.map(Kind::as_str))
        .bind(value::text_opt(filter.name.as_deref()))
        .bind(value::text_opt(filter.team_id.as_deref()))
        .bind(filter.since.map(Timestamp::as_micros))
        .bind(i64::from(page.limit) + 1);
        let answered = |row: &PgRow| Ok((read(row)?, told(row)?));
        let found = tx.all(found, answered).await?;
        let page = Page::of(found, page, |(request, _)| *request.id.as_bytes());
        let ids = page.items.iter().map(|(request, _)| request.id).collect::<Vec<_>>();
        let mut deliveries = deliveries::of(&mut tx, &ids, None).await?;
        tx.finish(()).await?;
        let summary = |(request, (answer, retries)): (Request, (AnswerState, Retries))| RequestSummary {
            deliveries: deliveries.remove(&request.id).unwrap_or_default(),
            request,
            answer,
            retries,
        };
        Ok(Page { items: page.items.into_iter().map(summary).collect(), next: page.next })
    }

    async fn request(&self, whose: Whose<'_>, id: RequestId) -> StoreResult<Option<RequestSummary>> {
        let mut tx = self.lists.read().await?;
        let found = sql(concat!(
            "SELECT ",
            columns!(),
            ", i.sealed_body FROM inbox i
             WHERE i.id = $1 AND (i.tenant_id = $2 OR ($2 IS NULL AND i.tenant_id IS NULL))"
        ))
        .bind(value::uuid(id.as_bytes()))
        .bind(owner(whose));
        let sealed = |row: &PgRow| Ok((read(row)?, told(row)?, row.try_get::<Vec<u8>, _>("sealed_body")?));
        let Some((mut request, (answer, retries), sealed)) = tx.maybe(found, sealed).await? else {
            return tx.finish(None).await;
        };
        let vault = self.vault.as_ref();
        let mut deliveries = deliveries::of(&mut tx, &[id], Some(vault)).await?;
        tx.finish(()).await?;
        request.body = sealed::open_body(vault, &request, &sealed)?;
        let deliveries = deliveries.remove(&id).unwrap_or_default();
        Ok(Some(RequestSummary { request, answer, retries, deliveries }))
    }
}

/// What Slack was told, and how often it asked again.
fn told(row: &PgRow) -> sqlx::Result<(AnswerState, Retries)> {
    let retries =
        Retries { count: value::number(row, "retries")?, reason: value::read_text_opt(row, "retry_reason")? };
    Ok((value::named(row, "answer", AnswerState::from_name)?, retries))
}

fn owner(whose: Whose<'_>) -> Option<String> {
    match whose {
        Whose::Tenant(tenant) => Some(tenant.to_string()),
        Whose::Unclaimed => None,
    }
}

/// Reads a request without its body.
pub(super) fn read(row: &PgRow) -> sqlx::Result<Request> {
    let installation: Option<Uuid> = row.try_get("installation_id")?;
    Ok(Request {
        id: RequestId::from_bytes(value::id(row, "inbox_id")?),
        tenant: value::tenant_opt(row, "owner")?,
        installation: installation.map(|id| InstallationId::from_bytes(id.into_bytes())),
        kind: kind(row)?,
        name: value::read_text(row, "name")?,
        slack_id: value::read_text_opt(row, "slack_id")?,
        team_id: value::read_text_opt(row, "team_id")?,
        message: value::read_text_opt(row, "message")?,
        received_at: value::time(row, "received_at")?,
        expires_at: value::time(row, "expires_at")?,
        content_type: value::read_text_opt(row, "content_type")?,
        body: Bytes::new(),
    })
}

/// A newer version beside this one can know kinds that this one does not: they are treated like interactions of an
/// unknown type, of which nothing is repeated.
pub(super) fn kind(row: &PgRow) -> sqlx::Result<Kind> {
    Ok(value::read_text(row, "kind")?.parse().unwrap_or(Kind::Interaction))
}
