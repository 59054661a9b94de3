//! A few connections that only read. In WAL mode they never wait for the writer.

use std::sync::{Mutex, PoisonError};

use rusqlite::Connection;
use tautline_core::StoreResult;
use tokio::sync::Semaphore;
use tokio::task;

use super::failure::{Work, unavailable};

/// Connections for reading. More would not read faster: SQLite's pages are in the machine's own cache.
pub(super) const READERS: usize = 4;

pub(super) struct Readers {
    free: std::sync::Arc<Mutex<Vec<Connection>>>,
    permits: Semaphore,
}

impl Readers {
    pub(super) fn new(connections: Vec<Connection>) -> Self {
        let permits = Semaphore::new(connections.len());
        Self { free: std::sync::Arc::new(Mutex::new(connections)), permits }
    }

    pub(super) async fn read<T, F>(&self, work: F) -> StoreResult<T>
    where
        F: FnOnce(&Connection) -> Work<T> + Send + 'static,
        T: Send + 'static,
    {
        let _permit = self.permits.acquire().await.expect("the semaphore is never closed");
        let free = self.free.clone();
        let take = |pool: &Mutex<Vec<Connection>>| pool.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let reading = task::spawn_blocking(move || {
            let connection = take(&free).ok_or_else(|| unavailable("no connection is free"))?;
            let outcome = work(&connection);
            free.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
            outcome.map_err(Into::into)
        });
        reading.await.unwrap_or_else(|_| Err(unavailable("a read was cut short")))
    }
}
