//! The end of a log: the ledger is as it was before the run, or the run stands for good.

use rusqlite::{Connection, OptionalExtension as _, params};
use uuid::Uuid;

use super::{RECORD, Record, failed, read};
use crate::ledger::undo::UNDO_SPLIT;
use crate::{Error, ErrorKind, Result};

/// The ledger is as it was before the run, and the log is gone but for its record.
pub(in crate::sink::sqlite) fn finish(
    connection: &Connection,
    record: &Record,
    (project, stream): (&str, &str),
    run: Uuid,
) -> Result<()> {
    if record.complete {
        return Ok(());
    }
    let left = format!("select exists (select 1 from {})", record.rows());
    if connection
        .query_row(&left, [], |row| row.get::<_, bool>(0))
        .map_err(|error| failed(&error))?
    {
        return Err(Error::new(
            ErrorKind::Internal,
            format!("rows of stream `{stream}` are left to take back"),
        ));
    }
    let run = run.to_string();
    let done = || -> rusqlite::Result<()> {
        connection.execute(
            &format!("delete from dbferry_checkpoint where project = ? and stream = ? and split <> {UNDO_SPLIT}"),
            [project, stream],
        )?;
        connection.execute_batch(&format!(
            "insert or ignore into dbferry_checkpoint select * from {}",
            record.named("checkpoint")
        ))?;
        connection.execute(
            "delete from dbferry_reject where project = ? and stream = ? and run = ?",
            [project, stream, &run],
        )?;
        connection.execute(
            "update dbferry_reject set resolved_by = null, resolved_at = null where project = ? and stream = ? and resolved_by = ?",
            [project, stream, &run],
        )?;
        connection.execute_batch(&format!(
            "insert or ignore into dbferry_reject select * from {}",
            record.named("reject")
        ))?;
        connection.execute(
            &format!(
                "delete from dbferry_key_claim where project = ? and stream = ? and digest in (select digest from {})",
                record.claims()
            ),
            [project, stream],
        )?;
        connection.execute(
            &format!(
                "insert into dbferry_key_claim select ?, ?, digest, source_key from {} where source_key is not null",
                record.claims()
            ),
            [project, stream],
        )?;
        drop_tables(connection, record)?;
        connection.execute("update dbferry_undo set complete = 1 where id = ?", [record.id])?;
        Ok(())
    };
    done().map_err(|error| failed(&error))
}

fn drop_tables(connection: &Connection, record: &Record) -> rusqlite::Result<()> {
    let tables = ["row", "claim", "checkpoint", "reject"];
    tables
        .iter()
        .try_for_each(|what| connection.execute_batch(&format!("drop table {}", record.named(what))))
}

/// Removes the logs of a run, but for those that were taken back; returns how many there were.
pub(in crate::sink::sqlite) fn forget(connection: &Connection, project: &str, run: Uuid) -> Result<u64> {
    let half_way = connection.query_row(
        "select exists (select 1 from dbferry_undo where project = ? and run = ? and undoing and not complete)",
        params![project, run.to_string()],
        |row| row.get(0),
    );
    if half_way.map_err(|error| failed(&error))? {
        return Err(Error::new(
            ErrorKind::Usage,
            format!("run {run} is half-way back: without its undo log it would stay there"),
        )
        .hint(format!("`dbferry rollback {run} PROJECT` goes on with it")));
    }
    let forgotten = || -> rusqlite::Result<u64> {
        let records: Vec<Record> = connection
            .prepare(&format!("{RECORD} where project = ? and run = ? and not complete"))?
            .query_map(params![project, run.to_string()], read)?
            .collect::<Result<_, _>>()?;
        for record in &records {
            drop_tables(connection, record)?;
            connection.execute("delete from dbferry_undo where id = ?", [record.id])?;
        }
        Ok(records.len() as u64)
    };
    forgotten().map_err(|error| failed(&error))
}

/// Nothing is written to a stream of which a run is half taken back.
pub(in crate::sink::sqlite) fn check_whole(connection: &Connection, project: &str, stream: &str) -> Result<()> {
    let run: Option<String> = connection
        .query_row(
            "select run from dbferry_undo where project = ? and stream = ? and undoing and not complete",
            [project, stream],
            |row| row.get(0),
        )
        .optional()
        .map_err(|error| failed(&error))?;
    match run {
        None => Ok(()),
        Some(run) => Err(Error::new(
            ErrorKind::Checkpoint,
            format!("a part of run {run} was taken back of stream `{stream}`, and the rest was not yet"),
        )
        .hint("take back what is left of it first: `dbferry rollback` with that run")),
    }
}
