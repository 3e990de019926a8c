//! The schedule: which streams are moved together, and which may begin.
//!
//! Pure. Streams that read the same rows form one unit, so that the source is read once for all
//! of them; a stream begins when every stream that it needs is complete. How many units run at
//! once, and over which connections, is not decided here.

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
        while let Some(stuck) = circle(&units, &needs) {
            let members = units.remove(stuck);
            units.extend(members.into_iter().map(|member| vec![member]));
            units.sort();
        }
        Self {
            units,
            needs,
            state: vec![State::Waiting; streams.len()],
        }
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

/// A unit of several streams that waits, through whatever others, for itself.
fn circle(units: &[Vec<usize>], needs: &[BTreeSet<usize>]) -> Option<usize> {
    let unit_of: BTreeMap<usize, usize> = units
        .iter()
        .enumerate()
        .flat_map(|(unit, members)| members.iter().map(move |member| (*member, unit)))
        .collect();
    let waits_for = |unit: usize| -> BTreeSet<usize> {
        let needed = units[unit].iter().flat_map(|member| &needs[*member]);
        needed.filter_map(|need| unit_of.get(need).copied()).collect()
    };
    (0..units.len()).filter(|unit| units[*unit].len() > 1).find(|start| {
        let mut seen = BTreeSet::new();
        let mut next: Vec<usize> = waits_for(*start).into_iter().collect();
        while let Some(unit) = next.pop() {
            if seen.insert(unit) {
                next.extend(waits_for(unit));
            }
        }
        seen.contains(start)
    })
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
