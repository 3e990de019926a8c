//! Taking rows out again that turned out to be orphans.

use arrow::record_batch::RecordBatch;
use rusqlite::{Connection, Statement};

use super::super::cells::Cells;
use super::super::connection::quote;
use super::super::orphan::{AT_HAND, ORPHANS};
use super::Writer;
use crate::{Error, ErrorKind, Result};

impl Writer {
    /// Which of the rows are orphans; their keys are put at hand.
    pub(in crate::sink::sqlite) fn orphans(&self, connection: &Connection, rows: &RecordBatch) -> Result<Vec<usize>> {
        let cells = self.cells(rows)?;
        connection
            .execute(&format!("delete from {AT_HAND}"), [])
            .map_err(|error| self.failed(&error))?;
        let mut put = self.prepare(
            connection,
            &format!("insert into {AT_HAND} select * from {ORPHANS} where {}", self.by_key),
        )?;
        let rows = 0..rows.num_rows();
        let mut found = Vec::new();
        for row in rows {
            if self.changes(&mut put, &cells, row)? {
                found.push(row);
            }
        }
        Ok(found)
    }

    /// Deletes rows, and forgets that they are orphans.
    pub(in crate::sink::sqlite) fn delete(&self, connection: &Connection, rows: &RecordBatch, which: &[usize]) -> Result<()> {
        let cells = self.cells(rows)?;
        let table = format!("main.{}", quote(&self.table));
        let mut logging = self.logging(connection)?;
        for row in which {
            self.log_deletion(logging.as_mut(), &cells, &self.key, (*row, false))?;
        }
        for table in [table.as_str(), ORPHANS] {
            let mut delete = self.prepare(connection, &format!("delete from {table} where {}", self.by_key))?;
            for row in which {
                if !self.changes(&mut delete, &cells, *row)? {
                    return Err(Error::new(
                        ErrorKind::Validation,
                        format!("a row of `{}` that was to be taken out is gone", self.table),
                    ));
                }
            }
        }
        Ok(())
    }

    /// Whether a statement, by the key of a row, changes exactly one.
    fn changes(&self, statement: &mut Statement<'_>, cells: &[Cells<'_>], row: usize) -> Result<bool> {
        let mut scratch = String::new();
        for (parameter, column) in self.key.iter().enumerate() {
            self.bind_one(statement, parameter + 1, &cells[*column], row, &mut scratch)?;
        }
        statement
            .raw_execute()
            .map(|changed| changed == 1)
            .map_err(|error| self.failed(&error))
    }
}
