//! Writing the log: what a row was before the run first changed it, copied by SQLite itself, and a
//! digest of what it became, of the values that the target gives back.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Row, Statement};
use xxhash_rust::xxh3::Xxh3;

use super::super::connection::quote;
use super::Record;

/// Texts of the statements that write the log.
pub(in crate::sink::sqlite) struct Log {
    keep: String,
    current: String,
    left: String,
    /// Places of the key among the columns that are read.
    key: Vec<usize>,
    columns: usize,
}

/// The statements themselves.
pub(in crate::sink::sqlite) struct Logging<'c> {
    /// Copies the row with a key to the log, unless the log has it.
    pub(in crate::sink::sqlite) keep: Statement<'c>,
    /// Reads the row with a key.
    pub(in crate::sink::sqlite) current: Statement<'c>,
    left: Statement<'c>,
    key: Vec<usize>,
    columns: usize,
}

impl Log {
    /// `by_key` is the condition that finds a row by its key.
    pub(in crate::sink::sqlite) fn new(record: &Record, by_key: &str) -> Self {
        let (rows, table) = (record.rows(), format!("main.{}", quote(&record.table)));
        let (keys, all) = (record.keys(), Record::quoted(&record.columns));
        let parameters: Vec<_> = (1..=keys.len()).map(|at| format!("?{at}")).collect();
        Self {
            keep: format!(
                "insert into {rows} (existed, after, writes, {}, {}) select 1, null, 0, {}, {} from {table} where {by_key}
                 on conflict do nothing",
                keys.join(", "),
                record.images().join(", "),
                Record::quoted(&record.key).join(", "),
                all.join(", "),
            ),
            current: format!("select {} from {table} where {by_key}", all.join(", ")),
            left: format!(
                "insert into {rows} ({keys}, existed, after, writes) values ({}, 0, ?{after}, ?{counted})
                 on conflict ({keys}) do update set after = ?{after}, writes = writes + ?{counted}",
                parameters.join(", "),
                keys = keys.join(", "),
                after = keys.len() + 1,
                counted = keys.len() + 2,
            ),
            key: record
                .key
                .iter()
                .filter_map(|name| record.columns.iter().position(|column| column == name))
                .collect(),
            columns: record.columns.len(),
        }
    }

    pub(in crate::sink::sqlite) fn prepare<'c>(&self, connection: &'c Connection) -> rusqlite::Result<Logging<'c>> {
        Ok(Logging {
            keep: connection.prepare(&self.keep)?,
            current: connection.prepare(&self.current)?,
            left: connection.prepare(&self.left)?,
            key: self.key.clone(),
            columns: self.columns,
        })
    }
}

impl Logging<'_> {
    /// Notes what the row has become for which `current` is bound: its digest, or nothing where it is
    /// about to be deleted; and how often the ledger counts it for that.
    pub(in crate::sink::sqlite) fn note(&mut self, deleted: bool, counted: u64) -> rusqlite::Result<()> {
        let mut found = self.current.raw_query();
        let Some(row) = found.next()? else { return Ok(()) };
        for (parameter, column) in self.key.iter().enumerate() {
            self.left
                .raw_bind_parameter(parameter + 1, ToSqlOutput::Borrowed(row.get_ref(*column)?))?;
        }
        let after = if deleted { None } else { Some(digest(row, 0, self.columns)?) };
        self.left.raw_bind_parameter(self.key.len() + 1, after)?;
        self.left.raw_bind_parameter(self.key.len() + 2, counted.cast_signed())?;
        self.left.raw_execute().map(drop)
    }
}

/// A hash of some of a row's values, by storage class and bytes.
pub(super) fn digest(row: &Row<'_>, from: usize, columns: usize) -> rusqlite::Result<[u8; 16]> {
    let mut hash = Xxh3::new();
    for column in from..from + columns {
        add(&mut hash, row.get_ref(column)?);
    }
    Ok(hash.digest128().to_be_bytes())
}

fn add(hash: &mut Xxh3, value: ValueRef<'_>) {
    let mut sized = |class: u8, bytes: &[u8]| {
        hash.update(&[class]);
        hash.update(&(bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    match value {
        ValueRef::Null => sized(0, &[]),
        ValueRef::Integer(number) => sized(1, &number.to_be_bytes()),
        ValueRef::Real(number) => sized(2, &number.to_bits().to_be_bytes()),
        ValueRef::Text(text) => sized(3, text),
        ValueRef::Blob(bytes) => sized(4, bytes),
    }
}
