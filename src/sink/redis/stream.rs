//! A stream that a session has open, and the batch it is in.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::behind::Resting;
use super::command::Command;
use super::form::RejectForm;
use super::moment::Moment;
use super::planned::{Expected, Planned, Touch};
use super::queue::Queue;
use super::transact::Words;
use super::undo::Log;
use crate::data::keyed::Layout;
use crate::data::position::Key;
use crate::data::stream::{OnConflict, StreamTarget};
use crate::ledger::Checkpoint;
use crate::ledger::undo::Undone;
use crate::{Error, ErrorKind};

/// A stream that is open.
pub(super) struct OpenStream {
    pub(super) target: StreamTarget,
    pub(super) layout: Arc<Layout>,
    pub(super) split: i32,
    /// The first batch forgets what earlier runs left.
    pub(super) restart: bool,
    /// Last checkpoint that is proven.
    pub(super) settled: Option<Checkpoint>,
    /// There is a key for its checkpoint.
    pub(super) is_kept: bool,
    /// Sequence number that the checkpoint's key shows.
    pub(super) sequence: i64,
    /// The key says that the batch of this number is proven.
    pub(super) proven: i64,
    /// Rows up to this one may have been written by an attempt that was cut short.
    pub(super) replay: u64,
    /// Open rejects of the stream, once somebody asked for them.
    pub(super) rejects: Option<Vec<(i64, RejectForm)>>,
    /// Of a rehearsal: what would have been written.
    pub(super) rehearsed: Rehearsed,
    /// What is written leaves an undo log.
    pub(super) log: Option<Log>,
}

/// What a rehearsal would have written, for nothing of it can be read back.
#[derive(Default)]
pub(super) struct Rehearsed {
    pub(super) inserted: u64,
    pub(super) rows: HashSet<u128>,
    pub(super) touched: HashMap<Vec<u8>, Touch>,
    pub(super) claims: HashMap<u128, Key>,
}

impl OpenStream {
    /// Number of the next batch.
    pub(super) fn batch(&self) -> i64 {
        self.settled.as_ref().map_or(0, |settled| settled.sequence) + 1
    }
}

/// A batch that was begun.
pub(super) struct Batch {
    /// The server's clock when it began, in milliseconds since 1970.
    pub(super) now: i64,
    /// The same as text.
    pub(super) now_text: String,
    /// No row of the stream can be there yet.
    pub(super) direct: bool,
    /// Where it was begun behind another one: what it rests on is not known to hold yet.
    pub(super) resting: Option<Resting>,
    /// A transaction is open, and commands wait in it.
    pub(super) in_transaction: bool,
    /// Commands on their way into the transaction.
    pub(super) queue: Option<Queue>,
    /// Commands that wait here, on a cluster.
    pub(super) commands: Vec<Command>,
    /// Replies that the commands must have, in their order.
    pub(super) expected: Vec<Expected>,
    /// What goes into the ledger with it.
    pub(super) ledger: Vec<Words>,
    pub(super) inserted: u64,
    pub(super) rows: HashSet<u128>,
    pub(super) touched: HashMap<Vec<u8>, Touch>,
    /// Keys that the batch has deleted so far.
    pub(super) deleted: HashSet<Vec<u8>>,
    /// How often the batch has written rows, where an undo log has to know.
    pub(super) times: HashMap<u128, u64>,
    /// What the batch takes back.
    pub(super) undone: Undone,
}

impl Batch {
    pub(super) fn new(now: Moment, direct: bool) -> Self {
        Self {
            now: now.milliseconds,
            now_text: now.text,
            direct,
            resting: None,
            in_transaction: false,
            queue: None,
            commands: Vec::new(),
            expected: Vec::new(),
            ledger: Vec::new(),
            inserted: 0,
            rows: HashSet::new(),
            touched: HashMap::new(),
            deleted: HashSet::new(),
            times: HashMap::new(),
            undone: Undone::default(),
        }
    }
}

/// What planning a portion has to know.
pub(super) struct Writing<'a> {
    pub(super) stream: &'a StreamTarget,
    pub(super) policy: OnConflict,
    pub(super) now: i64,
    /// Rows that are there and equal may be this stream's own.
    pub(super) replaying: bool,
    /// Two rows may have one key.
    pub(super) may_meet: bool,
    /// Rows are new, and the replies will say if one was not after all: nothing is looked up. The
    /// batch is then written again, and looks.
    pub(super) direct: bool,
    /// Rows are remembered, because they will be asked for before they can be read back.
    pub(super) remembers: bool,
    /// Where what is written is logged.
    pub(super) log: Option<Log>,
    open: &'a OpenStream,
    batch: &'a Batch,
}

impl<'a> Writing<'a> {
    pub(super) fn new(open: &'a OpenStream, batch: &'a Batch) -> Self {
        let may_meet = !open.target.keys_distinct;
        let done = open.settled.as_ref().map_or(0, |settled| settled.counts.read);
        let replaying = done < open.replay;
        Self {
            stream: &open.target,
            policy: open.target.on_conflict,
            now: batch.now,
            replaying,
            may_meet,
            direct: batch.direct && !replaying && Self::may_be_direct(&open.target),
            remembers: may_meet || open.split < 0,
            log: open.log.as_ref().map(|log| log.of_batch(open.split, open.batch())),
            open,
            batch,
        }
    }

    /// Whether nothing has to be looked up for the rows of a stream, if none of them is there.
    pub(super) fn may_be_direct(target: &StreamTarget) -> bool {
        target.keys_distinct && target.on_conflict == OnConflict::Update
    }

    /// How often the batch has written a row by now, this time included.
    pub(super) fn times(&self, planned: &mut Planned, row: Option<u128>) -> u64 {
        let Some(row) = row.filter(|_| self.log.is_some()) else {
            return 1;
        };
        let before = self.batch.times.get(&row).copied().unwrap_or_default();
        let times = planned.times.entry(row).or_insert(before);
        *times += 1;
        *times
    }

    /// Split that is written.
    pub(super) const fn split(&self) -> i32 {
        self.open.split
    }

    /// Whether the row was written in this batch, or would have been in this rehearsal.
    pub(super) fn is_written(&self, row: u128) -> bool {
        self.batch.rows.contains(&row) || self.open.rehearsed.rows.contains(&row)
    }

    /// Whether this batch has deleted the key, which can still be read.
    pub(super) fn is_deleted(&self, key: &[u8]) -> bool {
        self.batch.deleted.contains(key)
    }

    /// How a list has grown in this batch, or would have in this rehearsal.
    pub(super) fn touched(&self, key: &[u8]) -> Option<Touch> {
        let touched = self.batch.touched.get(key).or_else(|| self.open.rehearsed.touched.get(key));
        touched.copied()
    }
}

/// What no session without an open stream is asked for.
pub(super) fn not_open() -> Error {
    Error::new(ErrorKind::Internal, "no stream is open")
}

/// What no session outside of a batch is asked for.
pub(super) fn no_batch() -> Error {
    Error::new(ErrorKind::Internal, "no batch is open, so that nothing can be written")
}
