//! What a run left to be taken back, and what is in the way of that.

use arrow::record_batch::RecordBatch;
use sqlx::{AssertSqlSafe, Executor as _, PgConnection, Row as _};
use uuid::Uuid;

use super::super::delete::{DOOMED, put};
use super::super::orphan::{referring_keys, refers};
use super::super::session::execute;
use super::super::target::Target;
use super::super::write::figure;
use super::{KEPT, Kept, exist, usable};
use crate::ledger::undo::{ChangedSince, UNDO_SPLIT, Undoable, Undone};
use crate::ledger::{DELETION_SPLIT, Suspended};
use crate::postgres::catalog::get;
use crate::postgres::error::classify;
use crate::postgres::quote;
use crate::{Error, ErrorKind, Result};

/// How the rows of a log stand, for the time of a transaction.
const STANDING: &str = "pg_temp.dbferry_standing";

/// What a run wrote of each stream.
pub(in crate::sink::postgres) async fn undoable(connection: &mut PgConnection, project: &str, run: Uuid) -> Result<Vec<Undoable>> {
    if !super::super::ledger_table::exists(connection).await? {
        return Ok(Vec::new());
    }
    let mut logs: Vec<(String, Kept)> = Vec::new();
    if exist(connection).await? {
        let sql = format!("select {KEPT} from dbferry.undo_log where project = $1 and run = $2 order by id");
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(project)
            .bind(run)
            .fetch_all(&mut *connection)
            .await
            .map_err(|error| classify(&error))?;
        for row in &rows {
            logs.push((get(row, 11)?, Kept::of(row)?));
        }
    }
    let rows = sqlx::query(
        "select stream, coalesce(sum(rows_inserted) filter (where split not in ($3, $4)), 0)::bigint,
             coalesce(sum(rows_updated) filter (where split not in ($3, $4)), 0)::bigint,
             coalesce(sum(rows_updated) filter (where split = $4), 0)::bigint
         from dbferry.batch where project = $1 and run = $2 group by stream order by stream",
    )
    .bind(project)
    .bind(run)
    .bind(UNDO_SPLIT)
    .bind(DELETION_SPLIT)
    .fetch_all(&mut *connection)
    .await
    .map_err(|error| classify(&error))?;
    let mut found = Vec::new();
    for row in &rows {
        let stream: String = get(row, 0)?;
        let (inserted, updated, deleted) = (figure(row, 1)?, figure(row, 2)?, figure(row, 3)?);
        let at = logs.iter().position(|(name, _)| *name == stream);
        let kept = at.map(|at| logs.remove(at).1);
        if kept.is_some() || inserted + updated + deleted > 0 {
            found.push(told(connection, stream, (inserted, updated, deleted), kept).await?);
        }
    }
    // It was killed before its first batch.
    for (stream, kept) in logs {
        found.push(told(connection, stream, (0, 0, 0), Some(kept)).await?);
    }
    Ok(found)
}

async fn told(
    connection: &mut PgConnection,
    stream: String,
    (inserted, updated, deleted): (u64, u64, u64),
    kept: Option<Kept>,
) -> Result<Undoable> {
    let Some(kept) = kept else {
        return Ok(Undoable {
            stream,
            table: crate::data::table::TableName::new(String::new()),
            key: Vec::new(),
            inserted,
            updated,
            logged: false,
            done: Undone::default(),
            complete: false,
            bytes: None,
        });
    };
    let (mut left, mut bytes) = (0, None);
    if !kept.finished {
        let sql = format!(
            "select count(*), pg_catalog.pg_total_relation_size('{rows}') from {rows}",
            rows = kept.rows
        );
        let row = connection
            .fetch_one(AssertSqlSafe(sql))
            .await
            .map_err(|error| classify(&error))?;
        (left, bytes) = (figure(&row, 0)?, Some(figure(&row, 1)?));
    }
    Ok(Undoable {
        stream,
        logged: deleted == 0 && left + kept.done.rows() == inserted + updated,
        table: kept.table,
        key: kept.key,
        inserted,
        updated,
        done: kept.done,
        complete: kept.finished,
        bytes,
    })
}

/// What taking a run back would do to a target as it stands. Within a transaction that is given up.
pub(in crate::sink::postgres) async fn changed_since(
    connection: &mut PgConnection,
    (project, run): (&str, Uuid),
    target: &Target,
    (only, keys_max): (Option<&RecordBatch>, usize),
    buffer: &mut Vec<u8>,
) -> Result<ChangedSince> {
    let Some(kept) = usable(connection, project, target, run).await? else {
        return Ok(ChangedSince::default());
    };
    if let Some(keys) = only {
        put(connection, target, keys, buffer).await?;
    }
    stand(connection, target, &kept, only.is_some()).await?;
    let mut found = figures(connection).await?;
    if found.rows > 0 && keys_max > 0 {
        let parts: Vec<String> = (1..=kept.key.len()).map(|at| format!("k{at}::text")).collect();
        let sql = format!(
            "select concat_ws(', ', {}) from {STANDING} where state in ('c', 'm') order by 1 limit {keys_max}",
            parts.join(", ")
        );
        let rows = connection
            .fetch_all(AssertSqlSafe(sql))
            .await
            .map_err(|error| classify(&error))?;
        found.keys = rows
            .iter()
            .map(|row| row.try_get(0).map_err(|error| classify(&error)))
            .collect::<Result<_>>()?;
    }
    for key in referring_keys(connection, &target.table).await? {
        let rows = referring(connection, (project, run), target, (&kept, &key, only.is_some())).await?;
        if rows > 0 {
            found.referred.push((key, rows));
        }
    }
    Ok(found)
}

/// One row for each key of the log: who wrote it last, and how it was first met. Its state is `s` as the
/// run left it, `c` changed since, `m` changed by the run and missing, `g` inserted and gone.
async fn stand(connection: &mut PgConnection, target: &Target, kept: &Kept, chosen: bool) -> Result<()> {
    let mut columns = Vec::new();
    let mut same = Vec::new();
    for (at, name) in kept.key.iter().enumerate() {
        columns.push(format!("l.{} as k{}", kept.column(name)?, at + 1));
        same.push(format!("o.{} = g.k{}", quote::ident(name)?, at + 1));
    }
    let keys: Vec<String> = (1..=kept.key.len()).map(|at| at.to_string()).collect();
    let only = if chosen {
        let mut same = Vec::new();
        for name in &kept.key {
            same.push(format!("d.{} = l.{}", quote::ident(name)?, kept.column(name)?));
        }
        format!("where exists (select from {DOOMED} d where {})", same.join(" and "))
    } else {
        String::new()
    };
    let later = later(connection, target, kept).await?;
    let sql = format!(
        "analyze {rows};
         create temporary table dbferry_standing on commit drop as
         select g.*, case when o.{first} is null then case g.met when 'i' then 'g' else 'm' end
             when o.xmin = g.writer {later} then 's' else 'c' end as state
         from (
             select {columns}, max(l.portion) as newest, (array_agg(l.xmin order by l.portion desc))[1] as writer, (array_agg(l.action order by l.portion))[1] as met,
                 count(*) filter (where l.action = 'i') as inserted, count(*) filter (where l.action = 'u') as updated
             from {rows} l {only} group by {keys}
         ) g left join {table} o on {same};
         analyze {STANDING}",
        rows = kept.rows,
        first = quote::ident(&kept.key[0])?,
        columns = columns.join(", "),
        keys = keys.join(", "),
        table = target.table,
        same = same.join(" and ")
    );
    execute(connection, &sql)
        .await
        .map_err(|error| error.during("looking for rows that were changed since"))
}

/// The condition that another stream of the run has changed the row after this one: that is taken back
/// first, and then the row is as this one left it.
async fn later(connection: &mut PgConnection, target: &Target, kept: &Kept) -> Result<String> {
    let sql = format!(
        "select {KEPT} from dbferry.undo_log l where finished_at is null and id <> $1 and table_oid = pg_catalog.to_regclass($2)::oid
             and exists (select from dbferry.undo_log k where k.id = $1 and k.run = l.run and k.project = l.project)"
    );
    let logs = sqlx::query(AssertSqlSafe(sql))
        .bind(kept.id)
        .bind(&target.table)
        .fetch_all(&mut *connection)
        .await
        .map_err(|error| classify(&error))?;
    let mut or = String::new();
    for row in &logs {
        let other = Kept::of(row)?;
        let same = other.same_key("o", "m")?;
        let sooner = format!("{} m where {same} and m.xmin = o.xmin and m.portion > g.newest", other.rows);
        or.extend([" or exists (select from ", &sooner, ")"]);
    }
    Ok(or)
}

async fn figures(connection: &mut PgConnection) -> Result<ChangedSince> {
    let row = connection
        .fetch_one(AssertSqlSafe(format!(
            "select coalesce(sum(inserted) filter (where state = 's'), 0)::bigint, coalesce(sum(updated) filter (where state = 's'), 0)::bigint,
                 coalesce(sum(inserted + updated) filter (where state = 'g'), 0)::bigint,
                 coalesce(sum(inserted + updated) filter (where state in ('c', 'm')), 0)::bigint
             from {STANDING}"
        )))
        .await
        .map_err(|error| classify(&error))?;
    Ok(ChangedSince {
        unchanged: Undone {
            removed: figure(&row, 0)?,
            restored: figure(&row, 1)?,
            gone: figure(&row, 2)?,
            kept: 0,
            more: false,
        },
        rows: figure(&row, 3)?,
        ..ChangedSince::default()
    })
}

/// Number of rows that refer to those which the run inserted, and that it did not write itself.
async fn referring(
    connection: &mut PgConnection,
    (project, run): (&str, Uuid),
    target: &Target,
    (kept, key, chosen): (&Kept, &Suspended, bool),
) -> Result<u64> {
    let mut same = Vec::new();
    for (at, name) in kept.key.iter().enumerate() {
        same.push(format!("o.{} = g.k{}", quote::ident(name)?, at + 1));
    }
    let table = quote::table(&key.table)?;
    let own = if chosen && table == target.table {
        let mut with_it = Vec::new();
        for (at, name) in kept.key.iter().enumerate() {
            with_it.push(format!("x.{} = h.k{}", quote::ident(name)?, at + 1));
        }
        let with_it = with_it.join(" and ");
        format!(" and not exists (select from {STANDING} h where {with_it})")
    } else {
        written_too(connection, (project, run), &table, false).await?
    };
    let sql = format!(
        "select count(*) from {table} x where exists (
             select from {} o join {STANDING} g on {} where g.met = 'i' and {}) {own}",
        target.table,
        same.join(" and "),
        refers(&key.key)?
    );
    let row = connection
        .fetch_one(AssertSqlSafe(sql))
        .await
        .map_err(|error| classify(&error).during("looking for rows that refer to those to be removed"))?;
    figure(&row, 0)
}

/// The condition that a row `x` of a table is in no undo log of the run, or not as it says.
pub(super) async fn written_too(
    connection: &mut PgConnection,
    (project, run): (&str, Uuid),
    table: &str,
    unchanged: bool,
) -> Result<String> {
    let sql = format!(
        "select {KEPT} from dbferry.undo_log where project = $1 and run = $2 and finished_at is null and table_oid = pg_catalog.to_regclass($3)::oid"
    );
    let logs = sqlx::query(AssertSqlSafe(sql))
        .bind(project)
        .bind(run)
        .bind(table)
        .fetch_all(&mut *connection)
        .await
        .map_err(|error| classify(&error))?;
    let mut none = String::new();
    for row in &logs {
        let kept = Kept::of(row)?;
        let same = kept.same_key("x", "m")?;
        let as_left = if unchanged { " and m.xmin = x.xmin" } else { "" };
        none.extend([" and not exists (select from ", &kept.rows, " m where ", &same, as_left, ")"]);
    }
    Ok(none)
}

/// The log of an open stream, for a step back.
pub(super) async fn log(connection: &mut PgConnection, project: &str, target: &Target, run: Uuid) -> Result<Kept> {
    usable(connection, project, target, run).await?.ok_or_else(|| {
        Error::new(
            ErrorKind::Usage,
            format!("run {run} has left no undo log of stream `{}`", target.stream),
        )
    })
}
