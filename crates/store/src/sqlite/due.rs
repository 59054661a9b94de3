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

/// First attempts for endpoints that were removed, so many.
pub(super) const REMOVED_FIRST: &str =
    "SELECT d.id FROM endpoints e CROSS JOIN deliveries d ON d.endpoint_id = e.id
    WHERE e.is_removed = 1 AND d.state = 'ready' AND d.attempt = 0 LIMIT ?2";

/// The same of retries.
pub(super) const REMOVED_AGAIN: &str =
    "SELECT d.id FROM endpoints e CROSS JOIN deliveries d ON d.endpoint_id = e.id
    WHERE e.is_removed = 1 AND d.state = 'ready' AND d.attempt > 0 LIMIT ?2";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::{connect, migrate};

    /// Each statement goes by an index of its own and sorts nothing: what else waits costs nothing.
    #[test]
    fn what_is_due_is_found_by_an_index() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = connect(&dir.path().join("store")).unwrap();
        migrate::migrate(&mut file).unwrap();
        let mut plans = String::new();
        for (name, statement, index) in [
            ("FIRST", FIRST, "SEARCH deliveries USING INDEX deliveries_first (endpoint_id=?)"),
            ("AGAIN", AGAIN, "SEARCH deliveries USING INDEX deliveries_again (endpoint_id=? AND next_at<?)"),
            ("OLDEST_FIRST", OLDEST_FIRST, "SEARCH deliveries USING INDEX deliveries_first (endpoint_id=?)"),
            ("OLDEST_AGAIN", OLDEST_AGAIN, "SEARCH deliveries USING INDEX deliveries_again (endpoint_id=?)"),
            ("REMOVED_FIRST", REMOVED_FIRST, "SEARCH d USING INDEX deliveries_first (endpoint_id=?)"),
            ("REMOVED_AGAIN", REMOVED_AGAIN, "SEARCH d USING INDEX deliveries_again (endpoint_id=?)"),
        ] {
            let mut explain = file.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).unwrap();
            // Whatever is asked for: the plan does not depend on it.
            let nulls = rusqlite::params_from_iter(std::iter::repeat_n(
                rusqlite::types::Null,
                explain.parameter_count(),
            ));
            let steps = explain.query_map(nulls, |row| row.get::<_, String>("detail")).unwrap();
            let steps = steps.collect::<Result<Vec<_>, _>>().unwrap();
            assert_eq!(steps.last().unwrap(), index, "{name}");
            let is_sorted = |step: &String| step.contains("TEMP B-TREE") || step.contains("SCAN d");
            assert!(!steps.iter().any(is_sorted), "{name}: {steps:?}");
            plans += &format!("{name}\n  {}\n", steps.join("\n  "));
        }
        crate::plans::current("sqlite.txt", &plans);
    }
}
