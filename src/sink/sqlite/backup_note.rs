//! Which backup was made before a run.

use rusqlite::{Connection, params};
use uuid::Uuid;

use crate::ledger::BackupNote;

/// Made when the first backup is noted: a ledger without it has none.
const TABLE: &str = "create table if not exists dbferry_backup (
    run text primary key not null, project text not null, folder text not null, taken_at text not null, manifest_sha256 text not null
) strict";

/// Notes it, making the table where it is missing.
pub(super) fn note(connection: &Connection, project: &str, note: &BackupNote) -> rusqlite::Result<()> {
    connection.execute_batch("begin immediate")?;
    let noted = connection.execute_batch(TABLE).and_then(|()| {
        connection.execute(
            "insert into dbferry_backup (run, project, folder, taken_at, manifest_sha256) values (?, ?, ?, ?, ?)
             on conflict (run) do nothing",
            params![
                note.run.to_string(),
                project,
                note.folder,
                note.taken_at,
                note.manifest_sha256
            ],
        )
    });
    match noted {
        Ok(_) => connection.execute_batch("commit"),
        Err(error) => {
            if !connection.is_autocommit() {
                connection.execute_batch("rollback")?;
            }
            Err(error)
        }
    }
}

/// All that were noted for a project.
pub(super) fn all(connection: &Connection, project: &str) -> rusqlite::Result<Vec<BackupNote>> {
    let there: bool = connection.query_row(
        "select exists (select 1 from sqlite_schema where type = 'table' and name = 'dbferry_backup')",
        [],
        |row| row.get(0),
    )?;
    if !there {
        return Ok(Vec::new());
    }
    let mut statement =
        connection.prepare("select run, folder, taken_at, manifest_sha256 from dbferry_backup where project = ?")?;
    let notes = statement.query_map([project], |row| {
        let run: String = row.get(0)?;
        Ok(BackupNote {
            run: run.parse().unwrap_or(Uuid::nil()),
            folder: row.get(1)?,
            taken_at: row.get(2)?,
            manifest_sha256: row.get(3)?,
        })
    })?;
    notes.collect()
}
