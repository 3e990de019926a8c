//! Order of streams: foreign keys of their targets, and `after`.
//!
//! A foreign key that no order can keep is suspended: taken away for the load and put back when
//! all rows are there. That is one from a table to itself, for rows come in batches, and within a
//! circle of streams each that points to a stream which comes later. `after` is never cut.
//!
//! Streams that read the same rows of a source which is paid for by what it reads are to be
//! complete together, not one after the other: foreign keys between them are suspended, too.

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
    /// The foreign key of the target that it comes from; none for `after`.
    key: Option<&'a ForeignKey>,
}

impl Need<'_> {
    /// It can be cut by suspending its foreign key.
    fn loose(&self) -> bool {
        self.key.is_some_and(|key| key.removable)
    }
}

/// An order of streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// Indexes of the streams; every one comes after those it needs, file order decides the rest.
    pub sequence: Vec<usize>,
    /// For each stream (by its index in the project) the streams that must be complete before it.
    pub needs: Vec<Vec<usize>>,
    /// For each stream the foreign keys of its target that are suspended for the load.
    pub suspended: Vec<Vec<ForeignKey>>,
}

/// Orders streams. `targets` are the target tables, stream by stream, where known. Streams of the
/// same number in `passes` read the same rows in one pass; none where that does not matter, or
/// where a stream could not share its pass.
///
/// # Errors
/// A finding that names the cycle.
pub fn order(streams: &[Stream], targets: &[Option<Table>], passes: &[Option<usize>]) -> Result<Order, Finding> {
    let mut needs: Vec<Vec<Need<'_>>> = (0..streams.len()).map(|index| needs(streams, targets, index)).collect();
    let mut suspended: Vec<Vec<ForeignKey>> = (0..streams.len()).map(|index| to_itself(streams, targets, index)).collect();
    let mut done = vec![false; streams.len()];
    let mut sequence = Vec::with_capacity(streams.len());
    while sequence.len() < streams.len() {
        let ready = (0..streams.len()).find(|&index| !done[index] && needs[index].iter().all(|need| done[need.first]));
        let Some(index) = ready.or_else(|| cuttable(&needs, &done)) else {
            return Err(cycle(streams, &needs, &done));
        };
        suspend(&mut suspended[index], needs[index].extract_if(.., |need| !done[need.first]));
        done[index] = true;
        sequence.push(index);
    }
    // Parents stay first in the sequence, for whoever moves one stream at a time after all.
    share_passes(&mut needs, &mut suspended, passes);
    let needs = needs.iter().map(|needs| needs.iter().map(|need| need.first).collect());
    Ok(Order {
        needs: needs.collect(),
        sequence,
        suspended,
    })
}

fn suspend<'a>(suspended: &mut Vec<ForeignKey>, cut: impl Iterator<Item = Need<'a>>) {
    for key in cut.filter_map(|need| need.key) {
        if !suspended.contains(key) {
            suspended.push(key.clone());
        }
    }
}

/// Cuts the needs that alone keep streams from sharing a pass. Where one of two waits for the
/// other anyway, their keys stay.
fn share_passes(needs: &mut [Vec<Need<'_>>], suspended: &mut [Vec<ForeignKey>], passes: &[Option<usize>]) {
    let pass = |index: usize| passes.get(index).copied().flatten();
    let shares = |index: usize, need: &Need<'_>| need.loose() && pass(index).is_some() && pass(index) == pass(need.first);
    // What holds in any case.
    let kept: Vec<Vec<usize>> = needs
        .iter()
        .enumerate()
        .map(|(index, needs)| {
            needs
                .iter()
                .filter(|need| !shares(index, need))
                .map(|need| need.first)
                .collect()
        })
        .collect();
    for (index, needs) in needs.iter_mut().enumerate() {
        let cut = needs.extract_if(.., |need| shares(index, need) && !waits_for(&kept, index, need.first));
        suspend(&mut suspended[index], cut);
    }
}

/// Whether `needs` lead from one stream to another.
fn waits_for(needs: &[Vec<usize>], from: usize, to: usize) -> bool {
    let mut seen = vec![false; needs.len()];
    let mut next = needs[from].clone();
    while let Some(at) = next.pop() {
        if !std::mem::replace(&mut seen[at], true) {
            next.extend(&needs[at]);
        }
    }
    seen[to]
}

/// Where every stream that is left waits: the first of a circle whose own needs can all be cut.
fn cuttable(needs: &[Vec<Need<'_>>], done: &[bool]) -> Option<usize> {
    (0..needs.len()).find(|&index| {
        !done[index]
            && needs[index]
                .iter()
                .filter(|need| !done[need.first])
                .all(|need| need.loose() && leads_to(needs, done, need.first, index))
    })
}

/// Whether the needs of streams that are left lead from one to another.
fn leads_to(needs: &[Vec<Need<'_>>], done: &[bool], from: usize, to: usize) -> bool {
    let mut seen = vec![false; needs.len()];
    let mut next = vec![from];
    while let Some(at) = next.pop() {
        if at == to {
            return true;
        }
        if !std::mem::replace(&mut seen[at], true) {
            next.extend(needs[at].iter().map(|need| need.first).filter(|&first| !done[first]));
        }
    }
    false
}

/// Foreign keys from a stream's table to itself that can be suspended. The others leave it to the
/// order of the rows.
fn to_itself(streams: &[Stream], targets: &[Option<Table>], index: usize) -> Vec<ForeignKey> {
    let Some(Some(target)) = targets.get(index) else {
        return Vec::new();
    };
    let keys = target.foreign_keys.iter();
    keys.filter(|key| key.removable && same_table(&target.name, &key.table) && writes(&streams[index], key))
        .cloned()
        .collect()
}

fn needs<'a>(streams: &'a [Stream], targets: &'a [Option<Table>], index: usize) -> Vec<Need<'a>> {
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
            key: None,
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
                    key: Some(key),
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

/// A stream of a circle that waits for nothing outside of it leads the way: each of its like has a
/// need that cannot be cut, walking along these meets a stream again, and the way between is the
/// cycle.
fn cycle(streams: &[Stream], needs: &[Vec<Need<'_>>], done: &[bool]) -> Finding {
    let left = |need: &&Need<'_>| !done[need.first];
    let mut way: Vec<&Need<'_>> = Vec::new();
    let mut seen = vec![None; streams.len()];
    let mut at = (0..streams.len()).find(|&index| {
        let mut waits = needs[index].iter().filter(left);
        !done[index] && waits.all(|need| leads_to(needs, done, need.first, index))
    });
    while let Some(index) = at {
        if let Some(start) = seen[index] {
            return described_cycle(streams, index, &way[start..]);
        }
        seen[index] = Some(way.len());
        let next = needs[index].iter().filter(left).find(|need| !need.loose());
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
        } else if way.iter().any(|need| need.key.is_some()) {
            "take one `after` out, or let the role own the tables, so that a foreign key can be taken away for the load"
        } else {
            "take one `after` out"
        })
}
