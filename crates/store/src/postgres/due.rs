//! What is due, as it is looked for. Each part goes by an index of its own, whatever waits besides:
//! `tests/plans/postgres-15.txt` holds what PostgreSQL makes of them.

use super::inbox;

/// How many are due for each endpoint: first attempts, and retries, each counted up to a number.
pub(super) const COUNT: &str = "SELECT e.id AS endpoint_id, f.due AS first, a.due AS again
    FROM unnest($1::uuid[], $3::bigint[], $4::bigint[]) AS e (id, first, again)
    CROSS JOIN LATERAL (SELECT count(*) AS due FROM (SELECT FROM deliveries
      WHERE endpoint_id = e.id AND state = 'ready' AND attempt = 0 AND next_at <= $2 AND expires_at > $2
      ORDER BY turn LIMIT e.first) AS found) AS f
    CROSS JOIN LATERAL (SELECT count(*) AS due FROM (SELECT FROM deliveries
      WHERE endpoint_id = e.id AND state = 'ready' AND attempt > 0 AND next_at <= $2 AND expires_at > $2
      ORDER BY next_at LIMIT e.again) AS found) AS a";

macro_rules! lease {
    ($which:literal) => {
        concat!(
            "WITH due AS (SELECT id, next_at, turn FROM deliveries
               WHERE endpoint_id = $1 AND state = 'ready' AND next_at <= $2 AND expires_at > $2 AND ",
            $which,
            " LIMIT $3 FOR UPDATE SKIP LOCKED)
             UPDATE deliveries d SET state = 'leased', attempt = attempt + 1, leased_until = $4, next_at = NULL
             FROM due, inbox i WHERE d.id = due.id AND i.id = d.request_id
             RETURNING d.id AS delivery_id, d.answers, d.attempt, due.next_at AS was_due, due.turn, i.sealed_body, ",
            inbox::columns!()
        )
    };
}

/// Takes first attempts, by their turn.
pub(super) const LEASE_FIRST: &str = lease!("attempt = 0 ORDER BY turn");

/// Takes retries, by their time.
pub(super) const LEASE_AGAIN: &str = lease!("attempt > 0 ORDER BY next_at");

/// Since when the first has waited.
pub(super) const OLDEST: &str = "SELECT min(found.next_at) AS next_at FROM unnest($1::uuid[]) AS e (id)
    CROSS JOIN LATERAL (
      (SELECT next_at FROM deliveries WHERE endpoint_id = e.id AND state = 'ready' AND attempt = 0
       ORDER BY turn LIMIT 1)
      UNION ALL
      (SELECT next_at FROM deliveries WHERE endpoint_id = e.id AND state = 'ready' AND attempt > 0
       ORDER BY next_at LIMIT 1)) AS found";

macro_rules! end_removed {
    ($which:literal) => {
        concat!(
            "WITH ended AS (SELECT w.id FROM endpoints e CROSS JOIN LATERAL (
               SELECT id FROM deliveries WHERE endpoint_id = e.id AND state = 'ready' AND ",
            $which,
            " LIMIT $2 FOR UPDATE SKIP LOCKED) AS w
               WHERE e.is_removed LIMIT $2)
             UPDATE deliveries d SET state = 'dead', dead_reason = $1, next_at = NULL FROM ended WHERE d.id = ended.id"
        )
    };
}

/// Ends first attempts for endpoints that were removed, so many.
pub(super) const END_REMOVED_FIRST: &str = end_removed!("attempt = 0 ORDER BY turn");

/// The same of retries.
pub(super) const END_REMOVED_AGAIN: &str = end_removed!("attempt > 0 ORDER BY next_at");

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tautline_core::SystemRng;
    use tautline_testing::Cluster;

    use super::*;
    use crate::postgres::PostgresOptions;
    use crate::{Keyring, PostgresStore};

    /// A hundred thousand wait for one endpoint, half of them tried before, and a hundred for another.
    const WAITING: &str = "INSERT INTO tenants (id, created_at) VALUES ('acme', 1);
        INSERT INTO inbox (id, tenant_id, kind, name, received_at, expires_at, sealed_body, answer)
          SELECT lpad(to_hex(n), 32, '0')::uuid, 'acme', 'event', 'message', n, 9000000, '', 'not_held'
          FROM generate_series(1, 100100) n;
        INSERT INTO deliveries (id, tenant_id, request_id, endpoint_id, answers, state, attempt, next_at, turn, expires_at)
          SELECT id, 'acme', id, CASE WHEN received_at <= 100000 THEN ONE ELSE OTHER END, true, 'ready',
            received_at % 2, received_at, received_at, 9000000 FROM inbox;
        ANALYZE deliveries; ANALYZE inbox";

    /// Each part goes by an index of its own: what waits for others, or was tried before, costs nothing.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn what_is_due_is_found_by_an_index() {
        let database = Cluster::shared().database();
        let options = PostgresOptions { url: database.url().into(), clock: None };
        let vault = Arc::new(Keyring::single("test", [7; 32], Arc::new(SystemRng)));
        PostgresStore::open(options, vault).await.unwrap();
        let [one, other] = ["00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"]
            .map(|id| format!("'{id}'::uuid"));
        database.sql(&WAITING.replace("ONE", &one).replace("OTHER", &other));
        let mut plans = String::new();
        let counted = [
            ("$1::uuid[]", format!("ARRAY[{one}, {other}]")),
            ("$3::bigint[]", "ARRAY[64, 64]".to_owned()),
            ("$4::bigint[]", "ARRAY[48, 48]".to_owned()),
            ("$2", "5000000".to_owned()),
        ];
        let leased = [
            ("$1", one.clone()),
            ("$2", "5000000".to_owned()),
            ("$3", "64".to_owned()),
            ("$4", "6000000".to_owned()),
        ];
        let ended = [("$1", "'endpoint_removed'".to_owned()), ("$2", "500".to_owned())];
        for (name, statement, parameters, indexes) in [
            ("COUNT", COUNT, &counted[..], &["deliveries_first", "deliveries_again"][..]),
            ("LEASE_FIRST", LEASE_FIRST, &leased, &["deliveries_first"]),
            ("LEASE_AGAIN", LEASE_AGAIN, &leased, &["deliveries_again"]),
            ("OLDEST", OLDEST, &counted, &["deliveries_first", "deliveries_again"]),
            ("END_REMOVED_FIRST", END_REMOVED_FIRST, &ended, &["deliveries_first"]),
            ("END_REMOVED_AGAIN", END_REMOVED_AGAIN, &ended, &["deliveries_again"]),
        ] {
            let with = |text: String, (name, value): &(&str, String)| text.replace(name, value);
            let statement = parameters.iter().fold(statement.to_owned(), with);
            let plan = database.sql(&format!("EXPLAIN (COSTS OFF) {statement}"));
            assert!(!plan.contains("Seq Scan on deliveries") && !plan.contains("Bitmap"), "{name}: {plan}");
            assert!(!plan.contains("Sort"), "{name}: {plan}");
            for index in indexes {
                assert!(plan.contains(index), "{name}: {plan}");
            }
            plans += &format!("{name}\n{plan}\n");
        }
        let version = database.sql("SHOW server_version_num");
        crate::plans::current(&format!("postgres-{}.txt", &version[..2]), &plans);
    }
}
