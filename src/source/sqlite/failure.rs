//! SQLite's errors by kind. Its messages can quote values and paths, so that only the fixed text
//! of an error's code is passed on (Invariant 15); the text of a query's own mistakes is the
//! exception, because the query is the user's.

use std::io;
use std::path::Path;

use rusqlite::ErrorCode;

use crate::{Error, ErrorKind};

/// Something is wrong with a query of the mapping.
pub(super) fn mapping(error: rusqlite::Error) -> Error {
    match error {
        rusqlite::Error::SqlInputError { msg, .. } => Error::new(ErrorKind::Mapping, format!("the query is not valid: {msg}")),
        rusqlite::Error::SqliteFailure(code, Some(message)) if code.code == ErrorCode::Unknown => {
            Error::new(ErrorKind::Mapping, format!("the query is not valid: {message}"))
        }
        rusqlite::Error::MultipleStatement => Error::new(ErrorKind::Mapping, "the query is more than one statement")
            .hint("keep one, and write it without a semicolon in the middle"),
        error => reading(error),
    }
}

/// Something went wrong while reading.
pub(super) fn reading(error: rusqlite::Error) -> Error {
    let Some(code) = error.sqlite_error().copied() else {
        return Error::new(ErrorKind::Internal, "SQLite was asked in a wrong way").because(error);
    };
    let failed = match code.code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
            Error::new(ErrorKind::Busy, "the database is locked by another process")
                .hint("wait until it is free, or stop the process that writes to it")
        }
        ErrorCode::NotADatabase => Error::new(ErrorKind::Unreadable, "the file is not an SQLite database")
            .hint("check the path; an encrypted database cannot be read"),
        ErrorCode::DatabaseCorrupt => Error::new(ErrorKind::Unreadable, "the database is damaged")
            .hint("`sqlite3 FILE 'pragma integrity_check'` tells where; restore a backup, or use `.recover`"),
        ErrorCode::DiskFull => Error::new(ErrorKind::Full, "no room for the temporary files of a sort")
            .hint("free some space in the folder for temporary files (`SQLITE_TMPDIR`)"),
        ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied => {
            Error::new(ErrorKind::Unauthorised, "reading is not allowed").hint("check the permissions of file and folder")
        }
        ErrorCode::CannotOpen => Error::new(
            ErrorKind::Unauthorised,
            "the database or its write-ahead log cannot be opened",
        )
        .hint("a database in WAL mode needs its `-wal` and `-shm` files, or a folder where they may be created"),
        ErrorCode::ReadOnly => Error::new(
            ErrorKind::Unauthorised,
            "the database was not closed properly and cannot be recovered read-only",
        )
        .hint("start and stop its application once, or open it with `sqlite3` where the folder is writable"),
        ErrorCode::SystemIoFailure => Error::new(ErrorKind::Unreadable, "the file system failed while reading")
            .hint("check the disk, then run again: it goes on after the last committed batch"),
        ErrorCode::OperationInterrupted => Error::new(ErrorKind::Interrupted, "reading was stopped"),
        ErrorCode::OutOfMemory => Error::new(ErrorKind::Full, "SQLite ran out of memory").hint("free some memory"),
        ErrorCode::Unknown => Error::new(ErrorKind::Unreadable, "SQLite failed while reading rows")
            .hint("a query or view that fails on some row (bad JSON, overflow) has to be mended"),
        _ => Error::new(ErrorKind::Unreadable, "SQLite failed while reading"),
    };
    failed.because(code)
}

/// The file could not be opened: finds out why, without holding it open (closing it would give
/// up locks that another connection of this process holds).
pub(super) fn opening(path: &Path, error: rusqlite::Error) -> Error {
    match std::fs::metadata(path) {
        Err(cause) => return missing(path, &cause),
        Ok(found) if found.is_dir() => {
            return Error::new(ErrorKind::Unreadable, format!("{} is a folder", path.display()))
                .hint("name the database file in it");
        }
        Ok(_) => {}
    }
    if matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied)
    ) && let Err(cause) = std::fs::File::open(path)
    {
        return missing(path, &cause);
    }
    reading(error).during(path.display())
}

fn missing(path: &Path, cause: &io::Error) -> Error {
    let path = path.display();
    match cause.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            Error::new(ErrorKind::Unreachable, format!("there is no file {path}"))
                .hint("check the path; it is relative to the current folder")
        }
        io::ErrorKind::PermissionDenied => Error::new(ErrorKind::Unauthorised, format!("no permission to read {path}"))
            .hint("give this user read permission on the file and search permission on its folders"),
        kind => Error::new(ErrorKind::Unreachable, format!("cannot open {path}: {kind}")),
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    #[test]
    fn every_code_has_its_kind_and_no_raw_message() {
        for (code, kind) in [
            (ffi::SQLITE_BUSY, ErrorKind::Busy),
            (ffi::SQLITE_LOCKED, ErrorKind::Busy),
            (ffi::SQLITE_BUSY_RECOVERY, ErrorKind::Busy),
            (ffi::SQLITE_NOTADB, ErrorKind::Unreadable),
            (ffi::SQLITE_CORRUPT, ErrorKind::Unreadable),
            (ffi::SQLITE_CORRUPT_VTAB, ErrorKind::Unreadable),
            (ffi::SQLITE_FULL, ErrorKind::Full),
            (ffi::SQLITE_PERM, ErrorKind::Unauthorised),
            (ffi::SQLITE_CANTOPEN, ErrorKind::Unauthorised),
            (ffi::SQLITE_READONLY_CANTINIT, ErrorKind::Unauthorised),
            (ffi::SQLITE_READONLY_ROLLBACK, ErrorKind::Unauthorised),
            (ffi::SQLITE_IOERR_READ, ErrorKind::Unreadable),
            (ffi::SQLITE_INTERRUPT, ErrorKind::Interrupted),
            (ffi::SQLITE_ERROR, ErrorKind::Unreadable),
        ] {
            let error = reading(rusqlite::Error::SqliteFailure(
                ffi::Error::new(code),
                Some("secret cell".to_owned()),
            ));
            assert_eq!(error.kind(), kind, "{code}");
            assert!(!format!("{error:?}").contains("secret"), "{error:?}");
        }
    }

    #[test]
    fn a_file_that_may_not_be_read_is_told_from_one_that_is_missing() {
        let denied = missing(Path::new("a.db"), &io::ErrorKind::PermissionDenied.into());
        assert_eq!(
            (denied.kind(), denied.message()),
            (ErrorKind::Unauthorised, "no permission to read a.db")
        );
        let absent = missing(Path::new("a.db"), &io::ErrorKind::NotFound.into());
        assert_eq!(
            (absent.kind(), absent.message()),
            (ErrorKind::Unreachable, "there is no file a.db")
        );
    }
}
