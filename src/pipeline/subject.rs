//! One subject: which streams know how its rows belong to it, and moving just those rows.
//!
//! A subject's rows are read from the beginning whenever they are asked for, and all that a
//! stream has of them commits at once, with a checkpoint apart from the stream's own
//! ([`SUBJECT_SPLIT`]): killed or repeated, the outcome is the same (Invariant 3), and a run of
//! the whole stream goes on where it was. Key claims and rejects are the stream's, so that
//! collisions are found and a row is never an open reject twice.

use std::fmt;

use arrow::array::BooleanArray;
use arrow::compute::filter_record_batch;
use arrow::record_batch::RecordBatch;

use super::commit;
use super::ends::Ends;
use super::feed::Feed;
use super::hold;
use super::plan::PlannedStream;
use super::tally::BatchTally;
use super::worker::{self, Job, Progress};
use super::{resume, shutdown};
use crate::data::finding::{Finding, listed};
use crate::data::stream::{OnConflict, Origin, Subject};
use crate::data::table::Table;
use crate::error::Refusal;
use crate::ledger::{Checkpoint, SUBJECT_SPLIT};
use crate::mapping::{Project, Stream};
use crate::sink::Session;
use crate::source::Source;
use crate::{Error, ErrorKind, Result};

/// Whose rows: what `--for user=42` says.
#[derive(Clone, PartialEq, Eq)]
pub struct SubjectKey {
    /// Name that the mapping gives this kind of subject.
    pub name: String,
    /// Which one; a cell value.
    pub key: String,
}

/// Without the key, which is a cell value (Invariant 9).
impl fmt::Debug for SubjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubjectKey").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Prepares the conditions of a stream's subjects in the source's own SQL. What the operator
/// should know is noted with its table; mistakes are findings at their place in the mapping.
pub(super) async fn check(
    stream: &Stream,
    source: &dyn Source,
    origin: &Origin,
    table: &mut Table,
    findings: &mut Vec<Finding>,
) -> Result<()> {
    for (name, condition) in &stream.subjects {
        if condition.value.trim().is_empty() || !condition.value.contains("$key") {
            // Told by the checks that need no database.
            continue;
        }
        match source.check_subject(origin, &condition.value).await {
            Ok(found) => table
                .notes
                .extend(found.into_iter().map(|note| format!("subject `{}`: {note}", name.value))),
            Err(error) if error.kind() == ErrorKind::Mapping => {
                let message = format!(
                    "subject `{}` of stream `{}` is refused: {error}",
                    name.value, stream.name.value
                );
                let unknown = unknown_column(error.message());
                let unknown = unknown.and_then(|column| Some((column, condition.value.find(column)?)));
                findings.push(match unknown {
                    Some((column, at)) => {
                        let place = condition.inside(&(at..at + column.len()));
                        Finding::error("plan::subject", Some(place), message)
                            .label("not a column of the source")
                            .help_nearest(column, table.columns.iter().map(|column| column.name.as_str()))
                    }
                    None => Finding::error("plan::subject", Some(condition.place.clone()), message).help(error.advice().to_owned()),
                });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The column that a database's message says is not there.
fn unknown_column(message: &str) -> Option<&str> {
    let name = match message.split_once("no such column: ") {
        Some((_, name)) => name.split([' ', ',']).next()?,
        None => message.split_once("column ")?.1.strip_suffix(" does not exist")?,
    };
    Some(name.trim_matches('"')).filter(|name| !name.is_empty())
}

/// Keeps the streams that know the subject; names the others as warnings. Without one all stay.
///
/// # Errors
/// [`ErrorKind::Usage`] where none of them knows it.
pub(super) fn choose(project: &Project, streams: &mut Vec<&Stream>, wanted: Option<&SubjectKey>) -> Result<Vec<String>> {
    let Some(wanted) = wanted else { return Ok(Vec::new()) };
    let mut declared: Vec<&str> = project.subjects.iter().map(|subject| subject.value.as_str()).collect();
    for (name, _) in project.streams.iter().flat_map(|stream| &stream.subjects) {
        if !declared.contains(&name.value.as_str()) {
            declared.push(&name.value);
        }
    }
    if !declared.contains(&wanted.name.as_str()) {
        let error = Error::new(
            ErrorKind::Usage,
            format!("project `{}` has no subject `{}`", project.name, wanted.name),
        );
        return Err(if declared.is_empty() {
            error.hint(format!(
                "its streams declare none; in a mapping: subject = {{ {} = \"user_id = $key\" }}",
                wanted.name
            ))
        } else {
            error.hint(format!("its subjects are: {}", listed(&declared)))
        });
    }
    let knows = |stream: &&Stream| condition(stream, &wanted.name).is_some();
    let left_out = streams.iter().filter(|stream| !knows(stream)).map(|stream| {
        let name = &stream.name.value;
        format!(
            "stream `{name}` does not say how its rows belong to a {}: left out",
            wanted.name
        )
    });
    let mut left_out: Vec<String> = left_out.collect();
    streams.retain(knows);
    if streams.is_empty() {
        return Err(Error::new(
            ErrorKind::Usage,
            format!("none of the streams asked for says how its rows belong to a {}", wanted.name),
        )
        .hint(format!(
            "in a mapping: subject = {{ {} = \"user_id = $key\" }}; with `--only`, name other streams",
            wanted.name
        )));
    }
    let ordered = |stream: &&Stream| stream.keyed.as_ref().is_some_and(|keyed| keyed.layout.key_type.is_ordered());
    let kept_whole = streams.iter().filter(|stream| ordered(stream));
    left_out.extend(kept_whole.map(|stream| order_kept(&stream.name.value)));
    streams.retain(|stream| !ordered(stream));
    if streams.is_empty() {
        return Err(Error::new(
            ErrorKind::Usage,
            "all of the streams asked for keep their rows in order, and are moved as a whole or not at all",
        ));
    }
    Ok(left_out)
}

/// Why a stream is left out whose rows have an order.
pub(super) fn order_kept(stream: &str) -> String {
    format!(
        "stream `{stream}` keeps its rows in order, which some of them alone would lose: left out; \
         `run --only {stream} --restart` moves all of them anew"
    )
}

fn condition<'a>(stream: &'a Stream, subject: &str) -> Option<&'a str> {
    let (_, condition) = stream.subjects.iter().find(|(name, _)| name.value == subject)?;
    Some(&condition.value)
}

/// Makes planned streams move the subject's rows alone, and counts these. Returns what the
/// operator should know.
///
/// # Errors
/// [`ErrorKind::Absent`] where there is no row at all.
pub(super) async fn restrict(
    streams: &mut [PlannedStream],
    declared: &[&Stream],
    wanted: &SubjectKey,
    ends: &Ends,
) -> Result<Vec<String>> {
    let mut warnings = Vec::new();
    let mut all = 0;
    for planned in streams {
        let stream = declared.iter().find(|stream| stream.name.value == planned.name);
        let Some(condition) = stream.and_then(|stream| condition(stream, &wanted.name)) else {
            return Err(Error::new(ErrorKind::Internal, "a stream that does not know the subject"));
        };
        let subject = Subject {
            condition: condition.to_owned(),
            key: wanted.key.clone(),
        };
        let source = &ends.sources[&planned.source_connection];
        let rows = source.count_subject(&planned.origin, &subject).await?;
        all += rows;
        planned.subject_rows = Some(rows);
        planned.subject = Some(subject);
        planned.resumable = false;
        // Taking a key away and putting it back looks through whole tables, for a few rows.
        let keys = std::mem::take(&mut planned.suspended);
        planned.refers_to_itself |= keys.iter().any(|key| key.key.table == planned.write.table);
        let checkpoint = planned.checkpoint.take();
        if planned.on_conflict == OnConflict::Error {
            planned.write.on_conflict = OnConflict::ErrorUnlessEqual;
            if checkpoint.is_none_or(|checkpoint| !checkpoint.complete) {
                warnings.push(format!(
                    "stream `{}` takes rows that exist for an error: a run of all its rows will reject those moved now; \
                     with on_conflict = \"skip\" or \"update\" it lets them be",
                    planned.name
                ));
            }
        }
    }
    if all > 0 {
        return Ok(warnings);
    }
    // Who it is stays with whoever asked (Invariant 9).
    Err(Error::new(ErrorKind::Absent, "no row belongs to the subject asked for"))
}

/// Moves the subject's rows of one stream; returns when they are durable.
///
/// # Errors
/// As [`worker::move_stream`]; nothing of the stream is kept then.
pub(super) async fn move_rows(job: &Job<'_>, session: &mut dyn Session, progress: &mut Progress) -> Result<()> {
    let Some(subject) = &job.stream.subject else {
        return Err(Error::new(ErrorKind::Internal, "a stream without a subject"));
    };
    let found = session.open_stream(&job.stream.write, SUBJECT_SPLIT, false).await?;
    if let Some(found) = &found
        && commit::settle(job, found, progress)
    {
        // The answer was lost, not the commit.
        progress.checkpoint = Some(found.clone());
        job.end.seen(found).await;
        return Ok(());
    }
    let (origin, write) = (&job.stream.origin, (job.run, session.epoch()));
    let mut checkpoint = resume::fresh(job.stream, job.project, write, (job.moment, !job.source.is_live()), false);
    checkpoint.split = SUBJECT_SPLIT;
    checkpoint.sequence = found.map_or(0, |found| found.sequence);
    progress.checkpoint = Some(checkpoint.clone());
    let rows = worker::of_source(job.source.count_subject(origin, subject).await, progress)?;
    let mut feed = worker::of_source(worker::open_feed(job, None, None).await, progress)?;
    session.begin(checkpoint.sequence, false).await?;
    let batch = match fill(job, session, &checkpoint, &mut feed, progress).await {
        Ok(batch) => batch,
        Err(error) if progress.source_failed => {
            // The session is as good as before.
            session.rollback().await?;
            return Err(error);
        }
        Err(error) => return Err(worker::give_up(session, error).await),
    };
    if batch.counts.read != rows {
        let error = worker::disagreement(job, "rows counted in the source", rows, "rows were read", batch.counts.read);
        return Err(worker::give_up(session, error).await);
    }
    commit::commit(job, session, checkpoint, batch, true, progress).await?;
    worker::check_rejects(job)
}

async fn fill(
    job: &Job<'_>,
    session: &mut dyn Session,
    checkpoint: &Checkpoint,
    feed: &mut Feed,
    progress: &mut Progress,
) -> Result<BatchTally> {
    let mut batch = BatchTally::new();
    while let Some(portion) = worker::of_source(feed.next().await, progress)? {
        if job.shutdown.is_cancelled() {
            return Err(shutdown::interrupted().hint("nothing of this stream was kept: run again"));
        }
        hold::pace_portion(job, Some(hold::weight(&portion)), &mut progress.held).await?;
        // What becomes of these rows is decided now: moved, or a reject anew. Without a source
        // key nothing tells which reject was which row.
        if !job.stream.source_key.is_empty() {
            session.resolve_keys(&portion.keys()).await?;
        }
        worker::write_portion(job, session, checkpoint, portion, &mut batch).await?;
    }
    Ok(batch)
}

/// Looks for the keys of the rows just written: there may be billions of others in the table,
/// which are not counted for the sake of a few.
///
/// # Errors
/// [`ErrorKind::Validation`] where one is missing.
pub(super) async fn arrived(
    job: &Job<'_>,
    session: &mut dyn Session,
    rows: &RecordBatch,
    refused: &[(usize, Refusal)],
) -> Result<()> {
    let mut keep = vec![true; rows.num_rows()];
    for (row, _) in refused {
        keep[*row] = false;
    }
    let written = filter_record_batch(rows, &BooleanArray::from(keep))
        .map_err(|error| Error::new(ErrorKind::Internal, "cannot take refused rows out of a batch").because(error))?;
    let sent = written.num_rows() as u64;
    let found = if sent == 0 { 0 } else { session.present(&written).await? };
    if found == sent {
        return Ok(());
    }
    Err(worker::disagreement(
        job,
        "rows written",
        sent,
        "of their keys are in the target",
        found,
    ))
}
