//! Claimants: the source rows that orphans came from, as far as their target keys were claimed
//! (Invariant 13). With them the source is asked for a few rows, and not read again.

use arrow::array::ArrayRef;
use sqlx::{AssertSqlSafe, PgConnection, Row as _, ValueRef as _};

use super::ledger_read::key_of;
use super::orphan::ORPHANS;
use super::target::Target;
use crate::data::digest;
use crate::data::position::Key;
use crate::postgres::catalog::get;
use crate::postgres::decode::ColumnDecoder;
use crate::postgres::error::classify;
use crate::postgres::quote;
use crate::{Error, ErrorKind, Result};

/// Keys of the source rows that have claimed the keys of the orphans which were found.
pub(super) async fn claimants(connection: &mut PgConnection, project: &str, target: &Target) -> Result<Vec<Key>> {
    let (keys, rows) = keys(connection, target).await?;
    let digests: Vec<[u8; 16]> = digest::hash_rows(&keys, rows).into_iter().map(u128::to_be_bytes).collect();
    let rows = sqlx::query(
        "select c.source_key from unnest($3::bytea[]) with ordinality m(digest, n),
             lateral (select source_key from dbferry.key_claim where project = $1 and stream = $2 and digest = m.digest offset 0) c
         order by m.n",
    )
    .bind(project)
    .bind(&target.stream)
    .bind(&digests)
    .fetch_all(connection)
    .await
    .map_err(|error| classify(&error).during("cannot read claims"))?;
    rows.iter().map(|row| key_of(&get::<String>(row, 0)?)).collect()
}

/// The orphans' keys in the form in which they were claimed, and their number.
async fn keys(connection: &mut PgConnection, target: &Target) -> Result<(Vec<ArrayRef>, usize)> {
    let names = quote::idents(target.key.iter().map(String::as_str))?;
    let rows = sqlx::query(AssertSqlSafe(format!("select {names} from {ORPHANS}")))
        .fetch_all(connection)
        .await
        .map_err(|error| classify(&error).during("reading the keys of rows that refer to nothing"))?;
    let mut keys = Vec::with_capacity(target.key.len());
    for (at, name) in target.key.iter().enumerate() {
        let column = target.wire.columns.iter().find(|column| column.name == *name);
        let column = column.ok_or_else(|| Error::new(ErrorKind::Internal, "a key column that the stream does not write"))?;
        let mut values = ColumnDecoder::new(&column.ty, rows.len());
        for row in &rows {
            let value = row.try_get_raw(at).map_err(|error| classify(&error))?;
            let bytes = if value.is_null() { None } else { value.as_bytes().ok() };
            // What does not decode was not claimed like that: its claim is not found.
            drop(values.append(bytes));
        }
        keys.push(values.finish());
    }
    Ok((keys, rows.len()))
}
