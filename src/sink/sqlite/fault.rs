//! Faults: SQLite's result codes as the program's kinds of error.
//!
//! SQLite's text names tables, columns and constraints, but a trigger or an expression may put
//! anything into it, so that only the texts listed here are passed on (Invariants 9 and 15).

use rusqlite::ffi::{self, ErrorCode};

use crate::data::reject::Reason;
use crate::error::Refusal;
use crate::{Error, ErrorKind};

/// An error met while doing `what` (a fragment that names the connection).
pub(super) fn classify(error: &rusqlite::Error, what: &str) -> Error {
    let Some(code) = error.sqlite_error() else {
        // Values of another type than the ledger's own tables hold, or a use of the driver that
        // is ours to mend.
        return Error::new(
            ErrorKind::Internal,
            format!("{what}: the database answered in an unexpected form"),
        );
    };
    let (kind, message, hint) = match code.code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::FileLockingProtocolFailed => (
            ErrorKind::Busy,
            "the database is locked by another process",
            Some("close the other program that writes to it, then run again: it goes on after the last committed batch"),
        ),
        ErrorCode::DiskFull => (ErrorKind::Full, "no space is left for the database", None),
        // The index of the write-ahead log could not grow.
        ErrorCode::SystemIoFailure if code.extended_code == ffi::SQLITE_IOERR_SHMSIZE => {
            (ErrorKind::Full, "no space is left for the database", None)
        }
        ErrorCode::OutOfMemory => (ErrorKind::Full, "memory ran out", Some("free some memory")),
        ErrorCode::SystemIoFailure => (ErrorKind::Lost, "reading or writing the file failed", None),
        ErrorCode::SchemaChanged => (ErrorKind::Lost, "the schema changed meanwhile", None),
        ErrorCode::CannotOpen => (
            ErrorKind::Unreachable,
            "the file cannot be opened",
            Some("check that the path is a file, and that its folder is there and may be written to"),
        ),
        ErrorCode::ReadOnly if code.extended_code == ffi::SQLITE_READONLY_DBMOVED => {
            (ErrorKind::Lost, "the file was moved or deleted meanwhile", None)
        }
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied => (
            ErrorKind::Unauthorised,
            "no permission to write to the file",
            Some("check the permissions of the file and of its folder"),
        ),
        ErrorCode::NotADatabase => (
            ErrorKind::Unreadable,
            "the file is not a database that SQLite can read",
            Some("check the path; an encrypted database cannot be written to"),
        ),
        ErrorCode::ConstraintViolation if code.extended_code == ffi::SQLITE_CONSTRAINT_FOREIGNKEY => (
            ErrorKind::Validation,
            "a foreign key that is checked on commit is broken",
            Some("a trigger or a default of the target refers to rows that do not exist; nothing of the batch was kept"),
        ),
        ErrorCode::DatabaseCorrupt => (
            ErrorKind::Unreadable,
            "the database is damaged",
            Some("see what `pragma integrity_check` says about it"),
        ),
        _ => return prepared(error, what),
    };
    let error = Error::new(kind, format!("{what}: {message}"));
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// A statement that cannot be prepared: its text is made of names alone, so that SQLite's
/// message (`no such table`, `foreign key mismatch`) can be shown.
fn prepared(error: &rusqlite::Error, what: &str) -> Error {
    match error {
        rusqlite::Error::SqlInputError { msg, .. } => Error::new(ErrorKind::Missing, format!("{what}: {msg}"))
            .hint("the table changed, or does not fit its own foreign keys and triggers; see `dbferry schema status`"),
        _ => Error::new(
            ErrorKind::Internal,
            format!("{what}: SQLite failed with code {}", extended(error)),
        ),
    }
}

fn extended(error: &rusqlite::Error) -> i32 {
    error.sqlite_error().map_or(0, |code| code.extended_code)
}

/// Why SQLite refused a row of `table`, if that is what the error says.
pub(super) fn refusal(error: &rusqlite::Error, table: &str) -> Option<Refusal> {
    let code = error.sqlite_error()?;
    let text = message(error);
    Some(match code.code {
        ErrorCode::ConstraintViolation => constraint(code.extended_code, text, table),
        ErrorCode::TooBig => plain(Reason::TooLarge, "the row is larger than SQLite allows"),
        ErrorCode::TypeMismatch => plain(Reason::Refused, "a row id must be an integer"),
        // An expression of the table (generated column, check, index) failed on this row. (A
        // table that was dropped or altered meanwhile is no fault of the row.)
        ErrorCode::Unknown if matches!(error, rusqlite::Error::SqliteFailure(..)) && !altered(text) => {
            plain(Reason::Constraint, "an expression of the target table fails on this row")
        }
        _ => return None,
    })
}

fn altered(text: &str) -> bool {
    text.starts_with("no such ") || text.contains(" has no column named ") || text.contains(" values for ")
}

fn message(error: &rusqlite::Error) -> &str {
    match error {
        rusqlite::Error::SqliteFailure(_, Some(text)) => text,
        rusqlite::Error::SqlInputError { msg, .. } => msg,
        _ => "",
    }
}

fn plain(reason: Reason, detail: &str) -> Refusal {
    Refusal {
        column: None,
        reason,
        detail: detail.to_owned(),
    }
}

fn constraint(code: i32, text: &str, table: &str) -> Refusal {
    // "UNIQUE constraint failed: games.room, games.map" or "… failed: index 'players_email'".
    let named = text.split_once("failed: ").map_or("", |(_, named)| named);
    match code {
        ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY | ffi::SQLITE_CONSTRAINT_ROWID => Refusal {
            column: columns(named, table),
            reason: Reason::Duplicate,
            detail: format!("another row has the same value in {named}"),
        },
        ffi::SQLITE_CONSTRAINT_NOTNULL => Refusal {
            column: columns(named, table),
            reason: Reason::NullValue,
            detail: format!("{named} refuses NULL"),
        },
        ffi::SQLITE_CONSTRAINT_FOREIGNKEY => plain(Reason::ForeignKey, "a row that this one refers to does not exist"),
        ffi::SQLITE_CONSTRAINT_CHECK => plain(Reason::Constraint, &format!("check constraint {named} refuses the row")),
        ffi::SQLITE_CONSTRAINT_TRIGGER => plain(Reason::Trigger, "a trigger refuses the row"),
        // "cannot store TEXT value in INTEGER column t.c"
        ffi::SQLITE_CONSTRAINT_DATATYPE => Refusal {
            column: text.split_once(" column ").and_then(|(_, named)| columns(named, table)),
            reason: Reason::Refused,
            detail: text.to_owned(),
        },
        _ => plain(Reason::Refused, "a constraint of the target refuses the row"),
    }
}

/// The columns of `table.column, table.other`, joined by commas; none where an index is named, or
/// another table (which a trigger wrote to).
fn columns(named: &str, table: &str) -> Option<String> {
    let first = named.strip_prefix(table)?.strip_prefix('.')?;
    Some(first.replace(&format!(", {table}."), ", "))
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    fn refused(statement: &str) -> Refusal {
        let connection = Connection::open_in_memory().expect("memory");
        connection
            .execute_batch(
                "pragma foreign_keys = on;
                 create table p (id text primary key, name text not null, email text, a int, b int check (b < 9), unique (a, b));
                 create unique index p_email on p (lower(email));
                 create table c (id integer primary key, p text references p);
                 create table s (n integer) strict;
                 create trigger t before insert on c when new.id = 66 begin select raise(abort, 'canary'); end;
                 insert into p values ('x', 'n', 'E', 1, 2);",
            )
            .expect("a schema");
        let error = connection.execute(statement, []).expect_err("refused");
        let table = statement.split(' ').nth(2).expect("a table");
        refusal(&error, table).expect("a refusal")
    }

    #[test]
    fn a_refusal_names_column_and_constraint_but_no_value() {
        let cases = [
            (
                "insert into p values ('x', 'n', 'f', 3, 4)",
                Some("id"),
                Reason::Duplicate,
                "p.id",
            ),
            (
                "insert into p values ('y', 'n', 'f', 1, 2)",
                Some("a, b"),
                Reason::Duplicate,
                "p.a, p.b",
            ),
            (
                "insert into p values ('y', 'n', 'e', 3, 4)",
                None,
                Reason::Duplicate,
                "index 'p_email'",
            ),
            (
                "insert into p values ('y', null, 'f', 3, 4)",
                Some("name"),
                Reason::NullValue,
                "p.name",
            ),
            (
                "insert into p values ('y', 'n', 'f', 3, 44)",
                None,
                Reason::Constraint,
                "b < 9",
            ),
            ("insert into c values (1, 'z')", None, Reason::ForeignKey, "does not exist"),
            ("insert into c values (66, null)", None, Reason::Trigger, "a trigger refuses"),
            ("insert into s values ('abc')", Some("n"), Reason::Refused, "s.n"),
            ("insert into c values ('abc', null)", None, Reason::Refused, "integer"),
        ];
        for (statement, column, reason, says) in cases {
            let refusal = refused(statement);
            assert_eq!((refusal.column.as_deref(), refusal.reason), (column, reason), "{statement}");
            assert!(refusal.detail.contains(says), "{}", refusal.detail);
            assert!(!refusal.detail.contains("canary") && !refusal.detail.contains("abc"));
        }
    }

    #[test]
    fn every_code_has_its_kind_and_no_raw_message() {
        for (code, kind, says) in [
            (ffi::SQLITE_BUSY, ErrorKind::Busy, "locked"),
            (ffi::SQLITE_BUSY_SNAPSHOT, ErrorKind::Busy, "locked"),
            (ffi::SQLITE_PROTOCOL, ErrorKind::Busy, "locked"),
            (ffi::SQLITE_FULL, ErrorKind::Full, "no space"),
            (ffi::SQLITE_IOERR_SHMSIZE, ErrorKind::Full, "no space"),
            (ffi::SQLITE_IOERR_FSYNC, ErrorKind::Lost, "failed"),
            (ffi::SQLITE_CANTOPEN, ErrorKind::Unreachable, "cannot be opened"),
            (ffi::SQLITE_READONLY, ErrorKind::Unauthorised, "permission"),
            (ffi::SQLITE_READONLY_DBMOVED, ErrorKind::Lost, "moved"),
            (ffi::SQLITE_NOTADB, ErrorKind::Unreadable, "not a database"),
            (ffi::SQLITE_CORRUPT_INDEX, ErrorKind::Unreadable, "damaged"),
            (ffi::SQLITE_CONSTRAINT_FOREIGNKEY, ErrorKind::Validation, "foreign key"),
            (ffi::SQLITE_MISUSE, ErrorKind::Internal, "code 21"),
        ] {
            let failure = rusqlite::Error::SqliteFailure(ffi::Error::new(code), Some("secret cell".to_owned()));
            let error = classify(&failure, "writing");
            assert_eq!(error.kind(), kind, "{code}");
            assert!(error.message().contains(says), "{error}");
            assert!(!format!("{error:?}").contains("secret"), "{error:?}");
            assert!(!error.advice().is_empty());
        }
    }

    #[test]
    fn a_column_is_named_whatever_the_table_is_called() {
        assert_eq!(columns("a.b.c", "a.b").as_deref(), Some("c"));
        assert_eq!(columns("t.a, b", "t").as_deref(), Some("a, b"));
        assert_eq!(columns("t.a, t.b", "t").as_deref(), Some("a, b"));
        assert_eq!(columns("other.a", "t"), None);
        assert_eq!(columns("index 'i'", "t"), None);
    }
}
