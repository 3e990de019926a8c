//! Opening a database file so that nothing can be written and one moment is seen.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::failure::{opening, reading};
use super::moment::{self, Files};
use crate::Result;

/// How long a lock that a writer holds is waited for.
const BUSY_WAIT_MAX: Duration = Duration::from_secs(5);

/// Memory for pages: keys are in random order in most tables, so that a page is needed often.
const CACHE_KIBIBYTES: u32 = 16 * 1024;

/// Times that beginning is tried while the application writes, to know the moment exactly.
const SETTLE_ATTEMPTS_MAX: u32 = 20;

/// An open read transaction and the moment that it sees.
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) moment: String,
}

/// Opens `path` and begins the one read transaction of the run (Invariant 14).
///
/// A writer in WAL mode goes on unhindered; in every other journal mode it waits until the
/// transaction ends, which is told as a warning.
pub(super) fn open(name: &str, path: &Path) -> Result<Opened> {
    let about = |error: crate::Error| error.during(format_args!("connection `{name}`"));
    let cannot_open = |error| about(opening(path, error));
    // An absolute path can neither be taken for a URI (`file:…?immutable=1`) nor end in another
    // folder than the log beside it.
    let file = std::fs::canonicalize(path).map_err(|_| cannot_open(rusqlite::Error::InvalidPath(path.to_owned())))?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&file, flags).map_err(cannot_open)?;
    harden(&connection).map_err(cannot_open)?;
    let files = Files::of(&file);
    let moment = begin(&connection, &files).map_err(cannot_open)?;
    let mode: String = connection
        .query_row("pragma journal_mode", [], |row| row.get(0))
        .map_err(|error| about(reading(error)))?;
    if mode != "wal" {
        tracing::warn!(
            connection = name,
            journal_mode = mode,
            "the database is not in WAL mode: its application cannot write while the run reads"
        );
    }
    Ok(Opened { connection, moment })
}

/// Reading only, and nothing that a hostile file could make of it.
fn harden(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_WAIT_MAX)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_WRITE, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_CREATE, false)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "cache_size", -i64::from(CACHE_KIBIBYTES))
}

/// Begins the transaction between two looks at the files that must agree, so that the text names
/// what the transaction sees and not what was written around it.
fn begin(connection: &Connection, files: &Files) -> rusqlite::Result<String> {
    for _ in 0..SETTLE_ATTEMPTS_MAX {
        files.wait_for_commit_in_flight();
        let before = files.state();
        let text = files.content(&before);
        connection.execute_batch("begin deferred")?;
        // `begin` alone takes no snapshot; the first read does.
        connection.query_row("pragma main.schema_version", [], |_| Ok(()))?;
        connection.query_row("select count(*) from main.sqlite_schema", [], |_| Ok(()))?;
        match text {
            Some(text) if files.state() == before => return Ok(text),
            _ => connection.execute_batch("rollback")?,
        }
    }
    connection.execute_batch("begin deferred")?;
    connection.query_row("select count(*) from main.sqlite_schema", [], |_| Ok(()))?;
    Ok(moment::unsettled())
}
