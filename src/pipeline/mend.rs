//! Mending rows that a verification has named: the source's rows of some keys are moved again over
//! what is there, and rows of the target are deleted by key.
//!
//! It goes the way of every batch: under the lease, each batch with a checkpoint apart from the
//! stream's own ([`REPAIR_SPLIT`], [`DELETION_SPLIT`]) and an entry in the ledger, all committed at
//! once. Key claims and rejects are the stream's.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use arrow::record_batch::RecordBatch;
use uuid::Uuid;

use super::commit;
use super::event::Events;
use super::feed::{self, Feed};
use super::holder::holder;
use super::plan::{Plan, PlannedStream};
use super::resume;
use super::shutdown::Shutdown;
use super::stream_end::StreamEnd;
use super::tally::BatchTally;
use super::worker::{self, Job, Progress};
use crate::data::counts::Counts;
use crate::data::position::Key;
use crate::data::stream::OnConflict;
use crate::ledger::{Checkpoint, DELETION_SPLIT, Deletion, REPAIR_SPLIT};
use crate::sink::{LeaseRequest, Session};
use crate::source::Source;
use crate::{Error, ErrorKind, Result};

/// Makes the streams of a plan go over what is there, whatever their own policy is.
pub fn prepare(plan: &mut Plan) {
    for stream in &mut plan.streams {
        stream.write.on_conflict = OnConflict::Update;
        stream.write.options.deferred = false;
        // Taking a key away and putting it back looks through whole tables, for a few rows.
        let keys = std::mem::take(&mut stream.suspended);
        stream.refers_to_itself |= keys.iter().any(|key| key.key.table == stream.write.table);
    }
}

/// Why the rows of a stream cannot be written by key, where they cannot; whether the target keeps its
/// key unique was not asked where rows that are there are an error.
///
/// # Errors
/// By kind, where the target cannot be asked.
pub async fn not_written_by_key(plan: &Plan, stream: &PlannedStream) -> Result<Option<String>> {
    if stream.checkpoint.as_ref().is_some_and(|checkpoint| !checkpoint.complete) {
        return Ok(Some(format!(
            "it is not complete: `dbferry run PROJECT --only {}` goes on first",
            stream.name
        )));
    }
    if stream.keyed.is_some() || stream.on_conflict != OnConflict::Error {
        return Ok(None);
    }
    let key = &stream.write.key;
    let table = plan.sinks[&stream.sink_connection].table(&stream.write.table).await?;
    let same = |unique: &Vec<String>| unique.len() == key.len() && key.iter().all(|name| unique.contains(name));
    let unique = table.is_some_and(|table| table.uniques.iter().any(same));
    Ok((!unique).then(|| {
        format!(
            "the target does not keep ({}) unique, so that no row is found by it: give it a primary key or unique constraint of these columns",
            key.join(", ")
        )
    }))
}

/// A run that mends, with the leases of its targets.
pub struct Mending<'a> {
    plan: &'a Plan,
    /// Its id in the ledger.
    pub run: Uuid,
    sessions: BTreeMap<String, Box<dyn Session>>,
    rejects: AtomicU64,
    events: Events,
    shutdown: Shutdown,
}

/// What is written of a stream in one batch.
pub struct Rows<'r> {
    /// Place of the stream in the plan.
    pub place: usize,
    /// Where they are read.
    pub source: &'r dyn Source,
    /// Their keys.
    pub keys: Vec<Key>,
    /// Keys of the target that are deleted in the same batch first, for nothing else takes away what
    /// they hold besides (Redis).
    pub anew: Option<RecordBatch>,
    /// They were rejects of this run, which are decided anew.
    pub again: bool,
}

/// Stored rejects that are read at once.
const REJECTS_AT_ONCE: u32 = 10_000;

impl<'a> Mending<'a> {
    /// Takes the leases of the targets of these streams, and records the run.
    ///
    /// # Errors
    /// As [`crate::sink::Sink::acquire`].
    pub async fn begin(plan: &'a Plan, places: &[usize], events: Events, shutdown: Shutdown) -> Result<Self> {
        let mut mending = Self {
            plan,
            run: Uuid::new_v4(),
            sessions: BTreeMap::new(),
            rejects: AtomicU64::new(0),
            events,
            shutdown,
        };
        for place in places {
            let connection = &plan.streams[*place].sink_connection;
            if mending.sessions.contains_key(connection) {
                continue;
            }
            let request = LeaseRequest {
                project: plan.project.clone(),
                environment: plan.environment.clone(),
                run: mending.run,
                holder: holder(),
                dry_run: false,
                wait: Duration::ZERO,
            };
            match plan.sinks[connection].acquire(&request).await {
                Ok(session) => drop(mending.sessions.insert(connection.clone(), session)),
                Err(error) => {
                    mending.finish("failed").await;
                    return Err(error);
                }
            }
        }
        Ok(mending)
    }

    /// Moves rows in one batch, over what is there. Rows that the source does not have any more are
    /// not written. What the mapping or the target refuses becomes a reject.
    ///
    /// # Errors
    /// As those of a run; nothing of the batch is kept then.
    pub async fn rows(&mut self, rows: Rows<'_>) -> Result<Counts> {
        let (plan, run) = (self.plan, self.run);
        let stream = &plan.streams[rows.place];
        let session = session(&mut self.sessions, stream)?;
        let moment = rows.source.moment().await?;
        let end = StreamEnd::new(1, Vec::new());
        let job = Job {
            run,
            project: &plan.project,
            stream,
            source: rows.source,
            seat: None,
            split: REPAIR_SPLIT,
            is_cut: false,
            end: &end,
            moment: &moment,
            limits: &plan.limits,
            restart: false,
            source_rows: None,
            rejects: &self.rejects,
            events: &self.events,
            shutdown: &self.shutdown,
            pace: None,
        };
        let request = feed::request(stream, None, Some(rows.keys), &plan.limits);
        let mut feed = Feed::of(rows.source.read(request).await?, stream);
        let checkpoint = opened(session, (plan, stream), run, (REPAIR_SPLIT, &moment)).await?;
        session.begin(checkpoint.sequence, false).await?;
        let batch = match write(&job, session, &checkpoint, &mut feed, (rows.anew.as_ref(), rows.again)).await {
            Ok(batch) => batch,
            Err(error) => return Err(worker::give_up(session, error).await),
        };
        let counts = batch.counts;
        // Each is the last one: whatever the end of a stream needs is done with it.
        commit::commit(&job, session, checkpoint, batch, true, &mut Progress::default()).await?;
        Ok(counts)
    }

    /// Deletes rows of a stream's target in one batch, but for those that others refer to.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] where the target refuses it for another reason; nothing is deleted then.
    pub async fn delete(&mut self, place: usize, keys: &RecordBatch) -> Result<Deletion> {
        let began = Instant::now();
        let (plan, run) = (self.plan, self.run);
        let stream = &plan.streams[place];
        let session = session(&mut self.sessions, stream)?;
        let mut checkpoint = opened(session, (plan, stream), run, (DELETION_SPLIT, "")).await?;
        session.begin(checkpoint.sequence, false).await?;
        let deletion = match session.delete(keys).await {
            Ok(deletion) => deletion,
            Err(error) => return Err(worker::give_up(session, error).await),
        };
        let mut batch = BatchTally::new();
        batch.counts.read = keys.num_rows() as u64;
        batch.counts.updated = deletion.deleted;
        batch.counts.skipped = batch.counts.read.saturating_sub(deletion.deleted);
        batch.began = began;
        if !batch.counts.adds_up() {
            let what = format!(
                "stream `{}`: {} rows were to be deleted, but {} were",
                stream.name, batch.counts.read, deletion.deleted
            );
            return Err(worker::give_up(session, Error::new(ErrorKind::Validation, what)).await);
        }
        checkpoint.sequence += 1;
        checkpoint.counts += batch.counts;
        checkpoint.complete = true;
        let entry = commit::entry(&checkpoint, &batch, false);
        session.commit(&checkpoint, &entry).await?;
        Ok(deletion)
    }

    /// Source keys of the rows of a stream that this run has made rejects, and that are open.
    ///
    /// # Errors
    /// By kind, where the target cannot be asked.
    pub async fn rejected(&self, place: usize) -> Result<Vec<Key>> {
        let stream = &self.plan.streams[place];
        let sink = &self.plan.sinks[&stream.sink_connection];
        let (mut keys, mut after) = (Vec::new(), 0);
        loop {
            let some = sink
                .rejects(&self.plan.project, Some(&stream.name), after, REJECTS_AT_ONCE)
                .await?;
            let Some(last) = some.last() else { return Ok(keys) };
            after = last.id;
            keys.extend(
                some.into_iter()
                    .filter(|reject| reject.run == self.run)
                    .map(|reject| reject.key),
            );
        }
    }

    /// A stream of the plan.
    #[must_use]
    pub fn stream(&self, place: usize) -> &'a PlannedStream {
        &self.plan.streams[place]
    }

    /// Records how the run ended, as far as its targets can be told.
    pub async fn finish(&mut self, status: &str) {
        for (connection, mut session) in std::mem::take(&mut self.sessions) {
            if let Err(error) = session.finish(status).await {
                tracing::warn!(%error, connection, "the end of the run could not be recorded");
            }
        }
    }
}

fn session<'s>(sessions: &'s mut BTreeMap<String, Box<dyn Session>>, stream: &PlannedStream) -> Result<&'s mut dyn Session> {
    match sessions.get_mut(&stream.sink_connection) {
        Some(session) => Ok(session.as_mut()),
        None => Err(Error::new(ErrorKind::Internal, "a target whose lease was not taken")),
    }
}

/// Opens a stream; its checkpoint, as this run goes on from it.
async fn opened(
    session: &mut dyn Session,
    (plan, stream): (&Plan, &PlannedStream),
    run: Uuid,
    (split, moment): (i32, &str),
) -> Result<Checkpoint> {
    let found = session.open_stream(&stream.write, split, false).await?;
    let fresh = resume::fresh(stream, &plan.project, (run, session.epoch()), (moment, false), false);
    let counted = found
        .as_ref()
        .map_or((0, Counts::default()), |found| (found.sequence, found.counts));
    Ok(Checkpoint {
        split,
        sequence: counted.0,
        counts: counted.1,
        digest: found.map_or(fresh.digest, |found| found.digest),
        ..fresh
    })
}

async fn write(
    job: &Job<'_>,
    session: &mut dyn Session,
    checkpoint: &Checkpoint,
    feed: &mut Feed,
    (anew, again): (Option<&RecordBatch>, bool),
) -> Result<BatchTally> {
    let mut batch = BatchTally::new();
    if let Some(anew) = anew {
        session.delete(anew).await?;
    }
    while let Some(portion) = worker::next_portion(job, feed).await? {
        if again {
            session.resolve_keys(&portion.keys()).await?;
        }
        worker::write_portion(job, session, checkpoint, portion, &mut batch).await?;
    }
    Ok(batch)
}
