//! Rows that are looked for after they were written.

use arrow::record_batch::RecordBatch;
use rusqlite::Connection;

use super::super::cells::Cells;
use super::{Writer, dropped};
use crate::{Error, Result};

impl Writer {
    /// Number of these rows whose keys are in the table.
    pub(in crate::sink::sqlite) fn present(&self, connection: &Connection, rows: &RecordBatch) -> Result<u64> {
        let cells = self.cells(rows)?;
        let mut present = self.prepare(connection, &self.present)?;
        let mut found = 0;
        for row in 0..rows.num_rows() {
            found += u64::from(self.finds(&mut present, &cells, &self.key, row)?);
        }
        Ok(found)
    }

    /// Every row is there after its triggers have fired.
    pub(super) fn check_present(&self, connection: &Connection, cells: &[Cells<'_>], rows: &[usize]) -> Result<()> {
        let mut present = self.prepare(connection, &self.present)?;
        for row in rows {
            if !self.finds(&mut present, cells, &self.key, *row)? {
                return Err(dropped());
            }
        }
        Ok(())
    }

    /// Every row refers to rows that are there, whenever SQLite itself would look.
    pub(super) fn check_parents(&self, connection: &Connection, cells: &[Cells<'_>], rows: &[usize]) -> Result<()> {
        for parent in &self.parents {
            let mut orphan = self.prepare(connection, &parent.orphan)?;
            for row in rows {
                if self.finds(&mut orphan, cells, &self.key, *row)? {
                    return Err(Error::refused(parent.refusal()));
                }
            }
        }
        Ok(())
    }
}
