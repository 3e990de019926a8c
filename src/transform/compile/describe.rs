//! What decides the fate of a row, as stable text for the fingerprint (Invariant 8).

use std::fmt::Write as _;

use super::Parts;
use super::texts::Texts;
use crate::data::column::ColumnType;
use crate::data::stream::ReadColumn;
use crate::data::table::Column;

/// One line for each thing that decides what happens to a row.
pub(super) fn describe(texts: &Texts<'_>, reads: &[ReadColumn], parts: &Parts) -> String {
    let mut lines = String::new();
    let mut line = |what: std::fmt::Arguments<'_>| {
        let written = writeln!(lines, "{what}");
        debug_assert!(written.is_ok(), "a String takes everything");
    };
    for ReadColumn { name, ty, .. } in reads {
        let passed = if matches!(ty, ColumnType::Opaque { .. }) {
            "binary "
        } else {
            ""
        };
        line(format_args!("read {name:?} as {passed}{ty}"));
    }
    if let Some(fields) = &parts.fields {
        line(format_args!("{}", fields.describe().trim_end()));
    }
    if let Some(filter) = &texts.filter {
        line(format_args!("where {:?}", filter.spelling()));
    }
    for (name, rule) in &texts.rules {
        line(format_args!("rule {name:?} = {:?}", rule.spelling()));
    }
    for (wanted, output) in texts.wanted.iter().zip(&parts.outputs) {
        let Column { name, ty, .. } = wanted.column;
        let labels = match ty {
            ColumnType::Enum { labels, .. } => format!(" {labels:?}"),
            _ => String::new(),
        };
        let flags = [(wanted.lossy, " lossy"), (output.not_null, " not null"), (output.nul, " nul")];
        let flags: String = flags.iter().filter(|(set, _)| *set).map(|(_, flag)| *flag).collect();
        line(format_args!("write {name:?} {ty}{labels}{flags} = {:?}", wanted.spelling()));
    }
    lines
}
