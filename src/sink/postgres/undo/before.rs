//! How far a stream was before a run: kept with its undo log, and put back at the end of the way back.

use sqlx::{AssertSqlSafe, Executor as _, PgConnection};
use uuid::Uuid;

use super::super::ledger_read::CHECKPOINT;
use super::super::session::execute;
use super::super::target::Target;
use super::{exist, find, rows_table};
use crate::ledger::undo::UNDO_SPLIT;
use crate::postgres::catalog::get;
use crate::postgres::error::classify;
use crate::{Error, ErrorKind, Result};

/// Keeps the checkpoints of a stream, before the first batch of a run.
pub(super) async fn save(connection: &mut PgConnection, project: &str, stream: &str, log: i64) -> Result<()> {
    sqlx::query(
        "insert into dbferry.undo_checkpoint select $3, c.* from dbferry.checkpoint c
         where c.project = $1 and c.stream = $2 and c.split <> $4",
    )
    .bind(project)
    .bind(stream)
    .bind(log)
    .bind(UNDO_SPLIT)
    .execute(connection)
    .await
    .map_err(|error| classify(&error))?;
    Ok(())
}

/// Keeps the claims and open rejects that are about to be forgotten, of a run that leaves an undo log.
pub(in crate::sink::postgres) async fn save_forgotten(
    connection: &mut PgConnection,
    project: &str,
    stream: &str,
    run: Uuid,
) -> Result<()> {
    let Some(log) = find(connection, project, stream, run).await?.map(|kept| kept.id) else {
        return Ok(());
    };
    for sql in [
        "insert into dbferry.undo_claim select $3, c.digest, c.source_key from dbferry.key_claim c
         where c.project = $1 and c.stream = $2",
        "insert into dbferry.undo_reject select $3, r.* from dbferry.reject r
         where r.project = $1 and r.stream = $2 and r.resolved_at is null and r.run <> $4",
    ] {
        let query = sqlx::query(sql).bind(project).bind(stream).bind(log);
        let query = if sql.contains("$4") { query.bind(run) } else { query };
        query.execute(&mut *connection).await.map_err(|error| classify(&error))?;
    }
    Ok(())
}

/// Makes checkpoints, claims and rejects what they were before the run, and drops what the log holds.
pub(in crate::sink::postgres) async fn finish(
    connection: &mut PgConnection,
    project: &str,
    target: &Target,
    run: Uuid,
) -> Result<()> {
    let stream = &target.stream;
    let Some(kept) = find(connection, project, stream, run).await?.filter(|kept| !kept.finished) else {
        return Ok(());
    };
    let row = connection
        .fetch_one(AssertSqlSafe(format!("select exists (select from {})", kept.rows)))
        .await
        .map_err(|error| classify(&error))?;
    if get(&row, 0)? {
        return Err(Error::new(ErrorKind::Internal, "rows are left that were to be taken back"));
    }
    let checkpoints = format!(
        "insert into dbferry.checkpoint ({CHECKPOINT}, changed_at) select {CHECKPOINT}, changed_at from dbferry.undo_checkpoint where log = $3"
    );
    for sql in [
        "delete from dbferry.checkpoint where project = $1 and stream = $2 and split <> $5",
        &checkpoints,
        "delete from dbferry.reject where project = $1 and stream = $2 and run = $4",
        "update dbferry.reject set resolved_by = null, resolved_at = null where project = $1 and stream = $2 and resolved_by = $4",
        "insert into dbferry.reject (id, project, stream, run, sequence, source_key, column_name, reason, detail, source_row, created_at)
         overriding system value
         select id, project, stream, run, sequence, source_key, column_name, reason, detail, source_row, created_at
         from dbferry.undo_reject where log = $3",
        "delete from dbferry.key_claim k using dbferry.undo_claim u
         where u.log = $3 and u.source_key is null and k.project = $1 and k.stream = $2 and k.digest = u.digest",
        "insert into dbferry.key_claim (project, stream, digest, source_key) select $1, $2, u.digest, u.source_key
         from dbferry.undo_claim u where u.log = $3 and u.source_key is not null on conflict do nothing",
    ] {
        sqlx::query(AssertSqlSafe(sql))
            .bind(project)
            .bind(stream)
            .bind(kept.id)
            .bind(run)
            .bind(UNDO_SPLIT)
            .execute(&mut *connection)
            .await
            .map_err(|error| classify(&error).during("putting back how far the stream was"))?;
    }
    sqlx::query("update dbferry.undo_log set finished_at = clock_timestamp(), going_back = false where id = $1")
        .bind(kept.id)
        .execute(&mut *connection)
        .await
        .map_err(|error| classify(&error))?;
    drop_parts(connection, kept.id).await
}

/// The rows of a log, and what it knows of its stream; its record stays.
async fn drop_parts(connection: &mut PgConnection, log: i64) -> Result<()> {
    let sql = format!(
        "drop table if exists {};
         delete from dbferry.undo_checkpoint where log = {log};
         delete from dbferry.undo_reject where log = {log};
         delete from dbferry.undo_claim where log = {log}",
        rows_table(log)
    );
    execute(connection, &sql).await
}

/// Drops the undo logs of a run, with their records; returns how many there were. Within a transaction.
pub(in crate::sink::postgres) async fn forget(connection: &mut PgConnection, project: &str, run: Uuid) -> Result<u64> {
    if !exist(connection).await? {
        return Ok(0);
    }
    let half_way: bool = sqlx::query_scalar(
        "select exists (select from dbferry.undo_log where project = $1 and run = $2 and going_back and finished_at is null)",
    )
    .bind(project)
    .bind(run)
    .fetch_one(&mut *connection)
    .await
    .map_err(|error| classify(&error))?;
    if half_way {
        return Err(Error::new(
            ErrorKind::Usage,
            format!("run {run} is half-way back: without its undo log it would stay there"),
        )
        .hint(format!("`dbferry rollback {run} PROJECT` goes on with it")));
    }
    let logs: Vec<i64> =
        sqlx::query_scalar("delete from dbferry.undo_log where project = $1 and run = $2 and finished_at is null returning id")
            .bind(project)
            .bind(run)
            .fetch_all(&mut *connection)
            .await
            .map_err(|error| classify(&error))?;
    for log in &logs {
        drop_parts(connection, *log).await?;
    }
    Ok(logs.len() as u64)
}
