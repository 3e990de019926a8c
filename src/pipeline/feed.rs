//! The feed: reading, transforming and encoding ahead of the writer, in tasks of their own, so that
//! the target never waits for them. Channels between them are short, so that memory stays flat.

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
        Self { portions }
    }

    /// The next portion; `None` at the end of the stream.
    ///
    /// # Errors
    /// What reading or transforming failed with.
    pub async fn next(&mut self) -> Result<Option<Portion>> {
        self.portions.recv().await.transpose()
    }
}
