//! Which backup was made before a run.

use sqlx::PgConnection;
use sqlx::{Connection as _, Row as _};

use super::ledger_table;
use crate::Result;
use crate::ledger::BackupNote;
use crate::postgres::error::classify;

/// Notes it, making the table where it is missing.
pub(super) async fn note(connection: &mut PgConnection, project: &str, note: &BackupNote) -> Result<()> {
    let failed = |error: sqlx::Error| classify(&error).during("cannot note the backup");
    let mut transaction = connection.begin().await.map_err(failed)?;
    ledger_table::ensure_backups(&mut transaction).await?;
    sqlx::query(
        "insert into dbferry.backup (project, run, folder, taken_at, manifest_sha256) values ($1, $2, $3, $4, $5)
         on conflict (run) do nothing",
    )
    .bind(project)
    .bind(note.run)
    .bind(&note.folder)
    .bind(&note.taken_at)
    .bind(&note.manifest_sha256)
    .execute(&mut *transaction)
    .await
    .map_err(failed)?;
    transaction.commit().await.map_err(failed)
}

/// All that were noted for a project.
pub(super) async fn all(connection: &mut PgConnection, project: &str) -> Result<Vec<BackupNote>> {
    if !ledger_table::has_backups(connection).await? {
        return Ok(Vec::new());
    }
    let failed = |error: sqlx::Error| classify(&error).during("cannot read the noted backups");
    let rows = sqlx::query("select run, folder, taken_at, manifest_sha256 from dbferry.backup where project = $1")
        .bind(project)
        .fetch_all(connection)
        .await
        .map_err(failed)?;
    let read = |row: &sqlx::postgres::PgRow| {
        Ok(BackupNote {
            run: row.try_get(0)?,
            folder: row.try_get(1)?,
            taken_at: row.try_get(2)?,
            manifest_sha256: row.try_get(3)?,
        })
    };
    rows.iter().map(|row| read(row).map_err(failed)).collect()
}
