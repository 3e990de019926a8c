//! Checks of a stream's declarations against the shapes of its source and its target.

use super::{expiry, pii};
use crate::data::finding::{Finding, Located, Place};
use crate::data::stream::OnConflict;
use crate::data::table::{Fill, Table};
use crate::mapping::Stream;

/// Checks a stream's declarations (not its expressions) against source and target: key columns,
/// unknown and generated target columns, NOT NULL columns without a value, a key that the target
/// does not keep unique.
#[must_use]
pub fn shapes(stream: &Stream, source: &Table, target: &Table) -> Vec<Finding> {
    let mut findings = Vec::new();
    source_columns(stream, source, &mut findings);
    target_columns(stream, target, &mut findings);
    let taken = taken_over(stream, source, target);
    if let Some(flag) = stream
        .same_name_columns
        .as_ref()
        .filter(|flag| flag.value && taken.is_empty())
    {
        findings.push(
            Finding::warning(
                "mapping::no_same_name",
                Some(flag.place.clone()),
                format!("stream `{}` takes no column over by its name", stream.name.value),
            )
            .label("without effect")
            .help("no column that [stream.columns] leaves out has the same name in source and target"),
        );
    }
    key(stream, target, &taken, &mut findings);
    if !stream.in_place {
        values_for_all(stream, target, &taken, &mut findings);
    }
    precision(stream, &taken, &mut findings);
    pii::shapes(stream, &taken, &mut findings);
    expiry::shapes(stream, target, &taken, &mut findings);
    findings
}

/// Target columns that `same_name_columns` takes over, in the target's order: not mentioned in
/// the mapping, of the same name as a source column, and not computed by the target. Whether the
/// types agree is the transform's to tell.
#[must_use]
pub fn taken_over<'a>(stream: &Stream, source: &Table, target: &'a Table) -> Vec<&'a str> {
    if stream.same_name_columns.as_ref().is_none_or(|flag| !flag.value) {
        return Vec::new();
    }
    target
        .columns
        .iter()
        .filter(|column| column.fill != Fill::Generated && source.column(&column.name).is_some())
        .map(|column| column.name.as_str())
        .filter(|name| !is_mapped(stream, name))
        .collect()
}

fn is_mapped(stream: &Stream, column: &str) -> bool {
    stream.columns.iter().any(|(name, _)| name.value == column)
}

fn error(code: &'static str, place: &Place, message: String) -> Finding {
    Finding::error(code, Some(place.clone()), message)
}

fn names(table: &Table) -> impl Iterator<Item = &str> {
    table.columns.iter().map(|column| column.name.as_str())
}

pub(super) fn source_columns(stream: &Stream, source: &Table, findings: &mut Vec<Finding>) {
    let of_types = stream.types.iter().map(|(name, _)| name);
    let of_key = stream.source_key.iter().flatten();
    let of_ignore = stream.ignore.iter().map(|(name, _)| name);
    for name in of_types.chain(of_key).chain(of_ignore) {
        // A row id is a key without being a column.
        if source.column(&name.value).is_none() && !source.key.contains(&name.value) {
            findings.push(
                error(
                    "mapping::unknown_source_column",
                    &name.place,
                    format!("the source {} has no column `{}`", source.name, name.value),
                )
                .label("not in the source")
                .help_nearest(&name.value, names(source)),
            );
        }
    }
}

fn target_columns(stream: &Stream, target: &Table, findings: &mut Vec<Finding>) {
    for (name, _) in &stream.columns {
        match target.column(&name.value) {
            None => findings.push(unknown_target(name, target)),
            Some(column) if column.fill == Fill::Generated => findings.push(
                error(
                    "mapping::generated_column",
                    &name.place,
                    format!("the target computes column `{}` itself", name.value),
                )
                .label("generated")
                .help("leave it out"),
            ),
            Some(_) => {}
        }
    }
}

fn unknown_target(name: &Located<String>, target: &Table) -> Finding {
    error(
        "mapping::unknown_target_column",
        &name.place,
        format!("the target {} has no column `{}`", target.name, name.value),
    )
    .label("not in the target")
    .help_nearest(&name.value, names(target))
}

fn key(stream: &Stream, target: &Table, taken: &[&str], findings: &mut Vec<Finding>) {
    for name in &stream.key {
        if is_mapped(stream, &name.value) {
            // What is wrong with it is told at its expression.
            continue;
        }
        if target.column(&name.value).is_none() {
            findings.push(unknown_target(name, target));
        } else if !taken.contains(&name.value.as_str()) {
            findings.push(
                error(
                    "mapping::key_without_expression",
                    &name.place,
                    format!("key column `{}` gets no value: the source has none of that name", name.value),
                )
                .label("without a value")
                .help(format!("write its expression: [stream.columns] {} = \"…\"", name.value)),
            );
        }
    }
    let unique = target
        .uniques
        .iter()
        .any(|unique| unique.len() == stream.key.len() && stream.key.iter().all(|name| unique.contains(&name.value)));
    if stream.on_conflict != OnConflict::Error && !unique && !stream.key.is_empty() {
        let place = stream.key.first().map_or(&stream.place, |first| &first.place);
        let uniques: Vec<String> = target.uniques.iter().map(|unique| format!("{unique:?}")).collect();
        let help = match uniques.as_slice() {
            [] => format!("{} has no unique key: give it a primary key", target.name),
            uniques => format!("the target's unique keys: {}", uniques.join(", ")),
        };
        findings.push(
            error(
                "mapping::key_not_unique",
                place,
                format!("the target {} does not keep this key unique", target.name),
            )
            .label("needed by on_conflict")
            .help(help),
        );
    }
}

fn values_for_all(stream: &Stream, target: &Table, taken: &[&str], findings: &mut Vec<Finding>) {
    for column in &target.columns {
        let filled = column.nullable || column.fill != Fill::Nothing;
        let in_key = stream.key.iter().any(|key| key.value == column.name);
        if filled || in_key || taken.contains(&column.name.as_str()) || is_mapped(stream, &column.name) {
            continue;
        }
        findings.push(
            error(
                "mapping::no_value",
                &stream.place,
                format!("column `{}` of {} is NOT NULL and gets no value", column.name, target.name),
            )
            .label(format!("does not fill `{}`", column.name))
            .help(format!("[stream.columns] {} = \"…\"", column.name)),
        );
    }
}

fn precision(stream: &Stream, taken: &[&str], findings: &mut Vec<Finding>) {
    for name in &stream.allow_precision_loss {
        pii::written(stream, name, taken, findings);
    }
}
