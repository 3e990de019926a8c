//! Comparing what backfills have filled in: every row that they are about is computed again and
//! compared with what it holds.
//!
//! Rows are read some at a time, computed and stored values at one moment, so that no snapshot is kept
//! while a large table is gone through. Nothing is locked, nothing is written (Invariant 10).

use std::collections::HashMap;
use std::time::Duration;

use serde::Serialize;

use super::canonical::{Canonical, Hashes};
use super::side::{Compared, Form};
use crate::data::backfill::RowRange;
use crate::data::batch::SourceBatch;
use crate::data::position::Key;
use crate::data::stream::{Order, ReadColumn, ReadRequest};
use crate::pipeline::backfill::{BackfillPlan, Planned};
use crate::pipeline::plan::PlannedStream;
use crate::pipeline::shutdown::{self, Shutdown};
use crate::source::Source;
use crate::{Error, ErrorKind, Result};

/// Rows that are compared at once.
const ROWS_AT_ONCE: u64 = 4_000;
/// Rows that are looked at by one statement to find them.
const LOOKED_AT_MAX: u64 = 50_000;

/// What a backfill's rows hold, compared with what its expressions give.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Recomputed {
    /// Backfill.
    pub name: String,
    /// Rows that it is about.
    pub rows: u64,
    /// Rows that hold what the expressions give.
    pub equal: u64,
    /// Rows that hold something else.
    pub different: u64,
    /// Rows for which the expressions give nothing that the table could hold: its rejects.
    pub refused: u64,
    /// Keys of the first rows that differ.
    pub keys: Vec<String>,
}

/// Compares all rows that the backfills of a plan are about; of those that differ the keys of at most
/// `keys_max` are named.
///
/// # Errors
/// By kind, where a table cannot be read; [`ErrorKind::Interrupted`] on a stop.
pub async fn recompute(planned: &BackfillPlan, keys_max: usize, shutdown: &Shutdown) -> Result<Vec<Recomputed>> {
    let mut found = Vec::new();
    for backfill in &planned.backfills {
        found.push(of_one(planned, backfill, keys_max, shutdown).await?);
    }
    Ok(found)
}

async fn of_one(planned: &BackfillPlan, backfill: &Planned, keys_max: usize, shutdown: &Shutdown) -> Result<Recomputed> {
    let stream = &planned.plan.streams[backfill.place];
    let sink = &planned.plan.sinks[&stream.sink_connection];
    let source = &planned.plan.sources[&stream.source_connection];
    let mut comparison = Comparison::new(stream, keys_max);
    let mut range = RowRange {
        key: backfill.key.clone(),
        conditions: backfill.about.clone(),
        after: None,
        rows_max: ROWS_AT_ONCE,
        looked_at_max: LOOKED_AT_MAX,
    };
    loop {
        if shutdown.is_cancelled() {
            return Err(shutdown::interrupted());
        }
        let next = sink.next_keys(&stream.write.table, &range).await?;
        if !next.keys.is_empty() {
            let compared = comparison.rows(source.as_ref(), next.keys).await;
            let let_go = source.let_go().await;
            compared?;
            let_go?;
        }
        range.after = next.looked_up_to;
        if range.after.is_none() {
            return Ok(comparison.found);
        }
    }
}

struct Comparison<'a> {
    stream: &'a PlannedStream,
    stored: Vec<ReadColumn>,
    canonical: Canonical,
    keys_max: usize,
    found: Recomputed,
}

impl<'a> Comparison<'a> {
    fn new(stream: &'a PlannedStream, keys_max: usize) -> Self {
        let columns = &stream.write.columns;
        let form = Form {
            columns: columns
                .iter()
                .map(|column| Compared {
                    name: column.name.clone(),
                    ty: column.ty.clone(),
                    unordered: column.unordered,
                })
                .collect(),
            key: (0..columns.len())
                .filter(|place| stream.write.key.contains(&columns[*place].name))
                .collect(),
        };
        let stored = columns.iter().map(|column| ReadColumn {
            name: column.name.clone(),
            ty: column.ty.clone(),
            json_is_checked: false,
        });
        Self {
            stream,
            stored: stored.collect(),
            canonical: Canonical::new(&form, true),
            keys_max,
            found: Recomputed {
                name: stream.name.clone(),
                ..Recomputed::default()
            },
        }
    }

    async fn rows(&mut self, source: &dyn Source, keys: Vec<Key>) -> Result<()> {
        let mut computed: HashMap<u128, u128> = HashMap::with_capacity(keys.len());
        let mut hashes = Hashes::default();
        let read = self.stream.transform.read_columns().to_vec();
        for batch in self.read(source, read, keys.clone()).await? {
            let target = self.stream.transform.apply(&batch)?;
            self.canonical.rows(&target.rows, &mut hashes)?;
            computed.extend(hashes.key.iter().copied().zip(hashes.row.iter().copied()));
        }
        for batch in self.read(source, self.stored.clone(), keys).await? {
            self.canonical.rows(&batch.rows, &mut hashes)?;
            for (place, (key, row)) in hashes.key.iter().zip(&hashes.row).enumerate() {
                self.found.rows += 1;
                match computed.get(key) {
                    None => self.found.refused += 1,
                    Some(wanted) if wanted == row => self.found.equal += 1,
                    Some(_) => self.differs(&batch.keys.get(place)),
                }
            }
            // What the database holds and nobody can read exactly is equal to nothing.
            for reject in batch.rejects {
                self.found.rows += 1;
                self.differs(&reject.key);
            }
        }
        Ok(())
    }

    fn differs(&mut self, key: &Key) {
        self.found.different += 1;
        if self.found.keys.len() < self.keys_max {
            self.found.keys.push(key.to_string());
        }
    }

    async fn read(&self, source: &dyn Source, columns: Vec<ReadColumn>, keys: Vec<Key>) -> Result<Vec<SourceBatch>> {
        let wanted = keys.len();
        let request = ReadRequest {
            origin: self.stream.origin.clone(),
            columns,
            key: self.stream.source_key.clone(),
            order: Order::Key,
            after: None,
            subject: None,
            only: Some(keys),
            piece: None,
            rows_max: wanted.max(1),
            bytes_max: usize::MAX,
            patience: Duration::ZERO,
        };
        let mut batches = source.read(request).await?;
        let mut all = Vec::new();
        while let Some(batch) = batches.recv().await {
            all.push(batch?);
        }
        let read: u64 = all.iter().map(SourceBatch::read).sum();
        if read > wanted as u64 {
            return Err(Error::new(
                ErrorKind::Validation,
                "more rows were read than have been asked for",
            ));
        }
        Ok(all)
    }
}
