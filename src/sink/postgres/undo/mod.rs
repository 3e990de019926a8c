//! The undo log, in schema `dbferry`: one table for each run and stream, with the target's own types.
//!
//! Of a row that was inserted it holds the key, of one that was changed all that it was before. A row of
//! the log is written in the savepoint that writes the row which it is about, so that both have the same
//! `xmin`: as long as they have, nobody has changed that row since. No row is looked at twice for it, and
//! no digest is made.

use sqlx::{AssertSqlSafe, Executor as _, PgConnection};
use uuid::Uuid;

use super::ledger_table;
use super::session::execute;
use super::target::Target;
use crate::data::stream::StreamTarget;
use crate::ledger::undo::UNDO_SPLIT;
use crate::postgres::catalog::{self, get};
use crate::postgres::encode::WireTable;
use crate::postgres::error::classify;
use crate::postgres::quote;
use crate::{Error, ErrorKind, Result};

mod back;
mod before;
mod kept;
mod look;
mod record;
mod restore;

pub(super) use back::back;
pub(super) use before::{finish, forget, save_forgotten};
pub(super) use look::{changed_since, undoable};
pub(super) use record::LOOKUPS;

use kept::{KEPT, Kept, rows_table};

/// Undo logs; made when the first one is kept.
const TABLES: &str = r"
create table dbferry.undo_log (
    id bigint generated always as identity primary key,
    project text not null,
    stream text not null,
    run uuid not null,
    table_schema text not null,
    table_name text not null,
    table_oid oid not null,
    columns text[] not null,
    column_types text[] not null,
    key text[] not null,
    begun xid8 not null default pg_catalog.pg_current_xact_id(),
    going_back boolean not null default false,
    rows_removed bigint not null default 0,
    rows_restored bigint not null default 0,
    rows_gone bigint not null default 0,
    rows_kept bigint not null default 0,
    finished_at timestamptz,
    unique (project, run, stream)
);
create sequence dbferry.undo_portion;
create table dbferry.undo_checkpoint as select 0::bigint as log, c.* from dbferry.checkpoint c with no data;
create table dbferry.undo_reject as select 0::bigint as log, r.* from dbferry.reject r with no data;
create table dbferry.undo_claim (log bigint not null, digest bytea not null, source_key text);
create index on dbferry.undo_claim (log)";

/// Transactions after which an `xmin` may mean another one: half of those that there are numbers for.
const TRANSACTIONS_MAX: i64 = 1 << 31;

/// Where a run leaves what it takes to take it back, of one stream.
pub(super) struct Log {
    id: i64,
    /// Columns of the key among those of a batch.
    key_at: Vec<usize>,
    /// The log's columns that are copied: the portion and the key.
    wire: WireTable,
    copy: String,
    merge: Option<record::Merge>,
}

async fn exist(connection: &mut PgConnection) -> Result<bool> {
    Ok(ledger_table::exists(connection).await? && ledger_table::has_table(connection, "undo_log").await?)
}

/// The undo log of a run and stream.
async fn find(connection: &mut PgConnection, project: &str, stream: &str, run: Uuid) -> Result<Option<Kept>> {
    if !exist(connection).await? {
        return Ok(None);
    }
    let sql = format!("select {KEPT} from dbferry.undo_log where project = $1 and stream = $2 and run = $3");
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind(project)
        .bind(stream)
        .bind(run)
        .fetch_optional(connection)
        .await
        .map_err(|error| classify(&error))?;
    row.as_ref().map(Kept::of).transpose()
}

/// What is left of the undo log of a run and stream, where the table is still what it is about.
async fn usable(connection: &mut PgConnection, project: &str, target: &Target, run: Uuid) -> Result<Option<Kept>> {
    let Some(kept) = find(connection, project, &target.stream, run)
        .await?
        .filter(|kept| !kept.finished)
    else {
        return Ok(None);
    };
    let row = sqlx::query(
        "select l.table_oid = pg_catalog.to_regclass($2)::oid,
             (pg_catalog.pg_current_xact_id()::text::numeric - l.begun::text::numeric)::bigint
         from dbferry.undo_log l where l.id = $1",
    )
    .bind(kept.id)
    .bind(&target.table)
    .fetch_one(&mut *connection)
    .await
    .map_err(|error| classify(&error))?;
    let refused = |what: String| {
        Err(Error::new(ErrorKind::Checkpoint, what)
            .hint("the undo log does not lead back any more; restore a backup: `dbferry restore FOLDER`"))
    };
    if get::<Option<bool>>(&row, 0)? != Some(true) {
        return refused(format!("table {} was made anew since the run", kept.table));
    }
    if get::<i64>(&row, 1)? >= TRANSACTIONS_MAX {
        return refused(
            "more than 2 billion transactions have passed since the run, so that nobody can tell who wrote a row".to_owned(),
        );
    }
    let now = columns(connection, &target.table).await?;
    for (name, ty) in kept.columns.iter().zip(&kept.types) {
        match now.iter().find(|column| column.name == *name) {
            Some(column) if column.ty == *ty => {}
            Some(column) => {
                return refused(format!(
                    "column `{name}` was {ty} when the run wrote it, and is {} now",
                    column.ty
                ));
            }
            None => return refused(format!("column `{name}` was dropped since the run")),
        }
    }
    Ok(Some(kept))
}

/// A column that an undo log holds.
struct Image {
    name: String,
    /// As the server writes it down.
    ty: String,
    /// Of a domain, the type behind it, which takes a NULL whatever the domain says.
    plain: Option<String>,
}

/// Columns of a table that are not computed.
async fn columns(connection: &mut PgConnection, table: &str) -> Result<Vec<Image>> {
    let rows = sqlx::query(
        "select a.attname::text, pg_catalog.format_type(a.atttypid, a.atttypmod), case when t.typtype = 'd' then (
             with recursive d (type, mod, kind, plain, plain_mod) as (
                 select t.oid, a.atttypmod, t.typtype, t.typbasetype, t.typtypmod
                 union all
                 select b.oid, d.plain_mod, b.typtype, b.typbasetype, b.typtypmod
                 from d join pg_catalog.pg_type b on b.oid = d.plain where d.kind = 'd'
             ) select pg_catalog.format_type(type, mod) from d where kind <> 'd') end
         from pg_catalog.pg_attribute a join pg_catalog.pg_type t on t.oid = a.atttypid
         where a.attrelid = pg_catalog.to_regclass($1) and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
         order by a.attnum",
    )
    .bind(table)
    .fetch_all(connection)
    .await
    .map_err(|error| classify(&error))?;
    let image = |row| {
        Ok(Image {
            name: get(row, 0)?,
            ty: get(row, 1)?,
            plain: get(row, 2)?,
        })
    };
    rows.iter().map(image).collect()
}

/// Refuses a stream of which a run is on its way back, but for that way itself.
pub(super) async fn refuse_going_back(connection: &mut PgConnection, project: &str, stream: &str, split: i32) -> Result<()> {
    if split == UNDO_SPLIT || !exist(connection).await? {
        return Ok(());
    }
    let row =
        sqlx::query("select run from dbferry.undo_log where project = $1 and stream = $2 and going_back and finished_at is null")
            .bind(project)
            .bind(stream)
            .fetch_optional(connection)
            .await
            .map_err(|error| classify(&error))?;
    let Some(row) = row else { return Ok(()) };
    let run: Uuid = get(&row, 0)?;
    Err(Error::new(
        ErrorKind::Checkpoint,
        format!("run {run} is being taken back, and stream `{stream}` is half-way"),
    )
    .hint(format!("`dbferry rollback {run} PROJECT` goes on with it")))
}

/// Opens the undo log of a run and stream; begins it where there is none, and keeps in it how far the
/// stream was until then. Within a transaction that is to be committed.
pub(super) async fn open(
    connection: &mut PgConnection,
    (project, run): (&str, Uuid),
    wanted: &StreamTarget,
    target: &Target,
) -> Result<Log> {
    ledger_table::ensure_part(connection, "undo_log", TABLES).await?;
    ledger_table::making_lock(connection).await?;
    let kept = match find(connection, project, &wanted.stream, run).await? {
        Some(kept) => kept,
        None => begin(connection, (project, run), wanted, target).await?,
    };
    let mut key_at = Vec::new();
    let mut wire = WireTable {
        columns: vec![record::portion_column()],
        ..WireTable::default()
    };
    for name in &wanted.key {
        let at = target.wire.columns.iter().position(|column| column.name == *name);
        let at = at.ok_or_else(|| Error::new(ErrorKind::Internal, "a key column that the stream does not write"))?;
        key_at.push(at);
        wire.columns.push(target.wire.columns[at].clone());
    }
    let names = wanted.key.iter().map(|name| kept.column(name)).collect::<Result<Vec<_>>>()?;
    let merge = match &target.staged {
        Some(staged) => Some(record::Merge::new(connection, &kept, wanted, (&target.table, &staged.table)).await?),
        None => None,
    };
    Ok(Log {
        id: kept.id,
        copy: format!(
            "copy {} (portion, {}) from stdin (format binary)",
            kept.rows,
            names.join(", ")
        ),
        key_at,
        wire,
        merge,
    })
}

async fn begin(
    connection: &mut PgConnection,
    (project, run): (&str, Uuid),
    wanted: &StreamTarget,
    target: &Target,
) -> Result<Kept> {
    let columns = columns(connection, &target.table).await?;
    let found = catalog::table(connection, &wanted.table)
        .await?
        .ok_or_else(|| Error::new(ErrorKind::Missing, "the table is gone"))?;
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let types: Vec<&str> = columns.iter().map(|column| column.ty.as_str()).collect();
    let sql = format!(
        "insert into dbferry.undo_log (project, stream, run, table_schema, table_name, table_oid, columns, column_types, key)
         values ($1, $2, $3, $4, $5, $6::bigint::oid, $7, $8, $9) returning {KEPT}"
    );
    let row = sqlx::query(AssertSqlSafe(sql))
        .bind(project)
        .bind(&wanted.stream)
        .bind(run)
        .bind(&found.table.name.schema)
        .bind(&found.table.name.name)
        .bind(found.oid)
        .bind(names)
        .bind(types)
        .bind(&wanted.key)
        .fetch_one(&mut *connection)
        .await
        .map_err(|error| classify(&error))?;
    let kept = Kept::of(&row)?;
    let mut images = Vec::new();
    for (at, column) in columns.iter().enumerate() {
        let name = quote::ident(&column.name)?;
        let plain = column.plain.as_ref().map(|plain| format!("::{plain}")).unwrap_or_default();
        images.push(format!("o.{name}{plain} as c{}", at + 1));
    }
    let create = format!(
        "create table {rows} as select null::bigint as portion, 'i'::\"char\" as action, null::xid as was, {} from {} o with no data;
         alter table {rows} alter column portion set not null, alter column action set not null, alter column action set default 'i'",
        images.join(", "),
        target.table,
        rows = kept.rows,
    );
    execute(connection, &create)
        .await
        .map_err(|error| error.during("cannot make an undo log in schema `dbferry`"))?;
    before::save(connection, project, &wanted.stream, kept.id).await?;
    Ok(kept)
}

impl Log {
    /// Its number.
    pub(super) const fn id(&self) -> i64 {
        self.id
    }
}

/// Number of the next portion, which is later than all before it.
async fn next_portion(connection: &mut PgConnection) -> Result<i64> {
    let row = connection
        .fetch_one(AssertSqlSafe("select pg_catalog.nextval('dbferry.undo_portion')"))
        .await
        .map_err(|error| classify(&error))?;
    get(&row, 0)
}
