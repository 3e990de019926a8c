//! Rows that differ, as the page shows them: a line for each column, with what is the same apart
//! from what is not.

use crate::cli::diagnostic::is_invisible;
use crate::cli::figures;
use crate::cli::output::visible;
use crate::cli::verdict;
use crate::verify::report::{ColumnDifference, Difference, DifferenceKind, Value};

/// A line of the table of differences.
pub(super) struct Row {
    pub(super) kind: &'static str,
    pub(super) key: Vec<KeyColumn>,
    /// Hash of the key, where the key does not name the row.
    pub(super) hash: Option<String>,
    /// The column; of a row that is missing or extra none.
    pub(super) column: Option<String>,
    pub(super) source: Cell,
    pub(super) target: Cell,
}

/// A column of the key.
pub(super) struct KeyColumn {
    pub(super) column: String,
    pub(super) cell: Cell,
}

/// What a side holds.
pub(super) struct Cell {
    /// In words instead of a value: `NULL`, `masked`, `not in the target`.
    pub(super) words: Option<&'static str>,
    pub(super) parts: Vec<Part>,
    /// Length of the whole, where only its beginning is shown.
    pub(super) cut: Option<String>,
}

/// A piece of a value.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) text: String,
    /// A character that shows nothing, spelt out.
    pub(super) escaped: bool,
    /// It is not the same on the other side.
    pub(super) marked: bool,
}

impl Row {
    /// A line for each column that differs, or one for the whole row.
    pub(super) fn all(difference: &Difference) -> Vec<Self> {
        if difference.columns.is_empty() {
            let (source, target) = match difference.kind {
                DifferenceKind::Missing => ("in the source", "not in the target"),
                DifferenceKind::Extra => ("not in the source", "in the target"),
                DifferenceKind::Different | DifferenceKind::Unsettled => ("changed each time", "changed each time"),
            };
            return vec![Self::of(difference, None, Cell::words(source), Cell::words(target))];
        }
        let columns = difference.columns.iter();
        columns
            .map(|column| {
                let (source, target) = sides(column);
                Self::of(difference, Some(visible(&column.column)), source, target)
            })
            .collect()
    }

    fn of(difference: &Difference, column: Option<String>, source: Cell, target: Cell) -> Self {
        let key = difference.key.iter().map(|shown| KeyColumn {
            column: visible(&shown.column),
            cell: Cell::of(&shown.value),
        });
        Self {
            kind: verdict::kind(difference.kind),
            key: key.collect(),
            hash: verdict::name_by_hash(difference).map(visible),
            column,
            source,
            target,
        }
    }
}

fn sides(column: &ColumnDifference) -> (Cell, Cell) {
    let (mut source, mut target) = (Cell::of(&column.source), Cell::of(&column.target));
    if let (Some(one), Some(other)) = (&column.source.text, &column.target.text)
        && one != other
        && source.words.is_none()
        && target.words.is_none()
    {
        let [(ahead, differs, behind), (_, differs_other, behind_other)] = verdict::where_they_differ(one, other);
        source.parts = marked(ahead, differs, behind);
        target.parts = marked(ahead, differs_other, behind_other);
    }
    (source, target)
}

fn marked(ahead: &str, differs: &str, behind: &str) -> Vec<Part> {
    let mut parts = parts(ahead, false);
    if differs.is_empty() {
        // Where the other side has something that is not here.
        parts.push(Part {
            text: String::new(),
            escaped: false,
            marked: true,
        });
    }
    parts.extend(self::parts(differs, true));
    parts.extend(self::parts(behind, false));
    parts
}

impl Cell {
    const fn words(words: &'static str) -> Self {
        Self {
            words: Some(words),
            parts: Vec::new(),
            cut: None,
        }
    }

    fn of(value: &Value) -> Self {
        match &value.text {
            _ if value.masked => Self::words("masked"),
            None => Self::words("NULL"),
            Some(text) if text.is_empty() => Self::words("empty"),
            Some(text) => Self {
                words: None,
                parts: parts(text, false),
                cut: value.cut_from.map(figures::count),
            },
        }
    }
}

/// The text with every character that shows nothing spelt out, in pieces.
fn parts(text: &str, marked: bool) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut plain = String::new();
    let end = |plain: &mut String, parts: &mut Vec<Part>| {
        if !plain.is_empty() {
            parts.push(Part {
                text: std::mem::take(plain),
                escaped: false,
                marked,
            });
        }
    };
    for c in text.chars() {
        if !c.is_control() && !is_invisible(c) {
            plain.push(c);
            continue;
        }
        end(&mut plain, &mut parts);
        let spelt = match c {
            '\n' => "\\n".to_owned(),
            '\r' => "\\r".to_owned(),
            '\t' => "\\t".to_owned(),
            c => c.escape_unicode().to_string(),
        };
        parts.push(Part {
            text: spelt,
            escaped: true,
            marked,
        });
    }
    end(&mut plain, &mut parts);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::verdict::tests::{column, difference, masked, value};

    fn shown(parts: &[Part]) -> String {
        let one = |part: &Part| match (part.escaped, part.marked) {
            (false, false) => part.text.clone(),
            (true, false) => format!("<{}>", part.text),
            (false, true) => format!("[{}]", part.text),
            (true, true) => format!("[<{}>]", part.text),
        };
        parts.iter().map(one).collect()
    }

    #[test]
    fn what_differs_is_marked_and_what_shows_nothing_is_spelt() {
        let row = |source: &str, target: &str| {
            let column = column("c", value(source), value(target));
            let rows = Row::all(&difference(DifferenceKind::Different, "k", vec![column]));
            format!("{} | {}", shown(&rows[0].source.parts), shown(&rows[0].target.parts))
        };
        assert_eq!(row("Ada", "Ada "), "Ada[] | Ada[ ]");
        assert_eq!(row("a\u{0}b", "a\u{202e}b"), "a[<\\u{0}>]b | a[<\\u{202e}>]b");
        assert_eq!(row("1200", "1201"), "120[0] | 120[1]");
        assert_eq!(row("x\ny", "x y"), "x[<\\n>]y | x[ ]y");
    }

    #[test]
    fn what_has_no_text_is_told_in_words() {
        let null = Value {
            text: None,
            masked: false,
            cut_from: None,
        };
        let columns = vec![column("a", null, value("")), column("b", masked(), masked())];
        let rows = Row::all(&difference(DifferenceKind::Different, "k", columns));
        let words: Vec<_> = rows.iter().map(|row| (row.source.words, row.target.words)).collect();
        assert_eq!(words, [(Some("NULL"), Some("empty")), (Some("masked"), Some("masked"))]);
        let missing = Row::all(&difference(DifferenceKind::Missing, "k", Vec::new()));
        assert_eq!(missing[0].target.words, Some("not in the target"));
        assert!(missing[0].column.is_none() && missing[0].hash.is_none());
    }
}
