//! A tenant, erased in parts: first what lets anything new in, last the tenant itself.

use sqlx::Row as _;
use sqlx::postgres::PgRow;
use tautline_core::TenantId;
use tautline_core::keeping::Erased;
use uuid::Uuid;

use super::database::{Sql, Tx, sql};
use super::failure::Work;
use crate::limits::PART;

/// Small tables, erased at once. Lanes before the installations they are known by.
const DOORS: [(&str, &str); 13] = [
    (
        "lanes",
        "DELETE FROM lanes WHERE installation_id IN (SELECT id FROM installations WHERE tenant_id = $1
           UNION SELECT installation_id FROM messages WHERE tenant_id = $1)",
    ),
    (
        "lane_names",
        "DELETE FROM lane_names WHERE installation_id IN (SELECT id FROM installations WHERE tenant_id = $1
           UNION SELECT installation_id FROM messages WHERE tenant_id = $1)",
    ),
    (
        "paces",
        "DELETE FROM paces WHERE installation_id IN (SELECT id FROM installations WHERE tenant_id = $1
           UNION SELECT installation_id FROM messages WHERE tenant_id = $1)",
    ),
    (
        "moved_channels",
        "DELETE FROM moved_channels WHERE installation_id IN (SELECT id FROM installations WHERE tenant_id = $1
           UNION SELECT installation_id FROM messages WHERE tenant_id = $1)",
    ),
    (
        "channels",
        "DELETE FROM channels WHERE installation_id IN (SELECT id FROM installations WHERE tenant_id = $1)",
    ),
    ("directories", "DELETE FROM directories WHERE tenant_id = $1"),
    ("routes", "DELETE FROM routes WHERE tenant_id = $1"),
    ("api_keys", "DELETE FROM api_keys WHERE tenant_id = $1"),
    ("sessions", "DELETE FROM sessions WHERE tenant_id = $1"),
    ("dashboard_links", "DELETE FROM dashboard_links WHERE tenant_id = $1"),
    ("connect_links", "DELETE FROM connect_links WHERE tenant_id = $1"),
    ("installations", "DELETE FROM installations WHERE tenant_id = $1"),
    // Endpoints for this tenant serve the others on; those for nobody else go.
    (
        "endpoints",
        "UPDATE endpoints e SET tenants = o.others::text, is_removed = o.others = '[]',
           sealed_secret = CASE WHEN o.others <> '[]' THEN sealed_secret END,
           sealed_secret_before = CASE WHEN o.others <> '[]' THEN sealed_secret_before END
         FROM (SELECT n.id, coalesce(jsonb_agg(t.named) FILTER (WHERE t.named <> $1), '[]') AS others
               FROM endpoints n CROSS JOIN LATERAL jsonb_array_elements_text(n.tenants::jsonb) AS t (named)
               GROUP BY n.id HAVING bool_or(t.named = $1)) AS o
         WHERE e.id = o.id AND NOT e.is_declared AND NOT e.is_removed",
    ),
];

const LAST: [(&str, &str); 3] = [
    ("outbox_waiting", "DELETE FROM outbox_waiting WHERE tenant_id = $1"),
    ("audit", "DELETE FROM audit WHERE tenant_id = $1"),
    ("tenants", "DELETE FROM tenants WHERE id = $1"),
];

/// Whoever lets something in for a tenant holds its row in common (see accept.rs; messages by their reference). So with
/// the row held alone nothing comes in, and what is seen to be gone is gone.
const ALONE: &str = "SELECT FROM tenants WHERE id = $1 FOR UPDATE";

pub(super) async fn part(tx: &mut Tx, tenant: &TenantId) -> Work<Erased> {
    let mut erased = Erased::default();
    let of = |text: &'static str| -> Sql { sql(text).bind(tenant.to_string()) };
    tx.execute(of(ALONE)).await?;
    for (table, delete) in DOORS {
        erased.count(table, tx.execute(of(delete)).await?);
    }
    // The schema, and with it the credentials.
    let left: i64 = tx.one(of("SELECT leave_tenant($1) AS there"), |row| row.try_get("there")).await?;
    erased.count("credentials", u64::try_from(left).unwrap_or(0));
    let requests = requests(tx, tenant).await?;
    let messages = tx
        .execute(
            of("DELETE FROM messages WHERE id IN (SELECT id FROM messages WHERE tenant_id = $1 LIMIT $2)")
                .bind(PART),
        )
        .await?;
    erased.count("inbox", requests);
    erased.count("messages", messages);
    let left = of("SELECT EXISTS (SELECT FROM inbox WHERE tenant_id = $1)
                     OR EXISTS (SELECT FROM messages WHERE tenant_id = $1) AS there");
    if tx.one(left, |row| row.try_get::<bool, _>("there")).await? {
        return Ok(erased);
    }
    for (table, delete) in LAST {
        erased.count(table, tx.execute(of(delete)).await?);
    }
    erased.is_done = true;
    Ok(erased)
}

/// Some requests, with what belongs to them. Each in a statement of its own, which sees what the one before waited
/// for: an attempt that was just put on record, say.
async fn requests(tx: &mut Tx, tenant: &TenantId) -> Work<u64> {
    let id = |row: &PgRow| row.try_get::<Uuid, _>("id");
    let some = sql("SELECT id FROM inbox WHERE tenant_id = $1 LIMIT $2 FOR UPDATE");
    let requests = tx.all(some.bind(tenant.to_string()).bind(PART), id).await?;
    let deliveries =
        sql("DELETE FROM deliveries WHERE request_id = ANY($1) RETURNING id").bind(requests.clone());
    let deliveries = tx.all(deliveries, id).await?;
    tx.execute(sql("DELETE FROM attempts WHERE delivery_id = ANY($1)").bind(deliveries)).await?;
    tx.execute(sql("DELETE FROM inbox WHERE id = ANY($1)").bind(requests)).await
}
