//! The audit. Rows are only ever added.

use async_trait::async_trait;
use rusqlite::params;
use tautline_core::StoreResult;
use tautline_core::audit::{Audit, AuditEntry};

use super::SqliteStore;

#[async_trait]
impl Audit for SqliteStore {
    async fn audit_append(&self, entries: Vec<AuditEntry>) -> StoreResult<()> {
        let appended = self.writer.write(move |connection| {
            let mut insert = connection.prepare_cached(
                "INSERT INTO audit (at, tenant_id, actor, action, subject) VALUES (?, ?, ?, ?, ?)",
            )?;
            for AuditEntry { at, tenant, actor, action, subject } in &entries {
                insert.execute(params![at.as_micros(), tenant.as_str(), actor, action.as_str(), subject])?;
            }
            Ok(())
        });
        appended.await
    }
}
