//! Mistakes in SQL that the user wrote, and what reading may fail with beyond the server's usual
//! errors. The text of a query's own mistakes is told, because the query is the user's; it is
//! only parsed then, so that no cell can be in it (Invariant 15).

use sqlx::postgres::{PgColumn, PgDatabaseError, PgTypeInfo};
use sqlx::{AssertSqlSafe, Either, Executor as _, PgConnection, SqlSafeStr as _, Statement as _};

use crate::postgres::error::{classify, code};
use crate::{Error, ErrorKind, Result};

/// A statement as the server understands it.
pub(super) struct Prepared {
    pub(super) columns: Vec<PgColumn>,
    pub(super) parameters: Vec<PgTypeInfo>,
}

/// Has the server parse one statement of the user's, called `what`, without running it.
///
/// # Errors
/// [`ErrorKind::Mapping`] with the server's words where it is not valid.
pub(super) async fn prepare(connection: &mut PgConnection, sql: &str, what: &str) -> Result<Prepared> {
    if sql.contains('\0') {
        return Err(Error::new(ErrorKind::Mapping, format!("the {what} contains a NUL character")));
    }
    let text = AssertSqlSafe(sql.to_owned()).into_sql_str();
    let statement = connection.prepare(text).await.map_err(|error| mistake(&error, what))?;
    let parameters = match statement.parameters() {
        Some(Either::Left(types)) => types.to_vec(),
        _ => Vec::new(),
    };
    Ok(Prepared {
        columns: statement.columns().to_vec(),
        parameters,
    })
}

fn mistake(error: &sqlx::Error, what: &str) -> Error {
    let server = match error {
        sqlx::Error::Database(error) => error.try_downcast_ref::<PgDatabaseError>(),
        _ => None,
    };
    match server {
        Some(server) if server.message() == "cannot insert multiple commands into a prepared statement" => {
            Error::new(ErrorKind::Mapping, format!("the {what} is more than one statement"))
                .hint("keep one, and write it without a semicolon in the middle")
        }
        Some(server) if server.code() != "42501" && matches!(server.code().get(..2), Some("42" | "22" | "0A" | "3F")) => {
            Error::new(ErrorKind::Mapping, format!("the {what} is not valid: {}", server.message()))
        }
        _ => reading(error),
    }
}

/// The statement that reads a stream is refused before it is carried out.
pub(super) fn preparing(error: &sqlx::Error) -> Error {
    match code(error) {
        // Names and types were looked up just before.
        Some("42883") => Error::new(
            ErrorKind::Mapping,
            "a column of the source key is of a type that the server cannot order",
        )
        .hint("name other columns in `source_key`, or none: the stream is atomic then"),
        _ => reading(error),
    }
}

/// Something went wrong while reading.
pub(super) fn reading(error: &sqlx::Error) -> Error {
    match code(error) {
        Some("42501") => denied(error),
        Some("25006" | "25001") => Error::new(ErrorKind::Mapping, "the query writes or locks, and a source is only read")
            .hint("leave out what changes or locks rows (`for update`, functions that write)"),
        Some("55P03") => Error::new(ErrorKind::Busy, "somebody else holds a lock on a table that is read").hint(
            "end the transaction that holds it (see pg_stat_activity), then run again: it goes on after the last committed batch",
        ),
        Some(code) if code.starts_with("22") || code.starts_with("P0") || code.starts_with("38") => Error::new(
            ErrorKind::Unreadable,
            format!("the server failed to compute a row of what is read (SQLSTATE {code})"),
        )
        .hint("a query, view or condition that fails on some row (a cast, a division) has to be mended"),
        Some(code @ ("42P01" | "42703" | "42704" | "42804" | "42883" | "3F000")) => Error::new(
            ErrorKind::Missing,
            format!("the source has changed since it was planned (SQLSTATE {code})"),
        )
        .hint("plan again: a table, column, type or operator is another one now"),
        _ => classify(error),
    }
}

/// The server names the object that it refuses, and nothing else.
fn denied(error: &sqlx::Error) -> Error {
    let words = match error {
        sqlx::Error::Database(error) => error.try_downcast_ref::<PgDatabaseError>().map(PgDatabaseError::message),
        _ => None,
    };
    // A function may raise the same state with words of its own.
    let words = words.filter(|words| words.starts_with("permission denied for ") || words.contains("row-level security policy"));
    let error = Error::new(ErrorKind::Unauthorised, words.unwrap_or("permission denied").to_owned());
    if words.is_some_and(|words| words.contains("row-level security")) {
        return error.hint("rows would be hidden from this role: read as a role with BYPASSRLS, or as the table's owner");
    }
    error.hint("grant it to the role that reads: USAGE on the schema, SELECT on the table or view")
}
