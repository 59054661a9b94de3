//! What all servers of a bench start from: an app, its tenants, and a backlog.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Result;
use rusqlite::{Connection, params};
use tautline_testing::Database;

pub(crate) const PATH: &str = "/api/v1/integrations/webhooks/slack";
pub(crate) const SIGNING_SECRET: &str = "bench-signing-secret-0123456789ab";
pub(crate) const ENCRYPTION_KEYS: &str = "k1:QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY=";
pub(crate) const ADMIN_KEY: &str = "bench-admin-key-0123456789-0123456789";
pub(crate) const APP: &str = "A0BENCH";
pub(crate) const TENANT: &str = "tenant-0";
pub(crate) const INSTALLATION: [u8; 16] = [7; 16];
pub(crate) const ENDPOINT: [u8; 16] = [9; 16];

/// An event's id, as Slack's: short, and growing with time. At most one in 32 µs.
pub(crate) fn event_id(at_us: i64) -> String {
    format!("Ev{:012X}", at_us >> 5)
}

#[expect(clippy::disallowed_methods, reason = "what is measured runs by the real clock")]
pub(crate) fn now_us() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(now.as_micros()).expect("before the year 294,000")
}

/// The team of a tenant.
pub(crate) fn team(number: usize) -> String {
    format!("T{number:07}")
}

/// Tenants with a workspace each, and settled rows behind them, in a file that the gateway has made.
pub(crate) fn furnish_sqlite(path: &Path, tenants: usize, rows: usize) -> Result<()> {
    let mut file = Connection::open(path)?;
    file.pragma_update(None, "synchronous", "OFF")?;
    let transaction = file.transaction()?;
    for number in 0..tenants {
        let (tenant, team) = (format!("tenant-{number}"), team(number));
        transaction
            .prepare_cached("INSERT INTO tenants (id, created_at) VALUES (?, 0)")?
            .execute([&tenant])?;
        let mut id = INSTALLATION;
        id[8..].copy_from_slice(&number.to_be_bytes());
        transaction
            .prepare_cached(
                "INSERT INTO installations (id, tenant_id, install_key, place, app_id, team_id, is_enterprise_install,
                   scopes, health, installed_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, 0, '', 'connected', 0, 0)",
            )?
            .execute(params![id, tenant, format!("{APP}/{team}"), team, APP, team])?;
    }
    transaction.execute(
        "INSERT INTO endpoints (id, name, target, filters, tenants, active, created_at)
         VALUES (?, 'before', 'slack', '[]', '[\"*\"]', 0, 0)",
        [ENDPOINT],
    )?;
    // Ids in the order of time, as they come; the rest of each is chance.
    let begun = now_us() - 3_600_000_000;
    for number in 0..rows {
        let at = begun + i64::try_from(number).expect("few enough") * 1000;
        let id = || -> [u8; 16] {
            let millis = u64::try_from(at / 1000).unwrap_or(0);
            let chance = fastrand::u128(..).to_le_bytes()[..10].try_into().expect("ten");
            *uuid::Builder::from_unix_timestamp_millis(millis, &chance).into_uuid().as_bytes()
        };
        let (request, delivery, mut key, mut body) = (id(), id(), [0; 32], vec![0; 900]);
        // As the gateway's: an event's id, which grows with time, and a hash.
        key[..12].copy_from_slice(&event_id(at).as_bytes()[..12]);
        fastrand::fill(&mut key[12..]);
        fastrand::fill(&mut body);
        let tenant = format!("tenant-{}", fastrand::usize(..tenants));
        transaction
            .prepare_cached("INSERT INTO seen (key, seen_at) VALUES (?, ?)")?
            .execute(params![key, at])?;
        transaction
            .prepare_cached(
                "INSERT INTO inbox (id, tenant_id, kind, name, slack_id, team_id, received_at, expires_at,
                   content_type, sealed_body, answer)
                 VALUES (?, ?, 'event', 'app_mention', 'Ev', 'T', ?, ?, 'application/json', ?, 'not_held')",
            )?
            .execute(params![request, tenant, at, at, body])?;
        transaction
            .prepare_cached(
                "INSERT INTO deliveries (id, tenant_id, request_id, endpoint_id, answers, state, attempt, expires_at)
                 VALUES (?, ?, ?, ?, 1, 'delivered', 1, ?)",
            )?
            .execute(params![delivery, tenant, request, ENDPOINT, at])?;
    }
    transaction.commit()?;
    file.pragma_update(None, "wal_checkpoint", "TRUNCATE")?;
    Ok(())
}

/// The same in PostgreSQL.
pub(crate) fn furnish_postgres(database: &Database, tenants: usize) {
    database.sql(&format!(
        "INSERT INTO tenants (id, created_at) SELECT 'tenant-' || n, 0 FROM generate_series(0, {last}) AS n;
         INSERT INTO installations (id, tenant_id, install_key, place, app_id, team_id, is_enterprise_install, scopes,
             health, installed_at, updated_at)
           SELECT gen_random_uuid(), 'tenant-' || n, '{APP}/T' || lpad(n::text, 7, '0'), 'T' || lpad(n::text, 7, '0'),
             '{APP}', 'T' || lpad(n::text, 7, '0'), false, '', 'connected', 0, 0
           FROM generate_series(0, {last}) AS n",
        last = tenants - 1,
    ));
}

/// Deliveries that wait for the endpoint that the API made, half of them tried before, with `{…}` for what differs.
const WAITING: &str = "
    INSERT INTO inbox (id, tenant_id, kind, name, received_at, expires_at, sealed_body, answer)
      SELECT {id}, 'tenant-0', 'event', 'app_mention', {now} - n, {now} + 86400000000, {empty}, 'not_held' FROM {numbers};
    INSERT INTO deliveries (id, tenant_id, request_id, endpoint_id, answers, state, attempt, next_at, turn, expires_at)
      SELECT {id}, 'tenant-0', {id}, (SELECT id FROM endpoints WHERE {made}), {no}, 'ready', n % 2, {now} - n, {now} - n,
        {now} + 86400000000 FROM {numbers};";

fn waiting(pairs: &[(&str, String)]) -> String {
    filled(WAITING, pairs)
}

fn filled(statements: &str, pairs: &[(&str, String)]) -> String {
    let now = ("now", now_us().to_string());
    let all = pairs.iter().chain(std::slice::from_ref(&now));
    all.fold(statements.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}

/// Has so many deliveries wait.
pub(crate) fn waiting_sqlite(path: &Path, count: u32) -> Result<()> {
    let numbers = format!(
        "(WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {count}) SELECT n FROM n)"
    );
    let file = Connection::open(path)?;
    file.pragma_update(None, "synchronous", "OFF")?;
    file.execute_batch(&waiting(&[
        // As ids are: the millisecond, and then whatever tells them apart.
        ("id", format!("unhex(printf('%012x%020x', {}, n))", now_us() / 1000)),
        ("empty", "x''".into()),
        ("made", "is_declared = 0".into()),
        ("no", "0".into()),
        ("numbers", numbers),
    ]))?;
    file.pragma_update(None, "wal_checkpoint", "TRUNCATE")?;
    // The disk is to be idle when the measuring begins.
    std::fs::File::open(path)?.sync_all()?;
    Ok(())
}

/// The same in PostgreSQL.
pub(crate) fn waiting_postgres(database: &Database, count: u32) {
    database.sql(&waiting(&[
        (
            "id",
            format!("(lpad(to_hex({}::bigint), 12, '0') || lpad(to_hex(n), 20, '0'))::uuid", now_us() / 1000),
        ),
        ("empty", "''".into()),
        ("made", "NOT is_declared".into()),
        ("no", "false".into()),
        ("numbers", format!("generate_series(1, {count}) AS n")),
    ]));
    database.sql("VACUUM ANALYZE deliveries");
}

/// Messages that wait in a thousand lanes which do not move for a day, with `{…}` for what differs.
const MESSAGES: &str = "
    INSERT INTO messages (id, tenant_id, installation_id, channel, lane, state, attempt, accepted_at, expires_at,
        sealed_arguments)
      SELECT {id}, 'tenant-0', {installation}, 'CWAIT' || (n % 1000), 'CWAIT' || (n % 1000), 'queued', 0, {now},
        {now} + 86400000000, {empty} FROM {numbers};
    INSERT INTO lanes (installation_id, lane, waiting, next_at)
      SELECT {installation}, 'CWAIT' || n, {count} / 1000, {now} + 86400000000 FROM {lanes};";

/// Has so many messages wait.
pub(crate) fn messages_sqlite(path: &Path, count: u32) -> Result<()> {
    let numbers = |count: u32| {
        format!(
            "(WITH RECURSIVE n(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < {count} - 1) SELECT n FROM n)"
        )
    };
    let file = Connection::open(path)?;
    file.pragma_update(None, "synchronous", "OFF")?;
    file.execute_batch(&filled(
        MESSAGES,
        &[
            ("id", format!("unhex(printf('%012x%020x', {}, n))", now_us() / 1000)),
            ("installation", "(SELECT id FROM installations WHERE tenant_id = 'tenant-0')".into()),
            ("empty", "randomblob(300)".into()),
            ("count", count.to_string()),
            ("numbers", numbers(count)),
            ("lanes", numbers(1000)),
        ],
    ))?;
    file.pragma_update(None, "wal_checkpoint", "TRUNCATE")?;
    std::fs::File::open(path)?.sync_all()?;
    Ok(())
}

/// The same in PostgreSQL.
pub(crate) fn messages_postgres(database: &Database, count: u32) {
    let id =
        format!("(lpad(to_hex({}::bigint), 12, '0') || lpad(to_hex(n), 20, '0'))::uuid", now_us() / 1000);
    database.sql(&filled(
        MESSAGES,
        &[
            ("id", id),
            ("installation", "(SELECT id FROM installations WHERE tenant_id = 'tenant-0')".into()),
            ("empty", "decode(repeat('00', 300), 'hex')".into()),
            ("count", count.to_string()),
            ("numbers", format!("generate_series(0, {count} - 1) AS n")),
            ("lanes", "generate_series(0, 999) AS n".into()),
        ],
    ));
    database.sql("VACUUM ANALYZE messages");
}
