//! What `pg_dump` and `pg_restore` say on stderr, classified (Invariant 15).
//!
//! A server's text may quote cell values, and these programs pass it on. So nothing of it is handed on
//! but the names of objects in sentences that are known; what is not known is an error without words.

use crate::{Error, ErrorKind, Result};

/// Most lines that are looked at, from the first one with an error on.
pub(super) const LINES_MAX: usize = 200;

/// What of a line stands behind these words, up to the next quote.
fn quoted_behind<'a>(line: &'a str, words: &str) -> Option<&'a str> {
    let rest = &line[line.find(words)? + words.len()..];
    let rest = rest.strip_prefix(' ').unwrap_or(rest);
    match rest.strip_prefix('"') {
        Some(rest) => rest.split('"').next(),
        None => rest.split([' ', ':', '\n']).next(),
    }
}

/// The table whose rows are being written or read, by a line of progress.
pub(super) fn table_in(line: &str) -> Option<&str> {
    ["dumping contents of table ", "processing data for table "]
        .iter()
        .find_map(|words| {
            let at = line.find(words)?;
            Some(line[at + words.len()..].trim().trim_matches('"'))
        })
}

/// Why it ended with an error.
pub(super) fn classify(program: &str, code: Option<i32>, lines: &[String]) -> Error {
    let known = lines.iter().find_map(|line| of_line(program, line));
    known.unwrap_or_else(|| {
        let how = code.map_or_else(
            || "was ended by a signal".to_owned(),
            |code| format!("ended with exit code {code}"),
        );
        Error::new(
            ErrorKind::Internal,
            format!("{program} {how}, for a reason that may not be passed on"),
        )
        .hint(format!(
            "its messages may quote rows and are kept back: call {program} by hand to read them"
        ))
    })
}

fn of_line(program: &str, line: &str) -> Option<Error> {
    of_rights(program, line)
        .or_else(|| of_server(program, line))
        .or_else(|| of_archive(program, line))
}

fn of_rights(program: &str, line: &str) -> Option<Error> {
    let new = |kind, what: String| Error::new(kind, format!("{program}: {what}"));
    let rights = |what: String, hint: &str| Some(new(ErrorKind::Unauthorised, what).hint(hint));
    if line.contains("row-level security") {
        let table = quoted_behind(line, "for table").unwrap_or("?");
        return Some(hidden_rows(&format!("{program}: table `{table}`")));
    }
    for kind in [
        "table",
        "sequence",
        "schema",
        "database",
        "view",
        "function",
        "type",
        "large object",
        "materialized view",
    ] {
        if let Some(name) = quoted_behind(line, &format!("permission denied for {kind}")) {
            return rights(
                format!("permission denied for {kind} `{name}`"),
                "a backup needs a role that may read everything: one that owns the tables, or is a member of pg_read_all_data",
            );
        }
    }
    if line.contains("password authentication failed") || line.contains("no password supplied") || line.contains("pg_hba.conf") {
        return rights("user or password is refused".to_owned(), "check the URL of the connection");
    }
    if let Some(name) = quoted_behind(line, "permission denied to create extension") {
        return rights(
            format!("the role may not create extension `{name}`"),
            "let a superuser create it in database template1 or in the target, or restore with a role that may",
        );
    }
    if line.contains("must be owner")
        || line.contains("must be member of role")
        || line.contains("must be superuser")
        || line.contains("permission denied to")
        || line.contains("must be able to SET ROLE")
    {
        return rights(
            "the role may not give things the owners and rights that they had".to_owned(),
            "restore with a superuser, or with a member of all roles that own something in the database",
        );
    }
    None
}

fn of_server(program: &str, line: &str) -> Option<Error> {
    let new = |kind, what: &str| Error::new(kind, format!("{program}: {what}"));
    let has = |words: &[&str]| words.iter().any(|words| line.contains(words));
    if has(&["server version mismatch"]) {
        return Some(
            new(ErrorKind::Missing, "it is older than the server").hint("install the client programs of the server's version"),
        );
    }
    if has(&["No space left on device", "could not extend file", "disk full"]) {
        return Some(
            new(ErrorKind::Full, "no room is left").hint("free some space where the server or the backup lies, then call again"),
        );
    }
    if has(&["out of shared memory", "max_locks_per_transaction"]) {
        return Some(
            new(ErrorKind::Full, "the server has no room for so many locks")
                .hint("raise `max_locks_per_transaction` of the server"),
        );
    }
    if let Some(name) = quoted_behind(line, "role").filter(|_| line.contains("role \"") && line.contains("does not exist")) {
        return Some(
            new(ErrorKind::Missing, &format!("the server has no role `{name}`"))
                .hint("create the role, which owns something or has rights in the backup"),
        );
    }
    if let Some(name) =
        quoted_behind(line, "extension").filter(|_| line.contains("is not available") || line.contains("extension control file"))
    {
        return Some(
            new(ErrorKind::Missing, &format!("the server does not have extension `{name}`")).hint("install it on the server"),
        );
    }
    if let Some(name) = quoted_behind(line, "database").filter(|_| line.contains("database \"") && line.contains("does not exist"))
    {
        return Some(new(ErrorKind::Missing, &format!("the server has no database `{name}`")));
    }
    if has(&["lock timeout", "could not obtain lock"]) {
        return Some(
            new(ErrorKind::Busy, "somebody else holds a lock on a table")
                .hint("end the transaction that holds it (see pg_stat_activity), then call again"),
        );
    }
    if has(&[
        "Connection refused",
        "could not translate host name",
        "could not connect to server",
        "No route to host",
    ]) {
        return Some(new(ErrorKind::Unreachable, "the server cannot be reached"));
    }
    if has(&[
        "server closed the connection",
        "terminating connection",
        "connection to server was lost",
        "lost connection",
        "SSL SYSCALL",
        "the database system is",
        "no connection to the server",
    ]) {
        return Some(new(ErrorKind::Lost, "the connection to the server was lost").hint("when the server is back, call again"));
    }
    None
}

fn of_archive(program: &str, line: &str) -> Option<Error> {
    let new = |kind, what: &str| Error::new(kind, format!("{program}: {what}"));
    let has = |words: &[&str]| words.iter().any(|words| line.contains(words));
    if has(&[
        "valid archive",
        "unexpected end of file",
        "could not read from input file",
        "could not uncompress",
        "could not find block ID",
        "unsupported version",
        "corrupt",
    ]) {
        return Some(
            new(ErrorKind::Unreadable, "the dump is damaged, or of a newer version")
                .hint("verify the backup: `dbferry backup verify FOLDER`"),
        );
    }
    for (words, what) in [
        ("violates foreign key constraint", "rows break foreign key"),
        ("violates check constraint", "rows break check"),
        ("could not create unique index", "rows break unique index"),
        ("violates unique constraint", "rows break unique constraint"),
    ] {
        if let Some(name) = quoted_behind(line, words) {
            return Some(
                new(ErrorKind::Refused, &format!("{what} `{name}`"))
                    .hint("the backup holds them as its database did: mend them there, or look at them in a database of their own"),
            );
        }
    }
    if let Some(name) = quoted_behind(line, "relation").filter(|_| line.contains("already exists")) {
        return Some(new(ErrorKind::Refused, &format!("`{name}` is there already")));
    }
    if line.contains("cannot drop") && line.contains("because other objects depend on it") {
        return Some(
            new(
                ErrorKind::Refused,
                "something that the backup does not hold depends on what it replaces",
            )
            .hint("drop it by hand, or let the role create databases (CREATEDB): then nothing is dropped one by one"),
        );
    }
    None
}

/// Rows of a table are hidden from the role: a dump would not be whole.
pub(super) fn hidden_rows(what: &str) -> Error {
    Error::new(
        ErrorKind::Unauthorised,
        format!("{what}: row level security hides rows from the role, so that a backup would not be whole"),
    )
    .hint("back up with the owner of the table (unless it forces row security), or with a role that has BYPASSRLS")
}

/// `Ok` where it ended well.
pub(super) fn ended(program: &str, status: std::process::ExitStatus, lines: &[String]) -> Result<()> {
    if status.success() {
        Ok(())
    } else {
        Err(classify(program, status.code(), lines))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_sentences_have_a_kind_and_nothing_else_is_passed_on() {
        for (line, kind, word) in [
            (
                "pg_dump: error: query failed: ERROR:  permission denied for table players",
                ErrorKind::Unauthorised,
                "`players`",
            ),
            (
                "pg_dump: error: query failed: ERROR:  query would be affected by row-level security policy for table \"notes\"",
                ErrorKind::Unauthorised,
                "`notes`",
            ),
            (
                "pg_dump: error: connection to server at \"127.0.0.1\", port 1 failed: FATAL:  password authentication failed for user \"canary\"",
                ErrorKind::Unauthorised,
                "password",
            ),
            (
                "pg_dump: error: could not write to output file: No space left on device",
                ErrorKind::Full,
                "room",
            ),
            (
                "pg_restore: error: could not execute query: ERROR:  role \"anna\" does not exist",
                ErrorKind::Missing,
                "`anna`",
            ),
            (
                "pg_restore: error: could not execute query: ERROR:  extension \"postgis\" is not available",
                ErrorKind::Missing,
                "`postgis`",
            ),
            (
                "pg_restore: error: COPY failed for table \"t\": ERROR:  invalid input syntax for type integer: \"canary\"",
                ErrorKind::Internal,
                "kept back",
            ),
            (
                "pg_restore: error: could not execute query: ERROR:  insert or update on table \"t\" violates foreign key constraint \"t_fk\"",
                ErrorKind::Refused,
                "`t_fk`",
            ),
            (
                "pg_restore: error: input file does not appear to be a valid archive",
                ErrorKind::Unreadable,
                "damaged",
            ),
        ] {
            let lines = [line.to_owned(), "DETAIL:  Key (a)=(canary) already exists.".to_owned()];
            let error = classify("pg_x", Some(1), &lines);
            let told = format!("{error:?} {}", error.advice());
            assert_eq!(error.kind(), kind, "{told}");
            assert!(told.contains(word) && !told.contains("canary"), "{told}");
        }
    }

    #[test]
    fn the_table_in_hand_is_known() {
        assert_eq!(
            table_in("pg_dump: dumping contents of table \"public.players\""),
            Some("public.players")
        );
        assert_eq!(
            table_in("pg_restore: processing data for table \"public.my table\""),
            Some("public.my table")
        );
        assert_eq!(table_in("pg_dump: reading extensions"), None);
    }
}
