//! Orphans: rows that refer to nothing by a foreign key which was away for the load. They become
//! rejects like any other: which source row each comes from is found by reading the source again,
//! or, where that is paid for and claims tell them, those rows alone; so that `--retry-rejects`
//! finds it, too. What refers to an orphan becomes one when it is taken out. Rows that no stream
//! of the run has moved are never touched.

use super::charge::Splits;
use super::claim;
use super::event::Event;
use super::feed::{self, Feed, Portion};
use super::plan::PlannedStream;
use super::report::{ReasonCount, StreamReport};
use super::shutdown;
use super::work::Run;
use super::worker;
use crate::data::batch::{SourceBatch, TargetBatch};
use crate::data::counts::Counts;
use crate::data::digest::Digest;
use crate::data::kinds::KindCounts;
use crate::data::position::Key;
use crate::data::reject::{Reason, Reject};
use crate::ledger::{BatchEntry, Checkpoint, Removal, Suspended};
use crate::sink::Session;
use crate::source::Source;
use crate::{Error, ErrorKind, Result};

/// Orphans that are looked up by their keys at most: these are kept in memory (Invariant 7).
const CLAIMANTS_MAX: u64 = 10_000;
/// Rows in a page that cost about as much as one that is read alone.
const ROWS_FOR_ONE: u64 = 30;

/// Taking orphans out of one target.
pub(super) struct Orphans<'a> {
    /// Run.
    pub(super) run: &'a Run,
    /// Connection of the target.
    pub(super) connection: &'a str,
}

impl Orphans<'_> {
    /// Makes rejects of all rows that refer to nothing by a key.
    ///
    /// # Errors
    /// [`ErrorKind::Rejects`] where they are more than may be rejected; [`ErrorKind::Validation`]
    /// where there are some that no stream of the run has moved: those are never touched.
    pub(super) async fn expel(&self, key: &Suspended, session: &mut dyn Session, reports: &mut [StreamReport]) -> Result<()> {
        let mut left = None;
        let writers = (0..reports.len()).filter(|at| self.writes(&self.run.plan.streams[*at], key));
        for at in writers {
            let all: u64 = reports.iter().map(|report| report.rejects_open).sum();
            let report = &mut reports[at];
            let mut splits = Splits::read((self.run, self.connection), &self.run.plan.streams[at], key, session).await?;
            splits.rejects_elsewhere = all - report.rejects_open;
            let found = session.find_orphans(key).await?;
            if found > 0 {
                splits.may_lose_rows()?;
            }
            left = Some(found - self.expel_rows(&mut splits, found, session, report).await?);
            if left == Some(0) {
                break;
            }
        }
        let (rows, whose) = match left {
            Some(0) => return Ok(()),
            Some(rows) => (rows.to_string(), "no stream of this run has moved"),
            None => ("some".to_owned(), "no stream of this run writes to the table of"),
        };
        if !key.validated {
            // It never spoke of the rows that were there before.
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Validation,
            format!("{}: {rows} rows that {whose} refer to nothing", key.described()),
        )
        .hint("mend or delete these rows, then run again: until then the key stays away"))
    }

    fn writes(&self, stream: &PlannedStream, key: &Suspended) -> bool {
        stream.sink_connection == self.connection && stream.write.table == key.table
    }

    /// Reads the stream again, or the rows alone that are known to be meant, until all orphans that
    /// it has moved are found. Returns their number.
    async fn expel_rows(
        &self,
        splits: &mut Splits<'_>,
        found: u64,
        session: &mut dyn Session,
        report: &mut StreamReport,
    ) -> Result<u64> {
        let stream = splits.stream;
        let source = self.run.plan.sources[&stream.source_connection].as_ref();
        let mut gone = 0;
        if found == 0 {
            return Ok(gone);
        }
        let only = claimants(splits, found, source, session).await?;
        let request = feed::request(stream, None, only, &self.run.plan.limits);
        let mut feed = Feed::of(source.read(request).await?, stream);
        while gone < found
            && let Some(portion) = feed.next().await?
        {
            if self.run.stop.is_cancelled() {
                return Err(shutdown::interrupted());
            }
            gone += self.expel_portion(splits, &portion, session, report).await?;
        }
        Ok(gone)
    }

    /// Takes out the orphans of a portion.
    async fn expel_portion(
        &self,
        splits: &mut Splits<'_>,
        portion: &Portion,
        session: &mut dyn Session,
        report: &mut StreamReport,
    ) -> Result<u64> {
        let rows = portion.target.rows.num_rows();
        let (mut gone, mut start) = (0, 0);
        while start < rows {
            // Rows do not say which split has moved them: one that can lose as many is charged.
            let most = splits.open_largest(session).await?;
            let part = start..rows.min(start.saturating_add(most));
            start = part.end;
            let mut target = TargetBatch {
                rows: portion.target.rows.slice(part.start, part.len()),
                origin: portion.target.origin[part].to_vec(),
                rejects: Vec::new(),
                filtered: 0,
                kinds: KindCounts::default(),
            };
            let rejects = loop {
                match self.expel_part(splits, &portion.source, &mut target, session).await? {
                    Ok(rejects) => break rejects,
                    Err(referred) => self.suspend_referring(splits, referred, session).await?,
                }
            };
            if !rejects.is_empty() {
                gone += rejects.len() as u64;
                self.tell(splits.stream, &rejects, report);
                self.check_rejects(splits.rejects_elsewhere + report.rejects_open)?;
            }
        }
        Ok(gone)
    }

    /// One batch: rows, rejects and checkpoint at once. Returns the rejects, or the keys by which
    /// others refer to the rows.
    async fn expel_part(
        &self,
        splits: &mut Splits<'_>,
        source: &SourceBatch,
        target: &mut TargetBatch,
        session: &mut dyn Session,
    ) -> Result<Result<Vec<Reject>, Vec<Suspended>>> {
        session.begin(splits.open().sequence, false).await?;
        match self.expel_in_batch(splits, source, target, session).await {
            Ok(Ok(rejects)) if !rejects.is_empty() => Ok(Ok(rejects)),
            Ok(nothing) => {
                session.rollback().await?;
                Ok(nothing)
            }
            Err(error) => Err(worker::give_up(session, error).await),
        }
    }

    async fn expel_in_batch(
        &self,
        splits: &mut Splits<'_>,
        source: &SourceBatch,
        target: &mut TargetBatch,
        session: &mut dyn Session,
    ) -> Result<Result<Vec<Reject>, Vec<Suspended>>> {
        let stream = splits.stream;
        if !stream.write.keys_distinct {
            // The row that is there is that of the source row which holds its key.
            claim::claim(session, &stream.write, source, target).await?;
        }
        let found = match session.remove(&target.rows).await? {
            Removal::Referred(keys) => return Ok(Err(keys)),
            Removal::Removed(found) => found,
        };
        if found.is_empty() {
            return Ok(Ok(Vec::new()));
        }
        let mut rejects = Vec::with_capacity(found.len());
        let mut after = splits.open().clone();
        for row in found {
            after.digest.remove(Digest::of(&target.rows.slice(row, 1)));
            let origin = target.origin[row] as usize;
            rejects.push(Reject {
                key: source.keys.get(origin),
                column: Some(splits.key.key.columns.join(", ")),
                reason: Reason::ForeignKey,
                detail: if splits.key.key.name.is_empty() {
                    format!("the row that {} refers to does not exist", splits.key.key.columns.join(", "))
                } else {
                    format!("violates foreign key `{}`", splits.key.key.name)
                },
                row: (source.row_json)(&source.rows, origin),
            });
        }
        let rows = rejects.len() as u64;
        after.sequence += 1; // Invariant 2.
        after.run = self.run.id;
        after.epoch = session.epoch();
        after.counts.inserted = after.counts.inserted.checked_sub(rows).ok_or_else(|| splits.not_ours())?;
        after.counts.rejected += rows;
        session.reject(self.run.id, after.sequence, &rejects).await?;
        session.commit(&after, &self.entry(&after, &rejects)).await?;
        splits.moved(after);
        Ok(Ok(rejects))
    }

    fn entry(&self, after: &Checkpoint, rejects: &[Reject]) -> BatchEntry {
        BatchEntry {
            run: self.run.id,
            stream: after.stream.clone(),
            split: after.split,
            sequence: after.sequence,
            first_key: rejects.first().map(|reject| reject.key.clone()),
            last_key: rejects.last().map(|reject| reject.key.clone()),
            counts: Counts {
                rejected: rejects.len() as u64,
                ..Counts::default()
            },
            digest: Digest::default(),
            seconds: 0.0,
            retry: true,
        }
    }

    /// What refers to rows that are taken out becomes an orphan by a key that is away, too; so
    /// that nothing is deleted or changed by the target on its own.
    async fn suspend_referring(&self, splits: &Splits<'_>, keys: Vec<Suspended>, session: &mut dyn Session) -> Result<()> {
        let mut taken = Vec::with_capacity(keys.len());
        for key in keys {
            let Some(stream) = self.run.plan.streams.iter().find(|stream| self.writes(stream, &key)) else {
                return Err(Error::new(
                    ErrorKind::Validation,
                    format!(
                        "{}: rows of table `{}` that refer to nothing are referred to by rows of table `{}` ({}), which no stream of this run writes",
                        splits.key.described(),
                        splits.key.table,
                        key.table,
                        key.described()
                    ),
                )
                .hint("mend or delete these rows, then run again: until then the key stays away"));
            };
            taken.push(Suspended {
                stream: stream.name.clone(),
                ..key
            });
        }
        session.suspend(&taken).await
    }

    /// More rejects than allowed end the run in order. What is committed stays.
    fn check_rejects(&self, rejects: u64) -> Result<()> {
        let most = self.run.plan.limits.max_rejects;
        if rejects <= most {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Rejects,
            format!("stopped: {rejects} rejected rows, more than max_rejects = {most}; foreign keys are still away"),
        )
        .hint(
            "see them with `dbferry stats PROJECT`; mend rows or mapping and `run --retry-rejects`, or allow more with `--max-rejects`: \
             both put the keys back",
        ))
    }

    fn tell(&self, stream: &PlannedStream, rejects: &[Reject], report: &mut StreamReport) {
        let rows = rejects.len() as u64;
        // Rows that an earlier run has moved were read again by this one.
        let earlier = rows.saturating_sub(report.inserted);
        report.read += earlier;
        report.inserted -= rows - earlier;
        report.rejected += rows;
        report.rejects_open += rows;
        report.target_rows = report.target_rows.map(|there| there.saturating_sub(rows));
        let Some(first) = rejects.first() else { return };
        let reason = first.reason.name();
        let same = report
            .reasons
            .iter_mut()
            .find(|known| known.reason == reason && known.column == first.column && known.detail == first.detail);
        match same {
            Some(known) => known.rows += rows,
            None => report.reasons.push(ReasonCount {
                reason: reason.to_owned(),
                column: first.column.clone(),
                detail: first.detail.clone(),
                rows,
            }),
        }
        (self.run.events)(Event::Rejected {
            stream: stream.name.clone(),
            rows: rejects.len() as u64,
            reasons: vec![(first.reason, rows)],
        });
    }
}

/// The source rows of the orphans, where reading them one by one costs less than reading
/// everything again, and all of them are known.
async fn claimants(splits: &Splits<'_>, found: u64, source: &dyn Source, session: &mut dyn Session) -> Result<Option<Vec<Key>>> {
    let few = found <= CLAIMANTS_MAX && found.saturating_mul(ROWS_FOR_ONE) <= splits.rows_read();
    if !source.has_ranges() || splits.stream.write.keys_distinct || !few {
        return Ok(None);
    }
    let keys = session.orphan_claimants().await?;
    Ok((keys.len() as u64 == found).then_some(keys))
}
