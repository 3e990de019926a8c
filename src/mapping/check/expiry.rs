//! Checks of the column by which rows of a table expire, against the target's shape.

use crate::data::column::ColumnType;
use crate::data::finding::Finding;
use crate::data::table::Table;
use crate::mapping::Stream;

/// It is one of the target's columns, holds a moment, and is written; `taken` are those that are taken
/// over by their names.
pub(super) fn shapes(stream: &Stream, target: &Table, taken: &[&str], findings: &mut Vec<Finding>) {
    let Some(named) = &stream.expires_at else { return };
    let name = named.value.as_str();
    let error = |message: String| Finding::error("mapping::expiry", Some(named.place.clone()), message);
    let Some(column) = target.column(name) else {
        let columns = target.columns.iter().map(|column| column.name.as_str());
        findings.push(
            error(format!("target table `{}` has no column `{name}`", target.name))
                .label("not there")
                .help_nearest(name, columns),
        );
        return;
    };
    if !matches!(column.ty, ColumnType::Timestamp { .. }) {
        findings.push(
            error(format!("column `{name}` is {}, which is no moment", column.ty))
                .label("of another type")
                .help("name a column of type timestamp"),
        );
    } else if !taken.contains(&name) && !stream.columns.iter().any(|(column, _)| column.value == name) {
        findings.push(
            error(format!("column `{name}` is not written, so that no row would expire"))
                .label("not in [stream.columns]")
                .help(format!("add it: {name} = \"…\"")),
        );
    }
}
