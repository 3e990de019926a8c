//! One group: which way it is compared, and what that came to.

use std::collections::HashSet;
use std::sync::Arc;

use super::bucket::Differing;
use super::drain::Watch;
use super::group::Group;
use super::join::{Joined, join};
use super::locate::Sought;
use super::pass::{Read, pass};
use super::picked::{self, Chosen};
use super::tally::Outcome;
use super::{VerifyOptions, examine, subject};
use crate::Result;

/// Rows that are looked at in memory where a side finds none of them again.
const HELD_ROWS_MAX: u64 = 2_000;

/// What is compared of a group.
pub(super) enum Extent {
    /// Everything.
    Whole,
    /// Chosen rows of each member.
    Chosen(Vec<Chosen>),
}

/// What one look at a group came to.
pub(super) struct Seen {
    /// By member.
    pub(super) reads: Vec<Read>,
    pub(super) target_rows: u64,
    /// Rows compared by member, where not all were.
    pub(super) sampled: Option<Vec<u64>>,
    pub(super) outcome: Outcome,
    /// The outcome names every key that differs, so that these can be looked at again.
    pub(super) complete: bool,
    /// Rows that are in the target alone were looked for.
    pub(super) extras: bool,
    pub(super) notes: Vec<String>,
}

/// Compares a group.
///
/// # Errors
/// What reading either side fails with.
pub(super) async fn compare(group: &Group, extent: &Extent, options: &VerifyOptions, watch: &Watch) -> Result<Seen> {
    match extent {
        Extent::Chosen(chosen) => compare_chosen(group, chosen, options.max_differences, watch).await,
        // Without a sum that both sides share there is nothing to tell buckets by.
        Extent::Whole if group.targets.len() > 1 || !group.extras => {
            let rows = group.rows_estimate();
            let joined = join(group, examine::all(rows), rows, options, watch).await?;
            of_joined(group, joined, options, watch).await
        }
        Extent::Whole => compare_whole(group, options, watch).await,
    }
}

async fn compare_chosen(group: &Group, chosen: &[Chosen], differences_max: usize, watch: &Watch) -> Result<Seen> {
    let mut picked = picked::compare(group, chosen, differences_max, watch).await?;
    let mut notes = Vec::new();
    let mut extras = false;
    let sampled = !chosen.iter().all(|chosen| matches!(chosen, Chosen::All));
    match &group.subject {
        Some(carried) if !sampled => {
            let value = picked.carried.as_deref();
            let (outcome, note) = subject::extra(carried, value, group, &picked.keys, differences_max, watch).await?;
            picked.outcome.add(outcome, differences_max);
            extras = note.is_none();
            notes.extend(note);
        }
        _ => notes.push("only chosen rows were compared: rows that are in the target alone were not looked for".to_owned()),
    }
    Ok(Seen {
        reads: picked.reads,
        target_rows: picked.target_rows,
        sampled: sampled.then_some(picked.compared),
        outcome: picked.outcome,
        complete: true,
        extras,
        notes,
    })
}

async fn compare_whole(group: &Group, options: &VerifyOptions, watch: &Watch) -> Result<Seen> {
    let passed = pass(group, watch).await?;
    let mut seen = Seen {
        reads: passed.sources,
        target_rows: passed.target_rows,
        sampled: None,
        outcome: Outcome::default(),
        complete: true,
        extras: group.extras,
        notes: Vec::new(),
    };
    seen.outcome.members.resize_with(group.members.len(), Default::default);
    let differing = if passed.unreadable > 0 {
        // They are in no bucket: all are looked through.
        let covered = seen.reads.iter().map(|read| read.rows).sum::<u64>();
        Differing::all(covered.max(passed.target_rows))
    } else {
        passed.differing
    };
    if !differing.any() {
        return Ok(seen);
    }
    let rows = differing.rows;
    let sought = Sought::Buckets(Arc::new(differing));
    if rows <= few_rows_max(group, options) {
        seen.outcome = examine::examine(group, sought, options.max_differences, watch).await?;
        return Ok(seen);
    }
    let joined = join(group, sought, rows, options, watch).await?;
    let mut joined = of_joined(group, joined, options, watch).await?;
    joined.target_rows = seen.target_rows;
    Ok(joined)
}

/// Up to how many rows are fetched by key, or kept in memory where a side finds none again.
fn few_rows_max(group: &Group, options: &VerifyOptions) -> u64 {
    let finds = group.targets.iter().all(|target| target.finds()) && group.members.iter().all(|member| member.source.finds());
    if finds {
        options.few_rows_max
    } else {
        HELD_ROWS_MAX.min(options.few_rows_max)
    }
}

/// Looks at keys that differed once more, at the moment that the group is open at now.
///
/// # Errors
/// What reading either side fails with.
pub(super) async fn look(group: &Group, keys: HashSet<u128>, options: &VerifyOptions, watch: &Watch) -> Result<Outcome> {
    let rows = keys.len() as u64;
    let sought = Sought::Keys(Arc::new(keys));
    if rows <= few_rows_max(group, options) {
        return examine::examine(group, sought, options.max_differences, watch).await;
    }
    let joined = join(group, sought, rows, options, watch).await?;
    Ok(of_joined(group, joined, options, watch).await?.outcome)
}

/// The counts of the join, with the first differences looked at once more for their columns.
async fn of_joined(group: &Group, joined: Joined, options: &VerifyOptions, watch: &Watch) -> Result<Seen> {
    let mut outcome = Outcome::default();
    let mut notes = Vec::new();
    if !joined.first.is_empty() {
        let sought = Sought::Keys(Arc::new(joined.first.iter().copied().collect()));
        outcome = examine::examine(group, sought, options.max_differences, watch).await?;
    }
    if joined.lost > 0 {
        notes.push(format!(
            "{} rows of the target cannot be read, not even their keys: they are counted as extra",
            joined.lost
        ));
    }
    outcome.members = joined.figures;
    outcome.extra = joined.extra;
    // A row whose key cannot be read cannot be looked at again.
    let complete = joined.states.is_some() && joined.lost == 0;
    outcome.states = joined.states.unwrap_or_default();
    Ok(Seen {
        reads: joined.sources,
        target_rows: joined.target_rows,
        sampled: None,
        complete,
        extras: group.extras,
        outcome,
        notes,
    })
}
