//! Deleting rows by their keys. A row that others refer to stays, whatever its foreign key would do
//! with these: nothing is deleted or changed that nobody has named.

use arrow::record_batch::RecordBatch;
use sqlx::{AssertSqlSafe, Executor as _, PgConnection};

use super::orphan::{referring_keys, refers};
use super::session::execute;
use super::target::Target;
use crate::ledger::{Deletion, Suspended};
use crate::postgres::copy::copy_in;
use crate::postgres::encode::WireTable;
use crate::postgres::error::{classify, classify_write};
use crate::postgres::quote;
use crate::{Error, ErrorKind, Result};

/// Keys of the rows to be deleted.
pub(super) const DOOMED: &str = "pg_temp.dbferry_doomed";

/// Deletes rows of a target's table by a statement, while its triggers do not fire; returns their number.
pub(super) async fn without_triggers(
    connection: &mut PgConnection,
    target: &Target,
    statement: String,
    refused: impl FnOnce(&sqlx::Error) -> Error,
) -> Result<u64> {
    if !target.firing.off_for_delete.is_empty() {
        execute(connection, &target.firing.off_for_delete).await?;
    }
    let gone = connection.execute(AssertSqlSafe(statement)).await;
    let gone = gone.map_err(|error| refused(&error))?.rows_affected();
    if !target.firing.on_for_delete.is_empty() {
        execute(connection, &target.firing.on_for_delete).await?;
    }
    Ok(gone)
}

/// Deletes the rows with these keys, within a batch.
pub(super) async fn delete(
    connection: &mut PgConnection,
    target: &Target,
    keys: &RecordBatch,
    buffer: &mut Vec<u8>,
) -> Result<Deletion> {
    put(connection, target, keys, buffer).await?;
    let same = same_key(target, "o", "s")?;
    // Whoever begins to refer to them from here on waits for us.
    let locked = format!("select 1 from {} o join {DOOMED} s on {same} for update of o", target.table);
    execute(connection, &locked).await?;
    let referred = spare(connection, target, &same).await?;
    let gone = format!("delete from {} o using {DOOMED} s where {same}", target.table);
    let deleted = without_triggers(connection, target, gone, |error| classify_write(error, &target.wire)).await?;
    execute(connection, &format!("drop table {DOOMED}")).await?;
    Ok(Deletion { deleted, referred })
}

/// Puts the keys into a table of this transaction.
pub(super) async fn put(connection: &mut PgConnection, target: &Target, keys: &RecordBatch, buffer: &mut Vec<u8>) -> Result<()> {
    let column = |name: &String| target.wire.columns.iter().find(|column| column.name == *name).cloned();
    let columns: Option<Vec<_>> = target.key.iter().map(column).collect();
    let columns = columns.filter(|columns| columns.len() == keys.num_columns());
    let wire = WireTable {
        columns: columns.ok_or_else(|| Error::new(ErrorKind::Internal, "a key column that the stream does not write"))?,
        ..WireTable::default()
    };
    let names = quote::idents(target.key.iter().map(String::as_str))?;
    let create = format!(
        "create temporary table dbferry_doomed on commit drop as select {names} from {} with no data",
        target.table
    );
    execute(connection, &create).await?;
    let copy = format!("copy {DOOMED} ({names}) from stdin (format binary)");
    copy_in(connection, &copy, keys, &wire, buffer).await.map(drop)
}

fn same_key(target: &Target, one: &str, other: &str) -> Result<String> {
    let part = |name: &String| quote::ident(name).map(|name| format!("{one}.{name} = {other}.{name}"));
    Ok(target.key.iter().map(part).collect::<Result<Vec<_>>>()?.join(" and "))
}

/// Takes those off the list that rows refer to which are not on it themselves, until there is none.
async fn spare(connection: &mut PgConnection, target: &Target, same: &str) -> Result<Vec<(Suspended, u64)>> {
    let mut referred: Vec<(Suspended, u64)> = Vec::new();
    let keys = referring_keys(connection, &target.table).await?;
    loop {
        let mut spared = 0;
        for key in &keys {
            let table = quote::table(&key.table)?;
            let refers = refers(&key.key)?;
            let stays = if table == target.table {
                format!("not exists (select from {DOOMED} d where {})", same_key(target, "d", "x")?)
            } else {
                "true".to_owned()
            };
            let done = connection
                .execute(AssertSqlSafe(format!(
                    "delete from {DOOMED} s using {} o where {same} and exists (select from {table} x where {refers} and {stays})",
                    target.table
                )))
                .await
                .map_err(|error| classify(&error).during("looking for rows that refer to those to be deleted"))?;
            let rows = done.rows_affected();
            spared += rows;
            match referred.iter_mut().find(|(known, _)| known == key) {
                Some((_, known)) => *known += rows,
                None if rows > 0 => referred.push((key.clone(), rows)),
                None => {}
            }
        }
        if spared == 0 {
            return Ok(referred);
        }
    }
}
