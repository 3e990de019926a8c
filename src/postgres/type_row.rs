//! Types as the catalog has them, with all that they are made of.

use std::collections::HashMap;

use sqlx::PgConnection;
use sqlx::postgres::PgRow;

use super::catalog::{get, id_of};
use super::error::classify;
use crate::Result;

/// A row of `pg_type`.
#[derive(Debug, Clone)]
pub(crate) struct TypeRow {
    /// Name as `format_type` prints it: quoted, with its schema where that is needed.
    pub(crate) name: String,
    /// `typname`, if the type lives in `pg_catalog`.
    pub(crate) builtin: Option<String>,
    /// Name that says what its binary form means, wherever it is: of a built-in type, or of one
    /// with the extension or schema that it belongs to.
    pub(crate) form: String,
    /// It can be sent and received in binary form.
    pub(crate) binary: bool,
    /// `typtype`: `b` base, `d` domain, `e` enum, `c` composite, `r` range, `m` multirange, …
    pub(crate) kind: char,
    /// `typcategory`: `A` for arrays.
    pub(crate) category: char,
    /// Base type of a domain.
    pub(crate) base: u32,
    /// Modifier that a domain gives its base type.
    pub(crate) modifier: i32,
    /// Element type of an array.
    pub(crate) element: u32,
    /// A domain that refuses NULL.
    pub(crate) not_null: bool,
    /// A domain with a default.
    pub(crate) default: bool,
    /// Labels of an enum, in its order.
    pub(crate) labels: Vec<String>,
    /// What the bounds of a range or multirange are.
    pub(crate) bound: u32,
    /// Fields of a composite.
    pub(crate) fields: Vec<FieldRow>,
}

/// A field of a composite type.
#[derive(Debug, Clone)]
pub(crate) struct FieldRow {
    /// Quoted name.
    pub(crate) name: String,
    /// Its type.
    pub(crate) ty: u32,
    /// With this modifier.
    pub(crate) modifier: i32,
}

impl TypeRow {
    /// The catalog's own vectors are no arrays: their elements never change.
    pub(super) fn is_array(&self) -> bool {
        let vector = self.builtin.as_deref().is_some_and(|name| name.ends_with("vector"));
        self.kind == 'b' && self.category == 'A' && self.element != 0 && !vector
    }
}

/// The types named and all that they are made of.
pub(crate) async fn types(connection: &mut PgConnection, ids: &[i64]) -> Result<HashMap<u32, TypeRow>> {
    // The column of a range that names its multirange is not in all versions.
    let rows = sqlx::query(
        "with recursive needed(oid) as (
             select unnest($1::int8[])::oid
             union
             select part.oid from needed n join pg_catalog.pg_type t on t.oid = n.oid cross join lateral (
                 select t.typbasetype union all select t.typelem
                 union all select r.rngsubtype from pg_catalog.pg_range r
                     where r.rngtypid = t.oid or pg_catalog.to_jsonb(r) ->> 'rngmultitypid' = t.oid::text
                 union all select a.atttypid from pg_catalog.pg_attribute a
                     where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
             ) part(oid) where part.oid <> 0
         )
         select t.oid::int8, pg_catalog.format_type(t.oid, null),
             case when t.typnamespace = 'pg_catalog'::regnamespace then t.typname::text end,
             t.typtype::text, t.typcategory::text, t.typbasetype::int8, t.typtypmod, t.typelem::int8, t.typnotnull,
             t.typdefault is not null,
             array(select e.enumlabel::text from pg_catalog.pg_enum e where e.enumtypid = t.oid order by e.enumsortorder),
             case
                 when t.typname = 'money' and t.typnamespace = 'pg_catalog'::regnamespace
                     then 'money of ' || pg_catalog.scale(1::money::numeric) || ' digits'
                 when t.typnamespace = 'pg_catalog'::regnamespace then pg_catalog.format_type(t.oid, null)
                 else coalesce(
                     (select pg_catalog.quote_ident(e.extname) from pg_catalog.pg_depend d
                         join pg_catalog.pg_extension e on e.oid = d.refobjid
                         where d.classid = 'pg_catalog.pg_type'::regclass and d.objid = t.oid
                             and d.refclassid = 'pg_catalog.pg_extension'::regclass and d.deptype = 'e' limit 1),
                     pg_catalog.quote_ident(s.nspname)) || '.' || pg_catalog.quote_ident(t.typname)
             end,
             t.typsend <> 0 and t.typreceive <> 0,
             coalesce((select r.rngsubtype from pg_catalog.pg_range r
                 where r.rngtypid = t.oid or pg_catalog.to_jsonb(r) ->> 'rngmultitypid' = t.oid::text limit 1), 0)::int8,
             f.names, f.types, f.modifiers
         from needed n join pg_catalog.pg_type t on t.oid = n.oid join pg_catalog.pg_namespace s on s.oid = t.typnamespace
         cross join lateral (
             select coalesce(pg_catalog.array_agg(pg_catalog.quote_ident(a.attname) order by a.attnum), '{}') as names,
                 coalesce(pg_catalog.array_agg(a.atttypid::int8 order by a.attnum), '{}') as types,
                 coalesce(pg_catalog.array_agg(a.atttypmod order by a.attnum), '{}') as modifiers
             from pg_catalog.pg_attribute a
             where t.typtype = 'c' and a.attrelid = t.typrelid and a.attnum > 0 and not a.attisdropped
         ) f",
    )
    .bind(ids)
    .fetch_all(connection)
    .await
    .map_err(|error| classify(&error))?;
    rows.iter().map(|row| Ok((id_of(get(row, 0)?)?, type_row(row)?))).collect()
}

fn type_row(row: &PgRow) -> Result<TypeRow> {
    let letter = |index| get::<String>(row, index).map(|text| text.chars().next().unwrap_or(' '));
    let (names, types, modifiers): (Vec<String>, Vec<i64>, Vec<i32>) = (get(row, 14)?, get(row, 15)?, get(row, 16)?);
    let fields = names.into_iter().zip(types).zip(modifiers).map(|((name, ty), modifier)| {
        Ok(FieldRow {
            name,
            ty: id_of(ty)?,
            modifier,
        })
    });
    Ok(TypeRow {
        name: get(row, 1)?,
        builtin: get(row, 2)?,
        form: get(row, 11)?,
        binary: get(row, 12)?,
        kind: letter(3)?,
        category: letter(4)?,
        base: id_of(get(row, 5)?)?,
        modifier: get(row, 6)?,
        element: id_of(get(row, 7)?)?,
        not_null: get(row, 8)?,
        default: get(row, 9)?,
        labels: get(row, 10)?,
        bound: id_of(get(row, 13)?)?,
        fields: fields.collect::<Result<_>>()?,
    })
}
