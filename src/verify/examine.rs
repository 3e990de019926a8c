//! Pass two, where few rows are concerned: their keys are found on both sides, and the rows fetched
//! and compared some at a time.

use std::collections::HashSet;
use std::sync::Arc;

use super::bucket::Differing;
use super::compare::{Comparison, Rows};
use super::drain::Watch;
use super::group::Group;
use super::locate::{Found, Located, Sought, fetch, locate};
use super::report::{Difference, DifferenceKind, Shown};
use super::show;
use super::side::Side;
use super::tally::{Figures, Named, Outcome, State};
use crate::Result;

/// Keys whose rows are in memory at once.
const KEYS_AT_ONCE: usize = 1_024;

/// What is told of the rows that differ.
#[derive(Debug, Clone, Copy)]
enum Telling {
    /// The first so many with what they hold.
    Listed(usize),
    /// All by their keys alone, so that they can be mended.
    Named,
}

/// Finds the rows of a group that matter, and compares them.
///
/// # Errors
/// What reading either side fails with.
pub(super) async fn examine(group: &Group, sought: Sought, differences_max: usize, watch: &Watch) -> Result<Outcome> {
    examined(group, sought, Telling::Listed(differences_max), watch).await
}

/// Finds the rows with these keys, and names those that differ.
///
/// # Errors
/// What reading either side fails with.
pub(super) async fn name(group: &Group, keys: HashSet<u128>, watch: &Watch) -> Result<Outcome> {
    examined(group, Sought::Keys(Arc::new(keys)), Telling::Named, watch).await
}

async fn examined(group: &Group, sought: Sought, telling: Telling, watch: &Watch) -> Result<Outcome> {
    let (mut sources, mut targets) = tokio::try_join!(
        found_of(group, sources_of(group), &sought, watch),
        found_of(group, targets_of(group), &sought, watch)
    )?;
    let mut outcome = Outcome::default();
    outcome.members.resize_with(group.members.len(), Default::default);
    let mut keys: Vec<u128> = sources.iter().chain(&targets).flat_map(Found::keys).collect();
    keys.sort_unstable();
    keys.dedup();
    let unreadable: Vec<_> = targets[0].lost.drain(..).collect();
    for lost in unreadable.iter().filter(|_| group.extras) {
        let key = super::group::reject_hash(&lost.handle);
        if matches!(telling, Telling::Named) {
            if sought.holds(key) {
                outcome.named.push(Named {
                    key,
                    member: 0,
                    kind: DifferenceKind::Extra,
                    source: None,
                    target: None,
                });
            }
            continue;
        }
        outcome.extra += 1;
        let state = State {
            seen: key,
            member: 0,
            figures: Figures::default(),
            extra: 1,
        };
        outcome.states.insert(key, state);
        if matches!(telling, Telling::Listed(most) if outcome.differences.len() < most) {
            outcome.differences.push((0, of_lost(group, lost)));
        }
    }
    let whole = has_rows(&sources) || has_rows(&targets);
    // Rows that no side finds again are in memory already: all of them at once.
    let at_once = if whole { keys.len().max(1) } else { KEYS_AT_ONCE };
    for keys in keys.chunks(at_once) {
        let (Some(first), Some(last)) = (keys.first(), keys.last()) else {
            continue;
        };
        let bounds = (*first, *last);
        let (of_sources, of_targets) = tokio::try_join!(
            rows_of(group, sources_of(group), &mut sources, bounds, &sought, watch),
            rows_of(group, targets_of(group), &mut targets, bounds, &sought, watch)
        )?;
        let comparison = match telling {
            Telling::Listed(most) => Comparison::new(group, of_sources, of_targets, most),
            Telling::Named => Comparison::new(group, of_sources, of_targets, 0).with_names(),
        };
        comparison.run(&mut outcome)?;
    }
    Ok(outcome)
}

/// Everything of a group: for small ones, and where buckets tell nothing.
pub(super) fn all(rows: u64) -> Sought {
    Sought::Buckets(Arc::new(Differing::all(rows)))
}

fn has_rows(found: &[Found]) -> bool {
    found.iter().any(|found| matches!(found.located, Located::Rows(_)))
}

/// Sides of a group, each with the form of its rows.
type Sides<'a> = Vec<(&'a Arc<dyn Side>, usize)>;

fn sources_of(group: &Group) -> Sides<'_> {
    group.members.iter().map(|member| (&member.source, member.form)).collect()
}

fn targets_of(group: &Group) -> Sides<'_> {
    group
        .targets
        .iter()
        .enumerate()
        .map(|(form, target)| (target, form))
        .collect()
}

async fn found_of(group: &Group, sides: Sides<'_>, sought: &Sought, watch: &Watch) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for (side, form) in sides {
        found.push(locate(side, group.canonical(form), sought.clone(), watch).await?);
    }
    Ok(found)
}

/// The rows of sides with keys within bounds: those that are in memory, or fetched.
async fn rows_of(
    group: &Group,
    sides: Sides<'_>,
    found: &mut [Found],
    bounds: (u128, u128),
    sought: &Sought,
    watch: &Watch,
) -> Result<Vec<Rows>> {
    let mut all = Vec::new();
    for (of, ((side, form), found)) in sides.into_iter().zip(found).enumerate() {
        let (held, broken) = match &mut found.located {
            Located::Rows(held) => (std::mem::take(held), Vec::new()),
            Located::Handles(_) => fetch(side, found, bounds, group.canonical(form), sought.clone(), watch).await?,
        };
        all.push(Rows { of, held, broken });
    }
    Ok(all)
}

/// A row of the target whose very key cannot be read.
fn of_lost(group: &Group, lost: &super::side::Unreadable) -> Difference {
    let form = group.targets[0].form();
    let hidden = form.key.iter().any(|place| group.masked.contains(&form.columns[*place].name));
    Difference {
        kind: DifferenceKind::Extra,
        key: vec![Shown {
            column: lost.column.clone().unwrap_or_default(),
            value: show::said(if hidden || lost.handle.0.is_empty() {
                format!("(cannot be read: {})", lost.detail)
            } else {
                lost.handle.to_string()
            }),
        }],
        id: format!("{:032x}", super::group::reject_hash(&lost.handle)),
        columns: Vec::new(),
    }
}
