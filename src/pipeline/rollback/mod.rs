//! Taking a run back: its targets become what they were before it, by the undo logs that it left.
//!
//! First everything is looked at, and refused as a whole where something is in the way: a stream without
//! a log, a later run of the same rows, rows that were changed since, rows of others that refer to what
//! would go. Then the streams go back one after the other, those first that refer to others, in batches
//! of which each removes from the log what it took back, in the same transaction (Invariant 1): killed and
//! called again, it goes on with what is left.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use uuid::Uuid;

use super::event::{Event, Events};
use super::holder::holder;
use super::shutdown::{self, Shutdown};
use crate::data::stream::StreamTarget;
use crate::data::table::ForeignKey;
use crate::ledger::Suspended;
use crate::ledger::undo::{UNDO_SPLIT, Undoable, Winner};
use crate::mapping::Project;
use crate::sink::{LeaseRequest, Session, Sink};
use crate::{Error, ErrorKind, Result};

mod order;
mod possible;
pub mod report;
mod subject;
mod take_back;
mod way;

use possible::{first_those, later_runs, not_possible, wrote};
use report::{RollbackReport, RollbackStatus, StreamRollback};

/// Runs that are looked through for those that came later.
const RUNS_MAX: u32 = 100_000;
/// Keys of rows in the way that are told, of each stream.
const KEYS_MAX: usize = 100;

/// What is to be taken back, and how.
pub struct Wanted<'a> {
    /// Project.
    pub project: &'a Project,
    /// Environment.
    pub environment: &'a str,
    /// Run that is taken back.
    pub run: Uuid,
    /// Its targets, by connection.
    pub sinks: BTreeMap<String, Arc<dyn Sink>>,
    /// Who wins where a row was changed since.
    pub winner: Option<Winner>,
    /// Rows that are taken back at once.
    pub rows_max: u64,
}

/// A run on its way back.
pub struct Rollback<'a> {
    wanted: Wanted<'a>,
    /// Its streams, those first that go first.
    ways: Vec<Way>,
    /// Targets that know of the run, and keep undo logs.
    connections: Vec<String>,
    /// Only the rows of a subject.
    of_subject: bool,
    /// Foreign keys that were taken away for it.
    taken_away: Vec<Suspended>,
    /// What is told of it.
    pub report: RollbackReport,
}

/// One stream of it.
struct Way {
    connection: String,
    undoable: Undoable,
    target: StreamTarget,
    foreign_keys: Vec<ForeignKey>,
    /// When its last batch was committed: what was written last goes first.
    last: String,
    /// Only the rows with these keys.
    only: Option<Vec<RecordBatch>>,
}

/// Leases of the targets, and under which run.
struct Leases {
    run: Uuid,
    sessions: BTreeMap<String, Box<dyn Session>>,
}

impl<'a> Rollback<'a> {
    /// Finds out what the run wrote, and whether it can be taken back.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] where it left no undo log of all that it wrote, or where later runs have to
    /// be taken back first.
    pub async fn prepare(wanted: Wanted<'a>) -> Result<Self> {
        let mut rollback = Self {
            report: RollbackReport::new(&wanted),
            ways: Vec::new(),
            connections: Vec::new(),
            of_subject: false,
            taken_away: Vec::new(),
            wanted,
        };
        let project = &rollback.wanted.project.name;
        let run = rollback.wanted.run;
        let (mut not_logged, mut later) = (Vec::new(), Vec::new());
        for (connection, sink) in &rollback.wanted.sinks {
            let runs = sink.runs(project, RUNS_MAX).await?;
            let Some(at) = runs.iter().position(|record| record.run == run) else {
                continue;
            };
            let batches = sink.batches(project, run).await?;
            if !sink.keeps_undo_log() {
                rollback.report.not_taken_back.extend(wrote(&batches));
                continue;
            }
            let mut streams = Vec::new();
            for undoable in sink.undoable(project, run).await? {
                streams.push(undoable.stream.clone());
                if !undoable.logged {
                    not_logged.push(undoable.stream.clone());
                    continue;
                }
                let last = batches.iter().filter(|batch| batch.entry.stream == undoable.stream);
                let last = last.map(|batch| batch.committed_at.clone()).max().unwrap_or_default();
                let way = rollback.way(connection, sink.as_ref(), undoable, last).await?;
                rollback.ways.push(way);
            }
            later.extend(later_runs(sink.as_ref(), project, &runs[..at], &streams).await?);
            rollback.connections.push(connection.clone());
        }
        not_possible(run, &not_logged)?;
        first_those(run, later)?;
        order::arrange(&mut rollback.ways);
        rollback.report.streams = rollback.ways.iter().map(Way::report).collect();
        Ok(rollback)
    }

    /// Only to drop the undo logs of the run, on all targets that know of it.
    ///
    /// # Errors
    /// By kind, where a target cannot be asked.
    pub async fn forgetting(wanted: Wanted<'a>) -> Result<Self> {
        let mut connections = Vec::new();
        for (connection, sink) in wanted.sinks.iter().filter(|(_, sink)| sink.keeps_undo_log()) {
            let runs = sink.runs(&wanted.project.name, RUNS_MAX).await?;
            if runs.iter().any(|record| record.run == wanted.run) {
                connections.push(connection.clone());
            }
        }
        Ok(Self {
            report: RollbackReport::new(&wanted),
            ways: Vec::new(),
            connections,
            of_subject: false,
            taken_away: Vec::new(),
            wanted,
        })
    }

    /// Whether nothing is left of the run.
    #[must_use]
    pub fn is_over(&self) -> bool {
        !self.of_subject && self.ways.iter().all(|way| way.undoable.complete)
    }

    /// Looks at what would be done, in a transaction that is given up.
    ///
    /// # Errors
    /// By kind, where a target cannot be asked.
    pub async fn look(&mut self) -> Result<()> {
        let mut leases = self.acquire(true).await?;
        let looked = match self.look_again().await {
            Ok(()) => self.look_over(&mut leases).await,
            Err(error) => Err(error),
        };
        self.release(leases, "done").await;
        looked
    }

    /// What was taken back before, once nobody else can take back any more: what a rollback that was killed
    /// had sent may have been carried out since it was looked at first.
    async fn look_again(&mut self) -> Result<()> {
        for (connection, sink) in &self.wanted.sinks {
            let mut ways: Vec<_> = self.ways.iter_mut().filter(|way| way.connection == *connection).collect();
            if ways.is_empty() {
                continue;
            }
            for undoable in sink.undoable(&self.wanted.project.name, self.wanted.run).await? {
                if let Some(way) = ways.iter_mut().find(|way| way.undoable.stream == undoable.stream) {
                    way.undoable = undoable;
                }
            }
        }
        for (way, told) in self.ways.iter().zip(&mut self.report.streams) {
            if way.undoable.complete != told.complete {
                *told = way.report();
            }
        }
        Ok(())
    }

    async fn look_over(&mut self, leases: &mut Leases) -> Result<()> {
        for (way, told) in self.ways.iter().zip(&mut self.report.streams) {
            if way.undoable.complete {
                continue;
            }
            let session = leases.session(&way.connection)?;
            session.open_stream(&way.target, UNDO_SPLIT, false).await?;
            told.found(&way.look(session, self.wanted.run).await?);
        }
        let in_the_way = self.report.is_in_the_way(self.wanted.winner);
        self.report.status = if in_the_way {
            RollbackStatus::Refused
        } else {
            RollbackStatus::Planned
        };
        Ok(())
    }

    /// Takes the run back, unless something is in the way, which the report then says.
    ///
    /// # Errors
    /// As those of a run; [`ErrorKind::Interrupted`] when it stopped in order after a batch. What is done
    /// by then stays done.
    pub async fn carry_out(&mut self, events: &Events, stop: &Shutdown) -> Result<()> {
        let mut leases = self.acquire(false).await?;
        self.report.rollback = Some(leases.run);
        let outcome = self.carry_out_over(&mut leases, events, stop).await;
        let status = match &outcome {
            Ok(()) if self.report.status == RollbackStatus::Refused => "failed",
            Ok(()) => "done",
            Err(error) if error.kind() == ErrorKind::Interrupted => "interrupted",
            Err(_) => "failed",
        };
        self.release(leases, status).await;
        outcome
    }

    async fn carry_out_over(&mut self, leases: &mut Leases, events: &Events, stop: &Shutdown) -> Result<()> {
        self.look_again().await?;
        self.look_over(leases).await?;
        if self.report.status == RollbackStatus::Refused {
            return Ok(());
        }
        let streams = self.report.streams.iter().filter(|stream| !stream.complete);
        events(Event::RunStarted {
            run: leases.run,
            streams: streams.map(|stream| (stream.name.clone(), stream.left())).collect(),
            dry_run: false,
        });
        self.suspend_circles(leases).await?;
        for at in 0..self.ways.len() {
            if self.ways[at].undoable.complete {
                continue;
            }
            self.take_back(at, leases, (events, stop)).await?;
        }
        self.restore_keys(leases).await?;
        if !self.of_subject {
            for session in leases.sessions.values_mut() {
                session.rolled_back(self.wanted.run).await?;
            }
        }
        self.report.status = RollbackStatus::Done;
        Ok(())
    }

    /// Drops the undo logs of the run; returns how many there were.
    ///
    /// # Errors
    /// By kind, where a target cannot be asked; [`ErrorKind::Usage`] where it is half-way back.
    pub async fn forget(&mut self) -> Result<u64> {
        let mut leases = self.acquire(false).await?;
        let mut forgotten = Ok(0);
        for session in leases.sessions.values_mut() {
            match (session.forget_undo(self.wanted.run).await, &mut forgotten) {
                (Ok(logs), Ok(sum)) => *sum += logs,
                (Err(error), _) => {
                    forgotten = Err(error);
                    break;
                }
                (_, Err(_)) => {}
            }
        }
        let status = if forgotten.is_ok() { "done" } else { "failed" };
        self.release(leases, status).await;
        forgotten
    }

    /// Takes the leases of all targets that know of the run.
    async fn acquire(&self, dry_run: bool) -> Result<Leases> {
        let mut leases = Leases {
            run: Uuid::new_v4(),
            sessions: BTreeMap::new(),
        };
        for connection in &self.connections {
            let request = LeaseRequest {
                project: self.wanted.project.name.clone(),
                environment: self.wanted.environment.to_owned(),
                run: leases.run,
                holder: holder(),
                dry_run,
                wait: Duration::ZERO,
            };
            match self.wanted.sinks[connection].acquire(&request).await {
                Ok(session) => drop(leases.sessions.insert(connection.clone(), session)),
                Err(error) => {
                    self.release(leases, "failed").await;
                    return Err(error);
                }
            }
        }
        Ok(leases)
    }

    async fn release(&self, leases: Leases, status: &str) {
        for (connection, mut session) in leases.sessions {
            if let Err(error) = session.finish(status).await {
                tracing::warn!(%error, connection, "the end of the rollback could not be recorded");
            }
        }
    }
}

impl Leases {
    fn session(&mut self, connection: &str) -> Result<&mut dyn Session> {
        match self.sessions.get_mut(connection) {
            Some(session) => Ok(session.as_mut()),
            None => Err(Error::new(ErrorKind::Internal, "a target whose lease was not taken")),
        }
    }
}

impl Way {
    fn report(&self) -> StreamRollback {
        StreamRollback::new(&self.connection, &self.undoable)
    }
}

fn going_on(stop: &Shutdown) -> Result<()> {
    if stop.is_cancelled() {
        return Err(shutdown::interrupted().hint("call the same command again: it goes on with what is left"));
    }
    Ok(())
}
