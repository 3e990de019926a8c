//! Finding rows again: the keys' columns of a side, read for the handles of the rows that matter.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::BooleanArray;
use arrow::compute::filter_record_batch;
use arrow::record_batch::RecordBatch;

use super::bucket::Differing;
use super::canonical::{Canonical, Hashes};
use super::drain::{Watch, drain};
use super::group::reject_hash;
use super::side::{Handles, Portion, Side, Unreadable, Wanted};
use crate::data::position::Key;
use crate::{Error, ErrorKind, Result};

/// Rows that matter, by the hashes of their keys.
#[derive(Clone)]
pub(super) enum Sought {
    /// Those in buckets that differ.
    Buckets(Arc<Differing>),
    /// Those with these keys.
    Keys(Arc<HashSet<u128>>),
    /// All but those with these keys.
    Not(Arc<HashSet<u128>>),
}

impl Sought {
    pub(super) fn holds(&self, key: u128) -> bool {
        match self {
            Self::Buckets(differing) => differing.holds(key),
            Self::Keys(keys) => keys.contains(&key),
            Self::Not(keys) => !keys.contains(&key),
        }
    }
}

/// Whole rows in memory, with their hashes.
pub(super) struct Held {
    pub(super) rows: RecordBatch,
    pub(super) hashes: Hashes,
    pub(super) handles: Option<Handles>,
}

/// A target's row that is there and cannot be read.
pub(super) struct Broken {
    /// Hash of its key.
    pub(super) key: u128,
    pub(super) row: Unreadable,
}

/// Rows of a side that matter.
pub(super) enum Located {
    /// Their handles by the hashes of their keys, in the order of these.
    Handles(Vec<(u128, Key)>),
    /// The rows themselves, where the side finds none again.
    Rows(Vec<Held>),
}

/// What of a side matters, and rows whose very keys cannot be read.
pub(super) struct Found {
    pub(super) located: Located,
    pub(super) lost: Vec<Unreadable>,
}

impl Found {
    /// Hashes of the keys, unordered.
    pub(super) fn keys(&self) -> Vec<u128> {
        match &self.located {
            Located::Handles(handles) => handles.iter().map(|(key, _)| *key).collect(),
            Located::Rows(held) => held.iter().flat_map(|held| held.hashes.key.iter().copied()).collect(),
        }
    }

    /// Handles of the rows with keys from `first` to `last`.
    fn between(&self, first: u128, last: u128) -> Vec<(u128, Key)> {
        let Located::Handles(handles) = &self.located else {
            return Vec::new();
        };
        let from = handles.partition_point(|(key, _)| *key < first);
        let until = handles.partition_point(|(key, _)| *key <= last);
        handles[from..until].to_vec()
    }
}

/// Looks through a side.
///
/// # Errors
/// What reading it fails with.
pub(super) async fn locate(side: &Arc<dyn Side>, canonical: Canonical, sought: Sought, watch: &Watch) -> Result<Found> {
    if side.finds() {
        handles(side, canonical, sought, watch).await
    } else {
        rows(side, canonical, sought, watch).await
    }
}

async fn handles(side: &Arc<dyn Side>, canonical: Canonical, sought: Sought, watch: &Watch) -> Result<Found> {
    let portions = side.read(Wanted::Keys { only: None }).await?;
    let state = (Vec::new(), Vec::new(), canonical, Vec::new());
    let (mut found, lost, ..) = drain(portions, watch, state, move |(found, lost, canonical, hashes), portion| {
        canonical.keys(&portion.rows, hashes)?;
        let handles = handles_of(&portion)?;
        let wanted = hashes.iter().enumerate().filter(|(_, key)| sought.holds(**key));
        found.extend(wanted.map(|(row, key)| (*key, handles.get(row))));
        lost.extend(portion.unreadable);
        Ok(())
    })
    .await?;
    found.sort_by_key(|(key, _)| *key);
    Ok(Found {
        located: Located::Handles(found),
        lost,
    })
}

async fn rows(side: &Arc<dyn Side>, canonical: Canonical, sought: Sought, watch: &Watch) -> Result<Found> {
    let portions = side.read(Wanted::All { handles: true }).await?;
    let state = (Vec::new(), Vec::new(), canonical);
    let (held, lost, _) = drain(portions, watch, state, move |(held, lost, canonical), mut portion| {
        lost.append(&mut portion.unreadable);
        held.extend(hold(portion, canonical, |key| sought.holds(key))?);
        Ok(())
    })
    .await?;
    Ok(Found {
        located: Located::Rows(held),
        lost,
    })
}

fn handles_of(portion: &Portion) -> Result<&Handles> {
    let handles = portion.handles.as_ref();
    handles.ok_or_else(|| Error::new(ErrorKind::Internal, "rows came without the handles that were asked for"))
}

/// Keeps the rows of a portion that matter, by the hashes of their keys.
///
/// # Errors
/// Defects only.
pub(super) fn hold(portion: Portion, canonical: &mut Canonical, mut matters: impl FnMut(u128) -> bool) -> Result<Option<Held>> {
    let mut hashes = Hashes::default();
    canonical.rows(&portion.rows, &mut hashes)?;
    let keep: Vec<bool> = hashes.key.iter().map(|key| matters(*key)).collect();
    let kept = keep.iter().filter(|keep| **keep).count();
    if kept == 0 {
        return Ok(None);
    }
    if kept == keep.len() {
        return Ok(Some(Held {
            rows: portion.rows,
            hashes,
            handles: portion.handles,
        }));
    }
    let rows = filter_record_batch(&portion.rows, &BooleanArray::from(keep.clone()))
        .map_err(|error| Error::new(ErrorKind::Internal, "cannot take rows out of a batch").because(error))?;
    let places: Vec<usize> = (0..keep.len()).filter(|row| keep[*row]).collect();
    Ok(Some(Held {
        rows,
        hashes: Hashes {
            key: places.iter().map(|row| hashes.key[*row]).collect(),
            row: places.iter().map(|row| hashes.row[*row]).collect(),
        },
        handles: portion.handles.map(|handles| handles.only(&places)),
    }))
}

/// The rows of a side with keys from `first` to `last` that matter, and those that cannot be read.
///
/// # Errors
/// What reading them fails with.
pub(super) async fn fetch(
    side: &Arc<dyn Side>,
    found: &Found,
    (first, last): (u128, u128),
    canonical: Canonical,
    sought: Sought,
    watch: &Watch,
) -> Result<(Vec<Held>, Vec<Broken>)> {
    let of_keys = found.between(first, last);
    let matters = move |key: u128| (first..=last).contains(&key) && sought.holds(key);
    these(side, &of_keys, matters, canonical, watch).await
}

/// The rows of a side with these handles that matter, and those that cannot be read.
///
/// # Errors
/// What reading them fails with.
pub(super) async fn these(
    side: &Arc<dyn Side>,
    of_keys: &[(u128, Key)],
    matters: impl Fn(u128) -> bool + Send + 'static,
    canonical: Canonical,
    watch: &Watch,
) -> Result<(Vec<Held>, Vec<Broken>)> {
    let mut by_handle: HashMap<u128, u128> = HashMap::new();
    let mut wanted = Vec::new();
    for (key, handle) in of_keys {
        if by_handle.insert(reject_hash(handle), *key).is_none() {
            wanted.push(handle.clone());
        }
    }
    if wanted.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let portions = side.read(Wanted::These(wanted)).await?;
    let state = (Vec::new(), Vec::new(), canonical);
    let (held, broken, _) = drain(portions, watch, state, move |(held, broken, canonical), mut portion| {
        for row in std::mem::take(&mut portion.unreadable) {
            if let Some(key) = by_handle.get(&reject_hash(&row.handle)) {
                broken.push(Broken { key: *key, row });
            }
        }
        held.extend(hold(portion, canonical, &matters)?);
        Ok(())
    })
    .await?;
    Ok((held, broken))
}
