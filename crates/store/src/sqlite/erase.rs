//! A tenant, erased in parts: first what lets anything new in, last the tenant itself.

use rusqlite::{Connection, params};
use tautline_core::TenantId;
use tautline_core::keeping::Erased;

use crate::limits::PART;

/// Small tables, erased at once. Credentials before the installations they belong to.
const DOORS: [&str; 7] =
    ["api_keys", "sessions", "dashboard_links", "connect_links", "routes", "credentials", "installations"];

/// Tables of any size, erased in parts; attempts go with what they are attempts of.
const ROOMS: [(&str, &str); 2] = [
    ("inbox", "DELETE FROM inbox WHERE rowid IN (SELECT rowid FROM inbox WHERE tenant_id = ? LIMIT ?)"),
    (
        "messages",
        "DELETE FROM messages WHERE rowid IN (SELECT rowid FROM messages WHERE tenant_id = ? LIMIT ?)",
    ),
];

/// Endpoints for this tenant serve the others on; those for nobody else go.
const LEAVE_ENDPOINTS: &str = "UPDATE endpoints SET
      tenants = (SELECT json_group_array(value) FROM json_each(tenants) WHERE value <> ?1),
      is_removed = NOT EXISTS (SELECT 1 FROM json_each(tenants) WHERE value <> ?1),
      sealed_secret = CASE WHEN EXISTS (SELECT 1 FROM json_each(tenants) WHERE value <> ?1) THEN sealed_secret END,
      sealed_secret_before =
        CASE WHEN EXISTS (SELECT 1 FROM json_each(tenants) WHERE value <> ?1) THEN sealed_secret_before END
    WHERE is_declared = 0 AND is_removed = 0 AND EXISTS (SELECT 1 FROM json_each(tenants) WHERE value = ?1)";

pub(super) fn part(connection: &Connection, tenant: &TenantId) -> rusqlite::Result<Erased> {
    let mut erased = Erased::default();
    let id = tenant.as_str();
    for table in ["lanes", "lane_names", "paces", "moved_channels", "channels", "directories"] {
        let of_installations = format!(
            "DELETE FROM {table} WHERE installation_id IN (SELECT id FROM installations WHERE tenant_id = ?1
               UNION SELECT installation_id FROM messages WHERE tenant_id = ?1)"
        );
        erased.count(table, connection.prepare_cached(&of_installations)?.execute([id])? as u64);
    }
    for table in DOORS {
        let delete = format!("DELETE FROM {table} WHERE tenant_id = ?");
        erased.count(table, connection.prepare_cached(&delete)?.execute([id])? as u64);
    }
    erased.count("endpoints", connection.prepare_cached(LEAVE_ENDPOINTS)?.execute([id])? as u64);
    for (table, delete) in ROOMS {
        let rows = connection.prepare_cached(delete)?.execute(params![id, PART])?;
        erased.count(table, rows as u64);
        if rows > 0 {
            return Ok(erased);
        }
    }
    for table in ["outbox_waiting", "audit"] {
        let delete = format!("DELETE FROM {table} WHERE tenant_id = ?");
        erased.count(table, connection.prepare_cached(&delete)?.execute([id])? as u64);
    }
    erased.count(
        "tenants",
        connection.prepare_cached("DELETE FROM tenants WHERE id = ?")?.execute([id])? as u64,
    );
    erased.is_done = true;
    Ok(erased)
}
