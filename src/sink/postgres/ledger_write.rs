//! Writing the ledger, within the batch's transaction.

use sqlx::postgres::PgArguments;
use sqlx::query::Query;
use sqlx::{PgConnection, Row as _};
use uuid::Uuid;

use super::ledger_read::{CHECKPOINT, checkpoint, key_of, key_text};
use crate::data::counts::Counts;
use crate::data::digest::Digest;
use crate::data::position::{Key, Position};
use crate::data::reject::Reject;
use crate::ledger::undo::UNDO_SPLIT;
use crate::ledger::{BatchEntry, Checkpoint, Claim};
use crate::postgres::catalog::get;
use crate::postgres::error::classify;
use crate::{Error, ErrorKind, Result};

/// Rejects sent at once: each carries its whole row.
const REJECTS_AT_ONCE_MAX: usize = 1_000;

/// The checkpoint of a split, its row locked until the transaction ends (Invariant 12), and the
/// epoch of the lease as it is in the table now.
pub(super) async fn lock(
    connection: &mut PgConnection,
    project: &str,
    stream: &str,
    split: i32,
) -> Result<(Option<Checkpoint>, Option<i64>)> {
    let sql = format!(
        "select {CHECKPOINT}, (select epoch from dbferry.lease where project = $1) as lease_epoch
         from dbferry.checkpoint where project = $1 and stream = $2 and split = $3 for update"
    );
    let row = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(project)
        .bind(stream)
        .bind(split)
        .fetch_optional(&mut *connection)
        .await
        .map_err(|error| classify(&error))?;
    if let Some(row) = row {
        let epoch = row.try_get("lease_epoch").map_err(|error| classify(&error))?;
        return Ok((Some(checkpoint(&row)?), epoch));
    }
    let row = sqlx::query("select epoch from dbferry.lease where project = $1")
        .bind(project)
        .fetch_optional(connection)
        .await
        .map_err(|error| classify(&error))?;
    Ok((None, row.as_ref().map(|row| get(row, 0)).transpose()?))
}

/// Forgets how far a stream was: its checkpoint, claims and open rejects. The audit trail stays.
pub(super) async fn forget(connection: &mut PgConnection, project: &str, stream: &str) -> Result<()> {
    for sql in [
        "delete from dbferry.checkpoint where project = $1 and stream = $2",
        "delete from dbferry.key_claim where project = $1 and stream = $2",
        "delete from dbferry.reject where project = $1 and stream = $2 and resolved_at is null",
    ] {
        sqlx::query(sql)
            .bind(project)
            .bind(stream)
            .execute(&mut *connection)
            .await
            .map_err(|error| classify(&error))?;
    }
    Ok(())
}

/// Writes checkpoint and audit entry of a batch. The checkpoint moves on from exactly the
/// sequence before it (Invariant 2).
pub(super) async fn advance(connection: &mut PgConnection, checkpoint: &Checkpoint, entry: &BatchEntry) -> Result<()> {
    put(connection, checkpoint).await?;
    let text = |key: &Option<Key>| key.as_ref().map(key_text).transpose();
    let query = sqlx::query(
        "insert into dbferry.batch (project, stream, split, sequence, run, first_key, last_key, seconds, retry,
             rows_read, rows_filtered, rows_inserted, rows_updated, rows_skipped, rows_rejected, digest_rows, digest)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)",
    )
    .bind(&checkpoint.project)
    .bind(&entry.stream)
    .bind(entry.split)
    .bind(entry.sequence)
    .bind(entry.run)
    .bind(text(&entry.first_key)?)
    .bind(text(&entry.last_key)?)
    .bind(entry.seconds)
    .bind(entry.retry);
    figures(query, entry.counts, entry.digest)?
        .execute(&mut *connection)
        .await
        .map_err(|error| classify(&error))?;
    if checkpoint.split < 0 && checkpoint.split != UNDO_SPLIT {
        sqlx::query(
            "update dbferry.checkpoint set target_was_empty = false where project = $1 and stream = $2 and target_was_empty",
        )
        .bind(&checkpoint.project)
        .bind(&checkpoint.stream)
        .execute(connection)
        .await
        .map_err(|error| classify(&error))?;
    }
    Ok(())
}

/// Writes a checkpoint over the one of the sequence before it.
pub(super) async fn put(connection: &mut PgConnection, checkpoint: &Checkpoint) -> Result<()> {
    let query = sqlx::query(
        "insert into dbferry.checkpoint as c (project, stream, split, sequence, run, epoch, fingerprint, moment, one_moment, position,
             target_was_empty, complete, rows_read, rows_filtered, rows_inserted, rows_updated, rows_skipped, rows_rejected,
             digest_rows, digest)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
         on conflict (project, stream, split) do update set sequence = excluded.sequence, run = excluded.run, epoch = excluded.epoch,
             fingerprint = excluded.fingerprint, moment = excluded.moment, one_moment = excluded.one_moment,
             position = excluded.position, target_was_empty = excluded.target_was_empty, complete = excluded.complete,
             rows_read = excluded.rows_read, rows_filtered = excluded.rows_filtered, rows_inserted = excluded.rows_inserted,
             rows_updated = excluded.rows_updated, rows_skipped = excluded.rows_skipped, rows_rejected = excluded.rows_rejected,
             digest_rows = excluded.digest_rows, digest = excluded.digest, changed_at = clock_timestamp()
         where c.sequence = excluded.sequence - 1 and c.epoch <= excluded.epoch",
    )
    .bind(&checkpoint.project)
    .bind(&checkpoint.stream)
    .bind(checkpoint.split)
    .bind(checkpoint.sequence)
    .bind(checkpoint.run)
    .bind(checkpoint.epoch)
    .bind(&checkpoint.fingerprint)
    .bind(&checkpoint.moment)
    .bind(checkpoint.one_moment)
    .bind(checkpoint.position.as_ref().map(Position::to_json))
    .bind(checkpoint.target_was_empty)
    .bind(checkpoint.complete);
    let done = figures(query, checkpoint.counts, checkpoint.digest)?
        .execute(&mut *connection)
        .await
        .map_err(|error| classify(&error))?;
    if done.rows_affected() != 1 {
        return Err(Error::new(
            ErrorKind::Checkpoint,
            format!(
                "the checkpoint of stream `{}` moved while a batch was written",
                checkpoint.stream
            ),
        )
        .hint("nothing of this batch was kept; let the other run finish, then run again"));
    }
    Ok(())
}

type Statement<'q> = Query<'q, sqlx::Postgres, PgArguments>;

/// Counts and digest, in the order of all statements here.
fn figures(query: Statement<'_>, counts: Counts, digest: Digest) -> Result<Statement<'_>> {
    let all = [
        counts.read,
        counts.filtered,
        counts.inserted,
        counts.updated,
        counts.skipped,
        counts.rejected,
        digest.rows,
    ];
    let mut query = query;
    for figure in all {
        let figure = i64::try_from(figure).map_err(|_| Error::new(ErrorKind::Internal, "more rows than can be counted"))?;
        query = query.bind(figure);
    }
    Ok(query.bind(digest.to_hex()))
}

/// Stores rejects.
pub(super) async fn reject(
    connection: &mut PgConnection,
    project: &str,
    stream: &str,
    (run, sequence): (Uuid, i64),
    rejects: &[Reject],
) -> Result<()> {
    for some in rejects.chunks(REJECTS_AT_ONCE_MAX) {
        let keys: Vec<String> = some.iter().map(|reject| key_text(&reject.key)).collect::<Result<_>>()?;
        let columns: Vec<Option<&str>> = some.iter().map(|reject| reject.column.as_deref()).collect();
        let reasons: Vec<&str> = some.iter().map(|reject| reject.reason.name()).collect();
        let details: Vec<&str> = some.iter().map(|reject| reject.detail.as_str()).collect();
        let rows: Vec<&str> = some.iter().map(|reject| reject.row.as_str()).collect();
        sqlx::query(
            "insert into dbferry.reject (project, stream, run, sequence, source_key, column_name, reason, detail, source_row)
             select $1, $2, $3, $4, r.key, r.col, r.reason, r.detail, r.line
             from unnest($5::text[], $6::text[], $7::text[], $8::text[], $9::text[]) with ordinality r(key, col, reason, detail, line, n)
             order by r.n",
        )
        .bind(project)
        .bind(stream)
        .bind(run)
        .bind(sequence)
        .bind(keys)
        .bind(columns)
        .bind(reasons)
        .bind(details)
        .bind(rows)
        .execute(&mut *connection)
        .await
        .map_err(|error| classify(&error).during("cannot store rejects"))?;
    }
    Ok(())
}

/// Marks rejects as resolved by a run.
pub(super) async fn resolve(connection: &mut PgConnection, run: Uuid, ids: &[i64]) -> Result<()> {
    sqlx::query(
        "update dbferry.reject set resolved_by = $1, resolved_at = clock_timestamp() where id = any($2) and resolved_at is null",
    )
    .bind(run)
    .bind(ids)
    .execute(connection)
    .await
    .map_err(|error| classify(&error))?;
    Ok(())
}

/// Marks the open rejects of these source rows as resolved by a run; returns how many there were.
pub(super) async fn resolve_keys(
    connection: &mut PgConnection,
    project: &str,
    stream: &str,
    run: Uuid,
    keys: &[Key],
) -> Result<u64> {
    let keys: Vec<String> = keys.iter().map(key_text).collect::<Result<_>>()?;
    let done = sqlx::query(
        "update dbferry.reject set resolved_by = $3, resolved_at = clock_timestamp()
         where project = $1 and stream = $2 and resolved_at is null and source_key = any($4)",
    )
    .bind(project)
    .bind(stream)
    .bind(run)
    .bind(keys)
    .execute(connection)
    .await
    .map_err(|error| classify(&error))?;
    Ok(done.rows_affected())
}

/// Claims keys, the first of several claims to one key going before the others; returns those
/// that another source row holds (Invariant 13).
pub(super) async fn claim(
    connection: &mut PgConnection,
    project: &str,
    (stream, log): (&str, Option<i64>),
    claims: &[Claim],
) -> Result<Vec<(usize, Key)>> {
    let digests: Vec<[u8; 16]> = claims.iter().map(|claim| claim.digest.to_be_bytes()).collect();
    let keys: Vec<String> = claims.iter().map(|claim| key_text(&claim.key)).collect::<Result<_>>()?;
    let claimed = "insert into dbferry.key_claim (project, stream, digest, source_key)
         select $1, $2, m.digest, m.key from unnest($3::bytea[], $4::text[]) with ordinality m(digest, key, n) order by m.n
         on conflict do nothing";
    let sql = match log {
        None => claimed.to_owned(),
        Some(log) => {
            format!(
                "with c as ({claimed} returning digest) insert into dbferry.undo_claim (log, digest) select {log}, digest from c"
            )
        }
    };
    sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(project)
        .bind(stream)
        .bind(&digests)
        .bind(&keys)
        .execute(&mut *connection)
        .await
        .map_err(|error| classify(&error).during("cannot claim keys"))?;
    // `offset 0` keeps it a lookup by key, whatever the planner believes of the claims' number.
    let rows = sqlx::query(
        "select m.n - 1, c.source_key from unnest($3::bytea[], $4::text[]) with ordinality m(digest, key, n),
             lateral (select source_key from dbferry.key_claim where project = $1 and stream = $2 and digest = m.digest offset 0) c
         where c.source_key <> m.key order by m.n",
    )
    .bind(project)
    .bind(stream)
    .bind(&digests)
    .bind(&keys)
    .fetch_all(connection)
    .await
    .map_err(|error| classify(&error).during("cannot read claims"))?;
    rows.iter()
        .map(|row| {
            let index =
                usize::try_from(get::<i64>(row, 0)?).map_err(|_| Error::new(ErrorKind::Internal, "a claim without a row"))?;
            Ok((index, key_of(&get::<String>(row, 1)?)?))
        })
        .collect()
}
