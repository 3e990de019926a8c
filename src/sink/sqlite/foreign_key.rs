//! Foreign keys that are away for the load of their table, in `dbferry_foreign_key`.
//!
//! SQLite cannot drop one: what it holds or not belongs to the connection. While a stream with
//! such a key is open, this session enforces none (in a rehearsal, which is one transaction, it
//! puts them off), the writer looks after the table's other keys itself, and the record says
//! which rows have to be looked at before the key counts as held again.

use rusqlite::{Connection, params};
use uuid::Uuid;

use super::connection::quote;
use super::fault;
use super::ledger_table::{self, NOW};
use crate::data::table::{ForeignKey, TableName};
use crate::ledger::Suspended;
use crate::{Error, ErrorKind, Result};

/// Records keys, within the caller's transaction.
pub(super) fn record(connection: &Connection, project: &str, run: Uuid, keys: &[Suspended]) -> Result<()> {
    for key in keys {
        connection
            .execute(
                &format!(
                    "insert into dbferry_foreign_key values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, {NOW}) on conflict do update set until =
                     (select json_group_array(value) from (select value from json_each(until) union select value from json_each(?7)))"
                ),
                params![
                    project,
                    key.stream,
                    key.table.name,
                    list(&key.key.columns),
                    key.key.table.name,
                    list(&key.key.references),
                    list(&key.until),
                    run.to_string(),
                ],
            )
            .map_err(|error| fault::classify(&error, "recording a foreign key"))?;
    }
    Ok(())
}

/// Keys of a project that are away, and which streams each still waits for.
pub(super) fn suspended(connection: &Connection, project: &str) -> Result<Vec<Suspended>> {
    let failed = |error: rusqlite::Error| fault::classify(&error, "reading which foreign keys are away");
    if !ledger_table::has(connection, "dbferry_foreign_key").map_err(failed)? {
        return Ok(Vec::new());
    }
    let mut statement = connection
        .prepare(
            "select stream, table_name, columns, referred_table, referred_columns,
                 (select json_group_array(u.value) from json_each(f.until) as u where not coalesce((select min(c.complete)
                     from dbferry_checkpoint as c where c.project = f.project and c.stream = u.value and c.split >= 0), 0))
             from dbferry_foreign_key as f where project = ? order by suspended_at, table_name, columns",
        )
        .map_err(failed)?;
    let mut rows = statement.query([project]).map_err(failed)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        let text = |at: usize| row.get::<_, String>(at).map_err(failed);
        found.push(Suspended {
            stream: text(0)?,
            table: TableName::new(text(1)?),
            key: ForeignKey {
                name: String::new(),
                columns: listed(&text(2)?)?,
                table: TableName::new(text(3)?),
                references: listed(&text(4)?)?,
                removable: true,
            },
            validated: true,
            until: listed(&text(5)?)?,
        });
    }
    Ok(found)
}

/// Forgets a key, within the caller's transaction, unless a row breaks it.
pub(super) fn restore(connection: &Connection, project: &str, key: &Suspended) -> Result<bool> {
    let failed = |error: rusqlite::Error| fault::classify(&error, "looking for rows that refer to nothing");
    let sql = format!(
        "select exists (select 1 from main.{} as o where {})",
        quote(&key.table.name),
        broken(&key.key)
    );
    if connection.query_row(&sql, [], |row| row.get(0)).map_err(failed)? {
        return Ok(false);
    }
    connection
        .execute(
            "delete from dbferry_foreign_key where project = ? and table_name = ? and columns = ? and referred_table = ?",
            params![project, key.table.name, list(&key.key.columns), key.key.table.name],
        )
        .map(|_| true)
        .map_err(failed)
}

/// The condition that a row `o` refers to nothing. The comparison takes the collation of the
/// column referred to, as SQLite itself does.
pub(super) fn broken(key: &ForeignKey) -> String {
    let given: Vec<_> = key
        .columns
        .iter()
        .map(|column| format!("o.{} is not null", quote(column)))
        .collect();
    format!(
        "{} and not exists (select 1 from main.{} as p where {})",
        given.join(" and "),
        quote(&key.table.name),
        same(key, "o", "p")
    )
}

/// The condition that a row of the referring table refers to one of the other.
pub(super) fn same(key: &ForeignKey, from: &str, to: &str) -> String {
    let pairs = key.columns.iter().zip(&key.references);
    let terms: Vec<_> = pairs
        .map(|(column, reference)| format!("{to}.{} = {from}.{}", quote(reference), quote(column)))
        .collect();
    terms.join(" and ")
}

fn list(names: &[String]) -> String {
    serde_json::Value::from(names).to_string()
}

fn listed(text: &str) -> Result<Vec<String>> {
    serde_json::from_str(text).map_err(|_| {
        Error::new(
            ErrorKind::Checkpoint,
            "the ledger holds a foreign key that this version cannot read",
        )
    })
}
