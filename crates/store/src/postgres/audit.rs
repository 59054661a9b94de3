//! The audit. Rows are only ever added.

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use tautline_core::audit::{Audit, AuditEntry, AuditRecord};
use tautline_core::{Page, PageRequest, StoreResult, TenantId};

use super::database::sql;
use super::{PostgresStore, value};
use crate::columns;

#[async_trait]
impl Audit for PostgresStore {
    async fn audit_append(&self, entries: Vec<AuditEntry>) -> StoreResult<()> {
        let mut tx = self.database.write().await?;
        for AuditEntry { at, tenant, actor, action, subject } in &entries {
            tx.execute(
                sql("INSERT INTO audit (at, tenant_id, actor, action, subject) VALUES ($1, $2, $3, $4, $5)")
                    .bind(at.as_micros())
                    .bind(tenant.to_string())
                    .bind(value::text(actor))
                    .bind(action.as_str())
                    .bind(value::text(subject)),
            )
            .await?;
        }
        tx.finish(()).await
    }

    async fn audit(&self, tenant: Option<&TenantId>, page: PageRequest) -> StoreResult<Page<AuditRecord>> {
        macro_rules! entries {
            ($of:literal) => {
                concat!(
                    "SELECT id, at, tenant_id, actor, action, subject FROM audit WHERE ",
                    $of,
                    " AND id < $2 ORDER BY id DESC LIMIT $3"
                )
            };
        }
        // Each with an index of its own.
        let entries =
            if tenant.is_some() { entries!("tenant_id = $1") } else { entries!("$1::text IS NULL") };
        let found = sql(entries)
            .bind(tenant.map(ToString::to_string))
            .bind(columns::audit_before(page))
            .bind(i64::from(page.limit) + 1);
        let read = |row: &PgRow| {
            Ok(AuditRecord {
                number: value::number(row, "id")?,
                at: value::time(row, "at")?,
                tenant: value::read_text(row, "tenant_id")?,
                actor: value::read_text(row, "actor")?,
                action: value::read_text(row, "action")?,
                subject: value::read_text(row, "subject")?,
            })
        };
        let mut tx = self.lists.read().await?;
        let found = tx.all(found, read).await?;
        tx.finish(Page::of(found, page, AuditRecord::place)).await
    }
}
