//! Names and texts as a TOML file holds them.

use std::fmt::Write as _;

use crate::mapping::stream::TableRef;

/// A text between quotes: the kind that needs the fewest escapes.
pub(super) fn text(value: &str) -> String {
    let literal = value.contains(['"', '\\']) && !value.contains('\'') && !value.chars().any(is_hidden);
    if literal {
        return format!("'{value}'");
    }
    let mut out = String::from("\"");
    for c in value.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_hidden(c) => put(&mut out, format_args!("\\U{:08X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn put(out: &mut String, words: std::fmt::Arguments<'_>) {
    let written = out.write_fmt(words);
    debug_assert!(written.is_ok(), "a String takes everything");
}

/// Several texts as a list.
pub(super) fn list<S: AsRef<str>>(values: &[S]) -> String {
    let values: Vec<_> = values.iter().map(|value| text(value.as_ref())).collect();
    format!("[{}]", values.join(", "))
}

/// A key: bare where TOML takes it so.
pub(super) fn key(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.chars().all(plain) {
        name.to_owned()
    } else {
        text(name)
    }
}

/// What a comment may hold: one line, and nothing in it that cannot be seen.
pub(super) fn comment(words: &str) -> String {
    let mut out = String::with_capacity(words.len());
    for c in words.chars() {
        if is_hidden(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// A table as `from` and `to` name it, without the quotes around the whole.
pub(super) fn table(table: &TableRef) -> String {
    let parts = [Some(&table.connection), table.table.schema.as_ref(), Some(&table.table.name)];
    let parts: Vec<_> = parts.into_iter().flatten().map(|part| table_part(part)).collect();
    parts.join(".")
}

fn table_part(part: &str) -> String {
    let plain = !part.is_empty() && !part.contains(|c: char| c == '.' || c == '"' || c.is_whitespace() || c.is_control());
    if plain {
        part.to_owned()
    } else {
        format!("\"{}\"", part.replace('"', "\"\""))
    }
}

/// Control characters, and those that a reader cannot see or that turn the line round.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::table::TableName;

    #[test]
    fn a_text_reads_back_as_it_was() {
        for value in [
            "",
            "a",
            "it's",
            "say \"x\"",
            "it's \"x\"",
            "a\\b",
            "a\nb\tc\rd",
            "\u{7f}\u{0}\u{202e}é\u{1b}",
        ] {
            let document = format!("{} = {}\n", key(value), text(value));
            let table: toml::Table = document.parse().unwrap_or_else(|error| panic!("{document}: {error}"));
            assert_eq!(table.get(value).and_then(|found| found.as_str()), Some(value), "{document}");
        }
        assert_eq!(text("\"date\""), "'\"date\"'");
        assert_eq!(list(&["a", "b\""]), "[\"a\", 'b\"']");
    }

    #[test]
    fn a_comment_is_one_line() {
        assert_eq!(comment("a\nb\u{202e}"), "a\\u{a}b\\u{202e}");
    }

    #[test]
    fn a_table_reads_back_as_it_was() {
        for (schema, name) in [
            (None, "users"),
            (Some("public"), "Users"),
            (Some("a.b"), "c \"d\""),
            (None, "x\ny"),
            (None, "größe"),
        ] {
            let one = TableRef {
                connection: "here".to_owned(),
                table: TableName {
                    schema: schema.map(str::to_owned),
                    name: name.to_owned(),
                },
            };
            assert_eq!(TableRef::parse(&table(&one)), Some(one));
        }
    }
}
