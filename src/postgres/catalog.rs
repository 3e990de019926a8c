//! The catalog: which tables there are, and what shape they have.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};

use super::carried::Carried;
use super::constraint::{foreign_keys, uniques};
use super::error::classify;
use super::quote;
use super::type_row::types;
use super::wire_type::{Resolved, resolve};
use crate::data::column::ColumnType;
use crate::data::table::{Column, Fill, Table, TableName};
use crate::{Error, ErrorKind, Result};

/// A table, with what only this database needs to know of it.
#[derive(Debug, Clone)]
pub(crate) struct CatalogTable {
    /// Object id.
    pub(crate) oid: i64,
    /// Shape as the rest of the program knows it. Its name always carries the schema.
    pub(crate) table: Table,
    /// Per column, in the same order.
    pub(crate) details: Vec<Detail>,
    /// The role may select, insert, update.
    pub(crate) may: May,
    /// Has a rule that rewrites writes.
    pub(crate) ruled: bool,
    /// Row level security applies to this role.
    pub(crate) guarded: bool,
    /// What kind of relation it is.
    pub(crate) kind: Kind,
}

/// Privileges on a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct May {
    pub(crate) select: bool,
    pub(crate) insert: bool,
    pub(crate) update: bool,
}

/// Kinds of relations, as far as it matters to whoever writes to them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A table whose rows survive a crash.
    Table,
    /// Empty after a crash.
    Unlogged,
    /// Its rows are somewhere else.
    Foreign,
    /// A view or materialised view.
    View,
}

/// What only this database knows of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Detail {
    /// Object ids that its values carry.
    pub(crate) carried: Carried,
    /// `generated always as identity`: an update may not set it.
    pub(crate) always_identity: bool,
    /// Quoted name of the sequence that fills it.
    pub(crate) sequence: Option<String>,
    /// Texts that are not the same bytes may be equal.
    pub(crate) loose: bool,
}

/// Names of tables, or of relations of other kinds as `pg_class` has them; without schema where the
/// search path finds them. Parts of a partitioned table are known under its name. The server's own
/// and dbferry's are left out, and what an extension brought, which is not the application's.
pub(crate) async fn tables(connection: &mut PgConnection, relkinds: &[&str]) -> Result<Vec<TableName>> {
    let rows = sqlx::query(
        "select n.nspname::text, c.relname::text, pg_catalog.pg_table_is_visible(c.oid)
         from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         where c.relkind::text = any ($1::text[]) and not c.relispartition
             and n.nspname not in ('information_schema', 'dbferry') and n.nspname !~ '^pg_'
             and not exists (select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_class'::regclass
                 and d.objid = c.oid and d.objsubid = 0 and d.deptype = 'e')
         order by 1, 2",
    )
    .bind(relkinds)
    .fetch_all(connection)
    .await
    .map_err(|error| classify(&error))?;
    rows.iter()
        .map(|row| {
            let visible: bool = get(row, 2)?;
            Ok(TableName {
                schema: if visible { None } else { Some(get(row, 0)?) },
                name: get(row, 1)?,
            })
        })
        .collect()
}

/// Shape of a table; `None` where there is none.
pub(crate) async fn table(connection: &mut PgConnection, name: &TableName) -> Result<Option<CatalogTable>> {
    let row = header(connection, Some(quote::table(name)?), None).await?;
    described(connection, row).await
}

/// Shape of the table of an object id; `None` where it is gone. Needs no privilege.
pub(crate) async fn table_of(connection: &mut PgConnection, oid: i64) -> Result<Option<CatalogTable>> {
    let row = header(connection, None, Some(oid)).await?;
    described(connection, row).await
}

async fn described(connection: &mut PgConnection, row: Option<PgRow>) -> Result<Option<CatalogTable>> {
    let Some(row) = row else { return Ok(None) };
    let row = &row;
    let oid: i64 = get(row, 0)?;
    let (columns, details) = columns(connection, oid).await?;
    let relkind: String = get(row, 3)?;
    let kind = match relkind.as_str() {
        "v" | "m" => Kind::View,
        "f" => Kind::Foreign,
        _ if get::<bool>(row, 5)? => Kind::Unlogged,
        _ if get::<bool>(row, 6)? => Kind::Foreign,
        _ => Kind::Table,
    };
    let (key, uniques) = uniques(connection, oid).await?;
    Ok(Some(CatalogTable {
        oid,
        table: Table {
            name: TableName {
                schema: Some(get(row, 1)?),
                name: get(row, 2)?,
            },
            columns,
            key,
            uniques,
            foreign_keys: foreign_keys(connection, oid).await?,
            rows_estimate: estimate(get(row, 4)?),
            text_holds_nul: false,
            notes: Vec::new(),
        },
        details,
        guarded: get(row, 7)?,
        may: May {
            select: get(row, 8)?,
            insert: get(row, 9)?,
            update: get(row, 10)?,
        },
        ruled: get(row, 11)?,
        kind,
    }))
}

/// One value of a row of ours: a failure is a defect, not a fault of the data.
pub(crate) fn get<'r, T>(row: &'r PgRow, index: usize) -> Result<T>
where
    T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    row.try_get(index).map_err(|error| classify(&error))
}

/// Never analysed tables have no estimate.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "an estimate; negative values were sorted out"
)]
fn estimate(tuples: f64) -> Option<u64> {
    (tuples >= 0.0).then_some(tuples as u64)
}

/// By a quoted name, as the search path finds it, or by an object id.
async fn header(connection: &mut PgConnection, name: Option<String>, oid: Option<i64>) -> Result<Option<PgRow>> {
    sqlx::query(
        "select c.oid::int8, n.nspname::text, c.relname::text, c.relkind::text,
             case when c.relkind = 'p' then coalesce((select sum(l.reltuples) from pg_catalog.pg_partition_tree(c.oid) p
                 join pg_catalog.pg_class l on l.oid = p.relid where p.isleaf and l.reltuples > 0), -1)
                 else c.reltuples end::float8,
             c.relpersistence <> 'p' or exists (select from pg_catalog.pg_partition_tree(c.oid) p
                 join pg_catalog.pg_class l on l.oid = p.relid where l.relpersistence <> 'p'),
             exists (select from pg_catalog.pg_partition_tree(c.oid) p
                 join pg_catalog.pg_class l on l.oid = p.relid where l.relkind = 'f'),
             pg_catalog.row_security_active(c.oid),
             pg_catalog.has_any_column_privilege(c.oid, 'select'),
             pg_catalog.has_any_column_privilege(c.oid, 'insert'),
             pg_catalog.has_any_column_privilege(c.oid, 'update'),
             exists (select from pg_catalog.pg_rewrite r
                 where r.ev_class = c.oid and r.ev_type in ('2', '3') and r.ev_enabled <> 'D')
         from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
         where c.oid = coalesce($2::oid, pg_catalog.to_regclass($1)) and c.relkind in ('r', 'p', 'v', 'm', 'f')",
    )
    .bind(name)
    .bind(oid)
    .fetch_optional(connection)
    .await
    .map_err(|error| classify(&error))
}

async fn columns(connection: &mut PgConnection, oid: i64) -> Result<(Vec<Column>, Vec<Detail>)> {
    let rows = sqlx::query(
        "select a.attname::text, a.atttypid::int8, a.atttypmod, a.attnotnull, a.attidentity::text, a.attgenerated::text,
             a.atthasdef, coalesce(not l.collisdeterministic, false),
             (select quote_ident(n.nspname) || '.' || quote_ident(s.relname)
              from pg_catalog.pg_depend d
              join pg_catalog.pg_class s on s.relkind = 'S' and s.oid = case d.classid
                  when 'pg_catalog.pg_class'::regclass then d.objid else d.refobjid end
              join pg_catalog.pg_namespace n on n.oid = s.relnamespace
              left join pg_catalog.pg_attrdef f on f.adrelid = a.attrelid and f.adnum = a.attnum
              where d.classid = 'pg_catalog.pg_class'::regclass and d.refclassid = 'pg_catalog.pg_class'::regclass
                      and d.refobjid = a.attrelid and d.refobjsubid = a.attnum and d.deptype = 'i'
                  or d.classid = 'pg_catalog.pg_attrdef'::regclass and d.objid = f.oid
                      and d.refclassid = 'pg_catalog.pg_class'::regclass
              limit 1)
         from pg_catalog.pg_attribute a
         left join pg_catalog.pg_collation l on l.oid = a.attcollation
         where a.attrelid = $1::oid and a.attnum > 0 and not a.attisdropped
         order by a.attnum",
    )
    .bind(oid)
    .fetch_all(&mut *connection)
    .await
    .map_err(|error| classify(&error))?;
    let ids: Vec<i64> = rows.iter().map(|row| get(row, 1)).collect::<Result<_>>()?;
    let types = types(connection, &ids).await?;
    let mut columns = Vec::with_capacity(rows.len());
    let mut details = Vec::with_capacity(rows.len());
    for (row, id) in rows.iter().zip(ids) {
        let resolved = resolve(&types, id_of(id)?, get(row, 2)?);
        let (column, detail) = column(row, resolved)?;
        columns.push(column);
        details.push(detail);
    }
    Ok((columns, details))
}

fn column(row: &PgRow, resolved: Resolved) -> Result<(Column, Detail)> {
    let identity: String = get(row, 4)?;
    let generated: String = get(row, 5)?;
    let sequence: Option<String> =
        get::<Option<String>>(row, 8)?.filter(|_| matches!(resolved.ty, ColumnType::Int16 | ColumnType::Int32 | ColumnType::Int64));
    let fill = if !generated.is_empty() {
        Fill::Generated
    } else if sequence.is_some() {
        Fill::Sequence
    } else if get(row, 6)? || resolved.default {
        Fill::Default
    } else {
        Fill::Nothing
    };
    let column = Column {
        name: get(row, 0)?,
        nullable: !get::<bool>(row, 3)? && !resolved.not_null,
        fill,
        flexible: false,
        wire: resolved.wire,
        unordered: false,
        ty: resolved.ty,
    };
    let detail = Detail {
        carried: resolved.carried,
        always_identity: identity == "a",
        sequence,
        loose: get::<bool>(row, 7)? || resolved.loose,
    };
    Ok((column, detail))
}

/// An object id out of the number that it is selected as.
pub(crate) fn id_of(id: i64) -> Result<u32> {
    u32::try_from(id).map_err(|_| Error::new(ErrorKind::Internal, "an object id that is none"))
}

impl CatalogTable {
    /// The column of that name and its detail.
    pub(crate) fn column(&self, name: &str) -> Option<(&Column, &Detail)> {
        let at = self.table.columns.iter().position(|column| column.name == name)?;
        Some((&self.table.columns[at], &self.details[at]))
    }
}
