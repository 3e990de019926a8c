//! Writing the ledger's records, in the transaction of the rows that they speak of
//! (Invariant 1).

use rusqlite::{Connection, params};
use uuid::Uuid;

use super::fault;
use super::ledger_read::unreadable;
use super::ledger_table::NOW;
use super::undo::Record;
use crate::Result;
use crate::data::position::{Key, Position};
use crate::data::reject::Reject;
use crate::ledger::{BatchEntry, Checkpoint, Claim};

/// Writes a checkpoint over the one before.
pub(super) fn write_checkpoint(connection: &Connection, checkpoint: &Checkpoint) -> rusqlite::Result<()> {
    connection
        .execute(
            &format!("insert or replace into dbferry_checkpoint values (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?, {NOW})"),
            params![
                checkpoint.project,
                checkpoint.stream,
                checkpoint.split,
                checkpoint.sequence,
                checkpoint.run.to_string(),
                checkpoint.epoch,
                checkpoint.fingerprint,
                checkpoint.moment,
                checkpoint.one_moment,
                checkpoint.position.as_ref().map(Position::to_json),
                checkpoint.counts.read.cast_signed(),
                checkpoint.counts.filtered.cast_signed(),
                checkpoint.counts.inserted.cast_signed(),
                checkpoint.counts.updated.cast_signed(),
                checkpoint.counts.skipped.cast_signed(),
                checkpoint.counts.rejected.cast_signed(),
                checkpoint.digest.rows.cast_signed(),
                checkpoint.digest.to_hex(),
                checkpoint.target_was_empty,
                checkpoint.complete,
            ],
        )
        .map(drop)
}

/// Rows that the stream has not moved are in its table: none of its checkpoints may go on as if
/// it had been empty.
pub(super) fn not_empty(connection: &Connection, checkpoint: &Checkpoint) -> rusqlite::Result<()> {
    connection
        .execute(
            "update dbferry_checkpoint set target_was_empty = 0 where project = ? and stream = ? and target_was_empty",
            [&checkpoint.project, &checkpoint.stream],
        )
        .map(drop)
}

/// Adds a batch to the audit trail.
pub(super) fn write_batch(connection: &Connection, project: &str, entry: &BatchEntry) -> rusqlite::Result<()> {
    connection
        .execute(
            &format!("insert into dbferry_batch values (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?, {NOW})"),
            params![
                project,
                entry.stream,
                entry.split,
                entry.sequence,
                entry.run.to_string(),
                entry.first_key.as_ref().map(key_json),
                entry.last_key.as_ref().map(key_json),
                entry.counts.read.cast_signed(),
                entry.counts.filtered.cast_signed(),
                entry.counts.inserted.cast_signed(),
                entry.counts.updated.cast_signed(),
                entry.counts.skipped.cast_signed(),
                entry.counts.rejected.cast_signed(),
                entry.digest.rows.cast_signed(),
                entry.digest.to_hex(),
                entry.seconds,
                entry.retry,
            ],
        )
        .map(drop)
}

/// Stores rejects.
pub(super) fn write_rejects(
    connection: &Connection,
    (project, stream): (&str, &str),
    run: Uuid,
    sequence: i64,
    rejects: &[Reject],
) -> rusqlite::Result<()> {
    let run = run.to_string();
    let mut statement = connection.prepare(&format!(
        "insert into dbferry_reject (project, stream, run, sequence, source_key, column_name, reason, detail, source_row, created_at)
         values (?, ?, ?, ?, ?, ?, ?, ?, ?, {NOW})"
    ))?;
    for reject in rejects {
        statement.execute(params![
            project,
            stream,
            run,
            sequence,
            key_json(&reject.key),
            reject.column,
            reject.reason.name(),
            reject.detail,
            reject.row,
        ])?;
    }
    Ok(())
}

/// Marks rejects as resolved; returns how many of them were open.
pub(super) fn resolve(connection: &Connection, project: &str, run: Uuid, ids: &[i64]) -> rusqlite::Result<usize> {
    let mut statement = connection.prepare(&format!(
        "update dbferry_reject set resolved_by = ?1, resolved_at = {NOW} where id = ?2 and project = ?3 and resolved_at is null"
    ))?;
    let run = run.to_string();
    let mut resolved = 0;
    for id in ids {
        resolved += statement.execute(params![run, id, project])?;
    }
    Ok(resolved)
}

/// Marks the open rejects of these source rows as resolved; returns how many there were.
pub(super) fn resolve_keys(
    connection: &Connection,
    (project, stream): (&str, &str),
    run: Uuid,
    keys: &[Key],
) -> rusqlite::Result<u64> {
    let open: bool = connection.query_row(
        "select exists (select 1 from dbferry_reject where project = ? and stream = ? and resolved_at is null)",
        [project, stream],
        |row| row.get(0),
    )?;
    if !open {
        return Ok(0);
    }
    // One statement over the open rejects, however many keys there are.
    let keys = serde_json::Value::from(keys.iter().map(key_json).collect::<Vec<_>>()).to_string();
    let resolved = connection.execute(
        &format!(
            "update dbferry_reject set resolved_by = ?1, resolved_at = {NOW}
             where project = ?2 and stream = ?3 and resolved_at is null and source_key in (select value from json_each(?4))"
        ),
        params![run.to_string(), project, stream, keys],
    )?;
    Ok(resolved as u64)
}

/// Claims keys; returns those that another source row holds already. An undo log keeps which are new.
pub(super) fn claim(
    connection: &Connection,
    (project, stream): (&str, &str),
    claims: &[Claim],
    log: Option<&Record>,
) -> Result<Vec<(usize, Key)>> {
    let failed = |error: rusqlite::Error| fault::classify(&error, "claiming target keys");
    let mut insert = connection
        .prepare("insert into dbferry_key_claim values (?, ?, ?, ?) on conflict do nothing")
        .map_err(failed)?;
    let mut owner = connection
        .prepare("select source_key from dbferry_key_claim where project = ? and stream = ? and digest = ?")
        .map_err(failed)?;
    let mut note = log
        .map(|log| connection.prepare(&format!("insert or ignore into {} values (?, null)", log.claims())))
        .transpose()
        .map_err(failed)?;
    let mut taken = Vec::new();
    for (index, claim) in claims.iter().enumerate() {
        let digest = claim.digest.to_be_bytes();
        let key = key_json(&claim.key);
        if insert.execute(params![project, stream, digest, key]).map_err(failed)? == 1 {
            if let Some(note) = &mut note {
                note.execute([digest]).map_err(failed)?;
            }
            continue;
        }
        let holder: String = owner
            .query_row(params![project, stream, digest], |row| row.get(0))
            .map_err(failed)?;
        if holder != key {
            taken.push((index, serde_json::from_str(&holder).map_err(|_| unreadable())?));
        }
    }
    Ok(taken)
}

/// Forgets checkpoint, claims and open rejects of a stream. The audit trail stays.
pub(super) fn forget(connection: &Connection, project: &str, stream: &str) -> rusqlite::Result<()> {
    for sql in [
        "delete from dbferry_checkpoint where project = ? and stream = ?",
        "delete from dbferry_key_claim where project = ? and stream = ?",
        "delete from dbferry_reject where project = ? and stream = ? and resolved_at is null",
    ] {
        connection.execute(sql, [project, stream])?;
    }
    Ok(())
}

#[expect(clippy::expect_used, reason = "integers, text and lists always have a JSON form")]
fn key_json(key: &Key) -> String {
    serde_json::to_string(key).expect("a key always has a JSON form")
}
