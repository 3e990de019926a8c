//! Orphans: rows that refer to nothing by a key which is away. They are kept in temporary tables
//! of the connection, however many they are; rows of the source then tell which of them are
//! theirs, and take them out again.

use rusqlite::Connection;

use super::connection::quote;
use super::foreign_key::{broken, same};
use super::{catalog, fault};
use crate::data::table::{ForeignKey, TableName};
use crate::ledger::Suspended;
use crate::{Error, ErrorKind, Result};

/// Keys of the orphans.
pub(super) const ORPHANS: &str = "temp.dbferry_orphans";
/// Keys of the orphans at hand.
pub(super) const AT_HAND: &str = "temp.dbferry_at_hand";

/// Finds the orphans of a table with that key; returns their number.
pub(super) fn find(connection: &Connection, table: &TableName, key: &[String], broken: &Suspended) -> Result<u64> {
    let names: Vec<_> = key.iter().map(|name| quote(name)).collect();
    let names = names.join(", ");
    let found = orphans(table, key, &broken.key);
    let failed = |error: rusqlite::Error| fault::classify(&error, "looking for rows that refer to nothing");
    connection
        .execute_batch(&format!(
            "drop table if exists {ORPHANS}; drop table if exists {AT_HAND};
             create temporary table dbferry_orphans as {found};
             create index temp.dbferry_orphans_key on dbferry_orphans ({names});
             create temporary table dbferry_at_hand as select {names} from main.{} limit 0",
            quote(&table.name)
        ))
        .map_err(failed)?;
    connection
        .query_row(&format!("select count(*) from {ORPHANS}"), [], |row| row.get::<_, i64>(0))
        .map(i64::cast_unsigned)
        .map_err(failed)
}

fn orphans(table: &TableName, names: &[String], key: &ForeignKey) -> String {
    let broken = broken(key);
    let from = format!("main.{} as o", quote(&table.name));
    let list = |write: &dyn Fn(usize, String) -> String| {
        let parts: Vec<_> = names
            .iter()
            .enumerate()
            .map(|(number, name)| write(number, quote(name)))
            .collect();
        parts.join(", ")
    };
    let keys = list(&|_, name| format!("o.{name} as {name}"));
    if key.table.name != table.name {
        return format!("select distinct {keys} from {from} where {broken}");
    }
    // What refers to an orphan is one when that is gone.
    let (mut refers, mut given, mut heads) = (Vec::new(), Vec::new(), Vec::new());
    for (number, (column, reference)) in key.columns.iter().zip(&key.references).enumerate() {
        refers.push(format!("d.r{number} = o.{}", quote(column)));
        given.push(format!("o.{}", quote(reference)));
        heads.push(format!("r{number}"));
    }
    let (refers, given, heads) = (refers.join(" and "), given.join(", "), heads.join(", "));
    format!(
        "with recursive doomed({}, {heads}) as (
             select {keys}, {given} from {from} where {broken}
             union
             select {keys}, {given} from {from} join doomed as d on {refers}
         ) select distinct {} from doomed",
        list(&|number, _| format!("k{number}")),
        list(&|number, name| format!("k{number} as {name}")),
    )
}

/// Foreign keys of the file, but for those that are `away`, by which rows refer to rows of the
/// table that are at hand. With `acting` only such as do more than to forbid, also if away.
pub(super) fn referring(
    connection: &Connection,
    table: &TableName,
    key: &[String],
    away: &[Suspended],
    acting: bool,
) -> Result<Vec<Suspended>> {
    let failed = |error: rusqlite::Error| fault::classify(&error, "looking for rows that refer to others");
    let by_key: Vec<_> = key.iter().map(|name| format!("o.{0} = s.{0}", quote(name))).collect();
    let mut found = Vec::new();
    for (from, key, action) in catalog::referring(connection, &table.name).map_err(failed)? {
        let is_away = away
            .iter()
            .any(|other| other.table == from && other.key.columns == key.columns && other.key.table == key.table);
        if if acting { action == "NO ACTION" } else { is_away } {
            continue;
        }
        let sql = format!(
            "select exists (select 1 from {AT_HAND} as s join main.{} as o on {} join main.{} as x on {})",
            quote(&table.name),
            by_key.join(" and "),
            quote(&from.name),
            same(&key, "x", "o")
        );
        if connection.query_row(&sql, [], |row| row.get(0)).map_err(failed)? {
            found.push(Suspended {
                stream: String::new(),
                table: from,
                key,
                validated: true,
                until: Vec::new(),
            });
        }
    }
    Ok(found)
}

/// A rehearsal cannot switch off what SQLite does to rows that refer to a deleted one.
pub(super) fn not_in_a_rehearsal(keys: &[Suspended]) -> Error {
    let names: Vec<_> = keys.iter().map(Suspended::described).collect();
    Error::new(
        ErrorKind::Usage,
        format!(
            "rows that refer to nothing are themselves referred to by {}, which deletes or changes rows: a rehearsal cannot keep it from that",
            names.join(" and ")
        ),
    )
    .hint("run without --dry-run: such rows become rejects")
}
