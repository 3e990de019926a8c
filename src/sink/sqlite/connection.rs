//! Opening the file: what every connection to a target has in common.
//!
//! Nothing here opens the database file but SQLite itself while a connection may be open: closing
//! any other handle on it would give up the locks that this process holds.

use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::fault;
use crate::{Error, ErrorKind, Result};

/// How long a statement waits for another process to release its lock.
const BUSY_WAIT_MAX: Duration = Duration::from_secs(5);

/// Memory for pages of the writing connection: keys and indexed values come in any order.
const CACHE_KIBIBYTES: u32 = 48 * 1024;

/// Runs blocking work where it disturbs no other task: SQLite has no asynchronous interface.
pub(super) fn blocking<T>(work: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

/// Opens the file to read; it is never written to over this connection.
pub(super) fn reader(name: &str, path: &Path) -> Result<Connection> {
    let connection = open(name, path)?;
    set(name, &connection, "pragma query_only = on")?;
    Ok(connection)
}

/// Opens the file to write: foreign keys are enforced, a commit is on the disk when it returns
/// (Invariant 17).
pub(super) fn writer(name: &str, path: &Path) -> Result<Connection> {
    let connection = open(name, path)?;
    if connection.is_readonly(rusqlite::MAIN_DB).unwrap_or(false) {
        return Err(Error::new(
            ErrorKind::Unauthorised,
            format!("connection `{name}`: no permission to write to the file"),
        )
        .hint("check the permissions of the file and of its folder"));
    }
    // In WAL mode `extra` is as `full`; with a rollback journal it also makes the journal's end
    // durable.
    set(
        name,
        &connection,
        &format!(
            "pragma foreign_keys = on; pragma defer_foreign_keys = off; pragma recursive_triggers = off;
             pragma synchronous = extra; pragma cache_size = -{CACHE_KIBIBYTES}"
        ),
    )?;
    Ok(connection)
}

/// Gives the file a write-ahead log: others can read while a run writes, and a commit is one
/// flush. Where that cannot be (another process is reading just now), its rollback journal is as
/// safe.
pub(super) fn prefer_log(name: &str, connection: &Connection) -> Result<()> {
    let answer = connection.query_row("pragma main.journal_mode = wal", [], |row| row.get::<_, String>(0));
    match answer {
        Ok(mode) if matches!(mode.as_str(), "wal" | "delete" | "truncate" | "persist") => Ok(()),
        Ok(_) => Err(Error::new(
            ErrorKind::Config,
            format!("connection `{name}`: the file has no journal that survives a crash"),
        )),
        Err(error) => match fault::classify(&error, &format!("opening connection `{name}`")) {
            busy if busy.kind() == ErrorKind::Busy => Ok(()),
            error => Err(error),
        },
    }
}

/// Creates the file and its folder.
pub(super) fn create(name: &str, path: &Path) -> Result<()> {
    let what = format!("creating the database of connection `{name}`");
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| io(&error, &what))?;
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| opening(&error, path, &what))?;
    connection
        .busy_timeout(BUSY_WAIT_MAX)
        .map_err(|error| fault::classify(&error, &what))?;
    prefer_log(name, &connection)
}

/// An error of the file system.
pub(super) fn io(error: &std::io::Error, what: &str) -> Error {
    let (kind, says) = match error.kind() {
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
            (ErrorKind::Unauthorised, "no permission".to_owned())
        }
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
            return Error::new(ErrorKind::Full, format!("{what}: no space is left"));
        }
        other => (ErrorKind::Unreachable, other.to_string()),
    };
    Error::new(kind, format!("{what}: {says}")).hint("check the path, and the permissions of the file and of its folder")
}

fn open(name: &str, path: &Path) -> Result<Connection> {
    let what = format!("opening connection `{name}`");
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| opening(&error, path, &what))?;
    configure(&connection).map_err(|error| opening(&error, path, &what))?;
    Ok(connection)
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_WAIT_MAX)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    // The first look into the file: it may be no database at all.
    connection.query_row("select count(*) from sqlite_schema", [], |_| Ok(()))
}

/// SQLite says "cannot open" whatever the reason; the system tells it.
fn opening(error: &rusqlite::Error, path: &Path, what: &str) -> Error {
    let classified = fault::classify(error, what);
    if classified.kind() != ErrorKind::Unreachable {
        return classified;
    }
    match std::fs::metadata(path) {
        Err(error) => io(&error, what),
        Ok(found) if found.is_dir() => {
            Error::new(ErrorKind::Unreachable, format!("{what}: the path is a folder")).hint("name the database file in it")
        }
        // Opened for the last time: whoever gets this error goes no further.
        Ok(_) => match std::fs::File::open(path) {
            Err(error) => io(&error, what),
            Ok(_) => classified,
        },
    }
}

fn set(name: &str, connection: &Connection, pragmas: &str) -> Result<()> {
    connection
        .execute_batch(pragmas)
        .map_err(|error| fault::classify(&error, &format!("opening connection `{name}`")))
}

/// An identifier as SQL writes it.
pub(super) fn quote(identifier: &str) -> String {
    format!("\"{}\"", identifier.replace('"', "\"\""))
}
