//! The catalog: tables of the file as targets.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::connection::quote;
use super::declared::{self, Affinity, Declared};
use super::fault;
use crate::data::table::{Column, Fill, ForeignKey, MIGRATIONS_TABLE, Table, TableName};
use crate::{Error, ErrorKind, Result};

/// What writing has to know of a table beside its shape.
pub(super) struct Target {
    pub(super) table: Table,
    /// Affinity of each column of `table`.
    pub(super) affinities: Vec<Affinity>,
    /// It has triggers.
    pub(super) triggers: bool,
    /// Some of its foreign keys may be declared `deferrable`: SQLite then checks them only when
    /// the transaction commits.
    pub(super) deferrable: bool,
}

/// Names of all tables that can be written to.
pub(super) fn tables(connection: &Connection) -> rusqlite::Result<Vec<TableName>> {
    connection
        .prepare(
            "select name from sqlite_schema where type = 'table' and sql not like 'create virtual%'
             and name not like 'sqlite\\_%' escape '\\' and name not like 'dbferry\\_%' escape '\\' and name <> ?1
             order by name",
        )?
        .query_map([MIGRATIONS_TABLE], |row| Ok(TableName::new(row.get::<_, String>(0)?)))?
        .collect()
}

/// Shape of a table; `None` where there is none of exactly that name.
pub(super) fn target(connection: &Connection, name: &TableName, connection_name: &str) -> Result<Option<Target>> {
    if name.schema.as_deref().is_some_and(|schema| schema != "main") {
        return Ok(None);
    }
    let what = format!("reading the shape of `{name}` in connection `{connection_name}`");
    let failed = |error: rusqlite::Error| fault::classify(&error, &what);
    let found = connection
        .query_row(
            "select type, coalesce(sql, '') from sqlite_schema where name = ? and type in ('table', 'view')",
            [&name.name],
            |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?.to_ascii_lowercase())),
        )
        .optional()
        .map_err(failed)?;
    let Some((kind, definition)) = found else {
        return Ok(None);
    };
    let refuse = |kind: &str| {
        Err(Error::new(
            ErrorKind::Mapping,
            format!("`{name}` in connection `{connection_name}` is a {kind}"),
        )
        .hint("a target is an ordinary table"))
    };
    if kind == "view" {
        return refuse("view, which holds no rows of its own");
    }
    if definition.trim_start().starts_with("create virtual") {
        return refuse("virtual table, whose rows this file may not hold");
    }
    // `main` may be written or left out; foreign keys name tables without it.
    let name = TableName::new(name.name.clone());
    shape(connection, &name, &definition).map(Some).map_err(failed)
}

fn shape(connection: &Connection, name: &TableName, definition: &str) -> rusqlite::Result<Target> {
    let (strict, without_rowid) = connection.query_row(
        "select strict, wr from pragma_table_list where schema = 'main' and name = ?",
        [&name.name],
        |row| Ok((row.get::<_, bool>(0)?, row.get::<_, bool>(1)?)),
    )?;
    let declared = columns(connection, &name.name)?;
    let mut key: Vec<(u32, String)> = declared
        .iter()
        .filter(|column| column.key > 0)
        .map(|column| (column.key, column.name.clone()))
        .collect();
    key.sort();
    let key: Vec<String> = key.into_iter().map(|(_, name)| name).collect();
    let row_id = row_id(connection, &name.name, without_rowid, &declared)?;
    let mut affinities = Vec::with_capacity(declared.len());
    let mut columns = Vec::with_capacity(declared.len());
    let mut notes = Vec::new();
    for column in declared {
        let Declared { ty, affinity } = declared::read(&column.declaration, strict);
        notes.extend(declared::note(&column.name, &column.declaration, &ty, affinity));
        affinities.push(affinity);
        columns.push(Column {
            fill: match (column.generated, row_id.as_ref() == Some(&column.name), column.default) {
                (true, ..) => Fill::Generated,
                (_, true, _) => Fill::Sequence,
                (_, _, true) => Fill::Default,
                _ => Fill::Nothing,
            },
            // SQLite lets a key hold NULL, any number of times: such rows could not be found
            // again, and NULL into a row id would be a new id.
            nullable: !column.not_null && column.key == 0,
            name: column.name,
            ty,
            flexible: false,
            wire: None,
            unordered: false,
        });
    }
    let triggers = connection.query_row(
        "select exists (select 1 from sqlite_schema where type = 'trigger' and tbl_name = ? collate nocase)",
        [&name.name],
        |row| row.get(0),
    )?;
    let foreign_keys = foreign_keys(connection, &name.name)?;
    let deferrable = !foreign_keys.is_empty() && definition.contains("deferr");
    if triggers {
        notes.push("the table has triggers: they fire only for streams with `triggers = \"on\"`".to_owned());
    }
    if deferrable {
        notes.push("deferrable foreign keys are checked after every portion of rows, not on commit".to_owned());
    }
    Ok(Target {
        affinities,
        triggers,
        deferrable,
        table: Table {
            name: name.clone(),
            columns,
            uniques: uniques(connection, &name.name, &key)?,
            key,
            foreign_keys,
            rows_estimate: None,
            text_holds_nul: true,
            notes,
        },
    })
}

struct DeclaredColumn {
    name: String,
    declaration: String,
    not_null: bool,
    default: bool,
    /// Position in the primary key, from 1.
    key: u32,
    generated: bool,
}

fn columns(connection: &Connection, table: &str) -> rusqlite::Result<Vec<DeclaredColumn>> {
    connection
        .prepare(
            "select name, type, \"notnull\", dflt_value is not null, pk, hidden in (2, 3)
             from pragma_table_xinfo(?, 'main') where hidden <> 1 order by cid",
        )?
        .query_map([table], |row| {
            Ok(DeclaredColumn {
                name: row.get(0)?,
                declaration: row.get(1)?,
                not_null: row.get(2)?,
                default: row.get(3)?,
                key: row.get(4)?,
                generated: row.get(5)?,
            })
        })?
        .collect()
}

/// The column that names the row id: exactly `INTEGER` as the only key column, unless it is
/// declared `integer primary key desc`, which gets an index of its own.
fn row_id(
    connection: &Connection,
    table: &str,
    without_rowid: bool,
    declared: &[DeclaredColumn],
) -> rusqlite::Result<Option<String>> {
    let mut key = declared.iter().filter(|column| column.key > 0);
    let (Some(column), None, false) = (key.next(), key.next(), without_rowid) else {
        return Ok(None);
    };
    if !column.declaration.eq_ignore_ascii_case("integer") {
        return Ok(None);
    }
    let indexed: bool = connection.query_row(
        "select exists (select 1 from pragma_index_list(?, 'main') where origin = 'pk')",
        [table],
        |row| row.get(0),
    )?;
    Ok((!indexed).then(|| column.name.clone()))
}

/// Plain unique column sets, the primary key first.
fn uniques(connection: &Connection, table: &str, key: &[String]) -> rusqlite::Result<Vec<Vec<String>>> {
    let mut uniques = Vec::new();
    if !key.is_empty() {
        uniques.push(key.to_vec());
    }
    let mut indexes = connection.prepare(
        "select name from pragma_index_list(?, 'main') where \"unique\" = 1 and partial = 0 and origin <> 'pk' order by seq desc",
    )?;
    let mut terms = connection.prepare("select name from pragma_index_xinfo(?, 'main') where key = 1 order by seqno")?;
    for index in indexes.query_map([table], |row| row.get::<_, String>(0))? {
        // A term without a name is an expression.
        let columns: Vec<Option<String>> = terms.query_map([index?], |row| row.get(0))?.collect::<Result<_, _>>()?;
        if let Some(columns) = columns.into_iter().collect::<Option<Vec<String>>>()
            && !uniques.contains(&columns)
        {
            uniques.push(columns);
        }
    }
    Ok(uniques)
}

fn foreign_keys(connection: &Connection, table: &str) -> rusqlite::Result<Vec<ForeignKey>> {
    let mut statement = connection.prepare(
        "select f.id, coalesce(s.name, f.\"table\"), f.\"from\", f.\"to\" from pragma_foreign_key_list(?, 'main') as f
         left join sqlite_schema as s on s.type = 'table' and s.name = f.\"table\" collate nocase order by f.id, f.seq",
    )?;
    let mut parents: Vec<(i64, ForeignKey)> = Vec::new();
    let mut rows = statement.query([table])?;
    while let Some(row) = rows.next()? {
        let id = row.get(0)?;
        if parents.last().is_none_or(|(last, _)| *last != id) {
            parents.push((
                id,
                ForeignKey {
                    name: String::new(),
                    columns: Vec::new(),
                    table: TableName::new(row.get::<_, String>(1)?),
                    references: Vec::new(),
                    removable: true,
                },
            ));
        }
        if let Some((_, foreign_key)) = parents.last_mut() {
            foreign_key.columns.push(row.get(2)?);
            foreign_key.references.extend(row.get::<_, Option<String>>(3)?);
        }
    }
    for (_, foreign_key) in &mut parents {
        if foreign_key.references.is_empty() {
            foreign_key.references = primary_key(connection, &foreign_key.table.name)?;
        }
    }
    Ok(parents.into_iter().map(|(_, foreign_key)| foreign_key).collect())
}

/// Foreign keys that refer to a table: the table that has each, and what it does when a row that
/// is referred to is deleted.
pub(super) fn referring(connection: &Connection, table: &str) -> rusqlite::Result<Vec<(TableName, ForeignKey, String)>> {
    let mut found = Vec::new();
    for name in tables(connection)? {
        let actions: Vec<String> = connection
            .prepare("select on_delete from pragma_foreign_key_list(?, 'main') where seq = 0 order by id")?
            .query_map([&name.name], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let keys = foreign_keys(connection, &name.name)?.into_iter().zip(actions);
        found.extend(
            keys.filter(|(key, _)| key.table.name == table)
                .map(|(key, action)| (name.clone(), key, action)),
        );
    }
    Ok(found)
}

/// What `references parent` without columns means.
fn primary_key(connection: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare("select name from pragma_table_xinfo(?, 'main') where pk > 0 order by pk")?
        .query_map(params![table], |row| row.get(0))?
        .collect()
}

/// Exact number of rows.
pub(super) fn count(connection: &Connection, name: &TableName) -> rusqlite::Result<u64> {
    let sql = format!("select count(*) from main.{}", quote(&name.name));
    connection.query_row(&sql, [], |row| row.get::<_, i64>(0).map(i64::cast_unsigned))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::column::ColumnType;

    #[test]
    fn a_table_is_read_with_all_that_writing_depends_on() {
        let connection = Connection::open_in_memory().expect("memory");
        connection
            .execute_batch(
                "create table Parent (a text, b text, primary key (b, a)) without rowid;
                 create table t (id integer primary key, x varchar(20) not null default 'x', y numeric(7,2), z text as (x || y) stored,
                     pa text, pb text, email text unique, foreign key (pb, pa) references PARENT deferrable initially deferred);
                 create unique index t_lower on t (lower(email));
                 create unique index t_part on t (y) where y > 0;
                 create unique index t_xy on t (x, y);
                 create trigger tr after insert on T begin select 1; end;
                 create table d (id integer primary key desc, amount numeric(30,2));
                 create view v as select 1 as one;",
            )
            .expect("a schema");
        assert_eq!(
            tables(&connection).expect("tables"),
            [TableName::new("Parent"), TableName::new("d"), TableName::new("t")]
        );
        let target = |name: &str| super::target(&connection, &TableName::new(name), "out");
        let t = target("t").expect("a table").expect("there");
        let fills: Vec<_> = t.table.columns.iter().map(|column| (column.fill, column.nullable)).collect();
        assert_eq!(
            fills,
            [
                (Fill::Sequence, false),
                (Fill::Default, false),
                (Fill::Nothing, true),
                (Fill::Generated, true),
                (Fill::Nothing, true),
                (Fill::Nothing, true),
                (Fill::Nothing, true)
            ]
        );
        assert_eq!(t.table.columns[0].ty, ColumnType::Int64);
        assert_eq!(t.table.key, ["id"]);
        assert_eq!(t.table.uniques, [vec!["id"], vec!["email"], vec!["x", "y"]]);
        assert_eq!(t.table.foreign_keys[0].table.name, "Parent");
        assert_eq!(t.table.foreign_keys[0].columns, ["pb", "pa"]);
        assert_eq!(t.table.foreign_keys[0].references, ["b", "a"]);
        assert!(t.triggers && t.deferrable);
        assert_eq!(t.table.notes.len(), 2, "{:?}", t.table.notes);
        assert!(t.table.text_holds_nul);
        let parent = target("Parent").expect("a table").expect("there");
        assert_eq!(parent.table.key, ["b", "a"]);
        let d = target("d").expect("a table").expect("there");
        assert_eq!(d.table.columns[0].fill, Fill::Nothing, "no name of the row id");
        assert!(d.table.notes[0].contains("numeric TEXT(30,2)"), "{:?}", d.table.notes);
        let main = TableName {
            schema: Some("main".to_owned()),
            name: "t".to_owned(),
        };
        let named = super::target(&connection, &main, "out").expect("a table").expect("there");
        assert_eq!(named.table.name, TableName::new("t"));
        assert!(target("parent").expect("another case").is_none());
        assert!(target("v").is_err());
        assert!(target("nothing").expect("none").is_none());
    }
}
