//! Pass two, where few rows are concerned: their keys are found on both sides, and the rows fetched
//! and compared some at a time.

use std::sync::Arc;

use super::bucket::Differing;
use super::compare::{Comparison, Rows};
use super::drain::Watch;
use super::group::Group;
use super::locate::{Found, Located, Sought, fetch, locate};
use super::report::{Difference, DifferenceKind, Shown};
use super::show;
use super::tally::{Figures, Outcome, State};
use crate::Result;

/// Keys whose rows are in memory at once.
const KEYS_AT_ONCE: usize = 1_024;

/// Finds the rows of a group that matter, and compares them.
///
/// # Errors
/// What reading either side fails with.
pub(super) async fn examine(group: &Group, sought: Sought, differences_max: usize, watch: &Watch) -> Result<Outcome> {
    let (sources, targets) = tokio::try_join!(found_sources(group, &sought, watch), found_targets(group, &sought, watch))?;
    let mut outcome = Outcome::default();
    outcome.members.resize_with(group.members.len(), Default::default);
    let mut keys: Vec<u128> = sources.iter().chain(&targets).flat_map(Found::keys).collect();
    keys.sort_unstable();
    keys.dedup();
    let mut sources: Vec<Found> = sources;
    let mut targets: Vec<Found> = targets;
    let unreadable: Vec<_> = targets[0].lost.drain(..).collect();
    for lost in unreadable.iter().filter(|_| group.extras) {
        outcome.extra += 1;
        let key = super::group::reject_hash(&lost.handle);
        let state = State {
            seen: key,
            member: 0,
            figures: Figures::default(),
            extra: 1,
        };
        outcome.states.insert(key, state);
        if outcome.differences.len() < differences_max {
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
            rows_of_sources(group, &mut sources, bounds, &sought, watch),
            rows_of_targets(group, &mut targets, bounds, &sought, watch)
        )?;
        Comparison::new(group, of_sources, of_targets, differences_max).run(&mut outcome)?;
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

async fn found_sources(group: &Group, sought: &Sought, watch: &Watch) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for member in &group.members {
        found.push(locate(&member.source, group.canonical(member.form), sought.clone(), watch).await?);
    }
    Ok(found)
}

async fn found_targets(group: &Group, sought: &Sought, watch: &Watch) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for (form, target) in group.targets.iter().enumerate() {
        found.push(locate(target, group.canonical(form), sought.clone(), watch).await?);
    }
    Ok(found)
}

async fn rows_of_sources(
    group: &Group,
    found: &mut [Found],
    bounds: (u128, u128),
    sought: &Sought,
    watch: &Watch,
) -> Result<Vec<Rows>> {
    let mut all = Vec::new();
    for (of, (member, found)) in group.members.iter().zip(found).enumerate() {
        let held = match &mut found.located {
            Located::Rows(held) => std::mem::take(held),
            Located::Handles(_) => {
                let canonical = group.canonical(member.form);
                fetch(&member.source, found, bounds, canonical, sought.clone(), watch)
                    .await?
                    .0
            }
        };
        let broken = Vec::new();
        all.push(Rows { of, held, broken });
    }
    Ok(all)
}

async fn rows_of_targets(
    group: &Group,
    found: &mut [Found],
    bounds: (u128, u128),
    sought: &Sought,
    watch: &Watch,
) -> Result<Vec<Rows>> {
    let mut all = Vec::new();
    for (of, (target, found)) in group.targets.iter().zip(found).enumerate() {
        let (held, broken) = match &mut found.located {
            Located::Rows(held) => (std::mem::take(held), Vec::new()),
            Located::Handles(_) => fetch(target, found, bounds, group.canonical(of), sought.clone(), watch).await?,
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
