//! Reading typed values from rows.

use std::str::FromStr;

use rusqlite::types::Type;
use rusqlite::{Row, RowIndex};
use tautline_core::{TenantId, Timestamp};

/// A time.
pub(super) fn time(row: &Row<'_>, column: &str) -> rusqlite::Result<Timestamp> {
    row.get(column).map(Timestamp::from_micros)
}

/// A time that may be absent.
pub(super) fn time_opt(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_micros))
}

/// A limit, as SQL counts.
pub(super) fn limit(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}

/// A text that names one of a few things.
pub(super) fn named<T>(
    row: &Row<'_>,
    column: &str,
    from_name: impl Fn(&str) -> Option<T>,
) -> rusqlite::Result<T> {
    let text: String = row.get(column)?;
    from_name(&text).ok_or_else(|| unreadable(format!("{column} holds {text:?}")))
}

/// A text that is read by its type.
pub(super) fn parsed<T: FromStr>(row: &Row<'_>, column: &str) -> rusqlite::Result<T> {
    named(row, column, |text| text.parse().ok())
}

/// A tenant that may be absent.
pub(super) fn tenant_opt(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<TenantId>> {
    match row.get::<_, Option<String>>(column)? {
        None => Ok(None),
        Some(_) => parsed(row, column).map(Some),
    }
}

/// The 16 bytes of an id.
pub(super) fn id(row: &Row<'_>, column: impl RowIndex) -> rusqlite::Result<[u8; 16]> {
    row.get(column)
}

/// The 16 bytes of an id that may be absent.
pub(super) fn id_opt(row: &Row<'_>, column: &str) -> rusqlite::Result<Option<[u8; 16]>> {
    row.get(column)
}

/// A value that cannot be read.
pub(super) fn unreadable(what: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, what.into())
}
