//! Pieces of a table: ranges of its blocks, which the server reads one after the other as they lie.
//!
//! A row that is written anew may get into a block that was read before. What is new is told by the
//! transaction that wrote it: none that was still running at an earlier moment, or came after it,
//! has a number below the oldest one of that moment's snapshot.

use sqlx::PgConnection;

use super::shape;
use crate::Result;
use crate::data::piece::{Piece, Pieces, bounds};
use crate::data::stream::Origin;
use crate::postgres::catalog::get;
use crate::postgres::error::classify;

/// First server that finds a range of blocks without reading all others.
const VERSION_MIN: u32 = 140_000;
/// Most transactions since a moment after which their numbers still tell which of two is older.
const AGE_MAX: i64 = 2_000_000_000;

/// Ranges of blocks of about so many bytes; `None` of what has no blocks, or whose system columns
/// the role may not read.
pub(super) async fn pieces(connection: &mut PgConnection, origin: &Origin, piece_bytes: u64) -> Result<Option<Pieces>> {
    let Origin::Table(name) = origin else { return Ok(None) };
    if connection.server_version_num().is_none_or(|version| version < VERSION_MIN) {
        return Ok(None);
    }
    let Some(oid) = shape::find(connection, name).await? else {
        return Ok(None);
    };
    let row = sqlx::query(
        "with leaf as (
             select c.oid, c.relkind, pg_catalog.pg_relation_filenode(c.oid) as node,
                 pg_catalog.pg_table_size(c.oid) as bytes, pg_catalog.pg_relation_size(c.oid) as main_bytes
             from pg_catalog.pg_class c where c.oid = $1::oid and c.relkind in ('r', 'm') and not c.relhassubclass
             union all
             select l.oid, l.relkind, pg_catalog.pg_relation_filenode(l.oid),
                 pg_catalog.pg_table_size(l.oid), pg_catalog.pg_relation_size(l.oid)
             from pg_catalog.pg_partition_tree($1::oid) p join pg_catalog.pg_class l on l.oid = p.relid
             where p.isleaf and l.oid <> $1::oid
         )
         select coalesce(bool_and(relkind in ('r', 'm')), false) and pg_catalog.has_table_privilege($1::oid, 'select'),
             coalesce(sum(bytes), 0)::int8,
             coalesce(max(main_bytes), 0)::int8 / pg_catalog.current_setting('block_size')::int8,
             (select d.oid::text from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())
                 || ' ' || coalesce(string_agg(oid::text || ':' || coalesce(node::text, ''), ' ' order by oid), ''),
             pg_catalog.txid_current_snapshot()::text
         from leaf",
    )
    .bind(oid)
    .fetch_one(connection)
    .await
    .map_err(|error| classify(&error))?;
    let (readable, bytes, blocks): (bool, i64, i64) = (get(&row, 0)?, get(&row, 1)?, get(&row, 2)?);
    Ok(readable.then_some(Pieces {
        bounds: bounds(0, blocks - 1, bytes.unsigned_abs(), piece_bytes),
        layout: get(&row, 3)?,
        mark: get(&row, 4)?,
    }))
}

/// The rows of a piece; `None` for all.
///
/// # Errors
/// What asking for the numbers of transactions fails with.
pub(super) async fn condition(connection: &mut PgConnection, piece: &Piece) -> Result<Option<String>> {
    let (from, until) = match piece {
        Piece::Since(mark) => return since(connection, mark).await,
        Piece::Range { from, until } => (from, until),
    };
    let bound = |operator: &str, block: &i64| format!("s.ctid {operator} '({block},0)'::pg_catalog.tid");
    let from = from.as_ref().map(|from| bound(">=", from));
    let until = until.as_ref().map(|until| bound("<", until));
    let conditions: Vec<String> = from.into_iter().chain(until).collect();
    Ok((!conditions.is_empty()).then(|| conditions.join(" and ")))
}

/// Rows that a snapshot does not show. Where its numbers tell nothing (another server with the same
/// name, or a very long time), all rows.
async fn since(connection: &mut PgConnection, mark: &str) -> Result<Option<String>> {
    let row = sqlx::query("select pg_catalog.txid_snapshot_xmax(pg_catalog.txid_current_snapshot())")
        .fetch_one(connection)
        .await
        .map_err(|error| classify(&error))?;
    let now: i64 = get(&row, 0)?;
    let mut numbers = mark.split(':').map_while(|number| number.parse::<i64>().ok());
    let (Some(oldest), Some(next)) = (numbers.next(), numbers.next()) else {
        return Ok(None);
    };
    if next > now || now - oldest > AGE_MAX {
        return Ok(None);
    }
    // Numbers of rows have 32 bits.
    let oldest = oldest & 0xffff_ffff;
    Ok(Some(format!(
        "pg_catalog.age(s.xmin) between 0 and (select pg_catalog.age('{oldest}'::pg_catalog.xid))"
    )))
}
