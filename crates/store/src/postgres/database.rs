//! Connections and transactions.
//!
//! Everything runs in a transaction, and no statement is prepared by name: so it does not matter which of a
//! pooler's connections the next transaction meets (PgBouncer's transaction mode, say). A transaction that does
//! not end well takes its connection with it: what state that is in, nobody knows.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgArguments, PgConnectOptions, PgConnection, PgPool, PgPoolOptions, PgRow};
use sqlx::query::Query;
use sqlx::{Connection as _, Executor as _, Postgres, Row as _};
use tautline_core::StoreResult;
use tokio::time::timeout;

use super::failure::{Failure, Work, unavailable};
use crate::limits::{POSTGRES_ACQUIRE, POSTGRES_ANSWER};

pub(super) type Sql = Query<'static, Postgres, PgArguments>;

/// A statement, prepared for this once.
pub(super) fn sql(text: &'static str) -> Sql {
    sqlx::query(text).persistent(false)
}

/// `READ COMMITTED`, with bounds of the server's own, in case we are gone or stand still: a transaction that nobody
/// ends would keep its locks from everybody else. Slack's requests wait for a lock less than for their commit.
macro_rules! begin_write {
    ($lock_timeout:literal, $more:literal) => {
        concat!(
            "BEGIN; SET LOCAL statement_timeout = '10s'; SET LOCAL idle_in_transaction_session_timeout = '10s';
             SET LOCAL lock_timeout = '",
            $lock_timeout,
            "'; ",
            $more
        )
    };
}

/// How the transactions of a pool begin. Durable, however the database is set: an acknowledgement that does not wait
/// for the disk is none. Where it waits for more than our own disk (for a standby that applied the commit, say) that
/// is left as it is set.
const WRITES: [[&str; 2]; 2] = [
    [begin_write!("5s", "SET LOCAL synchronous_commit = on"), begin_write!("5s", "")],
    [begin_write!("400ms", "SET LOCAL synchronous_commit = on"), begin_write!("400ms", "")],
];
/// All that one read looks at is of one moment.
const READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = '10s';
    SET LOCAL idle_in_transaction_session_timeout = '10s'";

/// For whom a pool is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// Slack waits.
    Slacks,
    /// Anybody else.
    Others,
}

/// Migrations take the time they need, and wait for another replica's.
const MIGRATE: &str = "BEGIN; SET LOCAL synchronous_commit = on";

/// What a URL may say besides host, user and database.
const PARAMETERS: [&str; 10] = [
    "host",
    "port",
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "sslcert",
    "sslkey",
    "options",
    "application_name",
];

/// Reads what a connection's URL says. The error repeats nothing that could be part of a password.
pub(super) fn options(url: &SecretString) -> Result<PgConnectOptions, String> {
    let text = url.expose_secret();
    let authority = text.split_once("://").map_or("", |(_, rest)| rest.split('?').next().unwrap_or(rest));
    if authority.matches('@').count() > 1 || text.contains('#') {
        return Err("in the password write %40 for @, %2F for / and %23 for #".into());
    }
    let parsed: url::Url = text.parse().map_err(|error: url::ParseError| error.to_string())?;
    if parsed.host_str().is_none_or(str::is_empty) && !text.contains("host=") {
        return Err("it names no host".into());
    }
    if let Some((unknown, _)) = parsed.query_pairs().find(|(name, _)| !PARAMETERS.contains(&name.as_ref())) {
        return Err(format!("it has a parameter {unknown:?}, which is not one of {}", PARAMETERS.join(", ")));
    }
    let options: PgConnectOptions = text.parse().map_err(|error: sqlx::Error| error.to_string())?;
    // Poolers refuse what they do not know among the parameters of a new connection.
    let options = options.statement_cache_capacity(0).extra_float_digits(None).application_name("tautline");
    Ok(sqlx::ConnectOptions::disable_statement_logging(options))
}

/// What [`options`] reads, as libpq names it.
pub(super) fn libpq_variables(url: &SecretString) -> Result<Vec<(&'static str, String)>, String> {
    let read = options(url)?;
    let url: url::Url = url.expose_secret().parse().map_err(|error: url::ParseError| error.to_string())?;
    let host = match read.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => read.get_host().trim_matches(['[', ']']).to_owned(),
    };
    let database = read.get_database().unwrap_or(read.get_username()).to_owned();
    let mut variables = vec![
        ("PGHOST", host),
        ("PGPORT", read.get_port().to_string()),
        ("PGUSER", read.get_username().to_owned()),
        ("PGDATABASE", database),
    ];
    if let Some(password) = url.password() {
        let plain = percent_encoding::percent_decode_str(password).decode_utf8_lossy();
        variables.push(("PGPASSWORD", plain.into_owned()));
    }
    for (name, value) in url.query_pairs() {
        let variable = match name.as_ref() {
            "sslmode" | "ssl-mode" => "PGSSLMODE",
            "sslrootcert" | "ssl-root-cert" => "PGSSLROOTCERT",
            "sslcert" => "PGSSLCERT",
            "sslkey" => "PGSSLKEY",
            "options" => "PGOPTIONS",
            _ => continue,
        };
        variables.push((variable, value.into_owned()));
    }
    Ok(variables)
}

/// Where the database is, as a person knows it.
pub(super) fn place(options: &PgConnectOptions) -> String {
    let host =
        options.get_socket().map_or(options.get_host().to_owned(), |socket| socket.display().to_string());
    format!("{host}:{}/{}", options.get_port(), options.get_database().unwrap_or(options.get_username()))
}

/// Whether a commit, as the database is set, waits for the disk at least. It may wait for more. Asked on a connection
/// of its own, which says why there is none.
pub(super) async fn is_durable_as_set(options: &PgConnectOptions) -> Work<bool> {
    let ask = async {
        let mut connection = PgConnection::connect_with(options).await?;
        let settings = "SELECT current_setting('synchronous_commit') <> 'off' AS durable,
                          current_setting('fsync') <> 'off' AS synced,
                          has_database_privilege(current_database(), 'CREATE') AS may_create,
                          format('GRANT CREATE ON DATABASE %I TO %I', current_database(), current_user) AS grant";
        let mut transaction = connection.begin().await?;
        let row = sql(settings).fetch_one(&mut *transaction).await?;
        transaction.commit().await?;
        Ok((
            row.try_get("durable")?,
            row.try_get("synced")?,
            row.try_get("may_create")?,
            row.try_get("grant")?,
        ))
    };
    let (durable, synced, may_create, grant): (bool, bool, bool, String) =
        in_time(POSTGRES_ANSWER, ask).await?;
    if !may_create {
        // Else it would be noticed when the first tenant has consented, and its code is used up.
        return Err(
            unavailable(format!("each tenant's credentials rest in a schema of their own: {grant}")).into()
        );
    }
    if !synced {
        tracing::warn!(
            "the database runs with fsync=off: what is acknowledged is lost with the power; set fsync=on"
        );
    }
    Ok(durable)
}

/// A pool of connections.
#[derive(Clone)]
pub(super) struct Database {
    pool: PgPool,
    write: &'static str,
}

impl Database {
    pub(super) fn new(
        options: &PgConnectOptions,
        whose: Whose,
        connections: u32,
        durable_as_set: bool,
    ) -> Self {
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(POSTGRES_ACQUIRE)
            .connect_lazy_with(options.clone());
        Self { pool, write: WRITES[usize::from(whose == Whose::Slacks)][usize::from(durable_as_set)] }
    }

    /// Begins a transaction that writes.
    pub(super) async fn write(&self) -> Work<Tx> {
        self.begin(self.write).await
    }

    /// Begins a transaction that reads.
    pub(super) async fn read(&self) -> Work<Tx> {
        self.begin(READ).await
    }

    /// Begins a transaction without a limit of time.
    pub(super) async fn write_patiently(&self) -> Work<Tx> {
        let mut tx = self.begin(MIGRATE).await?;
        tx.patience = Duration::MAX;
        Ok(tx)
    }

    async fn begin(&self, begin: &'static str) -> Work<Tx> {
        let mut tx = Tx { connection: Some(self.pool.acquire().await?), patience: POSTGRES_ANSWER };
        tx.script(begin).await?;
        Ok(tx)
    }
}

/// A transaction. Dropped before its end, it is rolled back by closing the connection.
pub(super) struct Tx {
    connection: Option<PoolConnection<Postgres>>,
    patience: Duration,
}

impl Tx {
    /// Runs a statement; how many rows it changed.
    pub(super) async fn execute(&mut self, statement: Sql) -> Work<u64> {
        let (connection, patience) = self.connection();
        Ok(in_time(patience, statement.execute(connection)).await?.rows_affected())
    }

    /// Runs several statements that are a text of our own.
    pub(super) async fn script(&mut self, text: &'static str) -> Work<()> {
        let (connection, patience) = self.connection();
        in_time(patience, connection.execute(sqlx::raw_sql(text))).await?;
        Ok(())
    }

    /// All rows, read.
    pub(super) async fn all<T>(
        &mut self,
        statement: Sql,
        read: impl FnMut(&PgRow) -> sqlx::Result<T>,
    ) -> Work<Vec<T>> {
        let (connection, patience) = self.connection();
        let rows = in_time(patience, statement.fetch_all(connection)).await?;
        Ok(rows.iter().map(read).collect::<sqlx::Result<_>>()?)
    }

    /// The first row, if any, read.
    pub(super) async fn maybe<T>(
        &mut self,
        statement: Sql,
        read: impl FnOnce(&PgRow) -> sqlx::Result<T>,
    ) -> Work<Option<T>> {
        let (connection, patience) = self.connection();
        let row = in_time(patience, statement.fetch_optional(connection)).await?;
        Ok(row.as_ref().map(read).transpose()?)
    }

    /// The one row there is, read.
    pub(super) async fn one<T>(
        &mut self,
        statement: Sql,
        read: impl FnOnce(&PgRow) -> sqlx::Result<T>,
    ) -> Work<T> {
        Ok(self.maybe(statement, read).await?.ok_or(sqlx::Error::RowNotFound)?)
    }

    /// Commits; what it came to is only then worth anything.
    pub(super) async fn finish<T>(mut self, outcome: T) -> StoreResult<T> {
        self.script("COMMIT").await?;
        drop(self.connection.take());
        Ok(outcome)
    }

    fn connection(&mut self) -> (&mut PgConnection, Duration) {
        (self.connection.as_mut().expect("the connection is there until the end"), self.patience)
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        if let Some(mut connection) = self.connection.take() {
            connection.close_on_drop();
        }
    }
}

/// No answer may keep anybody for ever: the network between us may be gone without a word.
async fn in_time<T>(patience: Duration, answer: impl Future<Output = sqlx::Result<T>>) -> Work<T> {
    match timeout(patience, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Failure::TimedOut),
    }
}
