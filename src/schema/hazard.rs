//! Steps of a migration that lose something, found in its text before it runs.
//!
//! SQL is parsed (`parsed`); what the parser does not know, and CQL, is looked through word by word, outside
//! of texts and comments (`words`). What runs text that stands elsewhere, as a DO block or a call does,
//! is never taken for harmless. What triggers and functions do that a statement sets off is not looked at.

use super::cql::pieces;
use super::folder::{Script, ScriptFile};
use super::{Database, Fill};
use crate::Result;
use crate::data::finding::Place;
use crate::data::table::TableName;

mod parsed;
mod pieces_of_sql;
mod words;

/// A step of a migration that loses something, or of which that cannot be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hazard {
    /// The migration's version.
    pub version: i64,
    /// Where in its file.
    pub place: Place,
    /// What it does, such as `drops table users`.
    pub what: String,
}

/// When a step is a hazard.
#[derive(Debug, Clone, PartialEq, Eq)]
enum When {
    Always,
    /// Where this table has rows.
    Filled(TableName),
    /// Where anything has rows: what the step does cannot be told.
    NotEmpty,
}

/// A step that was found in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    /// The byte where it begins.
    at: usize,
    what: String,
    when: When,
}

/// A piece of a statement, without white space and comments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece<'a> {
    /// The byte where it begins.
    pub(super) start: usize,
    pub(super) text: &'a str,
    pub(super) kind: PieceKind,
}

/// What a piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PieceKind {
    /// A keyword or a name without quotes.
    Word,
    /// A name in quotes.
    Name,
    /// A text, a number, a sign.
    Other,
}

impl Piece<'_> {
    fn is(&self, word: &str) -> bool {
        self.kind == PieceKind::Word && self.text.eq_ignore_ascii_case(word)
    }

    fn is_any(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(word))
    }
}

/// Whose SQL it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Postgres,
    Sqlite,
    Cql,
}

/// Hazards of applying these scripts, in their order, as the target is now.
///
/// # Errors
/// Where the target cannot be asked which of its tables have rows.
pub(super) async fn of(scripts: &[&Script], database: &mut dyn Database) -> Result<Vec<Hazard>> {
    let dialect = database.dialect();
    let mut hazards = Vec::new();
    let mut is_empty: Option<bool> = None;
    for script in scripts {
        for found in find(&script.up, dialect) {
            let counts = match &found.when {
                When::Always => true,
                When::Filled(table) => database.fill(table).await? == Fill::Filled,
                When::NotEmpty => match is_empty {
                    Some(is_empty) => !is_empty,
                    None => !*is_empty.insert(database.is_empty().await?),
                },
            };
            if counts {
                hazards.push(Hazard {
                    version: script.version,
                    place: script.up.place(found.at),
                    what: found.what,
                });
            }
        }
    }
    Ok(hazards)
}

/// The same of a target that is not there yet: what could be lost of rows is not.
pub(super) fn of_missing(scripts: &[&Script], dialect: Dialect) -> Vec<Hazard> {
    let hazard = |script: &Script, found: Found| Hazard {
        version: script.version,
        place: script.up.place(found.at),
        what: found.what,
    };
    let found = |script: &&Script| {
        let script: &Script = script;
        let found = find(&script.up, dialect).into_iter();
        found
            .filter(|found| found.when == When::Always)
            .map(|found| hazard(script, found))
            .collect::<Vec<_>>()
    };
    scripts.iter().flat_map(found).collect()
}

/// Steps of a file, in the order of its text.
fn find(file: &ScriptFile, dialect: Dialect) -> Vec<Found> {
    let text = file.text();
    let mut found = match dialect {
        Dialect::Postgres | Dialect::Sqlite => parsed::find(text, dialect),
        Dialect::Cql => match pieces(text) {
            Ok(statements) => statements.iter().flat_map(|pieces| words::find(pieces, dialect)).collect(),
            // It is refused at its place before anything of it is done.
            Err(_) => Vec::new(),
        },
    };
    found.sort_by_key(|found| found.at);
    found
}

#[cfg(test)]
mod tests;
