//! Which indexes of a table may be away while it is loaded, and what rests on them.

use sqlx::postgres::PgRow;
use sqlx::{Executor as _, PgConnection};

use crate::data::table::{ForeignKey, TableName};
use crate::ledger::deferred::IndexKind;
use crate::postgres::catalog::{CatalogTable, get};
use crate::postgres::error::classify;
use crate::{Error, ErrorKind, Result};

/// An index as it is.
pub(super) struct Found {
    oid: i64,
    pub(super) name: String,
    pub(super) kind: IndexKind,
    /// The server's text that makes it.
    pub(super) definition: String,
    /// When its constraint is checked.
    pub(super) timing: String,
    /// Its columns, where it has no expression.
    columns: Option<Vec<String>>,
    /// It speaks of all rows, and at once.
    strict: bool,
    /// Empty for the database's own.
    pub(super) tablespace: String,
    pub(super) comment: Option<String>,
    pub(super) constraint_comment: Option<String>,
    pub(super) clustered: bool,
    pub(super) replica_identity: bool,
    /// Number of a column and its statistics target, as `3 500`.
    pub(super) statistics: Vec<String>,
    /// Why it stays whatever the rows are.
    stays: Option<String>,
}

impl Found {
    /// Columns by which one row at most is found.
    pub(super) fn unique_columns(&self) -> Option<&Vec<String>> {
        self.columns.as_ref().filter(|_| self.strict)
    }
}

/// A foreign key of another table, or of the table itself, that rests on one of its indexes.
pub(super) struct Resting {
    pub(super) table: TableName,
    pub(super) key: ForeignKey,
    index: i64,
}

/// What may be away.
pub(super) struct Candidates {
    pub(super) indexes: Vec<Found>,
    pub(super) resting: Vec<Resting>,
    /// What stays, and why.
    pub(super) kept: Vec<String>,
}

const INDEXES: &str = "
select i.indexrelid::int8, c.relname::text,
    case when k.contype is not null then k.contype::text when i.indisunique then 'n' else 'i' end,
    pg_catalog.pg_get_indexdef(i.indexrelid),
    concat(case when k.condeferrable then ' deferrable' end, case when k.condeferred then ' initially deferred' end),
    case when i.indexprs is null then
        array(select a.attname::text from generate_series(0, i.indnkeyatts - 1) n(n)
            join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[n.n] order by n.n) end,
    coalesce(s.spcname::text, ''), pg_catalog.obj_description(i.indexrelid, 'pg_class'),
    pg_catalog.obj_description(k.oid, 'pg_constraint'), i.indisclustered, i.indisreplident,
    array(select a.attnum || ' ' || a.attstattarget from pg_catalog.pg_attribute a
        where a.attrelid = i.indexrelid and a.attstattarget >= 0 order by a.attnum),
    case when not (i.indisvalid and i.indisready and i.indislive) then 'it is not valid'
        when exists (select from pg_catalog.pg_inherits h where h.inhrelid = i.indexrelid)
            then 'it is a part of the partitioned table''s'
        when k.contype = 'x' then 'rows that exclude each other are found by it alone'
        when k.oid is not null and (k.contype not in ('p', 'u') or m.amname <> 'btree') then 'its constraint is of another kind'
        when not (s.oid is null or pg_catalog.has_tablespace_privilege(s.oid, 'create'))
            then 'the role may make nothing in its tablespace'
        when exists (select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                and d.objid = i.indexrelid and d.deptype in ('e', 'x')) then 'an extension owns it'
        when exists (select from pg_catalog.pg_depend d
                where (d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjid = i.indexrelid
                        or d.refclassid = 'pg_catalog.pg_constraint'::pg_catalog.regclass and d.refobjid = k.oid)
                    and d.deptype <> 'i'
                    and not (d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass and exists (
                        select from pg_catalog.pg_constraint f where f.oid = d.objid and f.contype = 'f')))
            then 'something else of the database depends on it' end,
    i.indisunique and i.indimmediate and i.indpred is null and i.indexprs is null
from pg_catalog.pg_index i
join pg_catalog.pg_class c on c.oid = i.indexrelid
join pg_catalog.pg_am m on m.oid = c.relam
left join pg_catalog.pg_constraint k on k.conindid = i.indexrelid and k.conrelid = i.indrelid and k.contype in ('p', 'u', 'x')
left join pg_catalog.pg_tablespace s on s.oid = c.reltablespace
where i.indrelid = $1::oid
order by k.contype is distinct from 'p', not i.indisunique, i.indexrelid";

const RESTING: &str = "
select n.nspname::text, c.relname::text, f.conname::text,
    array(select a.attname::text from unnest(f.conkey) with ordinality k(number, n)
        join pg_catalog.pg_attribute a on a.attrelid = f.conrelid and a.attnum = k.number order by k.n),
    array(select a.attname::text from unnest(f.confkey) with ordinality k(number, n)
        join pg_catalog.pg_attribute a on a.attrelid = f.confrelid and a.attnum = k.number order by k.n),
    pg_catalog.pg_has_role(c.relowner, 'usage'), f.conindid::int8
from pg_catalog.pg_constraint f
join pg_catalog.pg_class c on c.oid = f.conrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where f.confrelid = $1::oid and f.contype = 'f' and (f.conparentid = 0 or
    not exists (select from pg_catalog.pg_constraint p where p.oid = f.conparentid and p.confrelid = f.confrelid))
order by f.oid";

/// Why nothing of a table may be away for this role, if so.
pub(super) async fn why_not(connection: &mut PgConnection, table: &CatalogTable) -> Result<Option<String>> {
    sqlx::query_scalar(
        "select case when c.relkind <> 'r' then 'the table is partitioned'
             when not pg_catalog.pg_has_role(c.relowner, 'usage') then 'the role does not own the table'
             when not pg_catalog.has_schema_privilege(c.relnamespace, 'create') then 'the role may make nothing in the table''s schema'
             when exists (select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                 and d.objid = c.oid and d.deptype = 'e') then 'an extension owns the table' end
         from pg_catalog.pg_class c where c.oid = $1::oid",
    )
    .bind(table.oid)
    .fetch_one(connection)
    .await
    .map_err(|error| classify(&error))
}

/// What may be away of a table whose rows are known to differ in the columns of `key`, if in any.
pub(super) async fn candidates(connection: &mut PgConnection, table: &CatalogTable, key: &[String]) -> Result<Candidates> {
    let rows = sqlx::query(INDEXES)
        .bind(table.oid)
        .fetch_all(&mut *connection)
        .await
        .map_err(|error| classify(&error))?;
    let resting = sqlx::query(RESTING)
        .bind(table.oid)
        .fetch_all(&mut *connection)
        .await
        .map_err(|error| classify(&error))?;
    let mut resting = resting
        .iter()
        .map(|row| resting_of(row, &table.table.name))
        .collect::<Result<Vec<_>>>()?;
    let (mut indexes, mut kept) = (Vec::new(), Vec::new());
    for row in &rows {
        let index = index_of(row)?;
        let bound = resting.iter().find(|one| one.index == index.oid && !one.key.removable);
        let why = match (&index.stays, bound) {
            (Some(why), _) => Some(why.clone()),
            (None, Some(bound)) => Some(format!("table `{}`, which the role does not own, refers to it", bound.table)),
            (None, None) if is_proven(&index, table, key) => None,
            (None, None) => Some("its values are not known to be distinct".to_owned()),
        };
        match why {
            Some(why) => kept.push(format!("{} `{}` stays, for {why}", index.kind.name(), index.name)),
            None => indexes.push(index),
        }
    }
    resting.retain(|one| indexes.iter().any(|index| index.oid == one.index));
    Ok(Candidates { indexes, resting, kept })
}

/// Whether no two rows of the source can be one in the eyes of the index.
fn is_proven(index: &Found, table: &CatalogTable, key: &[String]) -> bool {
    if index.kind == IndexKind::Index {
        return true;
    }
    let Some(columns) = &index.columns else {
        return false;
    };
    let strict = |name: &String| table.column(name).is_some_and(|(_, detail)| !detail.loose);
    !key.is_empty() && key.iter().all(|name| columns.contains(name) && strict(name))
}

fn index_of(row: &PgRow) -> Result<Found> {
    let kind: String = get(row, 2)?;
    Ok(Found {
        oid: get(row, 0)?,
        name: get(row, 1)?,
        // What excludes rows stays, whatever it is called.
        kind: if kind == "x" {
            IndexKind::Index
        } else {
            super::kind_of(&kind)?
        },
        definition: get(row, 3)?,
        timing: get(row, 4)?,
        columns: get(row, 5)?,
        strict: get(row, 13)?,
        tablespace: get(row, 6)?,
        comment: get(row, 7)?,
        constraint_comment: get(row, 8)?,
        clustered: get(row, 9)?,
        replica_identity: get(row, 10)?,
        statistics: get(row, 11)?,
        stays: get(row, 12)?,
    })
}

fn resting_of(row: &PgRow, referred: &TableName) -> Result<Resting> {
    Ok(Resting {
        table: TableName {
            schema: Some(get(row, 0)?),
            name: get(row, 1)?,
        },
        key: ForeignKey {
            name: get(row, 2)?,
            columns: get(row, 3)?,
            table: referred.clone(),
            references: get(row, 4)?,
            removable: get(row, 5)?,
        },
        index: get(row, 6)?,
    })
}

/// Does something with names qualified wherever they are not the server's own, within a transaction.
pub(super) async fn qualified(connection: &mut PgConnection) -> Result<String> {
    let path = connection
        .fetch_one("select pg_catalog.current_setting('search_path'), pg_catalog.set_config('search_path', 'pg_catalog', true)")
        .await
        .map_err(|error| classify(&error))?;
    get(&path, 0)
}

/// Names are found again as before [`qualified`].
pub(super) async fn unqualified(connection: &mut PgConnection, path: &str) -> Result<()> {
    sqlx::query("select pg_catalog.set_config('search_path', $1, true)")
        .bind(path)
        .execute(connection)
        .await
        .map(drop)
        .map_err(|error| classify(&error))
}

/// The table is gone since it was looked at.
pub(super) fn gone() -> Error {
    Error::new(ErrorKind::Missing, "the table is gone")
}
