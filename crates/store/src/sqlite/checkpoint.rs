//! Brings the log into the file, beside the writer.
//!
//! SQLite's own way is that the commit which makes the log long enough does it: whoever waits for that commit waits
//! for a thousand pages to be written. Here a thread of its own does it a little at a time, while commits go on. It
//! cannot start the log anew, as the writer is always a few pages ahead; that is left to SQLite's own way, at a
//! length where there is next to nothing left to do ([`LOG_PAGES`](crate::limits::LOG_PAGES)).

use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use rusqlite::Connection;

use crate::limits::CHECKPOINT_COMMITS;

/// The handle to the thread. It ends when this is dropped.
pub(super) struct Checkpoints {
    commits: u32,
    due: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpoints {
    pub(super) fn start(connection: Connection) -> std::io::Result<Self> {
        let (due, is_due) = sync_channel(1);
        let thread = Builder::new()
            .name("sqlite-checkpoint".into())
            .spawn(move || is_due.iter().for_each(|()| checkpoint(&connection)))?;
        Ok(Self { commits: 0, due: Some(due), thread: Some(thread) })
    }

    /// After each commit.
    pub(super) fn committed(&mut self) {
        self.commits += 1;
        if self.commits >= CHECKPOINT_COMMITS
            && let Some(due) = &self.due
        {
            self.commits = 0;
            // Full is as good: it will be done.
            let _ = due.try_send(());
        }
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        drop(self.due.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn checkpoint(connection: &Connection) {
    // It tells in a row how far it came, which depends on who reads. What is left comes with the next one.
    let done = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
    if let Err(error) = done {
        tracing::warn!(%error, "the log could not be brought into the file; it grows until it can");
    }
}
