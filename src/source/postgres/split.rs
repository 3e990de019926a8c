//! Splits: keys that cut a table into ranges of about equal size, found in a sample of its pages.

use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use super::failure;
use super::key::{self, KeyPart};
use super::select::order;
use super::shape::Shape;
use crate::data::position::Key;
use crate::postgres::error::classify;
use crate::{Error, ErrorKind, Result};

/// Pages that are looked at per part. Rows of one page are often neighbours in the key, so that
/// pages count, not rows.
const PAGES_PER_PART: f64 = 64.0;
/// Rows of the sample per part, below which the cuts would be left to chance.
const ROWS_PER_PART_MIN: i64 = 4;

/// Keys that end all ranges but the last; none where the origin has no pages to sample, or too
/// few rows.
pub(super) async fn splits(connection: &mut PgConnection, shape: &Shape, key: &[String], parts: usize) -> Result<Vec<Key>> {
    let (Some(oid), true, true) = (shape.oid, parts > 1, !key.is_empty()) else {
        return Ok(Vec::new());
    };
    let Some(pages) = pages(connection, oid).await? else {
        return Ok(Vec::new());
    };
    let key = key::parts(shape, key)?;
    let wanted = PAGES_PER_PART * f64::from(u32::try_from(parts).unwrap_or(u32::MAX));
    let percent = (100.0 * wanted / pages.max(1.0)).min(100.0);
    let sql = statement(shape, &key, percent);
    let parts = i64::try_from(parts).unwrap_or(i64::MAX);
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(parts)
        .bind(parts.saturating_mul(ROWS_PER_PART_MIN))
        .persistent(false)
        .fetch_all(connection)
        .await
        .map_err(|error| failure::reading(&error))?;
    let mut bounds: Vec<Key> = Vec::with_capacity(rows.len());
    for row in &rows {
        let values = key.iter().enumerate().map(|(i, part)| {
            let text: String = row.try_get(i).map_err(|error| classify(&error))?;
            part.form
                .parse(text)
                .ok_or_else(|| Error::new(ErrorKind::Internal, "a key's text is not of its type"))
        });
        let bound = Key(values.collect::<Result<_>>()?);
        if bounds.last() != Some(&bound) {
            bounds.push(bound);
        }
    }
    Ok(bounds)
}

/// Size of a table with its partitions; `None` of what cannot be sampled.
async fn pages(connection: &mut PgConnection, oid: i64) -> Result<Option<f64>> {
    let row = sqlx::query(
        "select c.relkind in ('r', 'm', 'p') and not exists (select from pg_catalog.pg_partition_tree(c.oid) p
                 join pg_catalog.pg_class l on l.oid = p.relid where l.relkind = 'f'),
             (coalesce((select sum(pg_catalog.pg_relation_size(p.relid)) from pg_catalog.pg_partition_tree(c.oid) p where p.isleaf),
                 case when c.relkind in ('r', 'm') then pg_catalog.pg_relation_size(c.oid) else 0 end)
                 / current_setting('block_size')::int8)::float8
         from pg_catalog.pg_class c where c.oid = $1::oid",
    )
    .bind(oid)
    .fetch_one(connection)
    .await
    .map_err(|error| classify(&error))?;
    let sampled: bool = row.try_get(0).map_err(|error| classify(&error))?;
    let pages: f64 = row.try_get(1).map_err(|error| classify(&error))?;
    Ok(sampled.then_some(pages))
}

/// The rows of a sample that end each part but the last.
fn statement(shape: &Shape, key: &[KeyPart], percent: f64) -> String {
    let texts: Vec<_> = key
        .iter()
        .enumerate()
        .map(|(i, part)| format!("({})::text as k{i}", part.column))
        .collect();
    let names: Vec<_> = (0..key.len()).map(|i| format!("o.k{i}")).collect();
    let present: Vec<_> = key.iter().map(|part| format!("{} is not null", part.column)).collect();
    format!(
        "with o as materialized (select {texts}, row_number() over (order by {order}) as place, count(*) over () as rows
             from {from} tablesample system ({percent:.6}) repeatable (1) where {present})
         select {names} from o where o.rows >= $2
             and o.place in (select o.rows * i / $1 from generate_series(1, $1 - 1) i)
         order by o.place",
        texts = texts.join(", "),
        order = order(key),
        from = shape.from,
        present = present.join(" and "),
        names = names.join(", "),
    )
}
