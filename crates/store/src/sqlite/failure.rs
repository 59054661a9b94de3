//! SQLite's errors, told as the store's.

use tautline_core::StoreError;

/// What a piece of work on a connection comes to.
pub(super) type Work<T> = Result<T, Failure>;

/// Why it did not work.
#[derive(Debug)]
pub(super) enum Failure {
    Sqlite(rusqlite::Error),
    Store(StoreError),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        use rusqlite::Error::{FromSqlConversionFailure, IntegralValueOutOfRange, InvalidColumnType};
        match failure {
            Failure::Store(error) => error,
            Failure::Sqlite(
                error @ (FromSqlConversionFailure(..) | IntegralValueOutOfRange(..) | InvalidColumnType(..)),
            ) => Self::Corrupt(error.into()),
            Failure::Sqlite(error) => Self::Unavailable(error.into()),
        }
    }
}

pub(super) fn unavailable(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::Unavailable(why.into())
}
