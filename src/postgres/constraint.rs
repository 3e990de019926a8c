//! Keys of a table: primary, unique and foreign.

use std::collections::BTreeMap;

use sqlx::PgConnection;

use super::catalog::get;
use super::error::classify;
use crate::Result;
use crate::data::table::{ForeignKey, TableName};

/// Primary key and all plain unique indexes: no partial or expression index, none that is broken
/// or checked later than at once.
pub(super) async fn uniques(connection: &mut PgConnection, oid: i64) -> Result<(Vec<String>, Vec<Vec<String>>)> {
    let rows = sqlx::query(
        "select i.indisprimary, i.indisunique and i.indisvalid and i.indimmediate and i.indislive,
             array(select a.attname::text from generate_series(0, i.indnkeyatts - 1) k(n)
                   join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[k.n] order by k.n)
         from pg_catalog.pg_index i
         where i.indrelid = $1::oid and i.indisunique and i.indpred is null and i.indexprs is null
         order by i.indisprimary desc, i.indexrelid",
    )
    .bind(oid)
    .fetch_all(connection)
    .await
    .map_err(|error| classify(&error))?;
    let (mut key, mut uniques) = (Vec::new(), Vec::new());
    for row in &rows {
        let columns: Vec<String> = get(row, 2)?;
        if get(row, 0)? {
            key.clone_from(&columns);
        }
        if get(row, 1)? && !uniques.contains(&columns) {
            uniques.push(columns);
        }
    }
    Ok((key, uniques))
}

/// Foreign keys, their columns in order; of a partitioned table the whole one, not its parts. One
/// may be taken away by the table's owner, unless a partition has it from its parent, and put back
/// by whoever may refer to the other table.
pub(super) async fn foreign_keys(connection: &mut PgConnection, oid: i64) -> Result<Vec<ForeignKey>> {
    let rows = sqlx::query(
        "select f.conname::text, n.nspname::text, c.relname::text, a.attname::text, r.attname::text,
             pg_catalog.pg_has_role(o.relowner, 'usage') and f.conparentid = 0
                 and pg_catalog.has_schema_privilege(c.relnamespace, 'usage')
                 and (pg_catalog.has_table_privilege(c.oid, 'references')
                     or not exists (select from unnest(f.confkey) k(n) where not pg_catalog.has_column_privilege(c.oid, k.n, 'references')))
         from pg_catalog.pg_constraint f
         join pg_catalog.pg_class o on o.oid = f.conrelid
         join pg_catalog.pg_class c on c.oid = f.confrelid
         join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         cross join lateral unnest(f.conkey, f.confkey) with ordinality k(here, there, n)
         join pg_catalog.pg_attribute a on a.attrelid = f.conrelid and a.attnum = k.here
         join pg_catalog.pg_attribute r on r.attrelid = f.confrelid and r.attnum = k.there
         where f.conrelid = $1::oid and f.contype = 'f' and (f.conparentid = 0 or
             not exists (select from pg_catalog.pg_constraint p where p.oid = f.conparentid and p.conrelid = f.conrelid))
         order by f.oid, k.n",
    )
    .bind(oid)
    .fetch_all(connection)
    .await
    .map_err(|error| classify(&error))?;
    let mut found: BTreeMap<usize, ForeignKey> = BTreeMap::new();
    for row in &rows {
        let name: String = get(row, 0)?;
        let at = found
            .iter()
            .find(|(_, key)| key.name == name)
            .map_or(found.len(), |(at, _)| *at);
        let key = found.entry(at).or_insert(ForeignKey {
            name,
            columns: Vec::new(),
            table: TableName {
                schema: Some(get(row, 1)?),
                name: get(row, 2)?,
            },
            references: Vec::new(),
            removable: get(row, 5)?,
        });
        key.columns.push(get(row, 3)?);
        key.references.push(get(row, 4)?);
    }
    Ok(found.into_values().collect())
}

/// Columns of every constraint and unique index by its name, for refusals: the server names the
/// constraint alone. Of an expression its text.
///
/// # Errors
/// As [`classify`].
pub(crate) async fn columns_by_name(connection: &mut PgConnection, oid: i64) -> Result<BTreeMap<String, String>> {
    let rows = sqlx::query(
        "select c.relname::text, array(select coalesce(a.attname::text, pg_catalog.pg_get_indexdef(i.indexrelid, k, true))
                from generate_series(1, i.indnkeyatts) k
                left join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[k - 1] and a.attnum > 0
                order by k)
         from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid
         where i.indrelid = $1::oid and i.indisunique
         union all
         select f.conname::text, array(select a.attname::text from unnest(f.conkey) with ordinality k(number, n)
                join pg_catalog.pg_attribute a on a.attrelid = f.conrelid and a.attnum = k.number order by k.n)
         from pg_catalog.pg_constraint f where f.conrelid = $1::oid and f.contype in ('f', 'c') and f.conkey is not null",
    )
    .bind(oid)
    .fetch_all(connection)
    .await
    .map_err(|error| classify(&error))?;
    let mut found = BTreeMap::new();
    for row in &rows {
        let columns: Vec<String> = get(row, 1)?;
        found.insert(get(row, 0)?, columns.join(", "));
    }
    Ok(found)
}
