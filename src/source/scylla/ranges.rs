//! All rows of a table: ranges of tokens side by side, each page by page.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use scylla::response::PagingState;
use tokio::task::JoinSet;

use super::page::{Pages, each_row};
use super::read::{Output, Reading, send};
use super::ring::{self, Range};
use super::selection::Selection;
use crate::cql::connect::Keyspace;
use crate::data::stream::Origin;
use crate::{Error, ErrorKind, Result};

/// Ranges that are read at the same time.
const RANGES_IN_FLIGHT: usize = 4;
/// Rows of a page of which only the number matters.
const COUNTED_ROWS_MAX: usize = 10_000;
/// How long a count goes on by itself where the server does not answer.
const COUNT_PATIENCE: Duration = Duration::from_secs(30);

/// Ranges that are still to be read, for all who read.
struct Queue {
    ranges: Vec<Range>,
    next: AtomicUsize,
}

impl Queue {
    fn new(keyspace: &Keyspace) -> Arc<Self> {
        Arc::new(Self {
            ranges: ring::ranges(keyspace),
            next: AtomicUsize::new(0),
        })
    }

    fn take(&self) -> Option<Range> {
        self.ranges.get(self.next.fetch_add(1, Ordering::Relaxed)).copied()
    }
}

/// Reads all rows.
pub(super) async fn run(reading: &Arc<Reading>, output: &Output) -> Result<()> {
    let queue = Queue::new(&reading.keyspace);
    let mut lanes = JoinSet::new();
    for _ in 0..RANGES_IN_FLIGHT {
        let (reading, queue, output) = (Arc::clone(reading), Arc::clone(&queue), output.clone());
        lanes.spawn(async move { lane(&reading, &queue, &output).await });
    }
    joined(lanes).await
}

/// Waits for all; the first that fails ends the others.
async fn joined(mut lanes: JoinSet<Result<()>>) -> Result<()> {
    while let Some(lane) = lanes.join_next().await {
        lane.map_err(|_| Error::new(ErrorKind::Internal, "a task that reads a range panicked"))??;
    }
    Ok(())
}

async fn lane(reading: &Reading, queue: &Queue, output: &Output) -> Result<()> {
    let mut pages = reading.pages.clone();
    let mut portion = reading.portion()?;
    let (keyspace, selection) = (&*reading.keyspace, &reading.selection);
    while let Some(range) = queue.take() {
        let mut state = Some(PagingState::start());
        while let Some(from) = state {
            portion.take_memory().await;
            let answer;
            (answer, state) = pages.page(keyspace, &range, from).await?;
            selection.check(keyspace, &answer)?;
            let mut full = Vec::new();
            each_row(keyspace, &answer, selection.fields.len(), |row| {
                if selection.is_static(row) {
                    return Ok(());
                }
                portion.add(row, None, selection)?;
                if portion.is_full() {
                    full.push(portion.finish()?);
                }
                Ok(())
            })?;
            for batch in full {
                output.send(Ok(batch)).await.map_err(|_| super::page::unwanted())?;
            }
        }
    }
    if portion.is_empty() {
        Ok(())
    } else {
        send(&mut portion, output).await
    }
}

/// Number of rows of a table.
pub(super) async fn count(keyspace: &Arc<Keyspace>, origin: &Origin) -> Result<u64> {
    let Origin::Table(name) = origin else {
        return Err(Error::new(
            ErrorKind::Mapping,
            "a keyspace is read by its tables, not by queries",
        ));
    };
    let key = keyspace.described(name).map(|table| table.key).unwrap_or_default();
    let selection = Arc::new(Selection::new(keyspace, origin, &[], &key)?);
    let text = selection.of_range(keyspace)?;
    let pages = Pages::prepare(keyspace, &text, COUNTED_ROWS_MAX, COUNT_PATIENCE).await?;
    let (queue, rows) = (Queue::new(keyspace), Arc::new(AtomicU64::new(0)));
    let mut lanes = JoinSet::new();
    for _ in 0..RANGES_IN_FLIGHT {
        let (keyspace, selection, mut pages) = (Arc::clone(keyspace), Arc::clone(&selection), pages.clone());
        let (queue, rows) = (Arc::clone(&queue), Arc::clone(&rows));
        lanes.spawn(async move {
            while let Some(range) = queue.take() {
                let mut state = Some(PagingState::start());
                while let Some(from) = state {
                    let answer;
                    (answer, state) = pages.page(&keyspace, &range, from).await?;
                    each_row(&keyspace, &answer, selection.fields.len(), |row| {
                        rows.fetch_add(u64::from(!selection.is_static(row)), Ordering::Relaxed);
                        Ok(())
                    })?;
                }
            }
            Ok(())
        });
    }
    joined(lanes).await?;
    Ok(rows.load(Ordering::Relaxed))
}
