//! The rows of one subject: a condition in the source's own SQL, in which `$key` stands for a key
//! that is bound, never written into the text.

use sqlx::{Executor as _, PgConnection};

use super::failure;
use super::select::set;
use super::shape::Shape;
use crate::data::stream::Subject;
use crate::postgres::catalog::get;
use crate::postgres::error::{classify, code};
use crate::{Error, ErrorKind, Result};

/// The setting that holds the key.
const SETTING: &str = "dbferry.key";

/// Binds the key, and returns the condition with a name for it.
///
/// # Errors
/// [`ErrorKind::Mapping`] where the condition is not valid, [`ErrorKind::Usage`] where the key is
/// not of the type that it is compared with.
pub(super) async fn bind(connection: &mut PgConnection, shape: &Shape, subject: &Subject) -> Result<String> {
    let (_, places, ty) = prepared(connection, shape, &subject.condition).await?;
    set(connection, SETTING, &subject.key).await?;
    let value = format!("(pg_catalog.current_setting('{SETTING}')::{ty})");
    is_of_type(connection, &value, &ty).await?;
    Ok(format!("(\n{}\n)", replaced(&subject.condition, &places, &value)))
}

/// Prepares a condition; returns which tables are read from beginning to end for it.
///
/// # Errors
/// [`ErrorKind::Mapping`] where it is not valid.
pub(super) async fn check(connection: &mut PgConnection, shape: &Shape, condition: &str) -> Result<Vec<String>> {
    let (alone, ..) = prepared(connection, shape, condition).await?;
    let begun = "begin read only; set local enable_seqscan = off; set local plan_cache_mode = force_generic_plan";
    execute(connection, begun).await?;
    let steps = steps(connection, &alone).await;
    execute(connection, "rollback").await?;
    // Fails where it was not even prepared.
    drop(execute(connection, "deallocate dbferry_subject").await);
    // A role that may not read the table is told so where that is asked.
    let mut notes = Vec::new();
    for step in steps.unwrap_or_default() {
        if let Some((_, table)) = step.split_once("Seq Scan on ") {
            let table = table.split(' ').next().unwrap_or(table);
            notes.push(format!(
                "no index finds the rows of a subject: `{table}` is read from beginning to end"
            ));
        }
    }
    notes.dedup();
    Ok(notes)
}

/// How the server would find the rows of any key, reading a whole table only where it must.
async fn steps(connection: &mut PgConnection, alone: &str) -> Result<Vec<String>> {
    execute(connection, &format!("prepare dbferry_subject as {alone}")).await?;
    let rows = connection
        .fetch_all(sqlx::raw_sql("explain (costs off) execute dbferry_subject(null)"))
        .await
        .map_err(|error| classify(&error))?;
    rows.iter().map(|row| get(row, 0)).collect()
}

async fn execute(connection: &mut PgConnection, sql: &str) -> Result<()> {
    let done = connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql))).await;
    done.map(drop).map_err(|error| classify(&error))
}

/// The condition as a statement of its own, where the key is named in it, and the key's type.
async fn prepared(connection: &mut PgConnection, shape: &Shape, condition: &str) -> Result<(String, Vec<usize>, String)> {
    let places = places(condition);
    if places.is_empty() {
        return Err(Error::new(
            ErrorKind::Mapping,
            "the condition of the subject does not name `$key`",
        ));
    }
    if !found(condition, is_numbered).is_empty() {
        return Err(Error::new(
            ErrorKind::Mapping,
            "the condition of the subject has parameters beside `$key`",
        ));
    }
    // On its own first, so that nothing of it reaches out of the parentheses; what it compares
    // the parameter with tells the key's type.
    let alone = format!("select 1 from {} where {}\n", shape.from, replaced(condition, &places, "$1"));
    let prepared = failure::prepare(connection, &alone, "condition of the subject").await?;
    let [parameter] = prepared.parameters.as_slice() else {
        return Err(Error::new(ErrorKind::Internal, "a condition with one parameter has others"));
    };
    let oid = parameter.oid().map_or(0, |oid| i64::from(oid.0));
    let ty: String = sqlx::query_scalar("select pg_catalog.format_type($1::oid, -1)")
        .bind(oid)
        .fetch_one(&mut *connection)
        .await
        .map_err(|error| classify(&error))?;
    Ok((alone, places, ty))
}

async fn is_of_type(connection: &mut PgConnection, value: &str, ty: &str) -> Result<()> {
    let sql = format!("select {value} is not null");
    let tried = sqlx::query(sqlx::AssertSqlSafe(sql))
        .persistent(false)
        .execute(connection)
        .await;
    match tried {
        Ok(_) => Ok(()),
        Err(error) if code(&error).is_some_and(|code| code.starts_with("22") || code.starts_with("23")) => Err(Error::new(
            ErrorKind::Usage,
            format!("the key of the subject is not a value of type {ty}"),
        )
        .hint("give the key as the source writes it: `--for NAME=KEY`")),
        Err(error) => Err(classify(&error)),
    }
}

fn replaced(condition: &str, places: &[usize], value: &str) -> String {
    let mut text = String::with_capacity(condition.len() + places.len() * value.len());
    let mut from = 0;
    for place in places {
        text.push_str(&condition[from..*place]);
        text.push_str(value);
        from = place + MARK.len();
    }
    text.push_str(&condition[from..]);
    text
}

/// What stands for the key.
const MARK: &str = "$key";

/// Where the condition names the key: not in strings, quoted names and comments.
fn places(condition: &str) -> Vec<usize> {
    found(condition, is_mark)
}

/// Where `wanted` says that a word with a dollar begins.
fn found(condition: &str, wanted: impl Fn(&str) -> bool) -> Vec<usize> {
    let mut places = Vec::new();
    let mut at = 0;
    let mut before = ' ';
    while let Some(c) = condition[at..].chars().next() {
        let rest = &condition[at..];
        let in_word = is_word(before);
        let length = match c {
            '\'' => {
                let escapes = matches!(before, 'e' | 'E') && !is_word(condition[..at - 1].chars().next_back().unwrap_or(' '));
                quoted(rest, '\'', escapes)
            }
            '"' => quoted(rest, '"', false),
            '-' if rest.starts_with("--") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => comment(rest),
            '$' if !in_word && wanted(rest) => {
                places.push(at);
                c.len_utf8()
            }
            '$' if !in_word => dollar_quoted(rest),
            c => c.len_utf8(),
        };
        before = condition[at..at + length].chars().next_back().unwrap_or(' ');
        at += length;
    }
    places
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$') || !c.is_ascii()
}

/// A parameter of the server's own, which would share the key's value.
fn is_numbered(rest: &str) -> bool {
    rest[1..].starts_with(|c: char| c.is_ascii_digit())
}

fn is_mark(rest: &str) -> bool {
    rest.strip_prefix(MARK).is_some_and(|after| !after.starts_with(is_word))
}

/// Length of a string or name in quotes; a quote within is doubled, or escaped.
fn quoted(rest: &str, quote: char, escapes: bool) -> usize {
    let mut chars = rest.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if escapes && c == '\\' {
            chars.next();
        } else if c == quote && chars.next_if(|(_, next)| *next == quote).is_none() {
            return at + 1;
        }
    }
    rest.len()
}

/// Length of a comment; they nest.
fn comment(rest: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// Length of `$tag$ … $tag$`; of a dollar alone, one.
fn dollar_quoted(rest: &str) -> usize {
    let Some(tag) = rest[1..].find('$').map(|at| &rest[..at + 2]) else {
        return 1;
    };
    let name = &tag[1..tag.len() - 1];
    if name.chars().any(|c| !is_word(c)) || name.starts_with(|c: char| c.is_ascii_digit()) {
        return 1;
    }
    rest[tag.len()..].find(tag).map_or(rest.len(), |end| end + 2 * tag.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_named_outside_of_strings_names_and_comments() {
        for (condition, wanted) in [
            ("id = $key", "id = ?"),
            ("$key=id or $key = other", "?=id or ? = other"),
            ("a = '$key' and b = $key", "a = '$key' and b = ?"),
            ("a = 'it''s $key' and b = $key", "a = 'it''s $key' and b = ?"),
            (r"a = e'\'$key' and b = $key", r"a = e'\'$key' and b = ?"),
            (r"a = '\' and b = $key", r"a = '\' and b = ?"),
            ("\"$key\" = $key", "\"$key\" = ?"),
            ("id = $keys or id = $key_ or id = $key", "id = $keys or id = $key_ or id = ?"),
            ("a$key = $key", "a$key = ?"),
            ("a = $key -- $key\n and b = $key", "a = ? -- $key\n and b = ?"),
            ("/* /* $key */ $key */ a = $key", "/* /* $key */ $key */ a = ?"),
            ("a = $$ $key $$ and b = $key", "a = $$ $key $$ and b = ?"),
            ("a = $x$ $key $$ $x$ and b = $key", "a = $x$ $key $$ $x$ and b = ?"),
            ("a = $key$ $key $key$ and b = $key", "a = $key$ $key $key$ and b = ?"),
            ("ü = $key", "ü = ?"),
        ] {
            assert_eq!(replaced(condition, &places(condition), "?"), wanted);
        }
        assert!(places("id = 7").is_empty());
        assert_eq!(found("a = '$1' and b = $key and c = $1", is_numbered), [30]);
    }
}
