//! A tenant, erased in parts: first what lets anything new in, last the tenant itself.

use sqlx::Row as _;
use tautline_core::TenantId;
use tautline_core::keeping::Erased;

use super::database::{Sql, Tx, sql};
use super::failure::Work;
use crate::limits::PART;

/// Small tables, erased at once. Lanes before the installations they are known by.
const DOORS: [(&str, &str); 7] = [
    (
        "lanes",
        "DELETE FROM lanes WHERE installation_id IN (SELECT id FROM installations WHERE tenant_id = $1)",
    ),
    (
        "lane_names",
        "DELETE FROM lane_names WHERE installation_id IN (SELECT id FROM installations WHERE tenant_id = $1)",
    ),
    ("api_keys", "DELETE FROM api_keys WHERE tenant_id = $1"),
    ("sessions", "DELETE FROM sessions WHERE tenant_id = $1"),
    ("dashboard_links", "DELETE FROM dashboard_links WHERE tenant_id = $1"),
    ("connect_links", "DELETE FROM connect_links WHERE tenant_id = $1"),
    ("installations", "DELETE FROM installations WHERE tenant_id = $1"),
];

const LAST: [(&str, &str); 3] = [
    ("outbox_waiting", "DELETE FROM outbox_waiting WHERE tenant_id = $1"),
    ("audit", "DELETE FROM audit WHERE tenant_id = $1"),
    ("tenants", "DELETE FROM tenants WHERE id = $1"),
];

pub(super) async fn part(tx: &mut Tx, tenant: &TenantId) -> Work<Erased> {
    let mut erased = Erased::default();
    let of = |text: &'static str| -> Sql { sql(text).bind(tenant.to_string()) };
    for (table, delete) in DOORS {
        erased.count(table, tx.execute(of(delete)).await?);
    }
    // The schema, and with it the credentials.
    let left: i64 = tx.one(of("SELECT leave_tenant($1) AS there"), |row| row.try_get("there")).await?;
    erased.count("credentials", u64::try_from(left).unwrap_or(0));
    let requests = of("WITH gone AS (DELETE FROM inbox WHERE id IN (SELECT id FROM inbox WHERE tenant_id = $1 LIMIT $2)
                         RETURNING id),
                       deliveries_gone AS (DELETE FROM deliveries WHERE request_id IN (SELECT id FROM gone) RETURNING id),
                       attempts_gone AS (DELETE FROM attempts WHERE delivery_id IN (SELECT id FROM deliveries_gone))
                       SELECT count(*) AS gone FROM gone");
    let messages = of("WITH gone AS (DELETE FROM messages WHERE id IN (SELECT id FROM messages WHERE tenant_id = $1 LIMIT $2)
                         RETURNING id)
                       SELECT count(*) AS gone FROM gone");
    for (table, delete) in [("inbox", requests), ("messages", messages)] {
        let gone: i64 = tx.one(delete.bind(PART), |row| row.try_get("gone")).await?;
        erased.count(table, u64::try_from(gone).unwrap_or(0));
        if gone > 0 {
            return Ok(erased);
        }
    }
    for (table, delete) in LAST {
        erased.count(table, tx.execute(of(delete)).await?);
    }
    erased.is_done = true;
    Ok(erased)
}
