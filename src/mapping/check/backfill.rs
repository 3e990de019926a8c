//! Checks of backfills: those that need no database, and the key by which their rows are found.

use super::alone::repeated;
use crate::data::finding::{Finding, Place};
use crate::data::table::Table;
use crate::mapping::Backfill;
use crate::mapping::stream::{Located, Project};

/// Kind of connections whose rows can be changed where they are.
const KIND: &str = "postgres";

fn error(code: &'static str, place: &Place, message: impl Into<String>) -> Finding {
    Finding::error(code, Some(place.clone()), message)
}

/// Checks of one backfill that need no database, beside those of its stream.
pub(super) fn alone(backfill: &Backfill, findings: &mut Vec<Finding>) {
    let stream = &backfill.stream;
    for condition in backfill.condition.iter().chain(&backfill.pending) {
        if condition.value.trim().is_empty() {
            findings.push(
                error("mapping::empty_expression", &condition.place, "there is no SQL in this text")
                    .label("empty")
                    .help("such as \"metadata is null\"; leave it out where all rows are meant"),
            );
        }
    }
    for (index, column) in stream.key.iter().enumerate() {
        repeated(&stream.key[..index], column, findings);
    }
    if let Some(key) = stream.source_key.as_ref().filter(|key| key.is_empty()) {
        let place = key.first().map_or(&stream.place, |column| &column.place);
        findings.push(
            error(
                "mapping::empty_key",
                place,
                format!("the key of backfill `{}` is empty", backfill.name()),
            )
            .label("has an empty key")
            .help("leave it out: the table's primary key is found"),
        );
    }
}

/// Whether the connections of backfills are of a kind whose rows can be changed where they are.
pub(super) fn kinds(project: &Project, kind: impl Fn(&str) -> Option<&'static str>) -> Vec<Finding> {
    let of_other_kind = project.backfills.iter().filter_map(|backfill| {
        let kind = kind(backfill.connection()).filter(|kind| *kind != KIND)?;
        Some(
            error(
                "plan::target_kind",
                &backfill.stream.to.place,
                format!(
                    "connection `{}` is of kind {kind}, whose rows no backfill changes",
                    backfill.connection()
                ),
            )
            .label("not a Postgres table")
            .help("a backfill needs rows that are locked one by one while they are changed, as Postgres does"),
        )
    });
    of_other_kind.collect()
}

/// Puts the key of its table into a backfill, with the expressions that leave it as it is.
///
/// # Errors
/// What is wrong with the key.
pub fn backfill_key(backfill: &mut Backfill, table: &Table) -> Result<(), Finding> {
    let stream = &mut backfill.stream;
    let owner = format!("backfill `{}`", stream.name.value);
    if stream.key.is_empty() {
        let place = stream.to.place.clone();
        if table.key.is_empty() {
            return Err(error(
                "mapping::backfill_key",
                &place,
                format!("{} has no primary key by which the rows of {owner} are found", table.name),
            )
            .label("without a primary key")
            .help("give it one, or name columns that a unique constraint covers and that are NOT NULL: key = [\"id\"]"));
        }
        let column = |name: &String| Located {
            value: name.clone(),
            place: place.clone(),
        };
        stream.key = table.key.iter().map(column).collect();
        stream.source_key = Some(stream.key.clone());
    }
    for key in &stream.key {
        if let Some((name, _)) = stream.columns.iter().find(|(name, _)| name.value == key.value) {
            return Err(error(
                "mapping::backfill_key",
                &name.place,
                format!("`{}` is of the key of {owner}, which it does not change", key.value),
            )
            .label("of the key")
            .help("leave it out"));
        }
        let column = table.column(&key.value);
        if column.is_some_and(|column| column.nullable) {
            return Err(error(
                "mapping::backfill_key",
                &key.place,
                format!("`{}` may be NULL: rows without a key would not be found", key.value),
            )
            .label("may be NULL")
            .help("name columns that are NOT NULL, or make it so"));
        }
    }
    let itself = stream.key.iter().map(|key| {
        let expression = Located {
            value: format!("\"{}\"", key.value.replace('"', "\"\"")),
            place: key.place.clone(),
        };
        (key.clone(), expression)
    });
    let columns = itself.chain(std::mem::take(&mut stream.columns)).collect();
    stream.columns = columns;
    Ok(())
}
