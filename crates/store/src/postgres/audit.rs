//! The audit. Rows are only ever added.

use async_trait::async_trait;
use tautline_core::StoreResult;
use tautline_core::audit::{Audit, AuditEntry};

use super::database::sql;
use super::{PostgresStore, value};

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
}
