//! Checks of `pii`: what is to be hidden must be there. A column that is misspelt would be shown.

use super::alone::repeated;
use crate::data::finding::{Finding, Located};
use crate::mapping::Stream;

/// As far as no database is needed: a column that is named twice, or that nothing can write.
pub(super) fn alone(stream: &Stream, findings: &mut Vec<Finding>) {
    let same_name = stream.same_name_columns.as_ref().is_some_and(|flag| flag.value);
    for (index, column) in stream.pii.iter().enumerate() {
        repeated(&stream.pii[..index], column, findings);
        // What is taken over by its name is known with the target's shape.
        if !same_name {
            written(stream, column, &[], findings);
        }
    }
}

/// With the columns that are `taken` over by their names.
pub(super) fn shapes(stream: &Stream, taken: &[&str], findings: &mut Vec<Finding>) {
    if stream.same_name_columns.as_ref().is_some_and(|flag| flag.value) {
        for column in &stream.pii {
            written(stream, column, taken, findings);
        }
    }
}

/// Tells of a column, named by `pii` or another list, that the stream does not write.
pub(super) fn written(stream: &Stream, column: &Located<String>, taken: &[&str], findings: &mut Vec<Finding>) {
    let known: Vec<&str> = stream
        .columns
        .iter()
        .map(|(name, _)| name.value.as_str())
        .chain(taken.iter().copied())
        .collect();
    if known.contains(&column.value.as_str()) {
        return;
    }
    findings.push(
        Finding::error(
            "mapping::unmapped_column",
            Some(column.place.clone()),
            format!("this stream does not write column `{}`", column.value),
        )
        .label("not written")
        .help_nearest(&column.value, known),
    );
}
