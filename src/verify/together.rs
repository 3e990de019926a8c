//! Groups that read the same rows of a source which is paid for by what is read: one reading
//! serves all of them, as it does when they are moved.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::VerifyOptions;
use crate::pipeline::plan::{Plan, PlannedStream};
use crate::pipeline::shared_read::{Room, Seat};

/// Most groups that are compared at once: each has its own buckets in memory.
const GROUPS_MAX: usize = 16;

/// Seats of streams that read together, by their places in the plan.
#[derive(Default)]
pub(super) struct Seats(Mutex<BTreeMap<usize, Seat>>);

impl Seats {
    /// One for each group that reads together with others.
    pub(super) fn of<'a>(plan: &Plan, groups: impl Iterator<Item = &'a [usize]>) -> Self {
        let groups: Vec<_> = groups.collect();
        // Streams of one group are read one after the other: they cannot wait for each other.
        if groups.len() < 2 {
            return Self::default();
        }
        let places: Vec<usize> = groups.into_iter().flatten().copied().collect();
        let Some(source) = plan.sources.get(&plan.streams[places[0]].source_connection) else {
            return Self::default();
        };
        let seats = Room::seats(source, places.len());
        Self(Mutex::new(places.into_iter().zip(seats).collect()))
    }

    /// The seat of a stream, once.
    pub(super) fn take(&self, place: usize) -> Option<Seat> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&place)
    }
}

/// All groups by their numbers, each with those that are read together with it.
pub(super) fn units(plan: &Plan, groups: &[Vec<usize>], options: &VerifyOptions) -> Vec<Vec<usize>> {
    let mut units: Vec<Vec<usize>> = Vec::new();
    for (group, places) in groups.iter().enumerate() {
        let alike = |unit: &&mut Vec<usize>| {
            let first = &groups[unit[0]];
            unit.len() < GROUPS_MAX && is_shared(plan, first, options) && reads_the_same(plan, first[0], places[0])
        };
        match units.iter_mut().find(alike) {
            Some(unit) if is_shared(plan, places, options) => unit.push(group),
            _ => units.push(vec![group]),
        }
    }
    units
}

/// Whether a group is one stream that reads a paid source, once and whole.
fn is_shared(plan: &Plan, places: &[usize], options: &VerifyOptions) -> bool {
    let [place] = places else { return false };
    let stream: &PlannedStream = &plan.streams[*place];
    let restricted = options.sample.is_some() || options.condition.is_some() || stream.subject.is_some();
    let paid = plan
        .sources
        .get(&stream.source_connection)
        .is_some_and(|source| source.spent().is_some());
    paid && !restricted && stream.keyed.is_none()
}

fn reads_the_same(plan: &Plan, one: usize, other: usize) -> bool {
    let (one, other) = (&plan.streams[one], &plan.streams[other]);
    one.source_connection == other.source_connection && one.origin == other.origin && one.source_key == other.source_key
}
