//! The careful way: the source is read again in the order in which it was, and cut where batches ended. The rows of
//! a batch give the keys by which the target's are fetched.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::BooleanArray;
use arrow::compute::filter_record_batch;
use arrow::record_batch::RecordBatch;

use super::super::canonical::{Canonical, Hashes};
use super::super::drain::Watch;
use super::super::group::reject_hash;
use super::super::locate::these;
use super::super::mapped_side::{MappedSide, projected};
use super::super::side::{Handles, Portion, Side, Wanted};
use super::super::stopped;
use super::sums::Sums;
use super::trail::Stretch;
use crate::config::limits::Limits;
use crate::data::digest::Digest;
use crate::data::position::{Key, KeyBuffer, KeyRef, KeyValue, Position};
use crate::data::stream::Order;
use crate::pipeline::plan::PlannedStream;
use crate::source::Source;
use crate::{Error, ErrorKind, Result};

/// Batches behind those that are walked through whose ends are known, too: a source that reads on until
/// its end is stopped there.
const BEYOND: usize = 16;

/// Both ends of a stream.
pub(super) struct Ends<'a> {
    pub(super) stream: &'a PlannedStream,
    pub(super) source: Arc<dyn Source>,
    pub(super) target: Arc<dyn Side>,
    pub(super) limits: Limits,
    /// Open rejects of the stream, by the hashes of their source keys.
    pub(super) recorded: HashSet<u128>,
    /// The source ends a reading at a key.
    pub(super) bounded: bool,
    /// The target keeps a negative zero.
    pub(super) negative_zero: bool,
}

/// What was found of some batches. They are more than one where the source does not have the rows
/// any more with which the others ended.
pub(super) struct Walked {
    pub(super) batches: Range<usize>,
    pub(super) sums: Sums,
    /// It is one, and ended where it had.
    pub(super) ended: bool,
}

/// Walks through batches of a stretch that follow each other. What is found may begin with batches
/// before them.
///
/// # Errors
/// What reading either side fails with.
pub(super) async fn walk(ends: &Ends<'_>, stretch: &Stretch, batches: Range<usize>, watch: &Watch) -> Result<Vec<Walked>> {
    let (first, until) = (batches.start, batches.end);
    let walked = match walk_from(ends, stretch, batches, watch).await {
        // The row before them is gone: what comes after it is only known from the beginning on.
        Err(error) if error.kind() == ErrorKind::Void => walk_from(ends, stretch, 0..until, watch).await,
        walked => walked,
    };
    Ok(walked?.into_iter().filter(|walked| walked.batches.end > first).collect())
}

async fn walk_from(ends: &Ends<'_>, stretch: &Stretch, batches: Range<usize>, watch: &Watch) -> Result<Vec<Walked>> {
    // Where the last of them does not end any more, the next ones do.
    let beyond = stretch.batches.len().min(batches.end + BEYOND);
    let marks = marks(stretch, batches.start..beyond);
    let side = MappedSide::new(ends.stream, Arc::clone(&ends.source), (None, None), ends.limits);
    let last = batches
        .clone()
        .rev()
        .find_map(|batch| stretch.batches[batch].entry.last_key.clone());
    let after = stretch.before(batches.start).cloned();
    let side = match last {
        Some(_) if stretch.order == Order::Stored => side.starting_at(after.map(Position::behind), Order::Stored),
        Some(last) if ends.bounded => {
            let until = Some(last);
            side.starting_at(Some(Position::Within { after, until }), Order::Key)
        }
        Some(_) => side.starting_at(after.map(Position::Key), Order::Key),
        // An atomic stream is one batch.
        None => side,
    };
    let mut walk = Walk {
        ends,
        watch,
        canonical: ends.canonical(),
        begun: batches.start,
        until: batches.end,
        sums: Sums::default(),
        done: Vec::new(),
    };
    let mut portions = side.read(Wanted::All { handles: true }).await?;
    while walk.begun < batches.end
        && let Some(portion) = portions.recv().await
    {
        if watch.shutdown.is_cancelled() {
            return Err(stopped());
        }
        walk.portion(portion?, &marks).await?;
    }
    if walk.begun < batches.end {
        walk.end(batches.end, marks.is_empty());
    }
    Ok(walk.done)
}

/// Keys with which batches ended, in the form of the buffer, with the batch after each.
fn marks(stretch: &Stretch, batches: Range<usize>) -> HashMap<Vec<u8>, usize> {
    let mut marks = HashMap::new();
    for batch in batches {
        if let Some(key) = &stretch.batches[batch].entry.last_key {
            marks.insert(encoded(key), batch + 1);
        }
    }
    marks
}

fn encoded(key: &Key) -> Vec<u8> {
    let mut buffer = KeyBuffer::default();
    for value in &key.0 {
        buffer.push(match value {
            KeyValue::Null => KeyRef::Null,
            KeyValue::Int(value) => KeyRef::Int(*value),
            KeyValue::RealBits(bits) => KeyRef::Real(f64::from_bits(*bits)),
            KeyValue::Text(value) => KeyRef::Text(value),
            KeyValue::Bytes(value) => KeyRef::Bytes(value),
            KeyValue::RawText(value) => KeyRef::RawText(value),
        });
    }
    buffer.end_row();
    buffer.raw(0).to_vec()
}

impl Ends<'_> {
    fn canonical(&self) -> Canonical {
        Canonical::new(self.target.form(), self.negative_zero)
    }
}

struct Walk<'a> {
    ends: &'a Ends<'a>,
    watch: &'a Watch,
    canonical: Canonical,
    /// The first batch that has not ended.
    begun: usize,
    until: usize,
    sums: Sums,
    done: Vec<Walked>,
}

impl Walk<'_> {
    async fn portion(&mut self, portion: Portion, marks: &HashMap<Vec<u8>, usize>) -> Result<()> {
        self.watch.progress(&self.ends.stream.name, portion.read);
        let Some(handles) = &portion.handles else {
            self.sums.read += portion.read;
            return self.rows(portion.rows, None).await;
        };
        let keys = handles.keys.len();
        // Rows that could not be read have no place among the others.
        self.sums.read += portion.read.saturating_sub(keys as u64);
        let mut from = 0;
        for key in 0..keys {
            let Some(after) = marks.get(handles.keys.raw(key)).copied() else {
                continue;
            };
            self.part(&portion, handles, from..key + 1).await?;
            from = key + 1;
            self.end(after.min(self.until), after <= self.until);
            if self.begun >= self.until {
                break;
            }
        }
        if self.begun < self.until {
            self.part(&portion, handles, from..keys).await?;
        }
        Ok(())
    }

    /// Rows of a portion by the places of their source keys.
    async fn part(&mut self, portion: &Portion, handles: &Handles, keys: Range<usize>) -> Result<()> {
        self.sums.read += keys.len() as u64;
        let place = |key: usize| match &handles.origin {
            Some(origin) => origin.partition_point(|row| (*row as usize) < key),
            None => key,
        };
        let (from, until) = (place(keys.start), place(keys.end));
        let rows = portion.rows.slice(from, until - from);
        let recorded: Option<Vec<bool>> = (!self.ends.recorded.is_empty()).then(|| {
            let is_recorded = |row| self.ends.recorded.contains(&reject_hash(&handles.get(row)));
            (from..until).map(is_recorded).collect()
        });
        self.rows(rows, recorded).await
    }

    async fn rows(&mut self, rows: RecordBatch, recorded: Option<Vec<bool>>) -> Result<()> {
        let rows = match recorded {
            Some(recorded) if recorded.contains(&true) => {
                let of = |wanted: bool| kept(&rows, recorded.iter().map(|is| *is == wanted).collect());
                self.sums.rejects.add(Digest::of(&of(true)?));
                of(false)?
            }
            _ => rows,
        };
        if rows.num_rows() == 0 {
            return Ok(());
        }
        self.sums.source.add(Digest::of(&rows));
        let mut hashes = Hashes::default();
        self.canonical.rows(&rows, &mut hashes)?;
        self.sums.source_meaning = added(self.sums.source_meaning, &hashes.row);
        self.fetch(&rows, hashes).await
    }

    /// The target's rows with the keys of these.
    async fn fetch(&mut self, rows: &RecordBatch, hashes: Hashes) -> Result<()> {
        let target = &self.ends.target;
        let keys = projected(rows, &target.form().key)?;
        let Some(handles) = target.handles(&keys).filter(|_| target.finds()) else {
            self.sums.unfindable = true;
            return Ok(());
        };
        let of_keys: Vec<(u128, Key)> = hashes.key.iter().copied().zip(handles).collect();
        let wanted: HashSet<u128> = hashes.key.into_iter().collect();
        let matters = move |key: u128| wanted.contains(&key);
        let (held, broken) = these(target, &of_keys, matters, self.ends.canonical(), self.watch).await?;
        self.sums.broken += broken.len() as u64;
        for held in held {
            self.sums.target.add(Digest::of(&held.rows));
            self.sums.target_meaning = added(self.sums.target_meaning, &held.hashes.row);
        }
        Ok(())
    }

    /// Batches end; those before the last did not end where they had.
    fn end(&mut self, after: usize, ended: bool) {
        let batches = self.begun..after;
        if batches.is_empty() {
            return;
        }
        self.begun = after;
        self.done.push(Walked {
            ended: ended && batches.len() == 1,
            batches,
            sums: std::mem::take(&mut self.sums),
        });
    }
}

fn added(sum: u128, hashes: &[u128]) -> u128 {
    hashes.iter().fold(sum, |sum, hash| sum.wrapping_add(*hash))
}

fn kept(rows: &RecordBatch, keep: Vec<bool>) -> Result<RecordBatch> {
    filter_record_batch(rows, &BooleanArray::from(keep))
        .map_err(|error| Error::new(ErrorKind::Internal, "cannot take rows out of a batch").because(error))
}
