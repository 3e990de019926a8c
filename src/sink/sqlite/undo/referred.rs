//! Which rows of the log others refer to: looked up for all of them at once, and again whenever
//! somebody else has written to the file, for without an index each look reads a whole table.

use rusqlite::types::Value;
use rusqlite::{Connection, Statement, params_from_iter};
use uuid::Uuid;

use super::super::connection::quote;
use super::super::foreign_key::same;
use super::super::{catalog, fault};
use super::changed::Logged;
use super::{Record, of_table};
use crate::data::table::{ForeignKey, TableName};
use crate::ledger::Suspended;
use crate::{Error, Result};

/// Keys of rows that are referred to.
const REFERRED: &str = "temp.dbferry_referred";
/// Keys of the rows that are taken back alone.
const ONLY: &str = "temp.dbferry_undo_only";

/// How far it is known what is referred to.
#[derive(Default)]
pub(super) struct Referred {
    /// The file's version when it was looked up, for all rows of the log.
    version: Option<i64>,
    /// Nothing can refer to the table.
    nothing: bool,
}

impl Referred {
    /// Looks it up, where that is to be done again. With `only` nothing but these rows of the log is
    /// taken back.
    pub(super) fn look(
        &mut self,
        connection: &Connection,
        record: &Record,
        whose: (&str, Uuid),
        only: Option<&Vec<Logged>>,
    ) -> Result<()> {
        let version = connection.query_row("pragma data_version", [], |row| row.get(0));
        let version = version.map_err(|error| failed(&error))?;
        if only.is_none() && self.version == Some(version) {
            return Ok(());
        }
        let keys = catalog::referring(connection, &record.table).map_err(|error| failed(&error))?;
        self.nothing = keys.is_empty();
        self.version = only.is_none().then_some(version);
        if self.nothing {
            return Ok(());
        }
        let looked = || -> rusqlite::Result<()> {
            fill_only(connection, record, only.map(Vec::as_slice))?;
            connection.execute_batch(&format!(
                "drop table if exists {REFERRED};
                 create temporary table dbferry_referred ({keys}, primary key ({keys})) without rowid",
                keys = record.keys().join(", ")
            ))?;
            let of_log: Vec<_> = record.keys().iter().map(|key| format!("l.{key}")).collect();
            for (from, key, _) in &keys {
                connection.execute_batch(&format!(
                    "insert or ignore into {REFERRED} select {} {}",
                    of_log.join(", "),
                    referring(connection, record, whose, (from, key), only.is_some())?
                ))?;
            }
            Ok(())
        };
        looked().map_err(|error| failed(&error))
    }

    /// The question whether a row with some key is referred to; none where nothing can be.
    pub(super) fn question<'c>(&self, connection: &'c Connection, record: &Record) -> Result<Option<Statement<'c>>> {
        if self.nothing {
            return Ok(None);
        }
        let terms: Vec<_> = (record.keys().iter().zip(1..))
            .map(|(key, at)| format!("{key} = ?{at}"))
            .collect();
        let sql = format!("select 1 from {REFERRED} where {}", terms.join(" and "));
        connection.prepare(&sql).map(Some).map_err(|error| failed(&error))
    }

    /// A row stays that was to be taken back, and so does what it refers to in its own table.
    pub(super) fn add_of(&mut self, connection: &Connection, record: &Record, key: &[Value]) -> Result<()> {
        if self.nothing {
            return Ok(());
        }
        let own = catalog::referring(connection, &record.table).map_err(|error| failed(&error))?;
        let (keys, by_key): (Vec<_>, Vec<_>) = (record.key.iter().zip(1..))
            .map(|(column, at)| (format!("o.{}", quote(column)), format!("x.{} = ?{at}", quote(column))))
            .unzip();
        for (_, foreign_key, _) in own.iter().filter(|(from, ..)| from.name == record.table) {
            let sql = format!(
                "insert or ignore into {REFERRED} select {keys} from main.{table} as x join main.{table} as o on {same} where {by_key}",
                keys = keys.join(", "),
                table = quote(&record.table),
                same = same(foreign_key, "x", "o"),
                by_key = by_key.join(" and "),
            );
            connection
                .execute(&sql, params_from_iter(key))
                .map_err(|error| failed(&error))?;
        }
        Ok(())
    }
}

fn failed(error: &rusqlite::Error) -> Error {
    fault::classify(error, "looking for rows that refer to those which are to be removed")
}

/// Puts the keys of the rows that are taken back alone where a query finds them.
fn fill_only(connection: &Connection, record: &Record, only: Option<&[Logged]>) -> rusqlite::Result<()> {
    let Some(rows) = only else { return Ok(()) };
    let keys = record.keys().join(", ");
    connection.execute_batch(&format!(
        "drop table if exists {ONLY}; create temporary table dbferry_undo_only ({keys}, primary key ({keys})) without rowid"
    ))?;
    let places: Vec<_> = (1..=record.key.len()).map(|at| format!("?{at}")).collect();
    let mut put = connection.prepare(&format!("insert or ignore into {ONLY} values ({})", places.join(", ")))?;
    rows.iter()
        .try_for_each(|row| put.execute(params_from_iter(&row.key)).map(drop))
}

/// Where rows `x` refer by a key to rows `o` that the run inserted, `l` in the log, and will not be taken
/// back themselves.
fn referring(
    connection: &Connection,
    record: &Record,
    (project, run): (&str, Uuid),
    (from, key): (&TableName, &ForeignKey),
    only: bool,
) -> rusqlite::Result<String> {
    let equal = |keys: &[String], names: &[String], with: &str| {
        let terms: Vec<_> = (keys.iter().zip(names))
            .map(|(key, name)| format!("m.{key} = {with}.{name}"))
            .collect();
        terms.join(" and ")
    };
    let mut parts = vec![format!(
        "from main.{} as x cross join main.{} as o on {} cross join {} as l on {} where l.existed = 0",
        quote(&from.name),
        quote(&record.table),
        same(key, "x", "o"),
        record.rows(),
        record.same(),
    )];
    if only {
        if from.name == record.table {
            let own = equal(&record.keys(), &Record::quoted(&record.key), "x");
            parts.push(format!("and not exists (select 1 from {ONLY} as m where {own})"));
        }
        let own = equal(&record.keys(), &record.keys(), "l");
        parts.push(format!("and exists (select 1 from {ONLY} as m where {own})"));
    } else {
        parts.extend(not_logged(connection, (project, run), from)?);
    }
    Ok(parts.join(" "))
}

/// The conditions that a row `x` of a table is in no log of the run.
fn not_logged(connection: &Connection, (project, run): (&str, Uuid), table: &TableName) -> rusqlite::Result<Vec<String>> {
    let logs = of_table(connection, project, run, &table.name)?;
    let condition = |log: &Record| {
        let terms: Vec<_> = (log.keys().iter().zip(&log.key))
            .map(|(key, column)| format!("m.{key} = x.{}", quote(column)))
            .collect();
        format!(
            "and not exists (select 1 from {} as m where {})",
            log.rows(),
            terms.join(" and ")
        )
    };
    Ok(logs.iter().map(condition).collect())
}

/// How many rows refer to those that the run inserted, by each key, and are not in its log.
pub(super) fn count(
    connection: &Connection,
    record: &Record,
    whose: (&str, Uuid),
    only: Option<&[Logged]>,
) -> Result<Vec<(Suspended, u64)>> {
    let counted = || -> rusqlite::Result<Vec<(Suspended, u64)>> {
        let mut found = Vec::new();
        fill_only(connection, record, only)?;
        for (from, key, _) in catalog::referring(connection, &record.table)? {
            let mut parts = vec![format!(
                "select count(*) {}",
                referring(connection, record, whose, (&from, &key), only.is_some())?
            )];
            if only.is_some() {
                // Others of the run are looked at when it is their turn.
                parts.extend(not_logged(connection, whose, &from)?);
            }
            let sql = parts.join(" ");
            let rows: i64 = connection.query_row(&sql, [], |row| row.get(0))?;
            if rows > 0 {
                let by = Suspended {
                    stream: String::new(),
                    table: from,
                    key,
                    validated: true,
                    until: Vec::new(),
                };
                found.push((by, rows.cast_unsigned()));
            }
        }
        Ok(found)
    };
    counted().map_err(|error| failed(&error))
}
