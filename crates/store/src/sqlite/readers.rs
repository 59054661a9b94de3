//! A few connections that only read. In WAL mode they never wait for the writer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};
use tautline_core::StoreResult;
use tokio::sync::Semaphore;
use tokio::task;

use super::failure::{Failure, Work, unavailable};

pub(super) struct Readers {
    free: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    pub(super) fn new(connections: Vec<Connection>) -> Self {
        let permits = Arc::new(Semaphore::new(connections.len()));
        Self { free: Arc::new(Mutex::new(connections)), permits }
    }

    pub(super) async fn read<T, F>(&self, work: F) -> StoreResult<T>
    where
        F: FnOnce(&Connection) -> Work<T> + Send + 'static,
        T: Send + 'static,
    {
        let permit = self.permits.clone().acquire_owned().await.expect("the semaphore is never closed");
        let free = self.free.clone();
        let take = |pool: &Mutex<Vec<Connection>>| pool.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let reading = task::spawn_blocking(move || {
            // Kept until the connection is back: whoever asked may be gone long before.
            let _permit = permit;
            let connection = take(&free).ok_or_else(|| unavailable("no connection is free"))?;
            let outcome = at_one_moment(&connection, work);
            free.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            outcome.map_err(Into::into)
        });
        reading.await.unwrap_or_else(|_| Err(unavailable("a read was cut short")))
    }
}

/// Connections for looking at a few rows by an index, here and now, on the caller's own thread. That takes
/// microseconds: less than handing it to another thread and back, while somebody waits at the front door.
pub(super) struct Glances {
    connections: Vec<Mutex<Connection>>,
}

impl Glances {
    /// None of the connections may wait for a lock: it would keep everything else on its thread waiting.
    pub(super) fn new(connections: Vec<Connection>) -> rusqlite::Result<Self> {
        connections.iter().try_for_each(|connection| connection.busy_timeout(Duration::ZERO))?;
        Ok(Self { connections: connections.into_iter().map(Mutex::new).collect() })
    }

    /// What was seen; `None` when no connection is free, or somebody else has locked the file. Then it is for
    /// [`Readers`], which wait.
    pub(super) fn glance<T>(
        &self,
        look: impl Fn(&Connection) -> rusqlite::Result<T>,
    ) -> StoreResult<Option<T>> {
        let Some(connection) = self.connections.iter().find_map(|connection| connection.try_lock().ok())
        else {
            return Ok(None);
        };
        match look(&connection) {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => Ok(None),
            seen => seen.map(Some).map_err(|error| Failure::from(error).into()),
        }
    }
}

/// All that one read looks at is of one moment: a row and what belongs to it never contradict each other.
fn at_one_moment<T>(connection: &Connection, work: impl FnOnce(&Connection) -> Work<T>) -> Work<T> {
    // Nothing is written, so dropping it (a rollback) ends it as well as anything.
    let moment = connection.unchecked_transaction()?;
    work(&moment)
}
