//! Looking again at rows that a report has named, for whoever is to mend them: what each of them is
//! now, and where it is found. It writes nothing, as all of this module.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::compute::interleave_record_batch;
use arrow::record_batch::RecordBatch;

use super::drain::Watch;
use super::group::{self, Ends, Group};
use super::report::DifferenceKind;
use super::together::Seats;
use super::{Opened, Targets, examine};
use crate::config::Config;
use crate::data::position::Key;
use crate::pipeline::event::Events;
use crate::pipeline::plan::{Plan, PlannedStream};
use crate::pipeline::shutdown::Shutdown;
use crate::source::Source;
use crate::{Error, ErrorKind, Result};

/// One moment of sources and targets, opened to be read.
pub struct Moment {
    sources: Opened,
    tables: Opened,
}

/// A row that still differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// Hash of its target key.
    pub id: u128,
    /// Place of its stream in the plan.
    pub stream: usize,
    /// How it differs now: missing, extra or different.
    pub kind: DifferenceKind,
    /// Key of the source's row.
    pub source: Option<Key>,
    /// Where its target key is kept.
    row: Option<(usize, usize)>,
}

/// What became of the rows of streams that write one target.
#[derive(Default)]
pub struct Looked {
    /// Rows that differ, in no order.
    pub found: Vec<Found>,
    keys: Vec<RecordBatch>,
}

impl Found {
    /// Whether the target's row has a key that can be read.
    #[must_use]
    pub const fn has_key(&self) -> bool {
        self.row.is_some()
    }
}

impl Looked {
    /// Target keys of rows that have one: their columns in the order of the key.
    ///
    /// # Errors
    /// Defects only.
    pub fn target_keys<'a>(&self, rows: impl IntoIterator<Item = &'a Found>) -> Result<Option<RecordBatch>> {
        let places: Vec<(usize, usize)> = rows.into_iter().filter_map(|found| found.row).collect();
        if places.is_empty() {
            return Ok(None);
        }
        let batches: Vec<&RecordBatch> = self.keys.iter().collect();
        let rows = interleave_record_batch(&batches, &places);
        rows.map(Some)
            .map_err(|error| Error::new(ErrorKind::Internal, "keys of a target do not go together").because(error))
    }
}

/// Streams of a plan that write one target together, by their places.
#[must_use]
pub fn groups(plan: &Plan) -> Vec<Vec<usize>> {
    group::places(plan)
}

/// Why the rows of a stream cannot be looked up by key, where they cannot.
#[must_use]
pub fn not_found_by_key(stream: &PlannedStream) -> Option<&'static str> {
    let key_type = stream.keyed.as_ref().map(|layout| layout.key_type);
    match key_type {
        Some(key_type) if key_type.is_ordered() => Some("its elements have places, and no keys"),
        _ if stream.write.key.is_empty() => Some("its rows have no key in the target"),
        _ if stream.source_key.is_empty() => Some("its source rows cannot be found by key"),
        _ => None,
    }
}

impl Targets {
    /// None is open yet: whoever writes them must not hold a moment of them.
    ///
    /// # Errors
    /// As [`Config::resolve`].
    pub fn unopened(config: &Config, plan: &Plan) -> Result<Self> {
        let mut connections = BTreeMap::new();
        for stream in &plan.streams {
            for name in [&stream.source_connection, &stream.sink_connection] {
                if !connections.contains_key(name) {
                    connections.insert(name.clone(), config.resolve(name)?);
                }
            }
        }
        Ok(Self {
            tables: Opened::new(),
            connections,
        })
    }

    /// Opens what these streams read and write anew, at a later moment.
    ///
    /// # Errors
    /// By kind: unreachable, unauthorised, busy, unreadable.
    pub async fn later(&self, plan: &Plan, places: &[usize]) -> Result<Moment> {
        let (sources, tables) = self.anew(plan, places).await?;
        Ok(Moment { sources, tables })
    }
}

impl Moment {
    /// Closes the targets, so that they can be written.
    pub fn let_go(&mut self) {
        self.tables.clear();
    }

    /// A source as it is at this moment.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] where none of that name was opened.
    pub fn source(&self, name: &str) -> Result<Arc<dyn Source>> {
        group::open(&self.sources, name)
    }
}

/// Looks at rows of streams that write one target, by the hashes of their keys.
///
/// # Errors
/// What reading either side fails with; [`ErrorKind::Interrupted`] where it was stopped on request.
pub async fn look(
    plan: &Plan,
    places: &[usize],
    (targets, moment): (&Targets, &Moment),
    ids: BTreeSet<u128>,
    (events, shutdown): (&Events, &Shutdown),
) -> Result<Looked> {
    let seats = Seats::default();
    let ends = Ends {
        sources: &moment.sources,
        tables: &moment.tables,
        ..targets.ends(plan, &seats)
    };
    let watch = Watch::new(Arc::clone(events), shutdown.clone());
    let group = Group::open(plan, places, &ends, None).await?;
    let outcome = examine::name(&group, ids.into_iter().collect(), &watch).await?;
    let found = outcome.named.into_iter().map(|named| Found {
        id: named.key,
        stream: places[named.member],
        kind: named.kind,
        source: named.source,
        row: named.target,
    });
    Ok(Looked {
        found: found.collect(),
        keys: outcome.keys,
    })
}
