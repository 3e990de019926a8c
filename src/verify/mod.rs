//! Verify: reads both sides and names every difference.
//!
//! It believes neither the ledger nor the run, and writes nothing (Invariant 10). The source goes
//! through the mapping into the target's types, the target is read back as the same types, and
//! both are compared in a canonical form.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::Config;
use crate::config::connection::{Connection, ConnectionKind};
use crate::pipeline::event::Events;
use crate::pipeline::plan::{Plan, PlannedStream};
use crate::pipeline::shutdown::Shutdown;
use crate::source::{self, Source};
use crate::{Error, ErrorKind, Result};

pub mod in_place;
pub mod ledger;
pub mod look;
pub mod report;

mod bucket;
mod canonical;
mod compare;
mod drain;
mod examine;
mod expiry;
mod group;
mod handle;
mod join;
mod kept;
mod keyed;
mod locate;
mod mapped_side;
mod outcome;
mod pairs;
mod pass;
mod picked;
mod recheck;
mod show;
mod side;
mod spill;
mod subject;
mod table_side;
mod tally;
mod together;
mod verdict;
mod work;

use drain::Watch;
use group::Ends;
pub use kept::Keep;
use report::{ConnectionRead, StreamVerdict, VerifyReport};
use together::Seats;

/// How a verification is done.
#[derive(Debug, Clone)]
pub struct VerifyOptions {
    /// Most differences of a stream that are listed; all are counted.
    pub max_differences: usize,
    /// Compare only about so many rows of each stream, chosen by a hash of their keys.
    pub sample: Option<u64>,
    /// Look again at what differs, where the application goes on writing.
    pub recheck: Option<Recheck>,
    /// A condition over source columns, in the source's own SQL: only its rows are compared.
    pub condition: Option<String>,
    /// Rows that may differ (all of a bucket that does) up to which these are fetched by their
    /// keys; of more, hashes go through files.
    pub few_rows_max: u64,
    /// Keys that differ up to which all of them are looked at again, where that is asked for.
    pub recheck_keys_max: usize,
    /// Where it is kept how far it is; `None` keeps nothing.
    pub keep: Option<Keep>,
}

impl Default for VerifyOptions {
    fn default() -> Self {
        Self {
            max_differences: 100,
            sample: None,
            recheck: None,
            condition: None,
            few_rows_max: 100_000,
            recheck_keys_max: 1_000_000,
            keep: None,
        }
    }
}

/// How often rows that differ are looked at again, and after what wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recheck {
    /// How often.
    pub times: u32,
    /// Before each time.
    pub wait: Duration,
}

/// Connections opened to be read, by name.
type Opened = BTreeMap<String, Arc<dyn Source>>;

/// Target connections of a plan, opened to be read: a verification never asks a sink for more than
/// its catalog and ledger.
pub struct Targets {
    tables: Opened,
    /// All connections of the plan: what differs is looked at again at a later moment of each.
    connections: BTreeMap<String, Connection>,
}

impl Targets {
    /// Opens every target connection of the plan as a source: read-only, at one moment.
    ///
    /// # Errors
    /// By kind: unreachable, unauthorised, busy, unreadable.
    pub async fn open(config: &Config, plan: &Plan) -> Result<Self> {
        let mut targets = Self::unopened(config, plan)?;
        for stream in plan.streams.iter().filter(|stream| stream.keyed.is_none()) {
            let name = &stream.sink_connection;
            if !targets.tables.contains_key(name) {
                let opened = source::open(&targets.connections[name]).await?;
                targets.tables.insert(name.clone(), Arc::from(opened));
            }
        }
        Ok(targets)
    }
}

/// Compares source and target of every stream of a plan, and names what differs. Differences are
/// no error: they are in the report.
///
/// # Errors
/// What reading either side fails with; [`ErrorKind::Interrupted`] where it was stopped on request.
pub async fn verify(
    plan: Plan,
    targets: Targets,
    options: &VerifyOptions,
    events: Events,
    shutdown: &Shutdown,
) -> Result<VerifyReport> {
    let began = Instant::now();
    let mut report = outcome::report(&plan, options);
    let watch = Watch::new(events, shutdown.clone());
    watch.begun(&report, &plan);
    report.connections = connections(&plan, &targets).await?;
    let mut verdicts: BTreeMap<usize, StreamVerdict> = BTreeMap::new();
    let groups = group::places(&plan);
    let kept = kept::groups(&plan, &groups, options, &targets.connections, &watch.events);
    for unit in together::units(&plan, &groups, options) {
        let left = unit.iter().filter(|group| kept[**group].verdicts().is_none());
        let seats = Seats::of(&plan, left.map(|group| groups[*group].as_slice()));
        let ends = targets.ends(&plan, &seats);
        let compared = unit.iter().map(|group| {
            let (places, kept, watch, plan, ends) = (&groups[*group], &kept[*group], watch.of(&kept[*group]), &plan, &ends);
            let targets = &targets;
            async move {
                let compared = match kept.verdicts() {
                    Some(verdicts) => verdicts.into_iter().inspect(|verdict| watch.skipped(verdict)).collect(),
                    None => Box::pin(verdict::compare(plan, places, targets, ends, options, &watch)).await?,
                };
                kept.compared(&compared);
                Ok::<_, Error>(places.iter().copied().zip(compared))
            }
        });
        verdicts.extend(futures::future::try_join_all(compared).await?.into_iter().flatten());
    }
    for kept in &kept {
        kept.forget();
    }
    report.streams = verdicts.into_values().collect();
    outcome::close(&mut report, began.elapsed());
    Ok(report)
}

/// Columns of a stream whose values must not be shown.
fn masked(stream: &PlannedStream) -> Vec<String> {
    stream.pii.clone()
}

async fn connections(plan: &Plan, targets: &Targets) -> Result<Vec<ConnectionRead>> {
    let mut read = Vec::new();
    for (name, connection) in &targets.connections {
        let end = plan.sources.get(name).or_else(|| targets.tables.get(name));
        read.push(ConnectionRead {
            name: name.clone(),
            kind: connection.kind.name().to_owned(),
            version: match (end, plan.sinks.get(name)) {
                (Some(end), _) => end.version().await?,
                (None, Some(store)) => store.version().await?,
                (None, None) => None,
            },
            moment: match end {
                Some(end) => Some(end.moment().await?),
                None => None,
            },
            key_prefix: match &connection.kind {
                ConnectionKind::Redis(server) => Some(server.key_prefix.clone()).filter(|prefix| !prefix.is_empty()),
                _ => None,
            },
        });
    }
    Ok(read)
}

impl Targets {
    /// The ends as they are open now.
    fn ends<'a>(&'a self, plan: &'a Plan, seats: &'a Seats) -> Ends<'a> {
        Ends {
            seats,
            sources: &plan.sources,
            tables: &self.tables,
            connections: &self.connections,
            limits: plan.limits,
        }
    }

    /// Connections opened anew, at a later moment of each: sources and tables of these streams.
    async fn anew(&self, plan: &Plan, places: &[usize]) -> Result<(Opened, Opened)> {
        let (mut sources, mut tables) = (Opened::new(), Opened::new());
        for stream in places.iter().map(|place| &plan.streams[*place]) {
            for (name, opened) in [
                (&stream.source_connection, &mut sources),
                (&stream.sink_connection, &mut tables),
            ] {
                // A store of keys has no moment: it is read as it is at any time.
                let is_store = stream.keyed.is_some() && *name == stream.sink_connection;
                if !is_store && !opened.contains_key(name) {
                    opened.insert(name.clone(), Arc::from(source::open(&self.connections[name]).await?));
                }
            }
        }
        Ok((sources, tables))
    }
}

fn stopped() -> Error {
    Error::new(ErrorKind::Interrupted, "stopped on request before everything was compared")
        .hint("nothing was written to either database; `dbferry verify PROJECT --resume` goes on from what was compared")
}
