//! Installations that were looked up before, in memory: at the front door one is looked up for every request.
//!
//! The file has one server, so what was read holds until the writer commits a change to the table; it tells of every
//! one, whichever method made it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use tautline_core::installation::Installation;
use tautline_slack::request::Origin;

use crate::limits::KNOWN_INSTALLATIONS;

#[derive(Clone, Default)]
pub(super) struct Known(Arc<Shared>);

#[derive(Default)]
struct Shared {
    found: Mutex<Found>,
    /// The transaction that is open has changed an installation.
    changing: AtomicBool,
}

#[derive(Default)]
struct Found {
    by_origin: HashMap<Origin, Arc<Installation>>,
    /// Counts the changes, so that what was read before one is not kept after it.
    changes: u64,
}

/// When somebody began to read.
#[derive(Clone, Copy)]
pub(super) struct Since(u64);

impl Known {
    /// The installation that an origin leads to; or since when it is to be read.
    pub(super) fn get(&self, origin: &Origin) -> Result<Arc<Installation>, Since> {
        let found = self.found();
        found.by_origin.get(origin).cloned().ok_or(Since(found.changes))
    }

    /// Keeps what was read, unless a change came meanwhile. What is not found is not kept: it is rare, and anybody's
    /// workspace could be asked for.
    pub(super) fn keep(&self, since: Since, origin: &Origin, installation: &Arc<Installation>) {
        let mut found = self.found();
        if found.changes != since.0 {
            return;
        }
        if found.by_origin.len() == KNOWN_INSTALLATIONS {
            found.by_origin.clear();
        }
        found.by_origin.insert(origin.clone(), installation.clone());
    }

    /// Has the writer's connection tell of every row of the table that changes.
    pub(super) fn watch(&self, writer: &mut Connection) -> rusqlite::Result<()> {
        let shared = self.0.clone();
        writer.update_hook(Some(move |_, _: &str, table: &str, _| {
            if table == "installations" {
                shared.changing.store(true, Ordering::Relaxed);
            }
        }))
    }

    /// After each commit, before whoever wrote is answered.
    pub(super) fn committed(&self) {
        if self.0.changing.swap(false, Ordering::Relaxed) {
            let mut found = self.found();
            found.by_origin.clear();
            found.changes += 1;
        }
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.0.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
