//! PostgreSQL's errors, told as the store's.

use tautline_core::StoreError;

/// PostgreSQL's code for a lock that was not to be had in time.
const LOCK_NOT_AVAILABLE: &str = "55P03";

/// What a piece of work comes to.
pub(super) type Work<T> = Result<T, Failure>;

/// Why it did not work.
#[derive(Debug)]
pub(super) enum Failure {
    Postgres(sqlx::Error),
    Store(StoreError),
    /// No answer in time. What was under way may or may not have happened.
    TimedOut,
}

impl Failure {
    /// Whether it lies in what was asked and not in the database: then others, asked apart, may succeed.
    pub(super) fn is_of_the_work(&self) -> bool {
        match self {
            Self::Store(_) => true,
            Self::TimedOut => false,
            // Bad data, a broken constraint, a row too large, a row that somebody holds, and what two transactions do to
            // each other.
            Self::Postgres(sqlx::Error::Database(error)) => error.code().is_some_and(|code| {
                code == LOCK_NOT_AVAILABLE
                    || ["22", "23", "40", "54"].iter().any(|class| code.starts_with(class))
            }),
            Self::Postgres(error) => {
                matches!(
                    error,
                    sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::RowNotFound
                )
            }
        }
    }

    /// Whether somebody else has what this one waited for.
    pub(super) fn is_locked(&self) -> bool {
        matches!(self, Self::Postgres(sqlx::Error::Database(error))
            if error.code().is_some_and(|code| code == LOCK_NOT_AVAILABLE))
    }

    /// Whether two transactions stood in each other's way, and this one gave in: again, it may succeed.
    pub(super) fn is_conflict(&self) -> bool {
        matches!(self, Self::Postgres(sqlx::Error::Database(error))
            if error.code().is_some_and(|code| code.starts_with("40")))
    }
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Postgres(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Store(error) => error,
            Failure::TimedOut => unavailable("the database did not answer in time"),
            Failure::Postgres(error @ (sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_))) => {
                Self::Corrupt(error.into())
            }
            // In its own words alone: the rest is where in PostgreSQL's own source it was noticed.
            Failure::Postgres(sqlx::Error::Database(error)) => {
                let code = error.code().unwrap_or_default().into_owned();
                unavailable(format!("{} (SQLSTATE {code})", error.message()))
            }
            Failure::Postgres(error) => Self::Unavailable(error.into()),
        }
    }
}

pub(super) fn unavailable(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::Unavailable(why.into())
}
