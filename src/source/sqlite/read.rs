//! Reading one stream: a stepped statement on a thread of its own, portions into a bounded channel.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::os::raw::c_int;

use rusqlite::types::FromSqlError;
use rusqlite::{Connection, ErrorCode, Row, Rows, params_from_iter};
use tokio::runtime::Handle;
use tokio::sync::mpsc::Sender;

use super::catalog::{self, Shape};
use super::failure::reading;
use super::meaning::Meanings;
use super::piece;
use super::portion::{self, Portion};
use super::statement::{self, Selection};
use super::stored::Stored;
use super::subject;
use super::wide::{self, LengthLimit};
use crate::data::batch::SourceBatch;
use crate::data::position::{Key, Position};
use crate::data::stream::{Order, Origin, ReadRequest};
use crate::source::gather::fitted;
use crate::{Error, ErrorKind, Result};

/// Steps of SQLite's machine between two looks at whether anybody still waits for the rows:
/// some milliseconds of a sort.
const STEPS_BETWEEN_LOOKS: c_int = 100_000;

/// Where the portions go.
type Output = Sender<Result<SourceBatch>>;

/// A request that was found to be readable.
pub(super) struct Reading {
    request: ReadRequest,
    selection: Selection,
    portion: Portion,
    /// Longest value that a row may have which is no wider than a portion.
    value_bytes_max: usize,
    /// Place after the last row that was handed over.
    last: Option<Position>,
}

/// How far a statement was read.
enum Read {
    ToItsEnd,
    /// Up to a value that is too long.
    ToLongValue,
}

/// Shape of what a stream reads.
pub(super) fn shape(connection: &Connection, meanings: &Meanings, origin: &Origin) -> Result<Shape> {
    match origin {
        Origin::Query { sql } => catalog::query(connection, meanings, sql),
        Origin::Table(name) => catalog::table(connection, meanings, name)?
            .ok_or_else(|| Error::new(ErrorKind::Mapping, format!("the source has no table or view `{name}`"))),
    }
}

impl Reading {
    /// Prepares a request against the shape that its origin has now.
    pub(super) fn prepare(connection: &Connection, meanings: &Meanings, request: ReadRequest) -> Result<Self> {
        let request = fitted(request);
        let shape = shape(connection, meanings, &request.origin)?;
        let columns = request.columns.iter().map(|column| column.name.clone());
        let mut selection = Selection::new(&request.origin, &shape, columns, &request.key)?
            .of_subject(request.subject.as_ref())
            .in_order(request.order)
            .of_piece(piece::condition(&shape, request.piece.as_ref())?)
            .with_long(|place| request.columns.get(place).is_some_and(|column| wide::may_be_long(&column.ty)));
        let stored = Stored::of(connection, &request, &shape, &mut selection)?;
        let last = stored.as_ref().map_or_else(|| request.after.clone(), Stored::begins);
        let portion = Portion::new(&request, &shape, &selection, stored)?;
        match (&request.only, &request.after) {
            (Some(_), _) if selection.key.is_empty() => {
                return Err(Error::new(
                    ErrorKind::Usage,
                    "a stream without a source key cannot read single rows again",
                )
                .hint("name a unique `source_key`, or begin the stream again with `--restart`"));
            }
            (Some(only), _) => only.iter().try_for_each(|key| selection.check_lookup(key))?,
            (None, Some(Position::Key(key))) => selection.check(key)?,
            (None, Some(Position::Within { .. })) => {
                return Err(Error::new(
                    ErrorKind::Checkpoint,
                    "the checkpoint is of a split, and this source makes none",
                )
                .hint("move the stream from its beginning: `dbferry run PROJECT --only STREAM --restart`"));
            }
            (None, _) => {}
        }
        let sql = selection.scan(None, None)?;
        connection.prepare(&sql).map_err(reading)?;
        Ok(Self {
            value_bytes_max: wide::value_bytes_max(request.bytes_max, selection.columns.len()),
            last,
            request,
            selection,
            portion,
        })
    }

    /// Reads to the end, or until nobody receives any more.
    pub(super) fn run(mut self, connection: &Connection, output: &Output) -> Result<()> {
        let _watch = Watch::new(connection, output)?;
        let only = self.request.only.clone();
        let outcome = match (only, &self.request.after) {
            (Some(only), _) => self.lookup(connection, &only, output),
            (None, Some(Position::End)) => return Ok(()),
            (None, _) => self.scan(connection, output),
        };
        match outcome {
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            outcome => outcome,
        }
    }

    fn scan(&mut self, connection: &Connection, output: &Output) -> Result<()> {
        let goes_on = !self.selection.key.is_empty() && self.request.order != Order::Any && self.request.subject.is_none();
        if goes_on && let Read::ToItsEnd = self.scan_with(connection, None, output)? {
            return Ok(());
        }
        self.scan_with(connection, Some(self.long()), output).map(|_| ())
    }

    /// How long a value may be that is not left out: where a row cannot be read again alone, as long as any.
    fn long(&self) -> usize {
        if self.reads_alone() {
            self.value_bytes_max
        } else {
            self.portion.row_bytes_max()
        }
    }

    /// Whether a row that was met is found again by its key.
    fn reads_alone(&self) -> bool {
        let in_order = self.request.order != Order::Any && self.request.only.is_none();
        !self.selection.key.is_empty() && (self.selection.unique || in_order)
    }

    /// Reads after the last row. Without `long` a longer value than a portion has room for ends it.
    fn scan_with(&mut self, connection: &Connection, long: Option<usize>, output: &Output) -> Result<Read> {
        let after = self.last.clone();
        let after = after.as_ref().and_then(Position::after);
        let mut statement = connection.prepare(&self.selection.scan(after, long)?).map_err(reading)?;
        let loaded = long.map_or(self.value_bytes_max, |_| self.portion.row_bytes_max());
        let _limit = LengthLimit::set(connection, loaded)?;
        let read = if let Some(subject) = &self.request.subject {
            subject::bind(&mut statement, &subject.key)?;
            let mut rows = statement.raw_query();
            self.drain(connection, &mut rows, long, output)?
        } else {
            // A NULL in the key is compared without its parameter: as many are bound as are named.
            let named = statement.parameter_count();
            let values = after.map_or(&[][..], |key| &key.0);
            let values = values.iter().take(named).map(statement::parameter);
            let mut rows = match &self.last {
                Some(Position::Stored { place, .. }) => statement.query(params_from_iter(place)),
                _ => statement.query(params_from_iter(values)),
            }
            .map_err(reading)?;
            self.drain(connection, &mut rows, long, output)?
        };
        self.flush(output)?;
        Ok(read)
    }

    fn lookup(&mut self, connection: &Connection, only: &[Key], output: &Output) -> Result<()> {
        // One for every number of parts: at most two.
        let mut statements = BTreeMap::new();
        let long = Some(self.long());
        let _limit = LengthLimit::set(connection, self.portion.row_bytes_max())?;
        for key in only {
            let statement = match statements.entry(key.0.len()) {
                Entry::Occupied(prepared) => prepared.into_mut(),
                Entry::Vacant(place) => {
                    let sql = self.selection.lookup(key.0.len(), long);
                    place.insert(connection.prepare(&sql).map_err(reading)?)
                }
            };
            let values = key.0.iter().map(statement::parameter);
            let mut rows = statement.query(params_from_iter(values)).map_err(reading)?;
            self.drain(connection, &mut rows, long, output)?;
        }
        self.flush(output)
    }

    fn drain(&mut self, connection: &Connection, rows: &mut Rows<'_>, long: Option<usize>, output: &Output) -> Result<Read> {
        let lengths = self.selection.lengths(long);
        loop {
            if self.portion.is_empty() {
                wait(self.portion.take_memory(), output)?;
            }
            let row = match rows.next() {
                Ok(Some(row)) => row,
                Ok(None) => return Ok(Read::ToItsEnd),
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::TooBig) => {
                    return match long {
                        None => Ok(Read::ToLongValue),
                        Some(_) => Err(wide::too_long(self.portion.row_bytes_max())),
                    };
                }
                Err(error) => return Err(reading(error)),
            };
            let told = match lengths {
                None => None,
                Some(place) => row
                    .get_ref(place)
                    .map_err(reading)?
                    .as_str_or_null()
                    .map_err(asked_wrong)?
                    .map(wide::told),
            };
            match told {
                None => self.portion.add(row, &self.selection)?,
                Some(lengths) => self.add_wide(connection, row, &lengths, output)?,
            }
            if self.portion.is_full() {
                self.flush(output)?;
            }
        }
    }

    /// Takes in a row whose long values were left out: whole, as a portion of its own, or as a reject.
    fn add_wide(&mut self, connection: &Connection, row: &Row<'_>, lengths: &[u64], output: &Output) -> Result<()> {
        let whole = usize::try_from(lengths.iter().sum::<u64>()).unwrap_or(usize::MAX);
        let bytes_max = self.portion.row_bytes_max();
        if whole > bytes_max || !self.reads_alone() {
            return self.portion.refuse(row, &self.selection, lengths, bytes_max);
        }
        let key = portion::key(row, &self.selection)?;
        self.flush(output)?;
        wait(self.portion.take_memory_for(whole), output)??;
        let mut alone = connection
            .prepare(&self.selection.lookup(key.0.len(), None))
            .map_err(reading)?;
        let mut rows = alone
            .query(params_from_iter(key.0.iter().map(statement::parameter)))
            .map_err(reading)?;
        let row = rows.next().map_err(reading)?;
        let row = row.ok_or_else(|| Error::new(ErrorKind::Internal, "a row is not found again by its key"))?;
        self.portion.add(row, &self.selection)?;
        drop(rows);
        drop(alone);
        self.flush(output)
    }

    fn flush(&mut self, output: &Output) -> Result<()> {
        if self.portion.is_empty() {
            return Ok(());
        }
        let portion = self.portion.finish()?;
        self.last = Some(portion.position.clone());
        output
            .blocking_send(Ok(portion))
            .map_err(|_| Error::new(ErrorKind::Interrupted, "nobody waits for the rows"))
    }
}

/// Waits for memory, unless nobody waits for the rows any more. This is a thread that may block.
fn wait<T>(memory: impl Future<Output = T>, output: &Output) -> Result<T> {
    Handle::current().block_on(async {
        tokio::select! {
            taken = memory => Ok(taken),
            () = output.closed() => Err(Error::new(ErrorKind::Interrupted, "nobody waits for the rows")),
        }
    })
}

fn asked_wrong(error: FromSqlError) -> Error {
    Error::new(ErrorKind::Internal, "SQLite was asked in a wrong way").because(error)
}

/// Interrupts long steps (a sort before the first row) once nobody receives. While it stands it
/// holds a sender; dropping it lets the channel close.
struct Watch<'a> {
    connection: &'a Connection,
}

impl<'a> Watch<'a> {
    fn new(connection: &'a Connection, output: &Output) -> Result<Self> {
        let output = output.clone();
        connection
            .progress_handler(STEPS_BETWEEN_LOOKS, Some(move || output.is_closed()))
            .map_err(reading)?;
        Ok(Self { connection })
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let removed = self.connection.progress_handler(0, None::<fn() -> bool>);
        debug_assert!(removed.is_ok(), "taking the handler away from an open connection cannot fail");
    }
}
