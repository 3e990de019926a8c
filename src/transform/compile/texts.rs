//! The texts of a stream, read but not yet typed, and how they use the source's columns.

use crate::data::finding::{Finding, Located, Place};
use crate::data::table::{Column, Fill, Table};
use crate::mapping::{Stream, check};
use crate::transform::expression::Parsed;
use crate::transform::reading::{Bare, Uses};

/// A target column and the text that fills it; `None` where it is taken over by its name.
pub(super) struct Wanted<'a> {
    pub(super) column: &'a Column,
    pub(super) parsed: Option<Parsed<'a>>,
    pub(super) place: &'a Place,
    pub(super) lossy: bool,
    /// Part of the target key.
    pub(super) key: bool,
}

impl Wanted<'_> {
    /// The source column that it is and nothing else.
    pub(super) fn bare(&self) -> Option<&str> {
        match &self.parsed {
            Some(parsed) => parsed.bare(),
            None => Some(&self.column.name),
        }
    }

    pub(super) fn spelling(&self) -> &str {
        self.parsed.as_ref().map_or(&self.column.name, Parsed::spelling)
    }
}

/// The texts of a stream, read.
pub(super) struct Texts<'a> {
    pub(super) filter: Option<Parsed<'a>>,
    pub(super) rules: Vec<(&'a str, Parsed<'a>)>,
    pub(super) wanted: Vec<Wanted<'a>>,
}

/// Reads all texts of a stream.
pub(super) fn read<'a>(stream: &'a Stream, source: &Table, target: &'a Table, findings: &mut Vec<Finding>) -> Texts<'a> {
    let mut parse = |sql: &'a Located<String>| match Parsed::read(sql, source) {
        Ok(parsed) => Some(parsed),
        Err(found) => {
            findings.extend(found);
            None
        }
    };
    let filter = stream.filter.as_ref().and_then(&mut parse);
    let rules = stream
        .rules
        .iter()
        .filter_map(|(name, sql)| Some((name.value.as_str(), parse(sql)?)))
        .collect();
    let key = |column: &str| stream.key.iter().any(|name| name.value == column);
    let lossy = |column: &str| stream.allow_precision_loss.iter().any(|name| name.value == column);
    let mut wanted = Vec::new();
    for (name, sql) in &stream.columns {
        // What is wrong with the text is told even where the column is.
        let parsed = parse(sql);
        let column = target.column(&name.value).filter(|column| column.fill != Fill::Generated);
        if let (Some(column), Some(parsed)) = (column, parsed) {
            wanted.push(Wanted {
                column,
                parsed: Some(parsed),
                place: &sql.place,
                lossy: lossy(&column.name),
                key: key(&column.name),
            });
        }
    }
    for name in check::taken_over(stream, source, target) {
        if let (Some(column), Some(flag)) = (target.column(name), &stream.same_name_columns) {
            wanted.push(Wanted {
                column,
                parsed: None,
                place: &flag.place,
                lossy: lossy(name),
                key: key(name),
            });
        }
    }
    Texts { filter, rules, wanted }
}

/// How its columns are used.
pub(super) fn uses<'a>(texts: &'a Texts<'_>) -> Uses<'a> {
    let mut uses = Uses {
        bare: Vec::new(),
        computed: Vec::new(),
    };
    let conditions = texts.filter.iter().chain(texts.rules.iter().map(|(_, rule)| rule));
    uses.computed
        .extend(conditions.flat_map(|parsed| parsed.columns().iter().map(String::as_str)));
    for wanted in &texts.wanted {
        match (wanted.bare(), &wanted.parsed) {
            (Some(column), _) => uses.bare.push(Bare {
                column,
                to: wanted.column,
                key: wanted.key,
                lossy: wanted.lossy,
                place: wanted.place,
            }),
            (None, Some(parsed)) => uses.computed.extend(parsed.columns().iter().map(String::as_str)),
            (None, None) => {}
        }
    }
    uses
}
