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

/// The same for a connection beside the first one: it reads a table as it is stored, each page once.
const OTHERS_CACHE_KIBIBYTES: u32 = 2 * 1024;

/// Most connections beside the first one.
const OTHERS_MAX: usize = 3;

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
    let (connection, moment) = begun(&file, CACHE_KIBIBYTES, SETTLE_ATTEMPTS_MAX).map_err(cannot_open)?;
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

/// More connections that see the moment of the first one, by its name; fewer, or none, where the application has
/// written since, for then there is no way to it any more.
pub(super) fn others(path: &Path, moment: &str) -> Vec<Connection> {
    let Ok(file) = std::fs::canonicalize(path) else {
        return Vec::new();
    };
    let begun = |_| {
        begun(&file, OTHERS_CACHE_KIBIBYTES, 1)
            .ok()
            .filter(|(_, seen)| seen == moment)
    };
    (0..OTHERS_MAX).map_while(begun).map(|(connection, _)| connection).collect()
}

fn begun(file: &Path, cache_kibibytes: u32, attempts: u32) -> rusqlite::Result<(Connection, String)> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    harden(&connection, cache_kibibytes)?;
    let moment = begin(&connection, &Files::of(file), attempts)?;
    Ok((connection, moment))
}

/// Reading only, and nothing that a hostile file could make of it.
fn harden(connection: &Connection, cache_kibibytes: u32) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_WAIT_MAX)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_WRITE, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_ATTACH_CREATE, false)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "cache_size", -i64::from(cache_kibibytes))
}

/// Begins the transaction between two looks at the files that must agree, so that the text names
/// what the transaction sees and not what was written around it.
fn begin(connection: &Connection, files: &Files, attempts: u32) -> rusqlite::Result<String> {
    for _ in 0..attempts {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_see_the_moment_of_the_first_or_are_none() {
        for mode in ["wal", "delete"] {
            let folder = tempfile::tempdir().expect("a folder");
            let path = folder.path().join("app.db");
            let writer = Connection::open(&path).expect("a new database");
            writer
                .execute_batch(&format!(
                    "pragma journal_mode = {mode}; create table t (v); insert into t values (1)"
                ))
                .expect("rows");
            let first = open("app", &path).expect("a database");
            let count = |connection: &Connection| {
                let count = connection.query_row("select count(*) from t", [], |row| row.get::<_, i64>(0));
                count.expect("a count")
            };
            let before = others(&path, &first.moment);
            assert_eq!(before.len(), OTHERS_MAX, "{mode}");
            // With a rollback journal nobody writes while somebody reads.
            writer.busy_timeout(Duration::from_millis(10)).expect("a setting");
            let written = writer.execute_batch("insert into t values (2)");
            assert_eq!(written.is_ok(), mode == "wal");
            assert!(before.iter().all(|other| count(other) == count(&first.connection)));
            assert_eq!(count(&first.connection), 1);
            let after = others(&path, &first.moment);
            assert_eq!(after.len(), if mode == "wal" { 0 } else { OTHERS_MAX });
        }
    }
}
