//! Reading the log, and comparing it with the rows as they are now.

use arrow::record_batch::RecordBatch;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Row, Statement, params_from_iter};
use uuid::Uuid;

use super::super::connection::quote;
use super::super::writer::Writer;
use super::log::digest;
use super::{Record, failed, referred};
use crate::Result;
use crate::ledger::undo::ChangedSince;

/// A row of the log beside the target's.
pub(super) struct Logged {
    pub(super) seq: i64,
    pub(super) existed: bool,
    /// How often the ledger counts it.
    pub(super) writes: u64,
    pub(super) key: Vec<Value>,
    /// What it was, where it was there.
    pub(super) before: Vec<Value>,
    /// What it was, what the run left, and what it is, by their digests.
    was: Option<[u8; 16]>,
    after: Option<[u8; 16]>,
    pub(super) now: Option<[u8; 16]>,
}

impl Logged {
    /// Whether somebody else has changed it since. A row that is gone, and that the run inserted, has
    /// nothing that could be lost; nor has one that is again what it was.
    pub(super) fn is_changed(&self) -> bool {
        self.now != self.after && self.now != self.was
    }
}

/// The statements that read the log and the rows that it speaks of.
pub(super) struct Reading<'c> {
    all: Statement<'c>,
    one: Statement<'c>,
    current: Statement<'c>,
    keys: usize,
    columns: usize,
}

impl<'c> Reading<'c> {
    pub(super) fn new(connection: &'c Connection, writer: &Writer, record: &Record) -> Result<Self> {
        let columns = format!(
            "select seq, existed, after, writes, {}, {} from {}",
            record.keys().join(", "),
            record.images().join(", "),
            record.rows()
        );
        let given: Vec<_> = (record.keys().iter().zip(1..))
            .map(|(key, at)| format!("{key} = ?{at}"))
            .collect();
        let prepare = |sql: String| connection.prepare(&sql).map_err(|error| failed(&error));
        Ok(Self {
            all: prepare(format!("{columns} order by seq desc limit ?"))?,
            one: prepare(format!("{columns} where {}", given.join(" and ")))?,
            current: prepare(format!(
                "select {} from main.{} where {}",
                Record::quoted(&record.columns).join(", "),
                quote(&record.table),
                writer.by_key()
            ))?,
            keys: record.key.len(),
            columns: record.columns.len(),
        })
    }

    /// So many rows of the log, the last ones first.
    pub(super) fn last(&mut self, rows_max: u64) -> Result<Vec<Logged>> {
        let limit = i64::try_from(rows_max.max(1)).unwrap_or(i64::MAX);
        let mut found = Vec::new();
        self.each(Some(limit), |row| found.push(row))?;
        Ok(found)
    }

    /// The rows of the log with these keys, the last ones first.
    pub(super) fn with_keys(&mut self, keys: &[Vec<Value>]) -> Result<Vec<Logged>> {
        let (all, columns) = (self.keys, self.columns);
        let mut found = Vec::new();
        for key in keys {
            let mut rows = self.one.query(params_from_iter(key)).map_err(|error| failed(&error))?;
            if let Some(row) = rows.next().map_err(|error| failed(&error))? {
                found.push(logged(row, (all, columns), &mut self.current).map_err(|error| failed(&error))?);
            }
        }
        found.sort_by_key(|row| std::cmp::Reverse(row.seq));
        found.dedup_by_key(|row| row.seq);
        Ok(found)
    }

    /// Hands on the rows of the log, the last ones first.
    pub(super) fn each(&mut self, limit: Option<i64>, mut take: impl FnMut(Logged)) -> Result<()> {
        let mut each = || -> rusqlite::Result<()> {
            let mut rows = self.all.query([limit.unwrap_or(-1)])?;
            while let Some(row) = rows.next()? {
                take(logged(row, (self.keys, self.columns), &mut self.current)?);
            }
            Ok(())
        };
        each().map_err(|error| failed(&error))
    }
}

fn logged(row: &Row<'_>, (keys, columns): (usize, usize), current: &mut Statement<'_>) -> rusqlite::Result<Logged> {
    let values = |from: usize, count: usize| {
        (from..from + count)
            .map(|at| row.get(at))
            .collect::<rusqlite::Result<Vec<Value>>>()
    };
    let existed: bool = row.get(1)?;
    let key = values(4, keys)?;
    let mut found = current.query(params_from_iter(&key))?;
    let now = found.next()?.map(|found| digest(found, 0, columns)).transpose()?;
    Ok(Logged {
        seq: row.get(0)?,
        existed,
        writes: row.get::<_, i64>(3)?.cast_unsigned(),
        before: if existed { values(4 + keys, columns)? } else { Vec::new() },
        was: existed.then(|| digest(row, 4 + keys, columns)).transpose()?,
        after: row.get(2)?,
        now,
        key,
    })
}

/// What taking a run back would meet.
pub(in crate::sink::sqlite) fn changed_since(
    connection: &Connection,
    (writer, record): (&Writer, &Record),
    (project, run): (&str, Uuid),
    only: Option<&RecordBatch>,
    keys_max: usize,
) -> Result<ChangedSince> {
    let mut since = ChangedSince::default();
    let mut look = |row: &Logged| {
        if row.is_changed() {
            since.rows += row.writes.max(1);
            if since.keys.len() < keys_max {
                since.keys.push(shown(&row.key));
            }
            return;
        }
        *match (row.existed, row.now) {
            (true, _) => &mut since.unchanged.restored,
            (false, Some(_)) => &mut since.unchanged.removed,
            (false, None) => &mut since.unchanged.gone,
        } += row.writes;
    };
    let mut reading = Reading::new(connection, writer, record)?;
    let mut picked = None;
    match only {
        Some(keys) => {
            let rows = reading.with_keys(&writer.key_values(keys)?)?;
            rows.iter().for_each(&mut look);
            picked = Some(rows);
        }
        None => reading.each(None, |row| look(&row))?,
    }
    since.referred = referred::count(connection, record, (project, run), picked.as_deref())?;
    Ok(since)
}

/// A key for a person.
fn shown(key: &[Value]) -> String {
    let parts: Vec<String> = key
        .iter()
        .map(|value| match ValueRef::from(value) {
            ValueRef::Null => "NULL".to_owned(),
            ValueRef::Integer(number) => number.to_string(),
            ValueRef::Real(number) => number.to_string(),
            ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
            ValueRef::Blob(bytes) => format!("x'{}'", hex::encode(bytes)),
        })
        .collect();
    parts.join(", ")
}
