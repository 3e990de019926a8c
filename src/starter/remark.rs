//! What there is to say about a line, in the words of a comment.

use std::collections::BTreeMap;

use crate::data::column::ColumnType;
use crate::data::table::{Column, Table};
use crate::mapping::Stream;
use crate::mapping::difference::{Difference, DifferenceKind, differences};
use crate::mapping::stream::Located;

/// What a plan will say of a stream's columns.
#[derive(Debug, Default)]
pub(super) struct Remarks {
    /// By target column.
    pub(super) columns: BTreeMap<String, Vec<String>>,
    /// Target columns that may lose fraction digits.
    pub(super) losing: Vec<String>,
    /// About the stream as a whole.
    pub(super) whole: Vec<String>,
}

/// The differences that matter between both ends of a stream. `taken` are the columns that are
/// taken as they are: target column, source column.
pub(super) fn remarks(stream: &Stream, source: &Table, target: &Table, taken: &[(&str, &str)]) -> Remarks {
    let mut remarks = Remarks::default();
    let strict = differences(stream, source, target, taken);
    let all = taken.iter().map(|(to, _)| Located {
        value: (*to).to_owned(),
        place: stream.place.clone(),
    });
    let lenient = Stream {
        allow_precision_loss: all.collect(),
        ..stream.clone()
    };
    let lenient = differences(&lenient, source, target, taken);
    for (found, allowed) in strict.iter().zip(&lenient) {
        if found.kind == DifferenceKind::Unique {
            // A key that the target does not keep unique is the stream's own.
            if !target.uniques.iter().any(|unique| unique.join(", ") == found.column) {
                continue;
            }
            let sentence = format!("{}: {}; {}.", found.column, found.what, found.effect);
            remarks.whole.push(sentence);
            continue;
        }
        add(remarks.columns.entry(found.column.clone()).or_default(), words(found));
        // What may be lost is told otherwise where it is allowed.
        if found.effect != allowed.effect && !remarks.losing.contains(&found.column) {
            remarks.losing.push(found.column.clone());
        }
    }
    for (to, from) in taken {
        if let (Some(from), Some(to)) = (source.column(from), target.column(to))
            && let Some(words) = of_types(&from.ty, &to.ty)
        {
            let own = remarks.columns.entry(to.name.clone()).or_default();
            *own = merged(vec![words], std::mem::take(own));
        }
    }
    remarks
}

/// Adds a remark; what begins like the one before goes on where that ended.
fn add(remarks: &mut Vec<String>, words: String) {
    if let (Some(last), Some((begin, rest))) = (remarks.last_mut(), words.split_once(": "))
        && last.starts_with(&format!("{begin}: "))
    {
        *last = format!("{last}; {rest}");
    } else {
        remarks.push(words);
    }
}

/// Both lists, each remark once: one that another goes on from says nothing more.
pub(super) fn merged(first: Vec<String>, second: Vec<String>) -> Vec<String> {
    let mut all = Vec::new();
    for remark in first.into_iter().chain(second) {
        if all.iter().any(|other: &String| other.starts_with(&remark)) {
            continue;
        }
        match all.iter_mut().find(|other| remark.starts_with(other.as_str())) {
            Some(shorter) => *shorter = remark,
            None => add(&mut all, remark),
        }
    }
    all
}

fn words(found: &Difference) -> String {
    match found.kind {
        DifferenceKind::Null => {
            "NULL in the source, not in the target: such rows are rejects; coalesce(…) gives them a value".to_owned()
        }
        _ if found.what == format!("{} becomes {}", found.source_type, found.target_type) => {
            format!("{} → {}: {}", found.source_type, found.target_type, found.effect)
        }
        _ => format!("{}: {}", found.what, found.effect),
    }
}

/// Types that differ, and what a conversion does that no row is refused for.
fn of_types(from: &ColumnType, to: &ColumnType) -> Option<String> {
    use ColumnType as T;
    let types = arrow(from, to);
    if from.to_string() == to.to_string() {
        return None;
    }
    Some(match (from, to) {
        (T::Timestamp { zoned: true, .. }, T::Timestamp { zoned: false, .. }) => {
            format!("{types}: an instant becomes its wall clock in UTC")
        }
        (T::Timestamp { zoned: false, .. }, T::Timestamp { zoned: true, .. }) => format!("{types}: a wall clock is taken as UTC"),
        (T::Text { .. }, T::Text { .. } | T::Enum { .. }) => types,
        (T::Text { .. }, to) => format!("{types}: texts that are no {to} are rejects"),
        _ => types,
    })
}

/// `text → uuid`.
pub(super) fn arrow(from: &ColumnType, to: &ColumnType) -> String {
    format!("{from} → {to}")
}

/// `text, NOT NULL`: a column that nothing fills yet.
pub(super) fn wanted(column: &Column, required: bool) -> String {
    let must = if required { ", NOT NULL" } else { "" };
    format!("{}{must}", column.ty)
}
