//! Order of streams: foreign keys of their targets, and `after`.

use super::Stream;
use crate::data::finding::{Finding, Place};
use crate::data::table::{ForeignKey, Table, TableName};

/// Why one stream has to come after another.
struct Need<'a> {
    /// The stream that comes first.
    first: usize,
    /// Where that is written, as far as it is.
    place: &'a Place,
    /// In words.
    why: String,
}

/// Indexes of the streams in an order in which every stream comes after those it needs; file
/// order where nothing else decides. `targets` are the target tables, stream by stream, where
/// known.
///
/// # Errors
/// A finding that names the cycle.
pub fn order(streams: &[Stream], targets: &[Option<Table>]) -> Result<Vec<usize>, Finding> {
    let needs: Vec<Vec<Need<'_>>> = (0..streams.len()).map(|index| needs(streams, targets, index)).collect();
    let mut done = vec![false; streams.len()];
    let mut order = Vec::with_capacity(streams.len());
    while order.len() < streams.len() {
        let ready = (0..streams.len()).find(|&index| !done[index] && needs[index].iter().all(|need| done[need.first]));
        match ready {
            Some(index) => {
                done[index] = true;
                order.push(index);
            }
            None => return Err(cycle(streams, &needs, &done)),
        }
    }
    Ok(order)
}

fn needs<'a>(streams: &'a [Stream], targets: &[Option<Table>], index: usize) -> Vec<Need<'a>> {
    let stream = &streams[index];
    let mut needs = Vec::new();
    for after in &stream.after {
        let named = streams
            .iter()
            .enumerate()
            .filter(|(_, other)| other.name.value == after.value);
        needs.extend(named.map(|(first, _)| Need {
            first,
            place: &after.place,
            why: "`after`".to_owned(),
        }));
    }
    let Some(Some(target)) = targets.get(index) else {
        return needs;
    };
    for key in target.foreign_keys.iter().filter(|key| writes(stream, key)) {
        for (first, other) in streams.iter().enumerate() {
            let same_end = other.to.value.connection == stream.to.value.connection;
            let name = |at: usize| targets.get(at).and_then(Option::as_ref).map(|table| &table.name);
            let refers = same_table(name(first).unwrap_or(&other.to.value.table), &key.table);
            // A table that refers to itself, and streams that fill one table together, wait for
            // nothing.
            let itself = same_table(&target.name, &key.table);
            if same_end && refers && !itself {
                needs.push(Need {
                    first,
                    place: &stream.to.place,
                    why: format!("foreign key {}", described(key)),
                });
            }
        }
    }
    needs
}

/// A foreign key whose columns the stream leaves out holds nothing that could be missing.
fn writes(stream: &Stream, key: &ForeignKey) -> bool {
    let all = stream.same_name_columns.as_ref().is_some_and(|flag| flag.value);
    all || key
        .columns
        .iter()
        .any(|column| stream.columns.iter().any(|(name, _)| name.value == *column))
}

fn same_table(one: &TableName, other: &TableName) -> bool {
    one.name == other.name && (one.schema == other.schema || one.schema.is_none() || other.schema.is_none())
}

fn described(key: &ForeignKey) -> String {
    if key.name.is_empty() {
        format!("({})", key.columns.join(", "))
    } else {
        format!("`{}`", key.name)
    }
}

/// Every stream that is left needs another that is left: walking along needs meets a stream
/// again, and the way between is the cycle.
fn cycle(streams: &[Stream], needs: &[Vec<Need<'_>>], done: &[bool]) -> Finding {
    let mut way: Vec<&Need<'_>> = Vec::new();
    let mut seen = vec![None; streams.len()];
    let mut at = done.iter().position(|done| !done);
    while let Some(index) = at {
        if let Some(start) = seen[index] {
            return described_cycle(streams, index, &way[start..]);
        }
        seen[index] = Some(way.len());
        let next = needs[index].iter().find(|need| !done[need.first]);
        way.extend(next);
        at = next.map(|need| need.first);
    }
    Finding::error("mapping::cycle", None, "the streams have no order")
}

fn described_cycle(streams: &[Stream], start: usize, way: &[&Need<'_>]) -> Finding {
    let mut text = format!("`{}`", streams[start].name.value);
    for (index, need) in way.iter().enumerate() {
        let which = if index == 0 { " needs" } else { ", which needs" };
        text = format!("{text}{which} `{}` ({})", streams[need.first].name.value, need.why);
    }
    let itself = way.len() == 1;
    let message = if itself {
        format!("a stream waits for itself: {text}")
    } else {
        format!("streams wait for each other: {text}")
    };
    Finding::error("mapping::cycle", way.first().map(|need| need.place.clone()), message)
        .label("part of the circle")
        .help(if itself {
            "take its name out of `after`"
        } else {
            "take one `after` out, or leave the column of one foreign key to a second stream that runs later"
        })
}
