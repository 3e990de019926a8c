//! SQLite files: copied by SQLite's own online backup while their application writes.
//!
//! Where the file has a write-ahead log, the copy is made within one read transaction: it is of the
//! moment at which that began, and nobody waits. Without one a writer and a reader exclude each other:
//! the copy is made piece by piece, begins again when something was written between two pieces, and
//! after some attempts is made in one go, for which writers wait.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::manifest::{Count, JournalMode, differences};
use super::{Context, Step, stopped};
use crate::{Error, ErrorKind, Result};

/// How long a lock that a writer holds is waited for at a time.
const BUSY_WAIT_MAX: Duration = Duration::from_secs(5);
/// Pages that are copied at a time.
const PAGES: i32 = 1_024;
/// Between two pieces of a file without a log, to let writers in.
const PAUSE: Duration = Duration::from_millis(2);
/// How often a copy may begin again before writers have to wait.
const RESTARTS_MAX: u32 = 3;
/// Findings of a check that are looked at: all, for damage may come after many rows that are odd.
const FINDINGS_MAX: i32 = i32::MAX;
/// How long a copy waits for locks while it gets nowhere.
const BUSY_MAX: Duration = Duration::from_mins(1);

/// What of an error may be told: SQLite's messages can quote values (Invariant 15).
fn failed(error: &rusqlite::Error, doing: &str, path: &Path) -> Error {
    let at = format!("{doing} {}", path.display());
    let new = |kind, what: &str| Error::new(kind, format!("{at}: {what}"));
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            new(ErrorKind::Busy, "the database is locked by another process")
                .hint("wait until it is free, or stop the process that writes to it")
        }
        Some(ErrorCode::DiskFull) => new(ErrorKind::Full, "no room is left").hint("free some space, then call again"),
        Some(ErrorCode::NotADatabase) => new(ErrorKind::Unreadable, "it is not an SQLite database"),
        Some(ErrorCode::DatabaseCorrupt) => {
            new(ErrorKind::Unreadable, "the database is damaged").hint("`sqlite3 FILE 'pragma integrity_check'` tells where")
        }
        Some(ErrorCode::CannotOpen) if !path.exists() => new(ErrorKind::Missing, "it is not there"),
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::ReadOnly) => {
            new(ErrorKind::Unauthorised, "not permitted").hint("check the permissions of file and folder")
        }
        Some(ErrorCode::SystemIoFailure) => {
            new(ErrorKind::Unreadable, "the file system failed").hint("check the disk, then call again")
        }
        Some(ErrorCode::OutOfMemory) => new(ErrorKind::Full, "out of memory"),
        _ => new(ErrorKind::Unreadable, "SQLite failed"),
    }
}

/// What the library calls itself.
pub(super) fn version() -> String {
    rusqlite::version().to_owned()
}

/// Opens a file; it is never made.
pub(super) fn open(path: &Path, write: bool) -> Result<Connection> {
    let doing = |error: rusqlite::Error| failed(&error, "opening", path);
    // An absolute path is never taken for a URI or for a database in memory.
    let path = std::path::absolute(path).map_err(|error| super::file::failed(&error, "opening", path))?;
    let access = if write {
        OpenFlags::SQLITE_OPEN_READ_WRITE
    } else {
        OpenFlags::SQLITE_OPEN_READ_ONLY
    };
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX).map_err(doing)?;
    connection
        .busy_timeout(BUSY_WAIT_MAX)
        .and_then(|()| connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true))
        .and_then(|_| connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false))
        .map_err(doing)?;
    Ok(connection)
}

/// A copy of a file, of one moment; tells how the original keeps its journal.
pub(super) fn copy(from: &Path, to: &Path, connection_name: &str, context: &Context<'_>) -> Result<String> {
    let reading = |error: rusqlite::Error| failed(&error, "copying", from);
    let source = open(from, false)?;
    let mode: String = source
        .query_row("pragma journal_mode", [], |row| row.get(0))
        .map_err(reading)?;
    drop(super::file::create(to)?);
    let mut copy = open(to, true)?;
    if mode == "wal" {
        source.execute_batch("begin deferred").map_err(reading)?;
        // `begin` alone takes no moment; the first read does.
        source
            .query_row("select count(*) from main.sqlite_schema", [], |_| Ok(()))
            .map_err(reading)?;
    }
    let page_bytes: u32 = source.query_row("pragma page_size", [], |row| row.get(0)).map_err(reading)?;
    {
        let backup = Backup::new(&source, &mut copy).map_err(reading)?;
        let piecewise = Pieces {
            backup: &backup,
            from,
            page_bytes: page_bytes.into(),
            name: connection_name,
            has_log: mode == "wal",
        };
        piecewise.all(context)?;
    }
    let writing = |error: rusqlite::Error| failed(&error, "writing", to);
    // The copy is one file, whatever its journal was.
    copy.query_row("pragma journal_mode = delete", [], |_| Ok(()))
        .map_err(writing)?;
    copy.close().map_err(|(_, error)| writing(error))?;
    Ok(mode)
}

/// A copy in the making.
struct Pieces<'a> {
    backup: &'a Backup<'a, 'a>,
    from: &'a Path,
    page_bytes: u64,
    name: &'a str,
    has_log: bool,
}

impl Pieces<'_> {
    fn all(&self, context: &Context<'_>) -> Result<()> {
        let (mut restarts, mut done) = (0, 0);
        let mut last_piece = Instant::now();
        loop {
            if context.shutdown.is_cancelled() {
                return Err(stopped());
            }
            let pages = if restarts > RESTARTS_MAX { -1 } else { PAGES };
            let step = self
                .backup
                .step(pages)
                .map_err(|error| failed(&error, "copying", self.from))?;
            let progress = self.backup.progress();
            let now = progress.pagecount - progress.remaining;
            let more = u64::try_from(now - done).unwrap_or_default() * self.page_bytes;
            context.tell(Step::Bytes {
                connection: self.name,
                bytes: more,
            });
            match step {
                StepResult::Done => return Ok(()),
                StepResult::More => {
                    // What was copied before is copied again once somebody has written.
                    restarts += u32::from(now <= done);
                    done = now;
                    last_piece = Instant::now();
                    if !self.has_log {
                        std::thread::sleep(PAUSE);
                    }
                }
                // `Busy` and `Locked`: writers without a pause leave short gaps to get in by.
                _ if last_piece.elapsed() < BUSY_MAX => std::thread::sleep(PAUSE),
                _ => {
                    return Err(Error::new(
                        ErrorKind::Busy,
                        format!("copying {}: another process keeps it locked", self.from.display()),
                    )
                    .hint("stop the process that writes to it, then call again"));
                }
            }
        }
    }
}

/// Whether SQLite finds pages or indexes that do not fit. It also tells of rows that break what their
/// columns declare (text in a column of numbers, NULL where that is refused): those are as the
/// application wrote them, and copied as such.
fn is_damaged(connection: &Connection) -> rusqlite::Result<bool> {
    let mut check = connection.prepare(&format!("pragma main.integrity_check({FINDINGS_MAX})"))?;
    let mut findings = check.query([])?;
    while let Some(row) = findings.next()? {
        let finding: String = row.get(0)?;
        let of_values = [
            "NULL value in ",
            "TEXT value in ",
            "NUMERIC value in ",
            "CHECK constraint failed in ",
        ];
        let is_of_values = of_values.iter().any(|words| finding.starts_with(words))
            || (finding.starts_with("non-") && finding.contains(" value in "));
        if finding != "ok" && !is_of_values {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Looks at a copy as a whole, and counts its rows. `prefix` is put before the names of tables.
pub(super) fn examine(path: &Path, prefix: &str) -> Result<Vec<Count>> {
    let reading = |error: rusqlite::Error| failed(&error, "checking", path);
    let connection = open(path, false)?;
    if is_damaged(&connection).map_err(reading)? {
        return Err(Error::new(
            ErrorKind::Unreadable,
            format!("{}: `pragma integrity_check` finds damage", path.display()),
        )
        .hint(
            "the database was damaged before it was copied, or the disk is: `pragma integrity_check` on the original tells which",
        ));
    }
    let mut names = connection
        .prepare("select name from main.sqlite_schema where type = 'table' and name not like 'sqlite\\_%' escape '\\' and rootpage > 0 order by name")
        .map_err(reading)?;
    let names: Vec<String> = names
        .query_map([], |row| row.get(0))
        .and_then(Iterator::collect)
        .map_err(reading)?;
    let mut counts = Vec::with_capacity(names.len());
    for name in names {
        let sql = format!("select count(*) from main.\"{}\"", name.replace('"', "\"\""));
        let rows: i64 = connection.query_row(&sql, [], |row| row.get(0)).map_err(reading)?;
        counts.push(Count {
            name: format!("{prefix}{name}"),
            rows: u64::try_from(rows).unwrap_or_default(),
        });
    }
    Ok(counts)
}

/// What a copy of a backup holds other than the manifest says.
pub(super) fn compare(path: &Path, prefix: &str, expected: &[Count]) -> Result<Vec<String>> {
    let found = examine(path, prefix)?;
    let of_file: Vec<Count> = expected
        .iter()
        .filter(|count| count.name.starts_with(prefix))
        .cloned()
        .collect();
    Ok(differences(&of_file, &found))
}

/// Gives a restored file the journal that it had.
pub(super) fn set_journal(path: &Path, modes: &[JournalMode], part: &str) -> Result<()> {
    let Some(JournalMode { mode, .. }) = modes.iter().find(|journal| journal.path == part) else {
        return Ok(());
    };
    // Others are no property of the file.
    if mode != "wal" {
        return Ok(());
    }
    let connection = open(path, true)?;
    connection
        .query_row("pragma journal_mode = wal", [], |_| Ok(()))
        .map_err(|error| failed(&error, "writing", path))?;
    connection.close().map_err(|(_, error)| failed(&error, "writing", path))
}

/// Files that SQLite keeps beside one.
pub(super) fn beside(path: &Path) -> [PathBuf; 3] {
    ["-wal", "-shm", "-journal"].map(|suffix| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    })
}

/// Nobody has the file open, as far as can be told: whoever has, would go on with a file that is gone.
/// What a crash left in its log is brought into the file.
pub(super) fn check_unused(path: &Path) -> Result<()> {
    let used = |by: &str| {
        Error::new(ErrorKind::Busy, format!("{} is in use{by}", path.display()))
            .hint("stop its application, then restore again; nothing was changed")
    };
    if let Some(process) = user_of(path) {
        return Err(used(&format!(" by process {process}")));
    }
    let connection = open(path, true)?;
    let look = connection
        .execute_batch("begin immediate")
        .and_then(|()| connection.execute_batch("rollback"))
        .map_err(|error| failed(&error, "opening", path));
    let closed = connection.close().map_err(|(_, error)| failed(&error, "closing", path));
    match look {
        // A file that is no database, or is damaged, is what one restores a backup over.
        Err(error) if error.kind() == ErrorKind::Unreadable => {}
        other => other.and(closed)?,
    }
    // Who is last to close a database takes its log away.
    let [log, _, journal] = beside(path);
    if log.exists() || journal.exists() {
        return Err(used(": its log is still there"));
    }
    Ok(())
}

/// A process that has the file open, of those that we may look at.
fn user_of(path: &Path) -> Option<String> {
    let path = path.canonicalize().ok()?;
    for process in std::fs::read_dir("/proc").ok()?.flatten() {
        let name = process.file_name().to_string_lossy().into_owned();
        if !name.bytes().all(|byte| byte.is_ascii_digit()) || name == std::process::id().to_string() {
            continue;
        }
        let open = std::fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten();
        if open
            .map(|entry| std::fs::read_link(entry.path()))
            .any(|link| link.is_ok_and(|link| link == path))
        {
            return Some(name);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use tokio_util::sync::CancellationToken;

    use super::*;

    #[test]
    fn a_copy_is_of_one_moment_with_and_without_a_log() {
        for mode in ["wal", "delete"] {
            let folder = tempfile::tempdir().expect("a folder");
            let (path, to) = (folder.path().join("a.db"), folder.path().join("copy.db"));
            let writer = Connection::open(&path).expect("a database");
            writer
                .execute_batch(&format!(
                    "pragma journal_mode = {mode}; create table a (v); create table b (v);
                     with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000)
                     insert into a select zeroblob(200) from n"
                ))
                .expect("rows");
            writer.busy_timeout(Duration::from_secs(20)).expect("set");
            let stop = std::sync::atomic::AtomicBool::new(false);
            let stop = &stop;
            std::thread::scope(|scope| {
                scope.spawn(move || {
                    while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                        // Both or none: a copy that is torn shows it.
                        writer
                            .execute_batch("begin immediate; insert into a values (1); insert into b values (1); commit")
                            .expect("written");
                    }
                });
                let shutdown = CancellationToken::new();
                let context = Context {
                    tell: &|_| (),
                    shutdown: &shutdown,
                    tools: None,
                    jobs: None,
                };
                let told = copy(&path, &to, "x", &context);
                stop.store(true, std::sync::atomic::Ordering::Relaxed);
                assert_eq!(told.expect("copied"), mode);
            });
            let counts = examine(&to, "").expect("sound");
            assert_eq!(counts[0].rows, counts[1].rows + 20_000, "{mode}: {counts:?}");
            assert!(beside(&to).iter().all(|path| !path.exists()));
        }
    }

    #[test]
    fn odd_rows_are_no_damage_and_damage_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.db");
        let writer = Connection::open(&path).expect("a database");
        writer
            .execute_batch(
                "create table a (n numeric, t text); insert into a values ('words', 'x'), (1, 'y');
                 create table b (v); with recursive n(i) as (select 1 union all select i + 1 from n where i < 2000)
                 insert into b select zeroblob(100) from n",
            )
            .expect("rows");
        drop(writer);
        assert_eq!(examine(&path, "").expect("as it was written").len(), 2);
        let mut bytes = std::fs::read(&path).expect("a file");
        let middle = bytes.len() / 2;
        bytes[middle..middle + 3_000].fill(0x5a);
        std::fs::write(&path, bytes).expect("written");
        assert_eq!(examine(&path, "").expect_err("damaged").kind(), ErrorKind::Unreadable);
    }

    #[test]
    fn a_file_in_use_is_told_from_one_that_was_left() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.db");
        let writer = Connection::open(&path).expect("a database");
        writer
            .execute_batch("pragma journal_mode = wal; create table a (v)")
            .expect("a table");
        assert_eq!(check_unused(&path).expect_err("in use").kind(), ErrorKind::Busy);
        drop(writer);
        check_unused(&path).expect("free");
        std::fs::write(&path, "this is no database at all, but there is a file").expect("written");
        check_unused(&path).expect("what is no database may be replaced");
    }
}
