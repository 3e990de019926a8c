//! The record of an undo log: which table it is about, and how its rows are found there.

use sqlx::postgres::PgRow;

use crate::data::table::TableName;
use crate::ledger::undo::Undone;
use crate::postgres::catalog::get;
use crate::postgres::quote;
use crate::{Error, ErrorKind, Result};

/// An undo log that is there, as it was recorded.
pub(super) struct Kept {
    pub(super) id: i64,
    pub(super) rows: String,
    pub(super) table: TableName,
    pub(super) columns: Vec<String>,
    pub(super) types: Vec<String>,
    pub(super) key: Vec<String>,
    pub(super) finished: bool,
    pub(super) done: Undone,
}

/// Columns of the record, as [`Kept::of`] reads them.
pub(super) const KEPT: &str = "id, table_schema, table_name, columns, column_types, key, finished_at is not null, \
     rows_removed, rows_restored, rows_gone, rows_kept, stream, run";

/// Table with the rows of a log.
pub(super) fn rows_table(id: i64) -> String {
    format!("dbferry.undo_rows_{id}")
}

impl Kept {
    pub(super) fn of(row: &PgRow) -> Result<Self> {
        let figure = |index| {
            u64::try_from(get::<i64>(row, index)?)
                .map_err(|_| Error::new(ErrorKind::Checkpoint, "the undo log counts less than nothing"))
        };
        let id = get(row, 0)?;
        Ok(Self {
            id,
            rows: rows_table(id),
            table: TableName {
                schema: Some(get(row, 1)?),
                name: get(row, 2)?,
            },
            columns: get(row, 3)?,
            types: get(row, 4)?,
            key: get(row, 5)?,
            finished: get(row, 6)?,
            done: Undone {
                removed: figure(7)?,
                restored: figure(8)?,
                gone: figure(9)?,
                kept: figure(10)?,
                more: false,
            },
        })
    }

    /// The log's column of one of the table's.
    pub(super) fn column(&self, name: &str) -> Result<String> {
        let at = self.columns.iter().position(|column| column == name);
        at.map(|at| format!("c{}", at + 1))
            .ok_or_else(|| Error::new(ErrorKind::Checkpoint, format!("the undo log holds no column `{name}`")))
    }

    /// The condition that row `o` of the table is the one that row `l` of this log is about.
    pub(super) fn same_key(&self, o: &str, l: &str) -> Result<String> {
        let part = |name: &String| Ok(format!("{o}.{} = {l}.{}", quote::ident(name)?, self.column(name)?));
        Ok(self.key.iter().map(part).collect::<Result<Vec<_>>>()?.join(" and "))
    }
}
