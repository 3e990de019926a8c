//! Comparing some rows only: those of a subject, those of a condition, a sample. The source's rows
//! are read as they are chosen there, and the target's are fetched by their keys.
//!
//! What is in the target alone has no key to be fetched by: extra rows are looked for only where a
//! column of the target is known to carry the subject.

use std::collections::HashSet;
use std::sync::Arc;

use super::canonical::Canonical;
use super::compare::{Comparison, Rows};
use super::drain::Watch;
use super::examine;
use super::group::Group;
use super::locate::{Held, Sought, hold, these};
use super::mapped_side::projected;
use super::pass::Read;
use super::side::{Portion, Wanted};
use super::tally::Outcome;
use crate::Result;

/// Which rows of a source are chosen from those that it reads.
#[derive(Debug, Clone, Copy)]
pub(super) enum Chosen {
    /// All.
    All,
    /// Those whose key has a hash below this.
    Below(u64),
    /// The first so many.
    First(u64),
}

/// What comparing them came to.
#[derive(Default)]
pub(super) struct Picked {
    pub(super) outcome: Outcome,
    pub(super) reads: Vec<Read>,
    /// Rows compared, by member.
    pub(super) compared: Vec<u64>,
    /// Rows fetched from the target.
    pub(super) target_rows: u64,
    /// What the target's column that carries the subject holds for it.
    pub(super) carried: Option<String>,
    /// Keys of the rows compared.
    pub(super) keys: HashSet<u128>,
}

/// Compares the chosen rows of all members.
///
/// # Errors
/// What reading either side fails with.
pub(super) async fn compare(group: &Group, chosen: &[Chosen], differences_max: usize, watch: &Watch) -> Result<Picked> {
    let mut picked = Picked::default();
    picked.outcome.members.resize_with(group.members.len(), Default::default);
    let mut unfound = HashSet::new();
    for (place, chosen) in chosen.iter().copied().enumerate() {
        let (read, compared) = member(group, place, chosen, differences_max, &mut picked, &mut unfound, watch).await?;
        picked.reads.push(read);
        picked.compared.push(compared);
    }
    if !unfound.is_empty() {
        // The target finds no rows by these keys: it is looked through once for all of them.
        let sought = Sought::Keys(Arc::new(unfound));
        let outcome = examine::examine(group, sought, differences_max, watch).await?;
        picked.outcome.add(outcome, differences_max);
    }
    Ok(picked)
}

async fn member(
    group: &Group,
    place: usize,
    chosen: Chosen,
    differences_max: usize,
    picked: &mut Picked,
    unfound: &mut HashSet<u128>,
    watch: &Watch,
) -> Result<(Read, u64)> {
    let member = &group.members[place];
    let target = &group.targets[member.form];
    let mut canonical = group.canonical(member.form);
    let mut portions = member.source.read(Wanted::All { handles: true }).await?;
    let (mut read, mut compared) = (Read::default(), 0);
    while let Some(portion) = portions.recv().await {
        if watch.shutdown.is_cancelled() {
            return Err(super::stopped());
        }
        let portion = portion?;
        read.add(&portion);
        watch.progress(&member.name, portion.read);
        let Some(held) = choose(portion, &mut canonical, chosen, compared)? else {
            continue;
        };
        compared += held.rows.num_rows() as u64;
        picked.keys.extend(held.hashes.key.iter().copied());
        if place == 0 && picked.carried.is_none() {
            picked.carried = group.subject.as_ref().and_then(|carried| carried.value(&held));
        }
        let keys = projected(&held.rows, &target.form().key)?;
        let Some(handles) = target.handles(&keys).filter(|_| target.finds()) else {
            unfound.extend(held.hashes.key.iter().copied());
            continue;
        };
        let wanted: HashSet<u128> = held.hashes.key.iter().copied().collect();
        let of_keys: Vec<_> = held.hashes.key.iter().copied().zip(handles).collect();
        let matters = move |key: u128| wanted.contains(&key);
        let fetched = these(target, &of_keys, matters, group.canonical(member.form), watch).await?;
        picked.target_rows += fetched.0.iter().map(|held| held.rows.num_rows() as u64).sum::<u64>();
        let sources = vec![Rows {
            of: place,
            held: vec![held],
            broken: Vec::new(),
        }];
        let mut targets: Vec<Rows> = (0..group.targets.len()).map(Rows::none).collect();
        (targets[member.form].held, targets[member.form].broken) = fetched;
        Comparison::new(group, sources, targets, differences_max).run(&mut picked.outcome)?;
        if let Chosen::First(rows) = chosen
            && compared >= rows
        {
            break;
        }
    }
    Ok((read, compared))
}

/// Rows of a portion that are chosen; `before` were before them.
fn choose(portion: Portion, canonical: &mut Canonical, chosen: Chosen, before: u64) -> Result<Option<Held>> {
    let mut row = before;
    hold(portion, canonical, |key| {
        row += 1;
        match chosen {
            Chosen::All => true,
            Chosen::Below(limit) => upper(key) < limit,
            Chosen::First(rows) => row <= rows,
        }
    })
}

const fn upper(key: u128) -> u64 {
    (key >> 64) as u64
}

/// How so many rows are chosen from `all` of them.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "about so many rows are asked for, and the share is between 0 and 1"
)]
pub(super) fn sample(rows: u64, all: Option<u64>) -> Chosen {
    match all {
        None => Chosen::First(rows),
        Some(all) if all <= rows => Chosen::All,
        Some(all) => Chosen::Below((rows as f64 / all as f64 * u64::MAX as f64) as u64),
    }
}
