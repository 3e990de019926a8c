//! The undo log: what a run leaves beside the rows of a table, in the same transaction, so that it can
//! be taken back.
//!
//! `dbferry_undo` has a row for each run and stream. What the stream's rows were before the run is in a
//! table of their own, `dbferry_undo_N_row`, in columns without a type, so that every value keeps its
//! storage class; what its checkpoints, claims and rejects were, in copies of theirs. All of these are
//! gone when the run is taken back, and the row stays as the record of it.

use rusqlite::{Connection, OptionalExtension as _, Row, params};
use uuid::Uuid;

use super::connection::quote;
use super::fault;
use super::ledger_table::{self, NOW};
use crate::data::stream::StreamTarget;
use crate::data::table::{Fill, Table, TableName};
use crate::ledger::undo::{UNDO_SPLIT, Undoable, Undone};
use crate::{Error, ErrorKind, Result};

mod back;
mod changed;
mod end;
mod log;
mod referred;

pub(super) use back::{Back, undo};
pub(super) use changed::changed_since;
pub(super) use end::{check_whole, finish, forget};
pub(super) use log::{Log, Logging};

/// The log of one run and stream.
pub(super) struct Record {
    id: i64,
    /// Table written to.
    table: String,
    /// Its key, as the stream had it.
    key: Vec<String>,
    /// All its columns but the generated ones.
    columns: Vec<String>,
    complete: bool,
}

const RECORD: &str = "select id, table_name, key_columns, columns, complete from dbferry_undo";

impl Record {
    fn named(&self, what: &str) -> String {
        format!("main.dbferry_undo_{}_{what}", self.id)
    }

    /// Everything was taken back.
    pub(super) const fn is_complete(&self) -> bool {
        self.complete
    }

    /// Whether it is of this table and key, and the table still has its columns.
    pub(super) fn fits(&self, table: &TableName, key: &[String]) -> bool {
        self.table == table.name && self.key == key
    }

    /// Name of the table with the rows.
    pub(super) fn rows(&self) -> String {
        self.named("row")
    }

    /// Name of the table with the claims that the run made (without a source key) or forgot.
    pub(super) fn claims(&self) -> String {
        self.named("claim")
    }

    /// The columns by which the log finds a row.
    fn keys(&self) -> Vec<String> {
        (0..self.key.len()).map(|column| format!("k{column}")).collect()
    }

    /// The columns in which the log keeps a row.
    fn images(&self) -> Vec<String> {
        (0..self.columns.len()).map(|column| format!("c{column}")).collect()
    }

    /// Columns of the target, as SQL writes them.
    fn quoted(columns: &[String]) -> Vec<String> {
        columns.iter().map(|column| quote(column)).collect()
    }

    /// Columns of the target that are no part of its key.
    fn rest(&self) -> impl Iterator<Item = usize> {
        (0..self.columns.len()).filter(|column| !self.key.contains(&self.columns[*column]))
    }

    /// The condition that a row `l` of the log is that of a row `o` of the target.
    fn same(&self) -> String {
        let pairs = self.keys().into_iter().zip(&self.key);
        let terms: Vec<_> = pairs.map(|(key, column)| format!("l.{key} = o.{}", quote(column))).collect();
        terms.join(" and ")
    }
}

fn failed(error: &rusqlite::Error) -> Error {
    fault::classify(error, "keeping the undo log")
}

/// The log of a run and stream, if there is one.
pub(super) fn find(connection: &Connection, project: &str, run: Uuid, stream: &str) -> Result<Option<Record>> {
    let found = connection
        .query_row(
            &format!("{RECORD} where project = ? and run = ? and stream = ?"),
            params![project, run.to_string(), stream],
            read,
        )
        .optional();
    found.map_err(|error| failed(&error))
}

fn listed(row: &Row<'_>, at: usize) -> rusqlite::Result<Vec<String>> {
    let text: String = row.get(at)?;
    serde_json::from_str(&text)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(at, rusqlite::types::Type::Text, Box::new(error)))
}

fn read(row: &Row<'_>) -> rusqlite::Result<Record> {
    Ok(Record {
        id: row.get(0)?,
        table: row.get(1)?,
        key: listed(row, 2)?,
        columns: listed(row, 3)?,
        complete: row.get(4)?,
    })
}

/// Logs of a run that still hold rows of this table.
fn of_table(connection: &Connection, project: &str, run: Uuid, table: &str) -> rusqlite::Result<Vec<Record>> {
    connection
        .prepare(&format!(
            "{RECORD} where project = ? and run = ? and table_name = ? and not complete"
        ))?
        .query_map(params![project, run.to_string(), table], read)?
        .collect()
}

/// The log of a run and stream; where there is none, one is begun with what the ledger holds of the
/// stream now, within the caller's transaction.
pub(super) fn begin(
    connection: &Connection,
    (project, run): (&str, Uuid),
    stream: &StreamTarget,
    table: &Table,
    restart: bool,
) -> Result<Record> {
    if let Some(found) = find(connection, project, run, &stream.stream)? {
        return Ok(found);
    }
    let is_key = |unique: &Vec<String>| unique.len() == stream.key.len() && stream.key.iter().all(|column| unique.contains(column));
    if !table.uniques.iter().any(is_key) {
        return Err(Error::new(
            ErrorKind::Mapping,
            format!(
                "stream `{}`: an undo log finds rows by their key, and table `{}` does not keep ({}) unique",
                stream.stream,
                table.name,
                stream.key.join(", ")
            ),
        )
        .hint("name a unique key of the table in `key`, or leave `undo` off"));
    }
    let columns = table.columns.iter().filter(|column| column.fill != Fill::Generated);
    let columns: Vec<String> = columns.map(|column| column.name.clone()).collect();
    let list = |names: &[String]| serde_json::Value::from(names).to_string();
    let begun = || -> rusqlite::Result<Record> {
        connection.execute(
            &format!(
                "insert into dbferry_undo (project, run, stream, table_name, key_columns, columns, logged, removed, restored, gone, kept,
                 undoing, complete, begun_at) values (?, ?, ?, ?, ?, ?, 0, 0, 0, 0, 0, 0, 0, {NOW})"
            ),
            params![
                project,
                run.to_string(),
                stream.stream,
                table.name.name,
                list(&stream.key),
                list(&columns)
            ],
        )?;
        let record = Record {
            id: connection.last_insert_rowid(),
            table: table.name.name.clone(),
            key: stream.key.clone(),
            columns,
            complete: false,
        };
        create(connection, &record, (project, &stream.stream), restart)?;
        Ok(record)
    };
    begun().map_err(|error| failed(&error))
}

fn create(connection: &Connection, record: &Record, stream: (&str, &str), restart: bool) -> rusqlite::Result<()> {
    let keys = record.keys().join(" not null, ");
    connection.execute_batch(&format!(
        "create table {} (seq integer primary key, existed integer not null, after blob, writes integer not null, {keys} not null, {},
             unique ({}));
         create table {} (digest blob primary key not null, source_key text) without rowid",
        record.rows(),
        record.images().join(", "),
        record.keys().join(", "),
        record.claims(),
    ))?;
    let copy = |name: &str, from: &str| {
        let sql = format!("create table {} as select * from {from} limit 0", record.named(name));
        connection.execute_batch(&sql)?;
        let sql = format!(
            "insert into {} select * from {from} where project = ? and stream = ?",
            record.named(name)
        );
        connection.execute(&sql, stream)
    };
    copy("checkpoint", "dbferry_checkpoint")?;
    copy("reject", "dbferry_reject")?;
    if restart {
        connection.execute(
            &format!(
                "insert into {} select digest, source_key from dbferry_key_claim where project = ? and stream = ?",
                record.claims()
            ),
            stream,
        )?;
    }
    Ok(())
}

/// Counts rows that a batch has written, and that are in the log.
pub(super) fn add_logged(connection: &Connection, record: &Record, rows: u64) -> rusqlite::Result<()> {
    connection
        .execute(
            "update dbferry_undo set logged = logged + ? where id = ?",
            [rows.cast_signed(), record.id],
        )
        .map(drop)
}

/// What a run wrote, stream by stream.
pub(super) fn undoable(connection: &Connection, project: &str, run: Uuid) -> Result<Vec<Undoable>> {
    let failed = |error: rusqlite::Error| fault::classify(&error, "reading the undo log");
    let run = run.to_string();
    let log = if ledger_table::has(connection, "dbferry_undo").map_err(failed)? {
        "select * from dbferry_undo where project = ?1 and run = ?2"
    } else {
        "select null as stream, null as table_name, null as key_columns, null as logged, null as removed, null as restored, null as gone, null as kept,
         null as complete where 0"
    };
    let sql = format!(
        "with u as ({log}), b as (select stream, sum(rows_inserted) as inserted, sum(rows_updated) as updated from dbferry_batch
             where project = ?1 and run = ?2 and split <> {UNDO_SPLIT} group by stream)
         select b.stream, coalesce(u.table_name, ''), b.inserted, b.updated, coalesce(u.logged, 0), coalesce(u.removed, 0),
             coalesce(u.restored, 0), coalesce(u.gone, 0), coalesce(u.kept, 0), coalesce(u.key_columns, '[]'), coalesce(u.complete, 0),
             u.stream is not null
         from b left join u on u.stream = b.stream
         union all select u.stream, u.table_name, 0, 0, 0, 0, 0, 0, 0, u.key_columns, u.complete, 1 from u where u.stream not in (select stream from b)
         order by 1"
    );
    let mut statement = connection.prepare(&sql).map_err(failed)?;
    let rows = statement.query_map(params![project, run], |row| {
        let figure = |at: usize| row.get::<_, i64>(at).map(i64::cast_unsigned);
        let (inserted, updated) = (figure(2)?, figure(3)?);
        let has_log: bool = row.get(11)?;
        Ok(Undoable {
            stream: row.get(0)?,
            table: TableName::new(row.get::<_, String>(1)?),
            key: listed(row, 9)?,
            inserted,
            updated,
            logged: has_log && figure(4)? >= inserted + updated,
            done: Undone {
                removed: figure(5)?,
                restored: figure(6)?,
                gone: figure(7)?,
                kept: figure(8)?,
                more: false,
            },
            complete: row.get(10)?,
            bytes: None,
        })
    });
    rows.and_then(Iterator::collect).map_err(failed)
}
