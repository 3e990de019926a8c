//! Reading the ledger back.

use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use super::ledger_table;
use crate::data::counts::Counts;
use crate::data::digest::Digest;
use crate::data::position::{Key, Position};
use crate::ledger::{BatchEntry, Checkpoint, RunRecord, StoredBatch, StoredReject};
use crate::postgres::error::classify;
use crate::{Error, ErrorKind, Result};

/// Columns of a checkpoint in the order of [`checkpoint`].
pub(super) const CHECKPOINT: &str = "project, stream, split, sequence, run, epoch, fingerprint, moment, one_moment, position, \
     rows_read, rows_filtered, rows_inserted, rows_updated, rows_skipped, rows_rejected, digest_rows, digest, \
     target_was_empty, complete";

/// Checkpoints of a project's streams, without those of subjects and of changes.
pub(super) async fn checkpoints(connection: &mut PgConnection, project: &str) -> Result<Vec<Checkpoint>> {
    if !ledger_table::exists(connection).await? {
        return Ok(Vec::new());
    }
    let sql = format!("select {CHECKPOINT} from dbferry.checkpoint where project = $1 and split >= 0 order by stream, split");
    let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(project)
        .fetch_all(connection)
        .await
        .map_err(|error| classify(&error))?;
    rows.iter().map(checkpoint).collect()
}

/// A checkpoint from its row.
pub(super) fn checkpoint(row: &PgRow) -> Result<Checkpoint> {
    let position: Option<String> = get(row, "position")?;
    Ok(Checkpoint {
        project: get(row, "project")?,
        stream: get(row, "stream")?,
        split: get(row, "split")?,
        sequence: get(row, "sequence")?,
        run: get(row, "run")?,
        epoch: get(row, "epoch")?,
        fingerprint: get(row, "fingerprint")?,
        moment: get(row, "moment")?,
        one_moment: get(row, "one_moment")?,
        position: position.as_deref().map(Position::from_json).transpose()?,
        counts: counts(row)?,
        digest: digest(row)?,
        target_was_empty: get(row, "target_was_empty")?,
        complete: get(row, "complete")?,
    })
}

fn counts(row: &PgRow) -> Result<Counts> {
    Ok(Counts {
        read: count(row, "rows_read")?,
        filtered: count(row, "rows_filtered")?,
        // Rows of tables do not expire.
        expired: 0,
        inserted: count(row, "rows_inserted")?,
        updated: count(row, "rows_updated")?,
        skipped: count(row, "rows_skipped")?,
        rejected: count(row, "rows_rejected")?,
    })
}

fn digest(row: &PgRow) -> Result<Digest> {
    let text: String = get(row, "digest")?;
    Digest::from_hex(count(row, "digest_rows")?, &text)
        .ok_or_else(|| Error::new(ErrorKind::Checkpoint, "the ledger holds a digest that is none"))
}

/// Batches of a run.
pub(super) async fn batches(connection: &mut PgConnection, project: &str, run: Uuid) -> Result<Vec<StoredBatch>> {
    if !ledger_table::exists(connection).await? {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(
        r#"select run, stream, split, sequence, first_key, last_key, rows_read, rows_filtered, rows_inserted, rows_updated,
               rows_skipped, rows_rejected, digest_rows, digest, seconds, retry,
               to_char(committed_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as committed_at
           from dbferry.batch where project = $1 and run = $2 order by stream, split, sequence"#,
    )
    .bind(project)
    .bind(run)
    .fetch_all(connection)
    .await
    .map_err(|error| classify(&error))?;
    let key = |row: &PgRow, name: &str| get::<Option<String>>(row, name)?.as_deref().map(key_of).transpose();
    rows.iter()
        .map(|row| {
            Ok(StoredBatch {
                entry: BatchEntry {
                    run: get(row, "run")?,
                    stream: get(row, "stream")?,
                    split: get(row, "split")?,
                    sequence: get(row, "sequence")?,
                    first_key: key(row, "first_key")?,
                    last_key: key(row, "last_key")?,
                    counts: counts(row)?,
                    digest: digest(row)?,
                    seconds: get(row, "seconds")?,
                    retry: get(row, "retry")?,
                },
                committed_at: get(row, "committed_at")?,
            })
        })
        .collect()
}

/// Runs of a project, newest first.
pub(super) async fn runs(connection: &mut PgConnection, project: &str, rows_max: u32) -> Result<Vec<RunRecord>> {
    if !ledger_table::exists(connection).await? {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(
        r#"select run, project, environment, holder, version, status,
               to_char(started_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as started_at,
               to_char(ended_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as ended_at
           from dbferry.run r where project = $1 order by r.started_at desc limit $2"#,
    )
    .bind(project)
    .bind(i64::from(rows_max))
    .fetch_all(connection)
    .await
    .map_err(|error| classify(&error))?;
    rows.iter()
        .map(|row| {
            Ok(RunRecord {
                run: get(row, "run")?,
                project: get(row, "project")?,
                environment: get(row, "environment")?,
                holder: get(row, "holder")?,
                version: get(row, "version")?,
                started_at: get(row, "started_at")?,
                ended_at: get(row, "ended_at")?,
                status: get(row, "status")?,
            })
        })
        .collect()
}

/// Open rejects of a project, by id.
pub(super) async fn rejects(
    connection: &mut PgConnection,
    project: &str,
    stream: Option<&str>,
    after_id: i64,
    rows_max: u32,
) -> Result<Vec<StoredReject>> {
    if !ledger_table::exists(connection).await? {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(
        "select id, run, stream, source_key, column_name, reason, detail from dbferry.reject
         where project = $1 and ($2::text is null or stream = $2) and id > $3 and resolved_at is null
         order by id limit $4",
    )
    .bind(project)
    .bind(stream)
    .bind(after_id)
    .bind(i64::from(rows_max))
    .fetch_all(connection)
    .await
    .map_err(|error| classify(&error))?;
    rows.iter()
        .map(|row| {
            Ok(StoredReject {
                id: get(row, "id")?,
                run: get::<Uuid>(row, "run")?,
                stream: get(row, "stream")?,
                key: key_of(&get::<String>(row, "source_key")?)?,
                column: get(row, "column_name")?,
                reason: get(row, "reason")?,
                detail: get(row, "detail")?,
            })
        })
        .collect()
}

/// Open rejects per stream.
pub(super) async fn reject_counts(connection: &mut PgConnection, project: &str) -> Result<Vec<(String, u64)>> {
    if !ledger_table::exists(connection).await? {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(
        "select stream, count(*) as rows from dbferry.reject
         where project = $1 and resolved_at is null group by stream order by stream",
    )
    .bind(project)
    .fetch_all(connection)
    .await
    .map_err(|error| classify(&error))?;
    rows.iter()
        .map(|row| Ok((get(row, "stream")?, count(row, "rows")?)))
        .collect()
}

/// The persisted form of a key.
pub(super) fn key_text(key: &Key) -> Result<String> {
    serde_json::to_string(key).map_err(|_| Error::new(ErrorKind::Internal, "a source key without a JSON form"))
}

/// Reads it back.
pub(super) fn key_of(text: &str) -> Result<Key> {
    serde_json::from_str(text).map_err(|_| {
        Error::new(
            ErrorKind::Checkpoint,
            "the ledger holds a source key that this version cannot read",
        )
    })
}

fn get<'r, T>(row: &'r PgRow, column: &str) -> Result<T>
where
    T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    row.try_get(column).map_err(|error| classify(&error))
}

fn count(row: &PgRow, column: &str) -> Result<u64> {
    u64::try_from(get::<i64>(row, column)?)
        .map_err(|_| Error::new(ErrorKind::Checkpoint, format!("the ledger holds a negative `{column}`")))
}
