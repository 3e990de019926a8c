//! A side of a comparison: rows of one form, from wherever they come.
//!
//! The two sides of a stream yield the same columns in the same types, and the same key. Nothing
//! else is known of either: a table, a source behind its mapping, keys of a store and what they
//! hold are all sides. Rows come in any order. A side that can find rows again gives each a
//! *handle* (the key by which its own database knows it) and takes handles back.

use std::sync::Arc;
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use tokio::sync::mpsc;

use crate::Result;
use crate::config::limits::Limits;
use crate::data::column::ColumnType;
use crate::data::memory;
use crate::data::piece::{Piece, Pieces};
use crate::data::position::{Key, KeyBuffer};
use crate::data::stream::{Order, Origin, ReadColumn, ReadRequest, Subject};

/// Portions that may wait between a side and who compares.
pub(crate) const PORTIONS_IN_FLIGHT_MAX: usize = 2;

/// Portions of a side. After an `Err` nothing follows; dropping it ends the reading.
pub(crate) type Portions = mpsc::Receiver<Result<Portion>>;

/// A column that is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Compared {
    /// Its name in the report.
    pub(crate) name: String,
    /// Type that both sides yield it in.
    pub(crate) ty: ColumnType,
    /// Of a list: its elements have no order.
    pub(crate) unordered: bool,
}

/// What both sides of a stream yield.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Form {
    /// Columns, in the order of the portions.
    pub(crate) columns: Vec<Compared>,
    /// Places of the key's columns; empty where nothing tells rows apart but all they hold.
    pub(crate) key: Vec<usize>,
}

/// Which rows are read, and what of them.
#[derive(Debug, Clone)]
pub(crate) enum Wanted {
    /// All rows whole; with handles only where they are wanted.
    All {
        /// Give each row its handle.
        handles: bool,
    },
    /// Rows of a piece whole, without handles. Of sides that have [pieces](Side::pieces).
    Piece(Piece),
    /// The key's columns alone of the rows that were written since the moment of a mark, and perhaps
    /// of more, without handles. Of sides that have pieces.
    Since(String),
    /// The key's columns alone, in the order of [`Form::key`], with handles. Rows that the mapping
    /// leaves out or refuses may be among them: they cost less to give than to leave.
    Keys {
        /// Of these handles; `None` for all rows.
        only: Option<Vec<Key>>,
    },
    /// The rows of these handles whole, with handles. Where one handle stands for several rows, all
    /// of them.
    These(Vec<Key>),
}

/// Handles of the rows of a portion.
#[derive(Debug, Clone)]
pub(crate) struct Handles {
    /// Keys of the rows as read.
    pub(crate) keys: Arc<KeyBuffer>,
    /// For each row of the portion its number among the keys; `None` where they are the same.
    pub(crate) origin: Option<Vec<u32>>,
}

impl Handles {
    /// Handle of a row.
    pub(crate) fn get(&self, row: usize) -> Key {
        match &self.origin {
            Some(origin) => self.keys.get(origin[row] as usize),
            None => self.keys.get(row),
        }
    }

    /// Those of some of the rows.
    pub(crate) fn only(&self, rows: &[usize]) -> Self {
        let number = |row: &usize| match &self.origin {
            Some(origin) => origin[*row],
            None => u32::try_from(*row).unwrap_or(u32::MAX),
        };
        Self {
            keys: Arc::clone(&self.keys),
            origin: Some(rows.iter().map(number).collect()),
        }
    }
}

/// A row that is there and cannot be read as what it should be.
#[derive(Debug, Clone)]
pub(crate) struct Unreadable {
    /// Its handle; empty where the side gave none.
    pub(crate) handle: Key,
    /// Column concerned.
    pub(crate) column: Option<String>,
    /// In words, without values.
    pub(crate) detail: String,
}

/// Some rows of a side.
#[derive(Debug, Clone)]
pub(crate) struct Portion {
    /// The rows.
    pub(crate) rows: RecordBatch,
    /// Their handles, where they were wanted.
    pub(crate) handles: Option<Handles>,
    /// Rows read for it: those in `rows`, and all that are counted below.
    pub(crate) read: u64,
    /// Of them, rows that the mapping leaves out.
    pub(crate) filtered: u64,
    /// Of them, rows whose moment of expiry is past.
    pub(crate) expired: u64,
    /// Of them, rows that the mapping refuses.
    pub(crate) refused: u64,
    /// Rows of a target that cannot be read as its own types.
    pub(crate) unreadable: Vec<Unreadable>,
    /// What was taken of the process's memory for them.
    #[expect(dead_code, reason = "it is given back when it is dropped")]
    pub(crate) memory: memory::Held,
}

/// What a side asks its database for: these columns of an origin with the key that tells its rows
/// apart; all rows, those of a subject, or only those with these keys.
pub(super) fn request(
    (origin, columns, key): (&Origin, Vec<ReadColumn>, Vec<String>),
    subject: Option<&Subject>,
    only: Option<Vec<Key>>,
    limits: &Limits,
) -> ReadRequest {
    ReadRequest {
        origin: origin.clone(),
        columns,
        key,
        order: Order::Any,
        after: None,
        subject: subject.filter(|_| only.is_none()).cloned(),
        only,
        piece: None,
        rows_max: limits.portion_rows_max,
        bytes_max: limits.portion_bytes_max,
        patience: Duration::from_secs(limits.retry_seconds_max),
    }
}

/// One side of a comparison.
#[async_trait]
pub(crate) trait Side: Send + Sync {
    /// What its rows are. The same on both sides.
    fn form(&self) -> &Form;

    /// Whether rows can be found again: whether handles, [`Wanted::Keys`] and [`Wanted::These`] may be asked
    /// for.
    fn finds(&self) -> bool;

    /// What the reader of a report should know of how this side is read; `missing`: rows are.
    fn notes(&self, missing: bool) -> Vec<String> {
        let _ = missing;
        Vec::new()
    }

    /// How it can be read in pieces at different times; `None` where it is read as a whole.
    ///
    /// # Errors
    /// What asking its database fails with.
    async fn pieces(&self) -> Result<Option<Pieces>> {
        Ok(None)
    }

    /// Starts to read.
    ///
    /// # Errors
    /// What reading cannot be begun for.
    async fn read(&self, wanted: Wanted) -> Result<Portions>;

    /// Handles by which rows with these values in the key's columns (in the order of
    /// [`Form::key`]) are found, whether they are there or not; `None` where their keys cannot be
    /// told from values.
    fn handles(&self, keys: &RecordBatch) -> Option<Vec<Key>> {
        let _ = keys;
        None
    }
}
