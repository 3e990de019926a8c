//! Comparing the batches of a stream that have ranges of keys: the quick way first, and of what that
//! does not prove, the careful one.

use std::sync::Arc;

use super::super::drain::Watch;
use super::super::group::{open, recorded};
use super::super::side::Side;
use super::super::table_side::TableSide;
use super::super::{Targets, canonical, mapped_side};
use super::gathered::Gathered;
use super::judge::{self, Case};
use super::report::BatchOutcome;
use super::scan;
use super::trail::{Recorded, Stretch, Trail};
use super::walk::{self, Ends, Walked};
use crate::Result;
use crate::config::connection::ConnectionKind;
use crate::data::counts::Counts;
use crate::data::digest::Digest;
use crate::pipeline::plan::{Plan, PlannedStream};

/// A stream that is compared with what the ledger holds of it.
pub(super) struct Comparison<'a> {
    plan: &'a Plan,
    stream: &'a PlannedStream,
    ledger: &'a Recorded,
    trail: &'a Trail,
    ends: Ends<'a>,
    /// A column whose values the target does not keep as they were sent.
    respelt: Option<String>,
}

impl<'a> Comparison<'a> {
    /// Opens both ends.
    ///
    /// # Errors
    /// What opening the target's side or reading the recorded rejects fails with.
    pub(super) async fn open(
        plan: &'a Plan,
        stream: &'a PlannedStream,
        targets: &Targets,
        (ledger, trail): (&'a Recorded, &'a Trail),
    ) -> Result<Self> {
        let kind = &targets.connections[&stream.sink_connection].kind;
        let negative_zero = !matches!(kind, ConnectionKind::Sqlite { .. });
        let source_kind = &targets.connections[&stream.source_connection].kind;
        let form = mapped_side::form(stream);
        let respelt = form
            .columns
            .iter()
            .find(|column| canonical::is_respelt(column, negative_zero));
        let respelt = respelt.map(|column| column.name.clone());
        let table = open(&targets.tables, &stream.sink_connection)?;
        let target: Arc<dyn Side> = Arc::new(TableSide::open(table, kind, &stream.write, form, plan.limits).await?);
        Ok(Self {
            plan,
            stream,
            ledger,
            trail,
            ends: Ends {
                stream,
                source: open(&plan.sources, &stream.source_connection)?,
                target,
                limits: plan.limits,
                recorded: recorded(plan, stream).await?,
                bounded: matches!(source_kind, ConnectionKind::Postgres { .. }),
                negative_zero,
            },
            respelt,
        })
    }

    /// Compares. Returns whether all that was committed is proven to be unchanged, rejects that were moved
    /// again among it.
    ///
    /// # Errors
    /// What reading either side fails with.
    pub(super) async fn run(&self, gathered: &mut Gathered<'_>, watch: &Watch) -> Result<bool> {
        let proven = scan::scan(self.stream, self.trail, &self.ends.target, watch).await?;
        for (place, stretch) in self.trail.stretches.iter().enumerate() {
            let holds = |batch: usize| stretch.batches[batch].entry.digest.rows == 0 || proven.holds(place, batch);
            let mut batch = 0;
            while let Some(stored) = stretch.batches.get(batch) {
                if holds(batch) {
                    gathered.add(stored, (BatchOutcome::Unchanged, None), None);
                    batch += 1;
                } else if let Some(why) = self.without_range(stretch, batch) {
                    gathered.none_of(std::slice::from_ref(stored), why);
                    batch += 1;
                } else {
                    let stops = |batch: &usize| holds(*batch) || self.without_range(stretch, *batch).is_some();
                    let mut others = batch + 1..stretch.batches.len();
                    let until = others.find(stops).unwrap_or(stretch.batches.len());
                    for walked in walk::walk(&self.ends, stretch, batch..until, watch).await? {
                        self.judge(stretch, &walked, batch, gathered);
                    }
                    batch = until;
                }
            }
        }
        Ok(proven.all)
    }

    /// Why the rows of a batch cannot be told from those of others.
    fn without_range(&self, stretch: &Stretch, batch: usize) -> Option<&'static str> {
        if !stretch.follows[batch] {
            return Some("the ledger does not hold the batch before it any more");
        }
        if self.stream.write.expires() {
            return Some("its rows end by themselves: those that have ended cannot be told from those that are gone");
        }
        if stretch.again {
            return Some(
                "the table was read again from its beginning, over what was there: its rows are in batches of both readings",
            );
        }
        let ordered = stretch.batches[batch].entry.last_key.is_some();
        (!ordered && !self.stream.source_key.is_empty())
            .then_some("the source hands out its pages in an order of its own: a batch has no range of keys")
    }

    /// Judges what was found of some batches together; tells it of those from `first` on.
    fn judge(&self, stretch: &Stretch, walked: &Walked, first: usize, gathered: &mut Gathered<'_>) {
        let batches = &stretch.batches[walked.batches.clone()];
        let (mut then, mut counts) = (Digest::default(), Counts::default());
        for batch in batches {
            then.add(batch.entry.digest);
            counts += batch.entry.counts;
        }
        let since = batches.first().map_or("", |batch| batch.committed_at.as_str());
        let judgement = judge::judge(&Case {
            then,
            counts,
            sums: walked.sums,
            ended: walked.ended,
            together: batches.len() > 1,
            on_conflict: self.stream.on_conflict,
            triggers: self.stream.write.triggers,
            retried: self.trail.has_retries(),
            written_later: self.trail.written_after(since),
            other: self.overwritten_by(since),
            keys_distinct: self.stream.write.keys_distinct,
            respelt: self.respelt.as_deref(),
        });
        let now = walked.sums.there();
        for batch in &stretch.batches[walked.batches.start.max(first)..walked.batches.end] {
            gathered.add(batch, judgement.clone(), (batches.len() == 1).then_some(now));
        }
    }

    /// A stream that writes columns of the same rows, and has changed rows since some moment.
    fn overwritten_by(&self, since: &str) -> Option<&str> {
        let own = &self.stream.write;
        let written = |name: &str| own.columns.iter().any(|column| column.name == name) && !own.key.iter().any(|key| key == name);
        let shares = |other: &&String| {
            let planned = self.plan.streams.iter().find(|stream| stream.name == **other);
            // Of one that is not planned it is not known what it writes.
            planned.is_none_or(|stream| stream.write.columns.iter().any(|column| written(&column.name)))
        };
        let mut others = self.stream.shares_with.iter().filter(shares);
        others
            .find(|other| self.ledger.updated_after(other, since))
            .map(String::as_str)
    }
}
