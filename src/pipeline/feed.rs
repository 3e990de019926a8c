//! The feed: reading, transforming and encoding ahead of the writer, in tasks of their own, so that
//! the target never waits for them. Channels between them are short, so that memory stays flat.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::plan::PlannedStream;
use crate::config::limits::Limits;
use crate::data::batch::{SourceBatch, TargetBatch};
use crate::data::digest::Digest;
use crate::data::position::{Key, Position};
use crate::data::stream::{Order, ReadRequest};
use crate::sink::{Encode, Encoded};
use crate::source::{Batches, give_way};
use crate::{Error, ErrorKind, Result};

/// Transformed portions that may wait for the writer.
const PORTIONS_IN_FLIGHT_MAX: usize = 2;

/// Most rows of a portion that becomes keys: each is a command or two of its own, which take more
/// room than the row.
const KEYED_PORTION_ROWS_MAX: usize = 4_096;

/// Transformed portions of that kind that are taken in while a batch commits: with the one that is known
/// already they are the next batch. A server that carries commands out one after the other is busy alone
/// then, and what comes behind can be made meanwhile instead of beside the commands of the next batch.
const KEYED_PORTIONS_TAKEN_MAX: usize = 3;

/// A portion on its way: as read, and as it is to be written.
pub struct Portion {
    /// As read; kept to render rejects of the target.
    pub source: SourceBatch,
    /// As mapped.
    pub target: TargetBatch,
    /// Digest of the mapped rows, taken here so that the writer need not.
    pub digest: Digest,
    /// The mapped rows, ready to be sent.
    pub encoded: Option<Encoded>,
}

impl Portion {
    /// Source keys of all rows that were read, those that could not be read among them.
    pub(super) fn keys(&self) -> Vec<Key> {
        let read = (0..self.source.keys.len()).map(|row| self.source.keys.get(row));
        let unreadable = self.source.rejects.iter().map(|reject| reject.key.clone());
        read.chain(unreadable).collect()
    }
}

/// Portions of one stream. Dropping it stops reader and transform.
pub struct Feed {
    portions: mpsc::Receiver<Result<Portion>>,
    /// Taken in already, in their order.
    taken: VecDeque<Result<Portion>>,
    taken_max: usize,
}

/// What a stream reads from a place on.
pub(super) fn request(stream: &PlannedStream, after: Option<Position>, only: Option<Vec<Key>>, limits: &Limits) -> ReadRequest {
    ReadRequest {
        origin: stream.origin.clone(),
        columns: stream.transform.read_columns().to_vec(),
        key: stream.source_key.clone(),
        order: order(stream),
        after,
        subject: stream.subject.clone(),
        only,
        piece: None,
        rows_max: match stream.write.keyed {
            Some(_) => limits.portion_rows_max.min(KEYED_PORTION_ROWS_MAX),
            None => limits.portion_rows_max,
        },
        bytes_max: limits.portion_bytes_max,
        patience: Duration::from_secs(limits.retry_seconds_max),
    }
}

/// Rows may come as they are stored, unless their order is that of elements in the target.
fn order(stream: &PlannedStream) -> Order {
    let keyed = stream.write.keyed.as_ref();
    let matters = stream.write.options.in_place || keyed.is_some_and(|layout| layout.order_matters());
    if matters { Order::Key } else { Order::Stored }
}

impl Feed {
    /// Transforms what is read.
    pub(super) fn of(batches: Batches, stream: &PlannedStream) -> Self {
        Self::encoding(batches, stream, None)
    }

    /// Transforms what is read, and makes it ready to be sent.
    pub(super) fn encoding(mut batches: Batches, stream: &PlannedStream, encoder: Option<Arc<dyn Encode>>) -> Self {
        let transform = Arc::clone(&stream.transform);
        let taken_max = if stream.write.keyed.is_some() {
            KEYED_PORTIONS_TAKEN_MAX
        } else {
            0
        };
        let (sender, portions) = mpsc::channel(PORTIONS_IN_FLIGHT_MAX);
        // The transform is pure computation: it gets a thread of its own.
        tokio::task::spawn_blocking(move || {
            give_way();
            while let Some(batch) = batches.blocking_recv() {
                let portion = batch.and_then(|source| {
                    let target = transform.apply(&source)?;
                    let accounted = target.rows.num_rows() + target.rejects.len();
                    if accounted as u64 + target.filtered != source.rows.num_rows() as u64 {
                        return Err(Error::new(ErrorKind::Internal, "the transform lost count of its rows"));
                    }
                    let digest = if crate::ledger::BARE {
                        Digest::default()
                    } else {
                        Digest::of(&target.rows)
                    };
                    let ready = encoder.as_ref().and_then(|encoder| encoder.encode(&target.rows));
                    Ok(Portion {
                        source,
                        target,
                        digest,
                        encoded: ready,
                    })
                });
                let failed = portion.is_err();
                if sender.blocking_send(portion).is_err() || failed {
                    break;
                }
            }
        });
        Self {
            portions,
            taken: VecDeque::new(),
            taken_max,
        }
    }

    /// Waits for a commit, and takes in what is ready meanwhile, so that more is made.
    pub(super) async fn during<T>(&mut self, commit: impl Future<Output = T>) -> T {
        tokio::pin!(commit);
        loop {
            tokio::select! {
                biased;
                outcome = &mut commit => return outcome,
                Some(portion) = self.portions.recv(), if self.taken.len() < self.taken_max => self.taken.push_back(portion),
            }
        }
    }

    /// The next portion; `None` at the end of the stream.
    ///
    /// # Errors
    /// What reading or transforming failed with.
    pub async fn next(&mut self) -> Result<Option<Portion>> {
        match self.taken.pop_front() {
            Some(portion) => portion.map(Some),
            None => self.portions.recv().await.transpose(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What can be told apart without rows: errors.
    fn feed(of: std::ops::Range<usize>) -> Feed {
        let (sender, portions) = mpsc::channel(16);
        for number in of {
            let portion = Err(Error::new(ErrorKind::Internal, number.to_string()));
            sender.try_send(portion).expect("there is room");
        }
        Feed {
            portions,
            taken: VecDeque::new(),
            taken_max: KEYED_PORTIONS_TAKEN_MAX,
        }
    }

    /// A commit that is asked several times whether it has ended.
    async fn commit() {
        for _ in 0..3 * KEYED_PORTIONS_TAKEN_MAX {
            tokio::task::yield_now().await;
        }
    }

    async fn next(feed: &mut Feed) -> Option<String> {
        feed.next().await.map_or_else(|error| Some(error.to_string()), |_| None)
    }

    #[tokio::test]
    async fn what_is_taken_in_during_a_commit_comes_first_and_in_order() {
        let mut feed = feed(0..5);
        assert_eq!(next(&mut feed).await.as_deref(), Some("0"));
        // A commit that has ended is not waited for: nothing is taken in.
        assert_eq!(feed.during(std::future::ready(7)).await, 7);
        assert!(feed.taken.is_empty());
        for _ in 0..2 {
            feed.during(commit()).await;
            assert_eq!(feed.taken.len(), KEYED_PORTIONS_TAKEN_MAX, "and no more");
        }
        for number in 1..5 {
            assert_eq!(next(&mut feed).await, Some(number.to_string()));
        }
        assert_eq!(next(&mut feed).await, None, "the end");
        feed.during(commit()).await;
        assert_eq!(next(&mut feed).await, None, "and no panic behind it");
    }
}
