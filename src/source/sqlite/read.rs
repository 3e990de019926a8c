//! Reading one stream: a stepped statement on a thread of its own, portions into a bounded
//! channel.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::os::raw::c_int;

use rusqlite::{Connection, Rows, params_from_iter};
use tokio::sync::mpsc::Sender;

use super::catalog::{self, Shape};
use super::failure::reading;
use super::meaning::Meanings;
use super::piece;
use super::portion::Portion;
use super::statement::{self, Selection};
use super::subject;
use crate::data::batch::SourceBatch;
use crate::data::position::{Key, Position};
use crate::data::stream::{Origin, ReadRequest};
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
        let shape = shape(connection, meanings, &request.origin)?;
        let columns = request.columns.iter().map(|column| column.name.clone());
        let selection = Selection::new(&request.origin, &shape, columns, &request.key)?
            .of_subject(request.subject.as_ref())
            .in_any_order(request.any_order)
            .of_piece(piece::condition(&shape, request.piece.as_ref())?);
        let portion = Portion::new(&request, &shape, &selection)?;
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
        let sql = selection.scan(None)?;
        connection.prepare(&sql).map_err(reading)?;
        Ok(Self {
            request,
            selection,
            portion,
        })
    }

    /// Reads to the end, or until nobody receives any more.
    pub(super) fn run(mut self, connection: &Connection, output: &Output) -> Result<()> {
        let _watch = Watch::new(connection, output)?;
        let outcome = match (self.request.only.take(), self.request.after.take()) {
            (Some(only), _) => self.lookup(connection, &only, output),
            (None, Some(Position::End)) => return Ok(()),
            (None, after) => self.scan(connection, after.as_ref().and_then(Position::after), output),
        };
        match outcome {
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(()),
            outcome => outcome,
        }
    }

    fn scan(&mut self, connection: &Connection, after: Option<&Key>, output: &Output) -> Result<()> {
        let mut statement = connection.prepare(&self.selection.scan(after)?).map_err(reading)?;
        if let Some(subject) = &self.request.subject {
            subject::bind(&mut statement, &subject.key)?;
            let mut rows = statement.raw_query();
            self.drain(&mut rows, output)?;
            return self.flush(output);
        }
        // A NULL in the key is compared without its parameter: as many are bound as are named.
        let named = statement.parameter_count();
        let values = after.map_or(&[][..], |key| &key.0);
        let values = values.iter().take(named).map(statement::parameter);
        let mut rows = statement.query(params_from_iter(values)).map_err(reading)?;
        self.drain(&mut rows, output)?;
        self.flush(output)
    }

    fn lookup(&mut self, connection: &Connection, only: &[Key], output: &Output) -> Result<()> {
        // One for every number of parts: at most two.
        let mut statements = BTreeMap::new();
        for key in only {
            let statement = match statements.entry(key.0.len()) {
                Entry::Occupied(prepared) => prepared.into_mut(),
                Entry::Vacant(place) => {
                    let sql = self.selection.lookup(key.0.len());
                    place.insert(connection.prepare(&sql).map_err(reading)?)
                }
            };
            let values = key.0.iter().map(statement::parameter);
            let mut rows = statement.query(params_from_iter(values)).map_err(reading)?;
            self.drain(&mut rows, output)?;
        }
        self.flush(output)
    }

    fn drain(&mut self, rows: &mut Rows<'_>, output: &Output) -> Result<()> {
        while let Some(row) = rows.next().map_err(reading)? {
            self.portion.add(row, &self.selection)?;
            if self.portion.is_full() {
                self.flush(output)?;
            }
        }
        Ok(())
    }

    fn flush(&mut self, output: &Output) -> Result<()> {
        if self.portion.is_empty() {
            return Ok(());
        }
        let portion = self.portion.finish()?;
        output
            .blocking_send(Ok(portion))
            .map_err(|_| Error::new(ErrorKind::Interrupted, "nobody waits for the rows"))
    }
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
