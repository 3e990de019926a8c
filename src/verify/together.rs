//! Groups that read the same rows of a source which is paid for by what is read: one reading
//! serves all of them, as it does when they are moved.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::VerifyOptions;
use super::group;
use crate::pipeline::plan::{Plan, PlannedStream};
use crate::pipeline::shared_read::{Room, Seat};

/// Most groups that are compared at once: each has its own buckets in memory.
const GROUPS_MAX: usize = 16;

/// Groups that are compared at once, by the places of their streams in the plan.
pub(super) type Unit = Vec<Vec<usize>>;

/// Seats of the streams of a unit, by their places in the plan.
#[derive(Default)]
pub(super) struct Seats(Mutex<BTreeMap<usize, Seat>>);

impl Seats {
    /// One for each group of a unit that reads together with others.
    pub(super) fn of(plan: &Plan, unit: &Unit) -> Self {
        let places: Vec<usize> = unit.iter().flatten().copied().collect();
        let source = places
            .first()
            .and_then(|place| plan.sources.get(&plan.streams[*place].source_connection));
        match source {
            // Streams of one group are read one after the other: they cannot wait for each other.
            Some(source) if unit.len() > 1 => {
                let seats = Room::seats(source, places.len());
                Self(Mutex::new(places.into_iter().zip(seats).collect()))
            }
            _ => Self::default(),
        }
    }

    /// The seat of a stream, once.
    pub(super) fn take(&self, place: usize) -> Option<Seat> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&place)
    }
}

/// All groups, each with those that are read together with it.
pub(super) fn units(plan: &Plan, options: &VerifyOptions) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::new();
    for places in group::places(plan) {
        let alike = |unit: &&mut Unit| {
            unit.len() < GROUPS_MAX && is_shared(plan, &unit[0], options) && reads_the_same(plan, unit[0][0], places[0])
        };
        match units.iter_mut().find(alike) {
            Some(unit) if is_shared(plan, &places, options) => unit.push(places),
            _ => units.push(vec![places]),
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
