//! The statements of a script, run one by one; what fails is known by its place.

use rusqlite::fallible_iterator::FallibleIterator as _;
use rusqlite::{Batch, Connection, ErrorCode};

/// Why a script stopped.
pub(super) enum Stop {
    /// The script is wrong, at a byte of its text.
    Script(usize, String),
    /// The file is.
    Driver(rusqlite::Error),
}

impl From<rusqlite::Error> for Stop {
    fn from(error: rusqlite::Error) -> Self {
        Self::Driver(error)
    }
}

/// Runs all statements of a text.
pub(super) fn run(connection: &Connection, text: &str) -> Result<(), Stop> {
    let mut batch = Batch::new(connection, text);
    let mut at = 0;
    loop {
        let next = batch.next().map_err(|error| at_fault(text, at, error))?;
        let Some(mut statement) = next else { return Ok(()) };
        let spelt = statement.expanded_sql().unwrap_or_default();
        let start = text[at..].find(&spelt).map_or(at, |found| at + found);
        let mut rows = statement.raw_query();
        loop {
            match rows.next() {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => return Err(at_fault(text, start, error)),
            }
        }
        at = start + spelt.len();
    }
}

/// What is wrong with a statement at or after byte `at`, unless it is the file's fault.
fn at_fault(text: &str, at: usize, error: rusqlite::Error) -> Stop {
    let begin = at + blank(&text[at..]);
    match error {
        rusqlite::Error::SqlInputError { msg, sql, offset, .. } => {
            let piece = text.len().saturating_sub(sql.len());
            Stop::Script(piece + usize::try_from(offset).unwrap_or(0), msg)
        }
        // SQLite's texts about statements and constraints hold names. Those of other codes and
        // of what a statement computes could hold more.
        rusqlite::Error::SqliteFailure(code, Some(message)) => match code.code {
            ErrorCode::Unknown | ErrorCode::ConstraintViolation => Stop::Script(begin, message),
            _ => Stop::Driver(rusqlite::Error::SqliteFailure(code, None)),
        },
        error => Stop::Driver(error),
    }
}

/// Bytes of white space, comments and semicolons that a text begins with.
fn blank(text: &str) -> usize {
    let mut rest = text;
    loop {
        let trimmed = rest.trim_start_matches(|c: char| c.is_whitespace() || c == ';');
        let after = if let Some(comment) = trimmed.strip_prefix("--") {
            comment.find('\n').map_or("", |end| &comment[end..])
        } else if let Some(comment) = trimmed.strip_prefix("/*") {
            comment.find("*/").map_or("", |end| &comment[end + 2..])
        } else {
            return text.len() - trimmed.len();
        };
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stop(text: &str) -> Option<(usize, String)> {
        let connection = Connection::open_in_memory().expect("SQLite");
        match run(&connection, text) {
            Ok(()) => None,
            Err(Stop::Script(at, what)) => Some((at, what)),
            Err(Stop::Driver(error)) => panic!("{error}"),
        }
    }

    #[test]
    fn a_statement_that_fails_is_found_in_its_file() {
        for (text, place, says) in [
            (
                "create table t (a);\n\n-- two\ncreate table t (b);\n",
                "t (b)",
                "already exists",
            ),
            ("create table t (a);\nselect * from t wher a;\n", "wher a", ""),
            ("select 1; /* x */ select nosuch;", "nosuch", "no such column"),
            (
                "create table t (a unique);\ninsert into t values (1);\n;\n insert into t values (1);",
                "insert into t values (1);",
                "UNIQUE",
            ),
            ("-- ü\ncreat table t (a);", "creat table", "syntax error"),
        ] {
            let (at, what) = stop(text).expect(text);
            let expected = text.rfind(place).expect(place);
            assert!(
                at == expected || place == "wher a" && at > expected,
                "{text}: {at} is not {expected}"
            );
            assert!(what.contains(says), "{what}");
        }
        assert_eq!(stop("create table t (a);\n-- nothing more\n"), None);
        assert_eq!(
            stop("pragma user_version; create trigger if not exists x after insert on y begin select 1; end;")
                .map(|stop| stop.0 > 20),
            Some(true)
        );
    }
}
