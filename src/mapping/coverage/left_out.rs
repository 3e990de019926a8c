//! Columns of its table that a stream leaves out, in words.

use super::Reading;
use crate::data::finding::listed;

/// Columns in groups of what is to be said of them.
type Groups<'a, T> = Vec<(T, Vec<&'a str>)>;

/// `left out on purpose: a, b (the reason)`, and `left out: bio, cover (moved by ...)` for the
/// columns in `left` that other readings move. Columns that nobody moves have a finding.
pub(super) fn notes(reading: &Reading<'_>, left: &[&str], readings: &[&Reading<'_>]) -> Vec<String> {
    let mut reasons = Groups::new();
    for (name, reason) in reading.stream.ignore.iter().filter(|(name, _)| !reading.moves(&name.value)) {
        add(&mut reasons, reason.value.as_str(), &name.value);
    }
    let mut movers = Groups::new();
    for column in left {
        let others = readings.iter().filter(|other| other.moves(column));
        let names: Vec<&str> = others.map(|other| other.stream.name.value.as_str()).collect();
        if !names.is_empty() {
            add(&mut movers, names, column);
        }
    }
    let on_purpose = sentence("left out on purpose", &reasons, |reason| (*reason).to_owned());
    let moved = sentence("left out", &movers, |streams| format!("moved by {}", listed(streams)));
    on_purpose.into_iter().chain(moved).collect()
}

fn add<'a, T: PartialEq>(groups: &mut Groups<'a, T>, what: T, column: &'a str) {
    match groups.iter_mut().find(|(other, _)| *other == what) {
        Some((_, columns)) => columns.push(column),
        None => groups.push((what, vec![column])),
    }
}

fn sentence<T>(what: &str, groups: &Groups<'_, T>, why: impl Fn(&T) -> String) -> Option<String> {
    let groups: Vec<String> = groups
        .iter()
        .map(|(reason, columns)| format!("{} ({})", columns.join(", "), why(reason)))
        .collect();
    (!groups.is_empty()).then(|| format!("{what}: {}", groups.join("; ")))
}
