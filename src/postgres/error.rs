//! From what the server or the driver says to an [`Error`] (Invariant 15).
//!
//! Only SQLSTATE, and the names of constraints and columns, go on. Message, detail, hint and
//! context of the server may hold cell values and stay here; the driver's own texts may hold the
//! address and stay here, too.

use std::io;

use sqlx::postgres::PgDatabaseError;

use super::encode::{WireColumn, WireTable};
use crate::data::column::ColumnType;
use crate::data::reject::Reason;
use crate::error::Refusal;
use crate::{Error, ErrorKind};

/// Classifies a failure on an established connection.
pub(crate) fn classify(error: &sqlx::Error) -> Error {
    match error {
        sqlx::Error::Database(error) => match error.try_downcast_ref::<PgDatabaseError>() {
            Some(error) => of_server(error, &WireTable::default()),
            None => Error::new(ErrorKind::Internal, "the server reported an error of an unknown form"),
        },
        sqlx::Error::Io(error) => lost(io_words(error)),
        // A message that does not fit: after a broken connection anything may arrive.
        sqlx::Error::Protocol(_) => lost("the connection answered out of order"),
        sqlx::Error::Tls(_) => lost("the encrypted connection broke"),
        sqlx::Error::RowNotFound => Error::new(ErrorKind::Internal, "the server returned no row where one was due"),
        sqlx::Error::ColumnDecode { index, .. } => Error::new(
            ErrorKind::Internal,
            format!("the server returned column {index} in a form that was not expected"),
        ),
        _ => Error::new(ErrorKind::Internal, "the database driver failed"),
    }
}

/// Classifies a failure to write rows into `table`, so that the column concerned can be named.
pub(crate) fn classify_write(error: &sqlx::Error, table: &WireTable) -> Error {
    match error {
        sqlx::Error::Database(server) => match server.try_downcast_ref::<PgDatabaseError>() {
            Some(error) => of_server(error, table),
            None => classify(error),
        },
        _ => classify(error),
    }
}

/// Classifies a failure to connect.
pub(crate) fn classify_connect(error: &sqlx::Error) -> Error {
    match error {
        sqlx::Error::Io(error) => Error::new(ErrorKind::Unreachable, io_words(error)),
        sqlx::Error::Tls(_) => Error::new(
            ErrorKind::Unauthorised,
            "no encrypted connection (TLS) that can be trusted was agreed on",
        )
        .hint(
            "the server offers no TLS, or its certificate does not fit its host name: see `sslmode` and `sslrootcert` of the URL; \
             `sslmode=disable` only where nobody can listen",
        ),
        sqlx::Error::Configuration(_) => Error::new(ErrorKind::Config, "the URL is not understood")
            .hint("it is `postgres://user:password@host:port/database?sslmode=verify-full`"),
        error => classify(error),
    }
}

/// The SQLSTATE of a server error.
pub(crate) fn code(error: &sqlx::Error) -> Option<&str> {
    match error {
        sqlx::Error::Database(error) => error.try_downcast_ref::<PgDatabaseError>().map(PgDatabaseError::code),
        _ => None,
    }
}

/// The session is useless from here on.
pub(crate) fn lost(what: &str) -> Error {
    Error::new(ErrorKind::Lost, what.to_owned())
}

fn io_words(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "connection refused",
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
            "the connection was closed by the other side"
        }
        io::ErrorKind::UnexpectedEof => "the connection ended",
        io::ErrorKind::TimedOut => "no answer in time",
        io::ErrorKind::NotFound => "no such socket or host",
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => "no way to the host",
        io::ErrorKind::PermissionDenied => "the socket may not be opened",
        _ => "the connection failed, or the host name is unknown",
    }
}

fn of_server(error: &PgDatabaseError, table: &WireTable) -> Error {
    let code = error.code();
    match refusal(error, table) {
        Some(refusal) => Error::refused(refusal),
        None => environment(code),
    }
}

/// Errors that one of the rows caused.
fn refusal(error: &PgDatabaseError, table: &WireTable) -> Option<Refusal> {
    let code = error.code();
    let constraint = error.constraint().unwrap_or("without a name");
    let column = error.column().or_else(|| column_in_context(error.r#where()?, &table.columns));
    let ty = column
        .and_then(|name| table.columns.iter().find(|other| other.name == name))
        .map(|column| &column.ty);
    let (reason, detail) = match code {
        "23505" => (Reason::Duplicate, format!("violates unique constraint `{constraint}`")),
        "23503" => (Reason::ForeignKey, format!("violates foreign key `{constraint}`")),
        "23502" => (Reason::NullValue, "NULL in a column that refuses it".to_owned()),
        "23514" => (Reason::Constraint, format!("violates check constraint `{constraint}`")),
        "23P01" => (Reason::Constraint, format!("violates exclusion constraint `{constraint}`")),
        "44000" => (Reason::Constraint, "violates the check option of a view".to_owned()),
        _ if code.starts_with("23") => (Reason::Constraint, format!("violates constraint `{constraint}`")),
        "22001" => (Reason::TooLong, "longer than the column allows".to_owned()),
        "22003" => (Reason::OutOfRange, "outside the range of the column's type".to_owned()),
        "22008" => (Reason::OutOfRange, "outside the range of dates and times".to_owned()),
        "22P02" | "22P03" | "22P05" | "22021" => malformed(ty),
        // The form of what we sent, not a value in it.
        "22P04" => return None,
        _ if code.starts_with("22") => (Reason::Refused, format!("refused as bad data (SQLSTATE {code})")),
        _ if code.starts_with("54") => (Reason::TooLarge, "larger than a row or an index entry may be".to_owned()),
        _ if code.starts_with("P0") || code.starts_with("38") || code.starts_with("39") || code == "27000" || code == "09000" => (
            Reason::Trigger,
            format!("a trigger of the target raised an error (SQLSTATE {code})"),
        ),
        _ => return None,
    };
    Some(Refusal {
        column: column.or_else(|| table.constraint_columns(constraint)).map(str::to_owned),
        reason,
        detail,
    })
}

/// Text that has no meaning in its column's type.
fn malformed(ty: Option<&ColumnType>) -> (Reason, String) {
    match ty {
        Some(ColumnType::List(item)) if matches!(**item, ColumnType::Enum { .. }) => malformed(Some(item)),
        Some(ColumnType::Enum { name, .. }) => (Reason::EnumLabel, format!("not a label of enum {name}")),
        Some(ColumnType::Json { .. }) => (Reason::Json, "not JSON that the target can hold".to_owned()),
        _ => (Reason::Refused, "a value that the column's type cannot hold".to_owned()),
    }
}

/// COPY names table, line and column in the error's context: `COPY t, line 3, column c`. In
/// binary format no value follows; only a column that we know is taken out of it.
fn column_in_context<'a>(context: &str, columns: &'a [WireColumn]) -> Option<&'a str> {
    let line = context.lines().find(|line| line.starts_with("COPY "))?;
    columns
        .iter()
        .map(|column| column.name.as_str())
        .filter(|name| line.strip_suffix(name).is_some_and(|rest| rest.ends_with(", column ")))
        .max_by_key(|name| name.len())
}

/// Errors of the server and its surroundings, not of a row.
fn environment(code: &str) -> Error {
    let error = |kind, what: &str| Error::new(kind, format!("{what} (SQLSTATE {code})"));
    match code {
        "28P01" | "28000" => error(ErrorKind::Unauthorised, "user or password is refused"),
        "3D000" => error(ErrorKind::Missing, "the database does not exist"),
        "42501" => error(ErrorKind::Unauthorised, "permission denied"),
        "25006" => error(ErrorKind::Unauthorised, "the server accepts no writes")
            .hint("it is a standby, or the role or database is read-only: point the URL at the primary"),
        "42P01" | "42703" | "3F000" => error(ErrorKind::Missing, "a table, column or schema is gone"),
        "53100" | "53400" => error(ErrorKind::Full, "the server has no space left"),
        "53200" => {
            error(ErrorKind::Full, "the server is out of memory").hint("give it more, or make batches smaller, then run again")
        }
        "53300" => error(ErrorKind::Busy, "the server has no connection left"),
        "21000" => error(
            ErrorKind::Validation,
            "two rows sent together have one key in the eyes of the target",
        )
        .hint("the type or collation of a key column takes different values for equal: write it in one form, such as lower(…)"),
        "55P03" => error(ErrorKind::Busy, "somebody else holds a lock on the table").hint(
            "end the transaction that holds it (see pg_stat_activity), then run again: it goes on after the last committed batch",
        ),
        "55006" => error(ErrorKind::Busy, "it is in use by somebody else"),
        "57014" => error(ErrorKind::Lost, "the statement was cancelled, or took too long"),
        "25P03" | "58030" => error(ErrorKind::Lost, "the server gave the connection up"),
        "XX001" | "XX002" => error(ErrorKind::Unreadable, "the server found damaged data"),
        _ if code.starts_with("08") => error(ErrorKind::Lost, "the connection failed"),
        _ if code.starts_with("57P") => error(ErrorKind::Lost, "the server ended the connection, or is starting or stopping"),
        _ if code.starts_with("40") => error(
            ErrorKind::Lost,
            "the server rolled the transaction back to resolve a conflict",
        ),
        _ if code.starts_with("28") => error(ErrorKind::Unauthorised, "the server refuses this login"),
        _ => error(ErrorKind::Internal, "the server refused a statement"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Retry;

    #[test]
    fn a_column_is_taken_from_the_context_only_if_it_is_ours() {
        let columns = ["name", "full name", "a, column b"].map(|name| WireColumn {
            name: name.to_owned(),
            ty: ColumnType::TEXT,
            wire: None,
            carried: crate::postgres::carried::Carried::Nothing,
        });
        let of = |context| column_in_context(context, &columns);
        assert_eq!(of("COPY t, line 3, column name"), Some("name"));
        assert_eq!(of("COPY t, line 3, column full name"), Some("full name"));
        assert_eq!(of("COPY t, line 3, column a, column b"), Some("a, column b"));
        assert_eq!(of("COPY t, line 3, column name: \"secret\""), None);
        assert_eq!(of("COPY t, line 3"), None);
        assert_eq!(of("PL/pgSQL function f() line 3 at RAISE"), None);
        assert_eq!(of("SQL statement\nCOPY t, line 1, column name"), Some("name"));
    }

    #[test]
    fn kinds_follow_the_state() {
        for (code, kind) in [
            ("08006", ErrorKind::Lost),
            ("57P01", ErrorKind::Lost),
            ("40001", ErrorKind::Lost),
            ("40P01", ErrorKind::Lost),
            ("28P01", ErrorKind::Unauthorised),
            ("42501", ErrorKind::Unauthorised),
            ("3D000", ErrorKind::Missing),
            ("42P01", ErrorKind::Missing),
            ("53100", ErrorKind::Full),
            ("53300", ErrorKind::Busy),
            ("55P03", ErrorKind::Busy),
            ("42601", ErrorKind::Internal),
        ] {
            assert_eq!(environment(code).kind(), kind, "{code}");
        }
        assert_eq!(environment("57P03").kind().policy().retry, Retry::Backoff);
    }

    #[test]
    fn what_the_driver_says_is_not_passed_on() {
        let io = sqlx::Error::Io(io::Error::other("canary-secret"));
        for error in [
            classify(&io),
            classify_connect(&io),
            classify(&sqlx::Error::Protocol("canary-secret".to_owned())),
            classify_connect(&sqlx::Error::Configuration("canary-secret".into())),
            classify_connect(&sqlx::Error::Tls("canary-secret".into())),
        ] {
            assert!(!format!("{error:?} {error} {}", error.advice()).contains("canary"), "{error}");
        }
    }
}
