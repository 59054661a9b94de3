//! The audit. Rows are only ever added.

use async_trait::async_trait;
use rusqlite::params;
use tautline_core::audit::{Audit, AuditEntry, AuditRecord};
use tautline_core::{Page, PageRequest, StoreResult, TenantId};

use super::{SqliteStore, value};
use crate::columns;

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

    async fn audit(&self, tenant: Option<&TenantId>, page: PageRequest) -> StoreResult<Page<AuditRecord>> {
        let (tenant, before) = (tenant.map(ToString::to_string), columns::audit_before(page));
        // Each with an index of its own.
        let of = if tenant.is_some() { "tenant_id = ?1 AND " } else { "?1 IS NULL AND " };
        let found = self.lists.read(move |connection| {
            let found = connection
                .prepare_cached(&format!(
                    "SELECT id, at, tenant_id, actor, action, subject FROM audit WHERE {of}id < ?2
                     ORDER BY id DESC LIMIT ?3"
                ))?
                .query_map(params![tenant, before, i64::from(page.limit) + 1], |row| {
                    Ok(AuditRecord {
                        number: u64::try_from(row.get::<_, i64>("id")?).unwrap_or(0),
                        at: value::time(row, "at")?,
                        tenant: row.get("tenant_id")?,
                        actor: row.get("actor")?,
                        action: row.get("action")?,
                        subject: row.get("subject")?,
                    })
                })?
                .collect::<rusqlite::Result<Vec<_>>>()?;
            Ok(Page::of(found, page, AuditRecord::place))
        });
        found.await
    }
}
