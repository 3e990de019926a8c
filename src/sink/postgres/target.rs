//! A stream's target, prepared: what is checked before the first row, and every statement that
//! writing needs.

use sqlx::{AssertSqlSafe, Executor as _, PgConnection};

use super::deferred_index;
use super::look::Look;
use super::sequence::{self, Sequence};
use super::trigger::{self, Firing};
use super::undo::Log;
use crate::data::stream::{OnConflict, StreamTarget};
use crate::data::table::{Fill, Table};
use crate::ledger::deferred::Deferred;
use crate::postgres::catalog::{self, CatalogTable};
use crate::postgres::constraint;
use crate::postgres::encode::{WireColumn, WireTable};
use crate::postgres::error::classify;
use crate::postgres::quote;
use crate::{Error, ErrorKind, Result};

/// A prepared stream.
pub(super) struct Target {
    /// Stream name.
    pub(super) stream: String,
    /// Quoted table name with its schema.
    pub(super) table: String,
    /// Key columns.
    pub(super) key: Vec<String>,
    /// The table as the wire needs it.
    pub(super) wire: WireTable,
    /// COPY straight into the table.
    pub(super) copy: String,
    /// The way around through a temporary table; `None` where a row that exists is an error, for
    /// then COPY itself tells.
    pub(super) staged: Option<Staged>,
    /// Triggers.
    pub(super) firing: Firing,
    /// Sequences to set at the end.
    pub(super) sequences: Vec<Sequence>,
    /// Split of the stream that is written.
    pub(super) split: i32,
    /// The first batch forgets what earlier runs left.
    pub(super) restart: bool,
    /// Indexes that are away for the load: rows that are there are not found by them.
    pub(super) away: Vec<Deferred>,
    /// What is written leaves this undo log.
    pub(super) undo: Option<Log>,
}

/// Statements of the way through a temporary table.
pub(super) struct Staged {
    /// Quoted name of the temporary table.
    pub(super) table: String,
    /// Makes it; it is empty at the beginning of every transaction.
    create: String,
    /// COPY into it.
    pub(super) copy: String,
    /// Moves its rows into the target. Returns how many are new, how many differ from a row that
    /// is there, and how many rows the server wrote.
    pub(super) merge: String,
    /// Rows that differ from those that are there are refused.
    pub(super) refuses_differing: bool,
    /// Counts those of its rows whose keys are in the target.
    pub(super) present: String,
    /// Finds the rows that are there already, where that can be.
    pub(super) look: Option<Look>,
}

impl Target {
    /// Checks the table, of which `away` is away, and prepares the statements; `number` tells the temporary tables of a
    /// session apart.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`], [`ErrorKind::Unauthorised`], or [`ErrorKind::Mapping`] where the
    /// table is not what the plan found.
    pub(super) async fn prepare(
        connection: &mut PgConnection,
        target: &StreamTarget,
        (number, away): (u32, Vec<Deferred>),
    ) -> Result<Self> {
        let mut found = catalog::table(connection, &target.table)
            .await?
            .ok_or_else(|| Error::new(ErrorKind::Missing, "the table is gone"))?;
        super::refuse(&found)?;
        deferred_index::complete(connection, &mut found).await?;
        permitted(&found, target)?;
        let columns = columns(&found, target)?;
        let table = quote::table(&found.table.name)?;
        let names = quote::idents(target.columns.iter().map(|column| column.name.as_str()))?;
        let triggers = trigger::triggers(connection, &found).await?;
        let staged = match target.on_conflict {
            OnConflict::Error => None,
            OnConflict::Skip | OnConflict::Update | OnConflict::ErrorUnlessEqual => {
                let staged = Staged::new(&found, target, &table, &names, number)?;
                connection
                    .execute(sqlx::raw_sql(AssertSqlSafe(staged.create.as_str())))
                    .await
                    .map_err(|error| classify(&error).during("cannot make a temporary table"))?;
                let names = (table.as_str(), staged.table.as_str(), staged.copy.as_str());
                let look = Look::prepare(connection, &found, (target, &columns), names).await?;
                Some(Staged { look, ..staged })
            }
        };
        Ok(Self {
            stream: target.stream.clone(),
            copy: format!("copy {table} ({names}) from stdin (format binary)"),
            wire: WireTable {
                columns,
                constraints: constraint::columns_by_name(connection, found.oid).await?,
            },
            staged,
            firing: trigger::firing(&triggers, target)?,
            sequences: if target.options.in_place {
                Vec::new()
            } else {
                sequence::sequences(connection, &found, target).await?
            },
            split: 0,
            restart: false,
            undo: None,
            away,
            key: target.key.clone(),
            table,
        })
    }
}

/// What the role may not do would only show after the first rows.
fn permitted(found: &CatalogTable, target: &StreamTarget) -> Result<()> {
    if found.guarded {
        return Err(Error::new(
            ErrorKind::Unauthorised,
            "row level security hides rows of the table from this role",
        )
        .hint("use the table's owner, or a role with bypassrls"));
    }
    let may = found.may;
    let lacking = [
        ("select", may.select, true),
        ("insert", may.insert, !target.options.in_place),
        ("update", may.update, target.on_conflict == OnConflict::Update),
    ];
    match lacking.iter().find(|(_, may, needed)| *needed && !may) {
        Some((what, ..)) => Err(
            Error::new(ErrorKind::Unauthorised, format!("the role has no permission to {what}"))
                .hint(format!("grant {what} on the table to the role of the connection")),
        ),
        None => Ok(()),
    }
}

/// The columns written, compared with what the table has now.
fn columns(found: &CatalogTable, target: &StreamTarget) -> Result<Vec<WireColumn>> {
    let wire = target.columns.iter().map(|wanted| {
        let changed = |what: &str| {
            Error::new(ErrorKind::Mapping, format!("column `{}` {what}", wanted.name))
                .hint("the table has changed since it was planned for: run again")
        };
        let (column, detail) = found.column(&wanted.name).ok_or_else(|| changed("is gone"))?;
        if column.fill == Fill::Generated {
            return Err(changed("is computed by the target"));
        }
        if column.ty != wanted.ty {
            return Err(changed(&format!("is {}, not {}", column.ty, wanted.ty)));
        }
        if column.wire != wanted.wire {
            return Err(changed("is made of other types than before"));
        }
        Ok(WireColumn {
            name: column.name.clone(),
            ty: column.ty.clone(),
            wire: column.wire.clone(),
            carried: detail.carried.clone(),
        })
    });
    wire.collect()
}

impl Staged {
    fn new(found: &CatalogTable, target: &StreamTarget, table: &str, names: &str, number: u32) -> Result<Self> {
        if !is_unique(&found.table, &target.key) {
            return Err(Error::new(
                ErrorKind::Mapping,
                format!("the table does not keep ({}) unique", target.key.join(", ")),
            )
            .hint("rows that exist are found by a primary key or plain unique index of exactly these columns"));
        }
        let stage = format!("pg_temp.dbferry_rows_{number}");
        Ok(Self {
            create: format!(
                "create temporary table dbferry_rows_{number} on commit delete rows as select {names} from {table} with no data"
            ),
            copy: format!("copy {stage} ({names}) from stdin (format binary)"),
            merge: merge(found, target, table, names, &stage)?,
            refuses_differing: target.on_conflict == OnConflict::ErrorUnlessEqual,
            present: format!(
                "select count(*) filter (where (select true from {table} o where {})) from {stage} s",
                same_key(&target.key)?
            ),
            table: stage,
            look: None,
        })
    }
}

pub(super) fn same_key(key: &[String]) -> Result<String> {
    let part = |name: &String| quote::ident(name).map(|name| format!("o.{name} = s.{name}"));
    Ok(key.iter().map(part).collect::<Result<Vec<_>>>()?.join(" and "))
}

fn is_unique(table: &Table, key: &[String]) -> bool {
    let same = |unique: &Vec<String>| unique.len() == key.len() && key.iter().all(|name| unique.contains(name));
    !key.is_empty() && table.uniques.iter().any(same)
}

/// One statement, so that all of it sees one snapshot. `seen` looks every row up by its key
/// before anything is written (a subquery, so that it is an index lookup whatever the planner
/// believes of a temporary table), and keeps those that are new or differ: the others, of which there
/// may be most, cost no more. What `written` counts must then agree. Values are compared
/// by their bytes: `-0` and `0`, `1.0` and `1.00`, and types without an equality of their own.
fn merge(found: &CatalogTable, target: &StreamTarget, table: &str, names: &str, stage: &str) -> Result<String> {
    let same_key = same_key(&target.key)?;
    let compared = compared(found, target)?;
    let looked_at = differs(&compared, "s");
    let set = |from: &str| {
        let set: Vec<_> = compared.iter().map(|name| format!("{name} = {from}.{name}")).collect();
        set.join(", ")
    };
    let action = if target.on_conflict == OnConflict::Update && !compared.is_empty() {
        format!("update set {} where {}", set("excluded"), differs(&compared, "excluded"))
    } else {
        "nothing".to_owned()
    };
    let key = quote::idents(target.key.iter().map(String::as_str))?;
    let write = if target.options.in_place {
        // What is not there is counted as new by `seen`, and never inserted.
        format!(
            "update {table} o set {} from seen s where {same_key} and {looked_at} returning 1",
            set("s")
        )
    } else {
        format!(
            "insert into {table} as o ({names}) overriding system value select {names} from seen
             on conflict ({key}) do {action} returning 1"
        )
    };
    let differs = free_name(target)?;
    Ok(format!(
        "with looked as (
             select s.*, (select {looked_at} from {table} o where {same_key}) as {differs} from {stage} s offset 0
         ), seen as materialized (
             select * from looked where {differs} is distinct from false
         ), written as (
             {write}
         )
         select count(*) filter (where {differs} is null), count(*) filter (where {differs}), (select count(*) from written) from seen"
    ))
}

/// A name that no column of the stream has, quoted.
fn free_name(target: &StreamTarget) -> Result<String> {
    let mut name = "differs".to_owned();
    while target.columns.iter().any(|column| column.name == name) {
        name.push('_');
    }
    quote::ident(&name)
}

/// Columns, quoted, in which a row may differ from the one that is there.
pub(super) fn compared(found: &CatalogTable, target: &StreamTarget) -> Result<Vec<String>> {
    let updates = target.on_conflict == OnConflict::Update;
    let always = |name: &str| found.column(name).is_some_and(|(_, detail)| detail.always_identity);
    let left = target.columns.iter().filter(|column| {
        target.on_conflict != OnConflict::Skip && !(updates && always(&column.name)) && !target.key.contains(&column.name)
    });
    left.map(|column| quote::ident(&column.name)).collect()
}

/// The condition that row `o` differs from another one in these columns.
pub(super) fn differs(compared: &[String], other: &str) -> String {
    if compared.is_empty() {
        return "false".to_owned();
    }
    let of = |row: &str| {
        compared
            .iter()
            .map(|name| format!("{row}.{name}"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    format!("row({})::record operator(pg_catalog.*<>) row({})::record", of("o"), of(other))
}
