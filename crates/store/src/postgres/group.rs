//! Group commit: one kind of write, done for many at once.
//!
//! By the same rule as on SQLite: a worker takes what waits, up to [`limits::COMMIT_BATCH`], and does it in one
//! transaction. Under load many requests share its round trips and its fsync; when idle nobody waits for company.
//! If the work fails, each half is tried again apart, down to the row that is at fault: that fails alone.

use std::sync::Arc;

use tautline_core::{StoreError, StoreResult, limits};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::database::{Database, Tx};
use super::failure::{Failure, Work, unavailable};
use crate::limits::{POSTGRES_ACQUIRE, POSTGRES_ANSWER};

/// A kind of work that can be done for many at once.
pub(super) trait Together: Send + Sync + 'static {
    type Item: Send + Sync + 'static;
    type Outcome: Send + 'static;
    /// It only looks: whoever asks gets an answer in time, or is told that there is none.
    const READS: bool = false;

    /// Does it for all items, in one transaction; the outcomes are in their order.
    fn run(
        &self,
        tx: &mut Tx,
        items: &[Arc<Self::Item>],
    ) -> impl Future<Output = Work<Vec<Self::Outcome>>> + Send;
}

type Waiting<W> = (Arc<<W as Together>::Item>, oneshot::Sender<StoreResult<<W as Together>::Outcome>>);

/// The handle to the worker. It ends when the last handle is gone and the queue is empty.
pub(super) struct Group<W: Together> {
    queue: mpsc::Sender<Waiting<W>>,
}

impl<W: Together> Group<W> {
    pub(super) fn start(database: Database, work: W) -> Self {
        let (queue, mut waiting) = mpsc::channel::<Waiting<W>>(limits::WRITE_QUEUE);
        tokio::spawn(async move {
            let mut batch = Vec::new();
            while waiting.recv_many(&mut batch, limits::COMMIT_BATCH).await > 0 {
                // Those who are about to ask go first, as long as more of them do.
                let mut before = 0;
                while batch.len() > before && batch.len() < limits::COMMIT_BATCH {
                    before = batch.len();
                    tokio::task::yield_now().await;
                    while batch.len() < limits::COMMIT_BATCH
                        && let Ok(asked) = waiting.try_recv()
                    {
                        batch.push(asked);
                    }
                }
                commit(&database, &work, std::mem::take(&mut batch)).await;
            }
        });
        Self { queue }
    }

    /// Does it for one item, together with whatever else waits; returns once it is committed.
    pub(super) async fn ask(&self, item: W::Item) -> StoreResult<W::Outcome> {
        let (reply, answer) = oneshot::channel();
        let gone = || unavailable("the store has stopped");
        let asked = async {
            self.queue.send((Arc::new(item), reply)).await.map_err(|_| gone())?;
            answer.await.map_err(|_| gone())?
        };
        if !W::READS {
            return asked.await;
        }
        let too_late = |_| Err(unavailable("the database did not answer in time"));
        timeout(POSTGRES_ACQUIRE + POSTGRES_ANSWER, asked).await.unwrap_or_else(too_late)
    }
}

async fn commit<W: Together>(database: &Database, work: &W, batch: Vec<Waiting<W>>) {
    let mut parts = vec![batch];
    while let Some(mut part) = parts.pop() {
        let items = part.iter().map(|(item, _)| item.clone()).collect::<Vec<_>>();
        let done = match transact(database, work, &items).await {
            Err(failure) if failure.is_conflict() => transact(database, work, &items).await,
            done => done,
        };
        match done {
            Ok(outcomes) => {
                for ((_, reply), outcome) in part.into_iter().zip(outcomes) {
                    // Whoever asked may have gone: the commit stands all the same.
                    let _ = reply.send(Ok(outcome));
                }
            }
            Err(failure) if part.len() > 1 && failure.is_of_the_work() => {
                let half = part.split_off(part.len() / 2);
                parts.extend([half, part]);
            }
            Err(failure) if part.len() == 1 => {
                // Told as what it is: a row that cannot be read is no outage.
                if let Some((_, reply)) = part.pop() {
                    let _ = reply.send(Err(failure.into()));
                }
            }
            Err(failure) => {
                let why = Arc::new(StoreError::from(failure));
                for (_, reply) in part {
                    let _ = reply.send(Err(unavailable(why.clone())));
                }
            }
        }
    }
}

async fn transact<W: Together>(
    database: &Database,
    work: &W,
    items: &[Arc<W::Item>],
) -> Result<Vec<W::Outcome>, Failure> {
    let mut tx = if W::READS { database.read().await? } else { database.write().await? };
    let outcomes = work.run(&mut tx, items).await?;
    Ok(tx.finish(outcomes).await?)
}
