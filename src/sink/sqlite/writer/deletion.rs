//! Deleting rows by their keys. A row that others refer to stays, whatever its foreign key would do
//! with these: nothing is deleted or changed that nobody has named.

use arrow::record_batch::RecordBatch;
use rusqlite::{Connection, Statement};

use super::super::catalog;
use super::super::cells::Cells;
use super::super::connection::quote;
use super::super::fault;
use super::super::foreign_key::same;
use super::Writer;
use crate::data::table::TableName;
use crate::ledger::{Deletion, Suspended};
use crate::{Error, ErrorKind, Result};

/// A foreign key that refers to the table, and the question whether a row refers to one by it.
struct Referring<'c> {
    key: Suspended,
    question: Statement<'c>,
    rows: u64,
}

impl Writer {
    /// Deletes the rows with these keys.
    pub(in crate::sink::sqlite) fn delete_keys(&self, connection: &Connection, keys: &RecordBatch) -> Result<Deletion> {
        let cells = self.key_cells(keys)?;
        let mut referring = self.referring(connection)?;
        let table = format!("main.{}", quote(&self.table));
        let mut delete = self.prepare(connection, &format!("delete from {table} where {}", self.by_key))?;
        let mut logging = self.logging(connection)?;
        let places: Vec<usize> = (0..cells.len()).collect();
        let mut deletion = Deletion::default();
        let mut left: Vec<usize> = (0..keys.num_rows()).collect();
        // A row that another of them refers to comes after it.
        loop {
            let before = left.len();
            let mut stay = Vec::new();
            for row in left {
                if self.referred(&mut referring, &cells, row)?.is_some() {
                    stay.push(row);
                } else {
                    self.log_deletion(logging.as_mut(), &cells, &places, (row, true))?;
                    deletion.deleted += u64::from(self.delete_one(connection, &mut delete, &cells, row)?);
                }
            }
            if stay.is_empty() || stay.len() == before {
                left = stay;
                break;
            }
            left = stay;
        }
        for row in left {
            if let Some(by) = self.referred(&mut referring, &cells, row)? {
                referring[by].rows += 1;
            }
        }
        let by = referring.into_iter().filter(|by| by.rows > 0);
        deletion.referred = by.map(|by| (by.key, by.rows)).collect();
        Ok(deletion)
    }

    /// The values of the key's columns, in their order.
    pub(super) fn key_cells<'a>(&'a self, keys: &'a RecordBatch) -> Result<Vec<Cells<'a>>> {
        if keys.num_columns() != self.key.len() {
            return Err(Error::new(ErrorKind::Internal, "keys have other columns than their stream's"));
        }
        let columns = self.key.iter().map(|column| &self.columns[*column]).zip(keys.columns());
        columns
            .map(|(column, array)| Cells::new(&column.name, &column.ty, column.affinity, array))
            .collect()
    }

    fn referring<'c>(&self, connection: &'c Connection) -> Result<Vec<Referring<'c>>> {
        let found = catalog::referring(connection, &self.table).map_err(|error| self.failed(&error))?;
        let names = self.key.iter().map(|column| quote(&self.columns[*column].name));
        let itself: Vec<String> = names.map(|name| format!("x.{name} is o.{name}")).collect();
        found
            .into_iter()
            .map(|(from, key, _)| {
                let other = if from.name == self.table {
                    format!(" and not ({})", itself.join(" and "))
                } else {
                    String::new()
                };
                let sql = format!(
                    "select 1 from (select * from main.{} where {}) as o join main.{} as x on {}{other}",
                    quote(&self.table),
                    self.by_key,
                    quote(&from.name),
                    same(&key, "x", "o")
                );
                Ok(Referring {
                    question: self.prepare(connection, &sql)?,
                    key: Suspended {
                        stream: String::new(),
                        table: TableName::new(from.name),
                        key,
                        validated: true,
                        until: Vec::new(),
                    },
                    rows: 0,
                })
            })
            .collect()
    }

    /// The first key by which something refers to a row.
    fn referred(&self, referring: &mut [Referring<'_>], cells: &[Cells<'_>], row: usize) -> Result<Option<usize>> {
        let places: Vec<usize> = (0..cells.len()).collect();
        for (number, by) in referring.iter_mut().enumerate() {
            if self.finds(&mut by.question, cells, &places, row)? {
                return Ok(Some(number));
            }
        }
        Ok(None)
    }

    /// Deletes a row, if it is there.
    fn delete_one(&self, connection: &Connection, delete: &mut Statement<'_>, cells: &[Cells<'_>], row: usize) -> Result<bool> {
        let mut scratch = String::new();
        for (place, cells) in cells.iter().enumerate() {
            self.bind_one(delete, place + 1, cells, row, &mut scratch)?;
        }
        match delete.raw_execute() {
            Ok(changed) => Ok(changed == 1),
            Err(error) if connection.is_autocommit() => Err(self.failed(&error)),
            Err(error) => Err(fault::refusal(&error, &self.table).map_or_else(|| self.failed(&error), Error::refused)),
        }
    }
}
