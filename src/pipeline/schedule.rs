//! The schedule: which streams are moved together, and which may begin.
//!
//! Pure. Streams that read the same rows form one unit, so that the source is read once for all
//! of them; a stream begins when every stream that it needs is complete. How many units run at
//! once, and over which connections, is not decided here.
//!
//! A unit that would wait for itself is dissolved: into single streams, or, where every reading
//! of its rows is paid for, into as few units as the order of its streams allows.

use std::collections::{BTreeMap, BTreeSet};

use crate::data::stream::ReadColumn;

/// What the schedule has to know of a stream.
#[derive(Debug, Clone)]
pub(super) struct Candidate<'a> {
    /// What it reads, all but the columns: streams of which this is equal may share a reader.
    pub(super) reads: String,
    /// Columns that it reads.
    pub(super) columns: &'a [ReadColumn],
    /// It can go on after any row, so that it can leave a shared reader.
    pub(super) resumable: bool,
    /// Every reading of the source is paid for by the row: it is read as few times as can be.
    pub(super) paid: bool,
    /// Sink connection.
    pub(super) sink: &'a str,
    /// Streams that must be complete before it.
    pub(super) needs: BTreeSet<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Begun,
    Complete,
}

/// Units of work and how far their streams are.
#[derive(Debug)]
pub(super) struct Schedule {
    units: Vec<Vec<usize>>,
    needs: Vec<BTreeSet<usize>>,
    state: Vec<State>,
}

impl Schedule {
    /// Groups the streams. `sessions_max` says over how many sessions a sink connection may be
    /// written at once: a group must not need more.
    pub(super) fn new(streams: &[Candidate<'_>], sessions_max: impl Fn(&str) -> usize) -> Self {
        let mut units: Vec<Vec<usize>> = Vec::new();
        for (index, stream) in streams.iter().enumerate() {
            let joined = units
                .iter_mut()
                .find(|unit| fits(streams, unit, stream, sessions_max(stream.sink)));
            match joined {
                Some(unit) => unit.push(index),
                None => units.push(vec![index]),
            }
        }
        let needs: Vec<_> = streams.iter().map(|stream| stream.needs.clone()).collect();
        loop {
            let circles = circles(&units, &needs);
            let Some(first) = circles.first() else { break };
            let paid = |unit: usize| units[unit].iter().any(|member| streams[*member].paid);
            // The first that comes apart. What is left to itself waits for another's dissolution.
            let apart = circles.iter().find_map(|&unit| {
                let levels = if paid(unit) {
                    levels(&units, unit, &needs)?
                } else {
                    singles(&units[unit])
                };
                (levels.len() > 1).then_some((unit, levels))
            });
            let (unit, parts) = apart.unwrap_or_else(|| (*first, singles(&units[*first])));
            units.remove(unit);
            units.extend(parts);
            units.sort();
        }
        Self {
            units,
            needs,
            state: vec![State::Waiting; streams.len()],
        }
    }

    /// The units, each with the streams that move together.
    pub(super) fn units(&self) -> &[Vec<usize>] {
        &self.units
    }

    /// Units that may begin now, each told once.
    pub(super) fn begin(&mut self) -> Vec<Vec<usize>> {
        let state = &self.state;
        let complete = |needs: &BTreeSet<usize>| needs.iter().all(|need| state[*need] == State::Complete);
        let ready: Vec<_> = self
            .units
            .iter()
            .filter(|unit| {
                unit.iter()
                    .all(|member| state[*member] == State::Waiting && complete(&self.needs[*member]))
            })
            .cloned()
            .collect();
        for member in ready.iter().flatten() {
            self.state[*member] = State::Begun;
        }
        ready
    }

    /// A stream is complete: those that need it may begin.
    pub(super) fn complete(&mut self, stream: usize) {
        self.state[stream] = State::Complete;
    }
}

fn fits(streams: &[Candidate<'_>], unit: &[usize], stream: &Candidate<'_>, sessions_max: usize) -> bool {
    let same_sink = unit.iter().filter(|member| streams[**member].sink == stream.sink).count();
    same_sink < sessions_max
        && unit.iter().all(|member| {
            let member = &streams[*member];
            // What cannot go on by itself must never have a reason to.
            let columns_fit = if stream.resumable {
                stream.columns.iter().all(|column| {
                    let other = member.columns.iter().find(|other| other.name == column.name);
                    other.is_none_or(|other| other.ty == column.ty)
                })
            } else {
                stream.columns == member.columns
            };
            stream.reads == member.reads && columns_fit
        })
}

/// Each stream a unit of its own.
fn singles(members: &[usize]) -> Vec<Vec<usize>> {
    members.iter().map(|member| vec![*member]).collect()
}

/// Units of several streams that wait, through whatever others, for themselves.
fn circles(units: &[Vec<usize>], needs: &[BTreeSet<usize>]) -> Vec<usize> {
    let unit_of = homes(units);
    let several = (0..units.len()).filter(|unit| units[*unit].len() > 1);
    several
        .filter(|unit| {
            let waits_for = reach(&units[*unit], |stream| waits(stream, units, &unit_of, needs));
            units[*unit].iter().any(|member| waits_for.contains(member))
        })
        .collect()
}

/// The streams of a unit by how many of each other must be complete before them, one after the
/// other, while all other units stay whole. `None` where even a single one waits for itself.
fn levels(units: &[Vec<usize>], unit: usize, needs: &[BTreeSet<usize>]) -> Option<Vec<Vec<usize>>> {
    let members = &units[unit];
    let mut parts: Vec<Vec<usize>> = units.to_vec();
    parts.remove(unit);
    parts.extend(singles(members));
    let unit_of = homes(&parts);
    let mut before: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for member in members {
        let all = reach(&[*member], |stream| waits(stream, &parts, &unit_of, needs));
        if all.contains(member) {
            return None;
        }
        before.insert(*member, all.into_iter().filter(|other| members.contains(other)).collect());
    }
    let mut levels = Vec::new();
    while !before.is_empty() {
        // What waits for nothing that is left; there always is such a one, for none waits for itself.
        let level: Vec<usize> = before
            .iter()
            .filter(|(_, all)| all.is_empty())
            .map(|(member, _)| *member)
            .collect();
        before.retain(|member, all| {
            all.retain(|other| !level.contains(other));
            !level.contains(member)
        });
        levels.push(level);
    }
    Some(levels)
}

/// The unit of each stream.
fn homes(units: &[Vec<usize>]) -> BTreeMap<usize, usize> {
    let members = units.iter().enumerate();
    members
        .flat_map(|(unit, members)| members.iter().map(move |member| (*member, unit)))
        .collect()
}

/// Streams that must be complete before a stream begins: those that its unit needs.
fn waits(stream: usize, units: &[Vec<usize>], unit_of: &BTreeMap<usize, usize>, needs: &[BTreeSet<usize>]) -> Vec<usize> {
    let unit = unit_of.get(&stream).map_or(&[][..], |unit| &units[*unit]);
    unit.iter().flat_map(|member| needs[*member].iter().copied()).collect()
}

/// All that can be reached from these streams in at least one step.
fn reach(from: &[usize], step: impl Fn(usize) -> Vec<usize>) -> BTreeSet<usize> {
    let mut seen = BTreeSet::new();
    let mut next: Vec<usize> = from.iter().flat_map(|stream| step(*stream)).collect();
    while let Some(stream) = next.pop() {
        if seen.insert(stream) {
            next.extend(step(stream));
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::column::ColumnType;

    fn columns(text: &str) -> Vec<ReadColumn> {
        text.split(' ')
            .map(|name| ReadColumn {
                name: name.trim_end_matches('!').to_owned(),
                ty: if name.ends_with('!') {
                    ColumnType::TEXT
                } else {
                    ColumnType::Int64
                },
                json_is_checked: false,
            })
            .collect()
    }

    /// `reads/sink` per stream, with what it needs.
    fn schedule(streams: &[(&str, &str, &[usize])]) -> Schedule {
        let read: Vec<_> = streams.iter().map(|(_, text, _)| columns(text)).collect();
        let candidates: Vec<_> = streams
            .iter()
            .zip(&read)
            .map(|((ends, _, needs), columns)| {
                let (reads, sink) = ends.split_once('/').expect("two ends");
                Candidate {
                    reads: reads.to_owned(),
                    columns,
                    resumable: reads != "atomic",
                    paid: reads.starts_with("paid"),
                    sink,
                    needs: needs.iter().copied().collect(),
                }
            })
            .collect();
        Schedule::new(&candidates, |sink| if sink == "file" { 1 } else { 8 })
    }

    #[test]
    fn streams_that_read_the_same_are_one_unit_where_their_columns_agree() {
        let made = schedule(&[
            ("users/auth", "id name", &[]),
            ("posts/post", "id", &[]),
            ("users/user", "id mail", &[]),
            ("users/log", "id! mail", &[]),
            ("users/user", "id", &[]),
        ]);
        assert_eq!(made.units, [vec![0, 2, 4], vec![1], vec![3]]);
        let files = schedule(&[("t/file", "a", &[]), ("t/file", "b", &[]), ("t/other", "c", &[])]);
        assert_eq!(files.units, [vec![0, 2], vec![1]], "a file has one writer");
        let atomic = schedule(&[("atomic/x", "a", &[]), ("atomic/y", "a b", &[]), ("atomic/z", "a", &[])]);
        assert_eq!(atomic.units, [vec![0, 2], vec![1]]);
    }

    #[test]
    fn a_group_that_would_wait_for_itself_is_dissolved() {
        let direct = schedule(&[("t/x", "a", &[]), ("t/y", "a", &[0])]);
        assert_eq!(direct.units, [vec![0], vec![1]]);
        let through_another = schedule(&[("t/x", "a", &[]), ("u/x", "a", &[0]), ("t/y", "a", &[1]), ("u/y", "a", &[])]);
        // Whichever is dissolved first, nothing waits for ever.
        let mut moved = through_another;
        let mut order = Vec::new();
        loop {
            let ready = moved.begin();
            if ready.is_empty() {
                break;
            }
            for stream in ready.into_iter().flatten() {
                moved.complete(stream);
                order.push(stream);
            }
        }
        order.sort_unstable();
        assert_eq!(order, [0, 1, 2, 3]);
    }

    #[test]
    fn what_is_paid_for_is_read_once_for_each_level_of_needs() {
        let made = schedule(&[
            ("paid/x", "a", &[]),
            ("paid/x", "a", &[0]),
            ("paid/x", "a", &[]),
            ("paid/x", "a", &[0]),
            ("paid/x", "a", &[1, 2]),
        ]);
        assert_eq!(made.units, [vec![0, 2], vec![1, 3], vec![4]]);
        let made = schedule(&[("paid/x", "a", &[]), ("paid/x", "a", &[]), ("paid/x", "a", &[])]);
        assert_eq!(made.units, [vec![0, 1, 2]]);
    }

    #[test]
    fn what_is_paid_for_comes_apart_around_what_it_waits_for() {
        // 1 waits for 0 through a unit that stays whole.
        let made = schedule(&[
            ("paid/x", "a", &[]),
            ("paid/x", "a", &[4]),
            ("paid/x", "a", &[]),
            ("t/x", "a", &[0]),
            ("t/x", "a", &[]),
        ]);
        assert_eq!(made.units, [vec![0, 2], vec![1], vec![3, 4]]);
        // 0 waits for itself as long as the other unit is whole: that one is dissolved.
        let made = schedule(&[
            ("paid/x", "a", &[2]),
            ("paid/x", "a", &[]),
            ("t/x", "a", &[]),
            ("t/x", "a", &[0]),
        ]);
        assert_eq!(made.units, [vec![0, 1], vec![2], vec![3]]);
        // The same, and neither can be read for nothing.
        let made = schedule(&[
            ("paid1/x", "a", &[2]),
            ("paid1/x", "a", &[]),
            ("paid2/x", "a", &[]),
            ("paid2/x", "a", &[0]),
        ]);
        assert_eq!(made.units, [vec![0, 1], vec![2], vec![3]]);
    }

    #[test]
    fn whatever_is_dissolved_all_streams_come_to_begin() {
        // Every graph without circles over four streams of two places, one of them paid for.
        let pairs: Vec<(usize, usize)> = (0..4).flat_map(|to| (0..to).map(move |from| (from, to))).collect();
        for graph in 0..1_usize << pairs.len() {
            let needs: Vec<Vec<usize>> = (0..4)
                .map(|stream| {
                    let own = pairs
                        .iter()
                        .enumerate()
                        .filter(|(bit, pair)| graph >> bit & 1 == 1 && pair.1 == stream);
                    own.map(|(_, pair)| pair.0).collect()
                })
                .collect();
            for places in 0..1_usize << 4 {
                let place = |stream: usize| if places >> stream & 1 == 1 { "paid/x" } else { "t/x" };
                let streams: Vec<_> = (0..4).map(|stream| (place(stream), "a", needs[stream].as_slice())).collect();
                let mut made = schedule(&streams);
                let mut begun = 0;
                loop {
                    let ready = made.begin();
                    if ready.is_empty() {
                        break;
                    }
                    begun += ready.iter().map(Vec::len).sum::<usize>();
                    ready.into_iter().flatten().for_each(|stream| made.complete(stream));
                }
                assert_eq!(begun, 4, "{streams:?}");
            }
        }
    }

    #[test]
    fn a_unit_begins_when_all_that_its_members_need_is_complete() {
        let mut made = schedule(&[("a/x", "a", &[]), ("b/x", "a", &[]), ("c/x", "a", &[0, 1]), ("c/y", "a", &[])]);
        assert_eq!(made.begin(), [vec![0], vec![1]]);
        assert!(made.begin().is_empty());
        made.complete(0);
        assert!(made.begin().is_empty(), "one of two is not enough");
        made.complete(1);
        assert_eq!(made.begin(), [vec![2, 3]]);
    }
}
