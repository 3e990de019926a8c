//! Whether a query names a table.
//!
//! Nothing is parsed: a word of the text outside of texts and comments that is the table's name
//! counts. That may be a column or an alias of the same name, so that the answer is "may read".

use crate::data::table::TableName;
use crate::mapping::Stream;
use crate::mapping::stream::From;

/// Whether the query of any stream names a table of its connection.
pub(super) fn names(streams: &[Stream], connection: &str, table: &TableName) -> bool {
    streams.iter().any(|stream| match &stream.from {
        From::Query { connection: of, sql } => of.value == connection && mentions(&sql.value, &table.name),
        From::Table(_) => false,
    })
}

fn mentions(sql: &str, name: &str) -> bool {
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let after = &rest[first.len_utf8()..];
        rest = match first {
            '\'' => closed(after, '\'').1,
            '"' | '`' | '[' => {
                let close = if first == '[' { ']' } else { first };
                let (word, after) = closed(after, close);
                let double = [close, close].iter().collect::<String>();
                if word.replace(&double, &close.to_string()) == name {
                    return true;
                }
                after
            }
            '-' if after.starts_with('-') => after.split_once('\n').map_or("", |(_, after)| after),
            '/' if after.starts_with('*') => after.split_once("*/").map_or("", |(_, after)| after),
            first if is_word(first) => {
                let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
                if rest[..end].to_lowercase() == name.to_lowercase() {
                    return true;
                }
                &rest[end..]
            }
            _ => after,
        };
    }
    false
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

/// What stands before a closing quote, and what follows it; a doubled quote closes nothing.
fn closed(text: &str, close: char) -> (&str, &str) {
    let mut from = 0;
    while let Some(at) = text[from..].find(close) {
        let end = from + at;
        let after = &text[end + close.len_utf8()..];
        if !after.starts_with(close) {
            return (&text[..end], after);
        }
        from = end + 2 * close.len_utf8();
    }
    (text, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_a_word_outside_of_texts_and_comments() {
        for sql in [
            "select * from users",
            "select 1 from main.Users as u",
            "select * from \"users\"",
            "select * from [users]",
            "select 'it''s' from a join `users` on true",
            "-- all of them\nselect * from users",
        ] {
            assert!(mentions(sql, "users"), "{sql}");
        }
        for sql in [
            "select * from user_stats",
            "select 'users' from a",
            "select 'it''s users' from a",
            "select 1 -- users",
            "select /* users */ 1",
            "select * from \"Users\"",
            "select 'users",
        ] {
            assert!(!mentions(sql, "users"), "{sql}");
        }
        assert!(mentions("select * from \"my \"\"best\"\" friends\"", "my \"best\" friends"));
    }
}
