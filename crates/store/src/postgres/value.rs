//! Typed values in and out of rows.

use std::str::FromStr;
use std::time::Duration;

use sqlx::Row as _;
use sqlx::postgres::PgRow;
use tautline_core::{TenantId, Timestamp};
use uuid::Uuid;

/// Stands for itself and for NUL, which PostgreSQL's text cannot hold.
const ESCAPE: char = '\u{1a}';

/// A text from outside, as a column can hold it. Equal texts stay equal, different ones different.
pub(super) fn text(text: &str) -> String {
    text.replace(ESCAPE, "\u{1a}1").replace('\0', "\u{1a}0")
}

/// The same for a text that may be absent.
pub(super) fn text_opt(text_or_none: Option<&str>) -> Option<String> {
    text_or_none.map(text)
}

/// Each of these ids once, for `= ANY(…)`.
pub(super) fn distinct<T: ToString>(ids: impl IntoIterator<Item = T>) -> Vec<String> {
    let mut ids = ids.into_iter().map(|id| id.to_string()).collect::<Vec<_>>();
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn unescaped(text: String) -> String {
    if text.contains(ESCAPE) { text.replace("\u{1a}0", "\0").replace("\u{1a}1", "\u{1a}") } else { text }
}

/// Reads a [`text`].
pub(super) fn read_text(row: &PgRow, column: &str) -> sqlx::Result<String> {
    row.try_get(column).map(unescaped)
}

/// Reads a [`text_opt`].
pub(super) fn read_text_opt(row: &PgRow, column: &str) -> sqlx::Result<Option<String>> {
    Ok(row.try_get::<Option<String>, _>(column)?.map(unescaped))
}

/// A time.
pub(super) fn time(row: &PgRow, column: &str) -> sqlx::Result<Timestamp> {
    row.try_get(column).map(Timestamp::from_micros)
}

/// A time that may be absent.
pub(super) fn time_opt(row: &PgRow, column: &str) -> sqlx::Result<Option<Timestamp>> {
    Ok(row.try_get::<Option<i64>, _>(column)?.map(Timestamp::from_micros))
}

/// A small number: attempts, statuses, counts.
pub(super) fn number<T: TryFrom<i64>>(row: &PgRow, column: &str) -> sqlx::Result<T> {
    let number: i64 = row.try_get(column)?;
    T::try_from(number).map_err(|_| unreadable(format!("{column} holds {number}")))
}

/// A duration in microseconds that may be absent.
pub(super) fn duration_opt(row: &PgRow, column: &str) -> sqlx::Result<Option<Duration>> {
    let duration_us: Option<i64> = row.try_get(column)?;
    Ok(duration_us.and_then(|us| u64::try_from(us).ok()).map(Duration::from_micros))
}

/// Microseconds, as a column holds them.
pub(super) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// A limit, as SQL counts.
pub(super) fn limit(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}

/// A text that names one of a few things.
pub(super) fn named<T>(row: &PgRow, column: &str, from_name: impl Fn(&str) -> Option<T>) -> sqlx::Result<T> {
    let text = read_text(row, column)?;
    from_name(&text).ok_or_else(|| unreadable(format!("{column} holds {text:?}")))
}

/// A text that is read by its type.
pub(super) fn parsed<T: FromStr>(row: &PgRow, column: &str) -> sqlx::Result<T> {
    named(row, column, |text| text.parse().ok())
}

/// A tenant that may be absent.
pub(super) fn tenant_opt(row: &PgRow, column: &str) -> sqlx::Result<Option<TenantId>> {
    match row.try_get::<Option<String>, _>(column)? {
        None => Ok(None),
        Some(_) => parsed(row, column).map(Some),
    }
}

/// An id, as a column holds it.
pub(super) fn uuid(id: &[u8; 16]) -> Uuid {
    Uuid::from_bytes(*id)
}

/// The 16 bytes of an id.
pub(super) fn id(row: &PgRow, column: &str) -> sqlx::Result<[u8; 16]> {
    row.try_get::<Uuid, _>(column).map(Uuid::into_bytes)
}

/// The 16 bytes of an id that may be absent.
pub(super) fn id_opt(row: &PgRow, column: &str) -> sqlx::Result<Option<[u8; 16]>> {
    Ok(row.try_get::<Option<Uuid>, _>(column)?.map(Uuid::into_bytes))
}

/// A value that cannot be read.
pub(super) fn unreadable(what: String) -> sqlx::Error {
    sqlx::Error::Decode(what.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_comes_back_and_none_holds_nul() {
        for plain in ["", "plain", "\0", "a\0b", "\u{1a}", "\u{1a}0", "\u{1a}1\0\u{1a}", "0\u{1a}\0"] {
            let kept = text(plain);
            assert!(!kept.contains('\0'), "{plain:?}");
            assert_eq!(unescaped(kept), plain);
        }
    }
}
