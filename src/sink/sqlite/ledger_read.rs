//! Reading the ledger's records back.

use rusqlite::{Connection, Row, params};
use uuid::Uuid;

use super::fault;
use crate::data::counts::Counts;
use crate::data::digest::Digest;
use crate::data::position::{Key, Position};
use crate::ledger::{BatchEntry, Checkpoint, RunRecord, StoredBatch, StoredReject};
use crate::{Error, ErrorKind, Result};

const COUNTS: &str = "rows_read, rows_filtered, rows_inserted, rows_updated, rows_skipped, rows_rejected, digest_rows, digest";

/// Checkpoints of a project, or of one of its streams.
pub(super) fn checkpoints(connection: &Connection, project: &str, stream: Option<&str>) -> Result<Vec<Checkpoint>> {
    let sql = format!(
        "select project, stream, split, sequence, run, epoch, fingerprint, moment, one_moment, position, target_was_empty, complete,
         {COUNTS} from dbferry_checkpoint where project = ?1 and (?2 is null or stream = ?2) order by stream, split"
    );
    collect(connection, &sql, params![project, stream], |row| {
        let position: Option<String> = row.get("position")?;
        let (counts, digest) = counts(row)?;
        Ok(Checkpoint {
            project: row.get("project")?,
            stream: row.get("stream")?,
            split: row.get("split")?,
            sequence: row.get("sequence")?,
            run: run(row)?,
            epoch: row.get("epoch")?,
            fingerprint: row.get("fingerprint")?,
            moment: row.get("moment")?,
            one_moment: row.get("one_moment")?,
            position: position.as_deref().map(Position::from_json).transpose()?,
            counts,
            digest,
            target_was_empty: row.get("target_was_empty")?,
            complete: row.get("complete")?,
        })
    })
}

/// Runs of a project, newest first.
pub(super) fn runs(connection: &Connection, project: &str, rows_max: u32) -> Result<Vec<RunRecord>> {
    let sql = "select run, project, environment, holder, version, started_at, ended_at, status from dbferry_run
               where project = ? order by started_at desc, rowid desc limit ?";
    collect(connection, sql, params![project, rows_max], |row| {
        Ok(RunRecord {
            run: run(row)?,
            project: row.get("project")?,
            environment: row.get("environment")?,
            holder: row.get("holder")?,
            version: row.get("version")?,
            started_at: row.get("started_at")?,
            ended_at: row.get("ended_at")?,
            status: row.get("status")?,
        })
    })
}

/// Batches of a run.
pub(super) fn batches(connection: &Connection, project: &str, of: Uuid) -> Result<Vec<StoredBatch>> {
    let sql = format!(
        "select run, stream, split, sequence, first_key, last_key, seconds, retry, committed_at, {COUNTS} from dbferry_batch
         where project = ?1 and run = ?2 order by stream, split, sequence"
    );
    collect(connection, &sql, params![project, of.to_string()], |row| {
        let key = |name: &str| -> Result<Option<Key>, ReadError> {
            let text: Option<String> = row.get(name)?;
            let key = text.map(|text| serde_json::from_str(&text).map_err(|_| unreadable()));
            Ok(key.transpose()?)
        };
        let (counts, digest) = counts(row)?;
        Ok(StoredBatch {
            entry: BatchEntry {
                run: run(row)?,
                stream: row.get("stream")?,
                split: row.get("split")?,
                sequence: row.get("sequence")?,
                first_key: key("first_key")?,
                last_key: key("last_key")?,
                counts,
                digest,
                seconds: row.get("seconds")?,
                retry: row.get("retry")?,
            },
            committed_at: row.get("committed_at")?,
        })
    })
}

/// Rejects that are not resolved, by id.
pub(super) fn rejects(
    connection: &Connection,
    project: &str,
    stream: Option<&str>,
    after_id: i64,
    rows_max: u32,
) -> Result<Vec<StoredReject>> {
    let sql = "select id, run, stream, source_key, column_name, reason, detail from dbferry_reject
               where project = ?1 and (?2 is null or stream = ?2) and id > ?3 and resolved_at is null order by id limit ?4";
    collect(connection, sql, params![project, stream, after_id, rows_max], |row| {
        Ok(StoredReject {
            id: row.get("id")?,
            run: run(row)?,
            stream: row.get("stream")?,
            key: serde_json::from_str(&row.get::<_, String>("source_key")?).map_err(|_| unreadable())?,
            column: row.get("column_name")?,
            reason: row.get("reason")?,
            detail: row.get("detail")?,
        })
    })
}

/// Number of rejects per stream that are not resolved.
pub(super) fn reject_counts(connection: &Connection, project: &str) -> Result<Vec<(String, u64)>> {
    let sql =
        "select stream, count(*) from dbferry_reject where project = ? and resolved_at is null group by stream order by stream";
    collect(connection, sql, params![project], |row| {
        Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned()))
    })
}

/// Reads all rows of a query.
fn collect<T>(
    connection: &Connection,
    sql: &str,
    parameters: impl rusqlite::Params,
    mut read: impl FnMut(&Row<'_>) -> Result<T, ReadError>,
) -> Result<Vec<T>> {
    let failed = |error: rusqlite::Error| fault::classify(&error, "reading the ledger");
    let mut statement = connection.prepare(sql).map_err(failed)?;
    let mut rows = statement.query(parameters).map_err(failed)?;
    let mut records = Vec::new();
    while let Some(row) = rows.next().map_err(failed)? {
        records.push(read(row).map_err(|error| match error {
            ReadError::Sqlite(error) => failed(error),
            ReadError::Record(error) => error,
        })?);
    }
    Ok(records)
}

/// Reading a record failed in the database, or its content cannot be understood.
enum ReadError {
    Sqlite(rusqlite::Error),
    Record(Error),
}

impl From<rusqlite::Error> for ReadError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<Error> for ReadError {
    fn from(error: Error) -> Self {
        Self::Record(error)
    }
}

fn run(row: &Row<'_>) -> Result<Uuid, ReadError> {
    Ok(row.get::<_, String>("run")?.parse().map_err(|_| unreadable())?)
}

fn counts(row: &Row<'_>) -> Result<(Counts, Digest), ReadError> {
    let count = |name: &str| row.get::<_, i64>(name).map(i64::cast_unsigned);
    let counts = Counts {
        read: count("rows_read")?,
        filtered: count("rows_filtered")?,
        // Rows of tables do not expire.
        expired: 0,
        inserted: count("rows_inserted")?,
        updated: count("rows_updated")?,
        skipped: count("rows_skipped")?,
        rejected: count("rows_rejected")?,
    };
    let digest = Digest::from_hex(count("digest_rows")?, &row.get::<_, String>("digest")?).ok_or_else(unreadable)?;
    Ok((counts, digest))
}

/// Something that this version did not write.
pub(super) fn unreadable() -> Error {
    Error::new(
        ErrorKind::Checkpoint,
        "the ledger holds a record that this version cannot read",
    )
}
