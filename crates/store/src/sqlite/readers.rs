//! A few connections that only read. In WAL mode they never wait for the writer.

use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;
use tautline_core::StoreResult;
use tokio::sync::Semaphore;
use tokio::task;

use super::failure::{Work, unavailable};

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

/// All that one read looks at is of one moment: a row and what belongs to it never contradict each other.
fn at_one_moment<T>(connection: &Connection, work: impl FnOnce(&Connection) -> Work<T>) -> Work<T> {
    // Nothing is written, so dropping it (a rollback) ends it as well as anything.
    let moment = connection.unchecked_transaction()?;
    work(&moment)
}
