//! Sequences behind identity and serial columns: set past the values that were moved, so that
//! the application's next row gets a free one.

use sqlx::{AssertSqlSafe, Executor as _, PgConnection};

use crate::data::stream::StreamTarget;
use crate::postgres::catalog::{CatalogTable, get};
use crate::postgres::error::classify;
use crate::postgres::quote;
use crate::{Error, ErrorKind, Result};

/// A sequence of a written column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sequence {
    /// Sets it, and never back.
    set: String,
}

/// The sequences that fill columns which the stream writes itself.
///
/// # Errors
/// [`ErrorKind::Unauthorised`] where the role may not set one: better known before the first row
/// than after the last.
pub(super) async fn sequences(connection: &mut PgConnection, table: &CatalogTable, target: &StreamTarget) -> Result<Vec<Sequence>> {
    let mut found = Vec::new();
    for column in &target.columns {
        let Some(name) = table.column(&column.name).and_then(|(_, detail)| detail.sequence.as_ref()) else {
            continue;
        };
        let row = sqlx::query(
            "select s.seqincrement, s.seqmin, s.seqmax, pg_catalog.has_sequence_privilege(s.seqrelid, 'update')
                 and pg_catalog.has_sequence_privilege(s.seqrelid, 'select')
             from pg_catalog.pg_sequence s where s.seqrelid = $1::regclass",
        )
        .bind(name)
        .fetch_one(&mut *connection)
        .await
        .map_err(|error| classify(&error))?;
        if !get::<bool>(&row, 3)? {
            return Err(Error::new(
                ErrorKind::Unauthorised,
                format!("the role may not set the sequence behind column `{}`", column.name),
            )
            .hint(format!(
                "grant select, update on sequence {name} to the role of the connection"
            )));
        }
        let (increment, min, max): (i64, i64, i64) = (get(&row, 0)?, get(&row, 1)?, get(&row, 2)?);
        let (furthest, beyond) = if increment > 0 { ("max", ">") } else { ("min", "<") };
        let (table, column) = (quote::table(&table.table.name)?, quote::ident(&column.name)?);
        found.push(Sequence {
            set: format!(
                "select pg_catalog.setval('{}'::regclass, moved.value, true)
                 from (select {furthest}({column})::int8 as value from {table} where {column} between {min} and {max}) moved, {name} s
                 where moved.value {beyond} s.last_value or moved.value = s.last_value and not s.is_called",
                name.replace('\'', "''")
            ),
        });
    }
    Ok(found)
}

/// Sets them. Not undone by a rollback.
pub(super) async fn set(connection: &mut PgConnection, sequences: &[Sequence]) -> Result<()> {
    for sequence in sequences {
        connection
            .execute(sqlx::raw_sql(AssertSqlSafe(sequence.set.as_str())))
            .await
            .map_err(|error| classify(&error).during("cannot set a sequence past the rows moved"))?;
    }
    Ok(())
}
