//! Hazards of a statement that is not parsed: by its words, outside of texts and comments.

use super::{Dialect, Found, Piece, PieceKind, When};
use crate::data::table::TableName;

/// What does something that stands elsewhere, and how that is told.
const UNKNOWN: [(&str, &str); 4] = [
    ("do", "runs a DO block, of which it cannot be told what it does"),
    ("call", "calls a procedure, of which it cannot be told what it does"),
    ("execute", "executes a statement that stands elsewhere"),
    ("prepare", "prepares a statement to be executed"),
];
/// What only says how something is to be, whatever words stand in it.
const HARMLESS: [&str; 5] = ["create", "comment", "grant", "revoke", "security"];
/// What is dropped without a loss: the rule of a column that allows more then.
const DROPPED_FREELY: [&str; 4] = ["default", "not", "expression", "identity"];
/// What is added that is no column.
const NO_COLUMN: [&str; 12] = [
    "constraint",
    "check",
    "primary",
    "unique",
    "foreign",
    "exclude",
    "value",
    "table",
    "attribute",
    "generated",
    "index",
    "schema",
];
/// What gives a new column a value in every row.
const FILLS: [&str; 7] = ["default", "generated", "as", "serial", "bigserial", "smallserial", "identity"];

/// Steps of a statement.
pub(super) fn find(pieces: &[Piece<'_>], dialect: Dialect) -> Vec<Found> {
    let Some(first) = pieces.first() else { return Vec::new() };
    let found = |at: &Piece<'_>, what: String, when: When| Found {
        at: at.start,
        what,
        when,
    };
    if let Some((_, what)) = UNKNOWN.iter().find(|(word, _)| first.is(word)) {
        return vec![found(first, (*what).to_owned(), When::NotEmpty)];
    }
    if first.is("drop") {
        return vec![found(first, format!("drops {}", object(&pieces[1..])), When::Always)];
    }
    if first.is("truncate") {
        return vec![found(first, format!("empties {}", object(&pieces[1..])), When::Always)];
    }
    if first.is_any(&HARMLESS) {
        return Vec::new();
    }
    let table = altered(pieces, dialect);
    // What cannot be told a name of is always one.
    let filled = || table.clone().map_or(When::Always, When::Filled);
    let mut all = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        let (before, after) = (&pieces[..index], &pieces[index + 1..]);
        if piece.is("delete") && !before.last().is_some_and(|piece| piece.is("on")) && !is_chosen(pieces, index) {
            all.push(found(
                piece,
                format!("deletes all rows of {}", object(skip(after, &["from"]))),
                When::Always,
            ));
        }
        if !first.is("alter") || index == 0 {
            continue;
        }
        if piece.is("drop") && !after.first().is_some_and(|next| next.is_any(&DROPPED_FREELY)) {
            all.push(found(
                piece,
                format!("drops {}{}", part(after), of(table.as_ref())),
                When::Always,
            ));
        } else if piece.is("type") && is_type_change(before) {
            let column = before
                .iter()
                .rev()
                .find(|piece| !piece.is_any(&["set", "data"]))
                .map_or("?", |piece| piece.text);
            all.push(found(
                piece,
                format!("changes the type of {column}{}", of(table.as_ref())),
                When::Always,
            ));
        } else if piece.is("set") && after.len() > 1 && after[0].is("not") && after[1].is("null") {
            let column = before.last().map_or("?", |piece| piece.text);
            all.push(found(
                piece,
                format!("forbids NULL in {column}{}", of(table.as_ref())),
                filled(),
            ));
        } else if piece.is("add") && adds_required(after) {
            let column = part(skip(after, &["if", "not", "exists"]));
            all.push(found(
                piece,
                format!("adds {column}{} without a value for its rows", of(table.as_ref())),
                filled(),
            ));
        }
    }
    all
}

/// The rest without those words.
fn skip<'a, 'b>(mut pieces: &'b [Piece<'a>], words: &[&str]) -> &'b [Piece<'a>] {
    while pieces.first().is_some_and(|piece| piece.is_any(words)) {
        pieces = &pieces[1..];
    }
    pieces
}

/// A kind of object and its name, as they are spelt: `table users`.
fn object(pieces: &[Piece<'_>]) -> String {
    let mut text = String::new();
    let mut joined = true;
    for piece in pieces.iter().take(8) {
        if piece.is_any(&["if", "exists", "concurrently", "only"]) {
            continue;
        }
        let is_dot = piece.text == ".";
        if piece.kind == PieceKind::Other && !is_dot {
            break;
        }
        if piece.is_any(&["cascade", "restrict", "where", "using", "returning", "on"]) {
            break;
        }
        if !joined && !is_dot {
            text.push(' ');
        }
        text.push_str(piece.text);
        joined = is_dot;
    }
    text
}

/// A part of a table that a word is about: `column name`, `constraint name`.
fn part(pieces: &[Piece<'_>]) -> String {
    let kinds = ["column", "constraint", "attribute", "value", "table", "partition"];
    let rest = skip(pieces, &["if", "exists"]);
    match rest {
        [kind, ..] if kind.is_any(&kinds) => {
            let name = skip(&rest[1..], &["if", "not", "exists"]).first();
            format!("{} {}", kind.text.to_ascii_lowercase(), name.map_or("?", |name| name.text))
        }
        [name, ..] => format!("column {}", name.text),
        [] => "something".to_owned(),
    }
}

fn of(table: Option<&TableName>) -> String {
    table.map(|table| format!(" of {table}")).unwrap_or_default()
}

/// The table of `ALTER TABLE`.
fn altered(pieces: &[Piece<'_>], dialect: Dialect) -> Option<TableName> {
    let [first, second, rest @ ..] = pieces else { return None };
    if !first.is("alter") || !second.is("table") {
        return None;
    }
    let rest = skip(rest, &["if", "exists", "only"]);
    let first = rest.first().and_then(|piece| spelt(piece, dialect))?;
    match rest {
        [_, dot, second, ..] if dot.text == "." => Some(TableName {
            schema: Some(first),
            name: spelt(second, dialect)?,
        }),
        _ => Some(TableName::new(first)),
    }
}

/// A name, as its database has it.
fn spelt(piece: &Piece<'_>, dialect: Dialect) -> Option<String> {
    match piece.kind {
        PieceKind::Word if dialect == Dialect::Sqlite => Some(piece.text.to_owned()),
        PieceKind::Word => Some(piece.text.to_lowercase()),
        PieceKind::Name => {
            let inner = piece.text.get(1..piece.text.len().checked_sub(1)?)?;
            Some(inner.replace("\"\"", "\""))
        }
        PieceKind::Other => None,
    }
}

/// Whether a WHERE belongs to the DELETE at `index`: one in the same brackets.
fn is_chosen(pieces: &[Piece<'_>], index: usize) -> bool {
    let mut depth = 0_usize;
    for piece in &pieces[index + 1..] {
        match piece.text {
            "(" => depth += 1,
            ")" if depth == 0 => return false,
            ")" => depth -= 1,
            _ if depth == 0 && piece.is("where") => return true,
            _ => {}
        }
    }
    false
}

/// Whether `TYPE` comes after `ALTER [COLUMN] name`, with `SET DATA` or without.
fn is_type_change(before: &[Piece<'_>]) -> bool {
    match before {
        [.., set, data] if data.is("data") && set.is("set") => true,
        [.., alter, name] if alter.is_any(&["alter", "column", "attribute"]) => {
            before.len() > 2 && !name.is_any(&["column", "attribute"])
        }
        _ => false,
    }
}

/// Whether what is added is a column that needs a value and brings none. It ends with a comma.
fn adds_required(after: &[Piece<'_>]) -> bool {
    if after.first().is_none_or(|next| next.is_any(&NO_COLUMN)) {
        return false;
    }
    let mut depth = 0_i32;
    let end = after.iter().position(|piece| {
        match piece.text {
            "(" => depth += 1,
            ")" => depth -= 1,
            _ => {}
        }
        depth == 0 && piece.text == ","
    });
    let column = skip(after, &["column", "if", "not", "exists"]);
    let column = &column[..column.len().saturating_sub(after.len() - end.unwrap_or(after.len()))];
    let forbids = column.windows(2).any(|pair| pair[0].is("not") && pair[1].is("null"));
    forbids && !column.iter().any(|piece| piece.is_any(&FILLS))
}
