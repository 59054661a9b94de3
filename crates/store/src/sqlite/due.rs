//! What is due, as it is looked for. Each of these goes by an index of its own, whatever waits besides:
//! `tests/plans/sqlite.txt` holds what SQLite makes of them.

/// First attempts, by their turn: of an endpoint, at a time, so many.
pub(super) const FIRST: &str = "SELECT id, answers, attempt, next_at, request_id FROM deliveries
    WHERE endpoint_id = ?1 AND state = 'ready' AND attempt = 0 AND next_at <= ?2 AND expires_at > ?2
    ORDER BY turn LIMIT ?3";

/// Retries, by their time.
pub(super) const AGAIN: &str = "SELECT id, answers, attempt, next_at, request_id FROM deliveries
    WHERE endpoint_id = ?1 AND state = 'ready' AND attempt > 0 AND next_at <= ?2 AND expires_at > ?2
    ORDER BY next_at LIMIT ?3";

/// Since when the first of the first attempts has waited.
pub(super) const OLDEST_FIRST: &str = "SELECT next_at FROM deliveries
    WHERE endpoint_id = ? AND state = 'ready' AND attempt = 0 ORDER BY turn LIMIT 1";

/// The same of retries.
pub(super) const OLDEST_AGAIN: &str = "SELECT next_at FROM deliveries
    WHERE endpoint_id = ? AND state = 'ready' AND attempt > 0 ORDER BY next_at LIMIT 1";

#[cfg(test)]
mod tests {
    use rusqlite::{Connection, params};

    use super::*;
    use crate::sqlite::migrate;

    /// Each statement goes by an index of its own and sorts nothing: what else waits costs nothing.
    #[test]
    fn what_is_due_is_found_by_an_index() {
        let mut file = Connection::open_in_memory().unwrap();
        migrate::migrate(&mut file).unwrap();
        let mut plans = String::new();
        for (name, statement, index) in [
            ("FIRST", FIRST, "deliveries_first"),
            ("AGAIN", AGAIN, "deliveries_again"),
            ("OLDEST_FIRST", OLDEST_FIRST, "deliveries_first"),
            ("OLDEST_AGAIN", OLDEST_AGAIN, "deliveries_again"),
        ] {
            let mut explain = file.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).unwrap();
            let step = |row: &rusqlite::Row<'_>| row.get::<_, String>("detail");
            let parameters = params![[7_u8; 16], 1, 1];
            let steps = match explain.parameter_count() {
                1 => explain.query_map([[7_u8; 16]], step),
                _ => explain.query_map(parameters, step),
            };
            let steps = steps.unwrap().collect::<Result<Vec<_>, _>>().unwrap();
            assert_eq!(
                steps,
                [format!(
                    "SEARCH deliveries USING INDEX {index} (endpoint_id=?{})",
                    match name {
                        "AGAIN" => " AND next_at<?",
                        _ => "",
                    }
                )],
                "{name}"
            );
            plans += &format!("{name}\n  {}\n", steps.join("\n  "));
        }
        crate::plans::current("sqlite.txt", &plans);
    }
}
