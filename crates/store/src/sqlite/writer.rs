//! The one writer, and group commit.
//!
//! SQLite has one writer whatever one does; here it is one thread with a queue. It takes what waits, up to
//! [`limits::COMMIT_BATCH`], runs it in one transaction and commits once: under load many requests share an
//! fsync, and when idle nobody waits for company. If anything in the batch fails, all of it is rolled back and
//! each job is run again in a transaction of its own, so that a bad row harms only itself.

use std::sync::Arc;
use std::thread;

use rusqlite::{Connection, TransactionBehavior};
use tautline_core::{StoreResult, limits};
use tokio::sync::{mpsc, oneshot};

use super::checkpoint::Checkpoints;
use super::failure::{Work, unavailable};
use super::known::Known;

/// Called before every commit; tests use it to stall one.
pub type CommitGate = Arc<dyn Fn() + Send + Sync>;

/// The handle to the writer. The thread ends when the last handle is gone and the queue is empty.
pub(super) struct Writer {
    queue: Option<mpsc::Sender<Box<dyn Job>>>,
    thread: Option<thread::JoinHandle<()>>,
}

/// A write. It may run twice, and keeps the outcome of the last run until that is committed.
trait Job: Send {
    fn run(&mut self, connection: &Connection) -> bool;
    fn settle(self: Box<Self>, commit: Result<(), Arc<rusqlite::Error>>);
}

struct Write<F, T> {
    work: F,
    outcome: Option<Work<T>>,
    reply: oneshot::Sender<StoreResult<T>>,
}

impl<F, T> Job for Write<F, T>
where
    F: FnMut(&Connection) -> Work<T> + Send,
    T: Send,
{
    fn run(&mut self, connection: &Connection) -> bool {
        let outcome = (self.work)(connection);
        self.outcome.insert(outcome).is_ok()
    }

    fn settle(self: Box<Self>, commit: Result<(), Arc<rusqlite::Error>>) {
        let answer = match (self.outcome, commit) {
            (Some(Err(failure)), _) => Err(failure.into()),
            (_, Err(error)) => Err(unavailable(error)),
            (Some(Ok(outcome)), Ok(())) => Ok(outcome),
            (None, Ok(())) => unreachable!("what is committed was run"),
        };
        // Whoever asked may have gone: the commit stands all the same.
        let _ = self.reply.send(answer);
    }
}

impl Writer {
    pub(super) fn start(
        mut connection: Connection,
        known: Known,
        mut checkpoints: Checkpoints,
        gate: Option<CommitGate>,
    ) -> std::io::Result<Self> {
        let (queue, mut jobs) = mpsc::channel::<Box<dyn Job>>(limits::WRITE_QUEUE);
        let thread = thread::Builder::new().name("sqlite-writer".into()).spawn(move || {
            while let Some(first) = jobs.blocking_recv() {
                commit_together(&mut connection, gather(first, &mut jobs), &known, gate.as_ref());
                checkpoints.committed();
            }
        })?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Runs a write and returns once it is durable. The work may run twice and must do the same both times.
    pub(super) async fn write<T, F>(&self, work: F) -> StoreResult<T>
    where
        F: FnMut(&Connection) -> Work<T> + Send + 'static,
        T: Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let queue = self.queue.as_ref().expect("the queue is there until drop");
        let gone = || unavailable("the writer has stopped");
        queue.send(Box::new(Write { work, outcome: None, reply })).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

/// Those who are about to write get the processor before the commit begins, as long as more of them do: a commit
/// of many costs little more than a commit of one. With nobody about, giving it away costs nothing.
fn gather(first: Box<dyn Job>, jobs: &mut mpsc::Receiver<Box<dyn Job>>) -> Vec<Box<dyn Job>> {
    let mut batch = vec![first];
    loop {
        thread::yield_now();
        let before = batch.len();
        while batch.len() < limits::COMMIT_BATCH
            && let Ok(job) = jobs.try_recv()
        {
            batch.push(job);
        }
        if batch.len() == before || batch.len() == limits::COMMIT_BATCH {
            return batch;
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn commit_together(
    connection: &mut Connection,
    mut batch: Vec<Box<dyn Job>>,
    known: &Known,
    gate: Option<&CommitGate>,
) {
    let outcome = transact(connection, &mut batch, gate);
    // Whatever came of it: a commit that failed may still stand.
    known.committed();
    match outcome {
        Outcome::Committed => settle(batch, Ok(())),
        // Nothing can be written at all; asking once for each job would only take longer to say so.
        Outcome::NotBegun(error) => settle(batch, Err(Arc::new(error))),
        Outcome::JobFailed if batch.len() == 1 => settle(batch, Ok(())),
        Outcome::CommitFailed(error) if batch.len() == 1 => settle(batch, Err(Arc::new(error))),
        Outcome::JobFailed | Outcome::CommitFailed(_) => {
            for job in batch {
                commit_together(connection, vec![job], known, gate);
            }
        }
    }
}

fn settle(batch: Vec<Box<dyn Job>>, commit: Result<(), Arc<rusqlite::Error>>) {
    for job in batch {
        job.settle(commit.clone());
    }
}

enum Outcome {
    Committed,
    NotBegun(rusqlite::Error),
    JobFailed,
    CommitFailed(rusqlite::Error),
}

fn transact(connection: &mut Connection, batch: &mut [Box<dyn Job>], gate: Option<&CommitGate>) -> Outcome {
    // Dropping the transaction rolls it back.
    let transaction = match connection.transaction_with_behavior(TransactionBehavior::Immediate) {
        Ok(transaction) => transaction,
        Err(error) => return Outcome::NotBegun(error),
    };
    if !batch.iter_mut().all(|job| job.run(&transaction)) {
        return Outcome::JobFailed;
    }
    if let Some(gate) = gate {
        gate();
    }
    match transaction.commit() {
        Ok(()) => Outcome::Committed,
        Err(error) => Outcome::CommitFailed(error),
    }
}
