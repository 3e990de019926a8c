//! What the writer leaves in the undo log, and what the way back asks it.

use arrow::record_batch::RecordBatch;
use rusqlite::types::Value;
use rusqlite::{Connection, Statement};

use super::super::cells::Cells;
use super::super::undo::{Log, Logging, Record};
use super::Writer;
use crate::error::Refusal;
use crate::{Error, ErrorKind, Result};

impl Writer {
    /// From here on the log is told of every row that is written.
    pub(in crate::sink::sqlite) fn keep_log(&mut self, record: &Record) {
        self.log = Some(Log::new(record, &self.by_key));
    }

    pub(super) fn logging<'c>(&self, connection: &'c Connection) -> Result<Option<Logging<'c>>> {
        let prepared = self.log.as_ref().map(|log| log.prepare(connection)).transpose();
        prepared.map_err(|error| self.failed(&error))
    }

    /// The log keeps what a row is before it is changed.
    pub(super) fn log_before(
        &self,
        logging: Option<&mut Logging<'_>>,
        cells: &[Cells<'_>],
        columns: &[usize],
        row: usize,
    ) -> Result<()> {
        let Some(logging) = logging else { return Ok(()) };
        self.bind_key(&mut logging.keep, cells, columns, row)?;
        logging.keep.raw_execute().map(drop).map_err(|error| self.failed(&error))
    }

    /// The log keeps what rows have become.
    pub(super) fn log_after(&self, logging: &mut Logging<'_>, cells: &[Cells<'_>], rows: &[usize]) -> Result<()> {
        for row in rows {
            self.bind_key(&mut logging.current, cells, &self.key, *row)?;
            logging.note(false, 1).map_err(|error| self.failed(&error))?;
        }
        Ok(())
    }

    /// The log keeps what a row is that is about to be deleted; `counted` where the ledger counts it.
    pub(super) fn log_deletion(
        &self,
        mut logging: Option<&mut Logging<'_>>,
        cells: &[Cells<'_>],
        columns: &[usize],
        (row, counted): (usize, bool),
    ) -> Result<()> {
        self.log_before(logging.as_deref_mut(), cells, columns, row)?;
        let Some(logging) = logging else { return Ok(()) };
        self.bind_key(&mut logging.current, cells, columns, row)?;
        logging.note(true, u64::from(counted)).map_err(|error| self.failed(&error))
    }

    fn bind_key(&self, statement: &mut Statement<'_>, cells: &[Cells<'_>], columns: &[usize], row: usize) -> Result<()> {
        let mut scratch = String::new();
        for (parameter, column) in columns.iter().enumerate() {
            self.bind_one(statement, parameter + 1, &cells[*column], row, &mut scratch)?;
        }
        Ok(())
    }

    /// The condition that finds a row by its key.
    pub(in crate::sink::sqlite) fn by_key(&self) -> &str {
        &self.by_key
    }

    /// Keys as they are bound.
    pub(in crate::sink::sqlite) fn key_values(&self, keys: &RecordBatch) -> Result<Vec<Vec<Value>>> {
        let cells = self.key_cells(keys)?;
        let mut scratch = String::new();
        (0..keys.num_rows())
            .map(|row| {
                let values = cells.iter().map(|cells| cells.get(row, &mut scratch).map(Value::try_from));
                let values: Vec<_> = values.collect::<Result<_, _>>().map_err(Error::refused)?;
                let values: rusqlite::types::FromSqlResult<Vec<Value>> = values.into_iter().collect();
                values.map_err(|_| Error::new(ErrorKind::Internal, "a key holds text that is none"))
            })
            .collect()
    }

    /// For each foreign key the question whether the row with some key refers to nothing by it, and what
    /// is said of it then.
    pub(in crate::sink::sqlite) fn orphan_questions<'c>(
        &self,
        connection: &'c Connection,
    ) -> Result<Vec<(Statement<'c>, Refusal)>> {
        let questions = self
            .parents
            .iter()
            .map(|parent| Ok((self.prepare(connection, &parent.orphan)?, parent.refusal())));
        questions.collect()
    }
}
