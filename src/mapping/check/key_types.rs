//! Checks of a stream that writes keys against the types of what it writes.

use crate::data::column::ColumnType;
use crate::data::finding::Finding;
use crate::data::keyed::{Expiry, KeyType};
use crate::data::table::Table;
use crate::mapping::Stream;
use crate::mapping::keyed::Keyed;

/// Checks a stream that writes keys against its source and the types of what it writes. `target`
/// has a column for each of the mapping whose type is known.
#[must_use]
pub fn keyed_shapes(stream: &Stream, source: &Table, source_key: &[String], target: &Table) -> Vec<Finding> {
    let mut findings = Vec::new();
    let Some(keyed) = &stream.keyed else { return findings };
    super::shapes::source_columns(stream, source, &mut findings);
    let layout = &keyed.layout;
    let mut typed = |column: &str, fits: fn(&ColumnType) -> bool, message: &str, help: &str| {
        let Some(ty) = target.column(column).map(|column| &column.ty).filter(|ty| !fits(ty)) else {
            return;
        };
        let sql = stream
            .columns
            .iter()
            .find(|(name, _)| name.value == column)
            .map(|(_, sql)| sql);
        let place = sql.map_or(&stream.place, |sql| &sql.place);
        findings.push(
            Finding::error(
                "plan::type_mismatch",
                Some(place.clone()),
                format!("column `{column}` is {message}"),
            )
            .label(format!("this is {ty}"))
            .help(help),
        );
    };
    if let (KeyType::Counter, Some(value)) = (layout.key_type, layout.values.first()) {
        let help = "convert it to bigint, or read it as such: [stream.types]";
        typed(value, is_whole, "the value of a counter, which is a whole number", help);
    }
    if let Some(score) = &layout.score {
        let help = "convert it to a number, or read it as one: [stream.types]";
        typed(
            score,
            ColumnType::is_number,
            "the score of a sorted set, which is a number",
            help,
        );
    }
    if let Some(Expiry::At(column)) = &layout.expiry {
        let help = "convert it to timestamptz, or read it as such: [stream.types]";
        typed(column, is_moment, "the moment of expiry, which is a timestamp", help);
    }
    if layout.key_type.is_ordered() && source_key.is_empty() {
        findings.push(no_order(keyed));
    }
    findings
}

fn no_order(keyed: &Keyed) -> Finding {
    Finding::error(
        "plan::no_order",
        Some(keyed.pattern.place.clone()),
        format!(
            "a key of type {} keeps the order of the source's key, and this source has none",
            keyed.layout.key_type.name()
        ),
    )
    .label("in which order?")
    .help("name the columns that order the rows: source_key = [\"id\"]")
}

const fn is_whole(ty: &ColumnType) -> bool {
    matches!(ty, ColumnType::Int16 | ColumnType::Int32 | ColumnType::Int64)
}

const fn is_moment(ty: &ColumnType) -> bool {
    matches!(ty, ColumnType::Timestamp { .. })
}
