//! Where a stream's splits begin: as an earlier run left them, or cut anew.

use std::sync::Arc;

use super::deferred;
use super::follow;
use super::pool::Pool;
use super::resume;
use super::shutdown;
use super::work::Run;
use crate::data::keyed::Layout;
use crate::data::position::Position;
use crate::error::Retry;
use crate::ledger::{BARE, Checkpoint, SUBJECT_SPLIT};
use crate::{Error, Result};

/// How far a stream is when its unit begins.
pub(super) struct Start {
    /// Splits to move, and the position that each is at as far as is known.
    pub(super) lanes: Vec<(i32, Option<Position>)>,
    /// It is cut into splits.
    pub(super) is_cut: bool,
    /// All checkpoints there are.
    pub(super) found: Vec<Checkpoint>,
    /// Where changes are followed: the checkpoints of the copy since which they came.
    pub(super) copied: Vec<Checkpoint>,
}

impl Start {
    fn whole() -> Self {
        Self {
            lanes: vec![(0, None)],
            is_cut: false,
            found: Vec::new(),
            copied: Vec::new(),
        }
    }

    /// A subject's rows are read from the beginning whenever they are asked for.
    fn of_subject() -> Self {
        Self {
            lanes: vec![(SUBJECT_SPLIT, None)],
            ..Self::whole()
        }
    }

    fn of(found: Vec<Checkpoint>) -> Self {
        let is_cut = found.len() > 1
            || found
                .iter()
                .any(|one| one.position.as_ref().is_some_and(Position::is_within_split));
        let incomplete = found.iter().filter(|one| !one.complete);
        let mut lanes: Vec<_> = incomplete.map(|one| (one.split, one.position.clone())).collect();
        if lanes.is_empty() {
            // It was complete before: one look at it is enough.
            lanes.extend(found.first().map(|one| (one.split, one.position.clone())));
        }
        Self {
            lanes,
            is_cut,
            found,
            copied: Vec::new(),
        }
    }
}

/// Where the splits of a unit's streams begin, asked for once.
#[derive(Default)]
pub(super) struct Bounds(Option<Vec<Position>>);

/// Finds out where a stream begins, and cuts it where it is large and has not begun.
pub(super) async fn start(run: &Run, index: usize, bounds: &mut Bounds, anew: bool) -> Result<Start> {
    let stream = &run.plan.streams[index];
    if stream.subject.is_some() {
        return Ok(Start::of_subject());
    }
    let pool = run.pool(index);
    let mut found = pool.checkpoints(anew).await?;
    found.retain(|checkpoint| checkpoint.stream == stream.name);
    if run.options.restart {
        found.retain(|checkpoint| checkpoint.run == run.id);
    }
    found.sort_by_key(|checkpoint| checkpoint.split);
    if stream.follows {
        return Ok(Start {
            lanes: follow::lanes(stream, &found)?,
            is_cut: true,
            found: Vec::new(),
            copied: found,
        });
    }
    if !found.is_empty() {
        if !run.options.retry_rejects {
            found
                .iter()
                .try_for_each(|checkpoint| resume::check_fingerprint(stream, checkpoint))?;
        }
        return Ok(Start::of(found));
    }
    if !may_be_cut(run, index, pool) {
        return Ok(Start::whole());
    }
    let begins = if let Some(begins) = &bounds.0 {
        begins
    } else {
        let parts = run.plan.limits.splits_max;
        let source = run.source(index);
        let begins = tokio::select! {
            biased;
            begins = source.splits(&stream.origin, &stream.source_key, parts) => begins?,
            // The source may be waited for.
            () = run.stop.cancelled() => return Err(shutdown::interrupted()),
        };
        bounds.0.insert(begins)
    };
    if begins.is_empty() {
        return Ok(Start::whole());
    }
    cut(run, index, pool, begins).await.map(Start::of)
}

fn may_be_cut(run: &Run, index: usize, pool: &Pool) -> bool {
    let (stream, limits) = (&run.plan.streams[index], &run.plan.limits);
    let large = limits.splits_max > 1 && stream.rows_estimate.is_some_and(|rows| rows >= limits.split_rows_min);
    // A key of many rows gets its time to live when all of them are there, not those of one split.
    let whole = |layout: &Arc<Layout>| layout.order_matters() || (layout.key_type.gathers() && layout.expiry.is_some());
    if stream.write.keyed.as_ref().is_some_and(whole) {
        return false;
    }
    let worth_it = run.source(index).has_ranges() || large;
    worth_it && pool.sessions_max() > 1 && stream.resumable && !run.options.retry_rejects && !run.options.dry_run && !BARE
}

/// One split from each position on.
async fn cut(run: &Run, index: usize, pool: &Pool, begins: &[Position]) -> Result<Vec<Checkpoint>> {
    let stream = &run.plan.streams[index];
    let _permit = pool.permits(1, &run.stop).await?;
    let mut lent = pool.borrow_or_wait(&run.stop).await?;
    let cut = async {
        lent.session.open_stream(&stream.write, 0, run.options.restart).await?;
        let target_was_empty = lent.session.is_empty().await?;
        let rows = (run.source_rows[index], &run.plan.limits);
        deferred::take_away(stream, rows, target_was_empty, lent.session.as_mut(), &run.events).await?;
        let whole = resume::fresh(
            stream,
            &run.plan.project,
            (run.id, lent.session.epoch()),
            (&run.moment(index), !run.source(index).is_live()),
            target_was_empty,
        );
        let splits: Vec<_> = (0..)
            .zip(begins)
            .map(|(split, position)| Checkpoint {
                split,
                position: Some(position.clone()),
                ..whole.clone()
            })
            .collect();
        lent.session.cut_stream(&splits).await?;
        Ok::<_, Error>(splits)
    };
    let splits = cut.await;
    match &splits {
        Err(error) if error.kind().policy().retry == Retry::Backoff => pool.lost(lent).await,
        _ => pool.give_back(lent).await,
    }
    splits
}
