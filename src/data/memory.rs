//! Memory of the whole process: one bound, and what is taken of it (Invariant 7).
//!
//! The bound is cut in three. A fixed part is the program's own and that of each lane's connections.
//! Every reader has one portion of its own, so that no lane ever waits for another in order to go on:
//! whatever the others do, it reads a portion, writes it, and reads the next. What it reads ahead, and
//! rows that are wider than a portion, come out of a pool that all share. What was taken is given back
//! when the last copy of the batch that it was taken for is gone.
//!
//! Bounds are counted in what rows take in their source, times the forms in which they are held at once
//! (as read, as mapped, as sent).

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{Error, ErrorKind, Result};

/// Limit where none is given, in megabytes.
pub const DEFAULT_MEGABYTES: u64 = 256;

/// What the program takes before it has read a row.
const PROGRAM_BYTES: u64 = 40_000_000;
/// What a stream of the plan takes: its shapes, its compiled expressions, its statements.
const STREAM_BYTES: u64 = 100_000;
/// What a lane takes beside its rows: connections with their buffers, caches of a file, tasks.
const LANE_BYTES: u64 = 2_000_000;
/// Smallest portion that is worth a round trip.
const PORTION_BYTES_MIN: u64 = 128 << 10;
/// Of what is left for rows, the part that readers have as their own.
const OWN_PART: u64 = 5;
/// Forms of one wide row at once: in the source's driver, as a batch, encoded, and a copy on the way.
const ROW_FORMS: u64 = 4;
/// Forms in which a sink that keeps its batch has what it keeps, in portions of its source.
const KEPT_FORMS: u64 = 4;
/// Portions of a batch that such a sink keeps.
const KEPT_PORTIONS: usize = 2;
/// The part of the whole that one row may be of.
const ROW_PART: u64 = 6;
/// Column of a batch: what it takes for each row however short its values are.
const CELL_BYTES: usize = 16;
/// What is taken from the pool is counted in so many bytes.
const UNIT: u64 = 1 << 10;
/// A wide row waits this long for memory that others hold. Then its batch is begun again, because they may
/// be waiting for that.
const WAIT_MAX: Duration = Duration::from_mins(1);

/// What moves at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// Streams of the plan.
    pub streams: usize,
    /// Units side by side.
    pub jobs: usize,
    /// Ranges of each that are read side by side.
    pub splits: usize,
    /// Streams that share one reader.
    pub members: usize,
    /// A sink keeps what it is given until its batch is complete.
    pub kept: bool,
}

/// The memory of this process.
#[derive(Debug)]
pub struct Memory {
    portion_bytes: usize,
    row_bytes_max: usize,
    /// Forms in which a portion is held at once.
    forms: u64,
    pool: Arc<Semaphore>,
    pool_units: u32,
}

/// What is moved where nothing is said of it.
const ONE: Load = Load {
    streams: 1,
    jobs: 1,
    splits: 1,
    members: 1,
    kept: false,
};

static PROCESS: RwLock<Option<Arc<Memory>>> = RwLock::new(None);

/// Sets the bound of this process, and returns what fits of the load: fewer jobs and splits where all of
/// them do not. Readers that have begun keep what they have.
///
/// # Errors
/// [`ErrorKind::Config`] where not even one lane fits.
pub fn bound(megabytes: u64, load: Load) -> Result<Load> {
    let (memory, fitting) = Memory::new(megabytes, load)?;
    *PROCESS.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(memory));
    Ok(fitting)
}

/// The memory of this process.
#[must_use]
pub fn process() -> Arc<Memory> {
    let set = PROCESS.read().unwrap_or_else(PoisonError::into_inner).clone();
    set.unwrap_or_else(|| Arc::new(Memory::of(DEFAULT_MEGABYTES * 1_000_000, ONE)))
}

impl Load {
    fn lanes(self) -> u64 {
        (self.jobs.max(1) * self.splits.max(1)).min(self.streams.max(1) * self.splits.max(1)) as u64
    }

    fn forms(self) -> u64 {
        let kept = if self.kept { KEPT_FORMS } else { 0 };
        1 + (2 + kept) * self.members.max(1) as u64
    }
}

/// The least that one reader takes, with the lanes of those who share it.
const fn reader_min(forms: u64, members: u64) -> u64 {
    LANE_BYTES * members + OWN_PART * PORTION_BYTES_MIN * forms
}

impl Memory {
    fn new(megabytes: u64, load: Load) -> Result<(Self, Load)> {
        let all = megabytes.saturating_mul(1_000_000);
        let fixed = PROGRAM_BYTES + STREAM_BYTES * load.streams as u64;
        let forms = load.forms();
        let least = reader_min(forms, load.members.max(1) as u64);
        let smallest = (fixed + least).div_ceil(1_000_000);
        if megabytes < smallest {
            return Err(Error::new(
                ErrorKind::Config,
                format!("a memory limit of {megabytes} megabytes is too small for this project"),
            )
            .hint(format!(
                "the smallest is {smallest}: set [limits] memory_limit_megabytes, or `--memory-limit {smallest}`"
            )));
        }
        let lanes_max = usize::try_from((all - fixed) / least).unwrap_or(usize::MAX).max(1);
        let splits = load.splits.clamp(1, lanes_max);
        let fitting = Load {
            splits,
            jobs: load.jobs.clamp(1, (lanes_max / splits).max(1)),
            ..load
        };
        Ok((Self::of(all, fitting), fitting))
    }

    fn of(all: u64, load: Load) -> Self {
        let (forms, readers) = (load.forms(), load.lanes());
        let fixed = PROGRAM_BYTES + STREAM_BYTES * load.streams as u64 + LANE_BYTES * readers * load.members.max(1) as u64;
        let rows = all.saturating_sub(fixed);
        let own = rows / OWN_PART;
        let pool_units = u32::try_from((rows - own) / UNIT).unwrap_or(u32::MAX);
        let portion = (own / readers / forms).max(PORTION_BYTES_MIN);
        Self {
            portion_bytes: usize::try_from(portion).unwrap_or(usize::MAX),
            row_bytes_max: usize::try_from(all / ROW_PART).unwrap_or(usize::MAX),
            forms,
            pool: Arc::new(Semaphore::new(pool_units as usize)),
            pool_units,
        }
    }

    /// Most bytes of a portion, as its source counts them.
    #[must_use]
    pub const fn portion_bytes(&self) -> usize {
        self.portion_bytes
    }

    /// Most bytes of one row, as its source counts them: what is larger is a reject.
    #[must_use]
    pub const fn row_bytes_max(&self) -> usize {
        self.row_bytes_max
    }

    /// Most rows of a portion with so many columns.
    #[must_use]
    pub fn rows_max(&self, columns: usize) -> usize {
        (self.portion_bytes / (columns.max(1) * CELL_BYTES)).max(1)
    }

    /// Most bytes that a sink may keep of a batch until it is complete.
    #[must_use]
    pub const fn kept_bytes_max(&self) -> usize {
        self.portion_bytes.saturating_mul(KEPT_PORTIONS)
    }

    fn units(&self, bytes: usize, forms: u64) -> u32 {
        let units = (bytes as u64).saturating_mul(forms).div_ceil(UNIT);
        u32::try_from(units).unwrap_or(u32::MAX).min(self.pool_units)
    }
}

/// A reader's part of the memory.
#[derive(Debug)]
pub struct Share {
    memory: Arc<Memory>,
    /// Its own portion. A reader of single rows has none and waits for none: whoever asks for those may hold
    /// others meanwhile.
    own: Option<Arc<Semaphore>>,
}

/// What is taken; given back when the last clone is dropped.
#[derive(Debug, Clone, Default)]
pub struct Held(Option<Arc<OwnedSemaphorePermit>>);

impl Share {
    /// For a reader of many rows, or of `single` ones.
    #[must_use]
    pub fn new(single: bool) -> Self {
        Self {
            memory: process(),
            own: (!single).then(|| Arc::new(Semaphore::new(1))),
        }
    }

    /// The memory that it is of.
    #[must_use]
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    /// Takes what a portion may need, as soon as it is there.
    pub async fn portion(&self) -> Held {
        let pool = Arc::clone(&self.memory.pool);
        let units = self.memory.units(self.memory.portion_bytes, self.memory.forms);
        let Some(own) = &self.own else {
            return Held::of(pool.try_acquire_many_owned(units).ok());
        };
        tokio::select! {
            biased;
            permit = Arc::clone(own).acquire_owned() => Held::of(permit.ok()),
            permit = pool.acquire_many_owned(units) => Held::of(permit.ok()),
        }
    }

    /// Takes what a row of so many bytes needs that is wider than a portion. The reader holds nothing else.
    ///
    /// # Errors
    /// [`ErrorKind::Lost`] where it does not come free: the batch is begun again.
    pub async fn row(&self, bytes: usize) -> Result<Held> {
        let pool = Arc::clone(&self.memory.pool);
        let forms = ROW_FORMS.max(self.memory.forms);
        let units = self.memory.units(bytes, forms);
        if self.own.is_none() {
            return Ok(Held::of(pool.try_acquire_many_owned(units).ok()));
        }
        let permit = tokio::time::timeout(WAIT_MAX, pool.acquire_many_owned(units)).await;
        permit.map(|permit| Held::of(permit.ok())).map_err(|_| {
            Error::new(
                ErrorKind::Lost,
                format!("a row of {bytes} bytes waited {} s for memory", WAIT_MAX.as_secs()),
            )
            .hint("move fewer streams at once (`--jobs`), or raise [limits] memory_limit_megabytes")
        })
    }

    /// Gives back what a portion of so many bytes does not need.
    pub fn settle(&self, held: &mut Held, bytes: usize) {
        let Some(permit) = held.0.as_mut().and_then(Arc::get_mut) else {
            return;
        };
        let needed = self.memory.units(bytes, self.memory.forms) as usize;
        if permit.num_permits() > needed {
            drop(permit.split(permit.num_permits() - needed));
        }
    }
}

impl Held {
    /// Whether nothing is taken.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    fn of(permit: Option<OwnedSemaphorePermit>) -> Self {
        Self(permit.map(Arc::new))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_parts_together_are_the_limit() {
        for megabytes in [48, 64, 128, 256, 1_000, 16_000] {
            for (jobs, splits, members) in [(1, 1, 1), (4, 1, 1), (16, 8, 1), (16, 1, 7), (200, 16, 2)] {
                let load = Load {
                    streams: 200,
                    jobs,
                    splits,
                    members,
                    kept: members == 2,
                };
                let Ok((memory, fitting)) = Memory::new(megabytes, load) else {
                    continue;
                };
                let lanes = fitting.lanes();
                let own = lanes * memory.portion_bytes as u64 * memory.forms;
                let fixed = PROGRAM_BYTES + STREAM_BYTES * 200 + LANE_BYTES * lanes * members as u64;
                let all = fixed + own + u64::from(memory.pool_units) * UNIT;
                assert!(all <= megabytes * 1_000_000, "{megabytes} {load:?} {fitting:?}: {all}");
            }
        }
    }

    #[test]
    fn a_limit_that_is_too_small_names_the_smallest_and_that_one_fits() {
        let refused = Memory::new(16, ONE).expect_err("16 megabytes are too few");
        assert_eq!(refused.kind(), ErrorKind::Config);
        let hint = refused.advice().to_owned();
        let smallest: u64 = hint
            .split(&[' ', ':'][..])
            .find_map(|word| word.parse().ok())
            .expect("a number");
        Memory::new(smallest, ONE).expect("the smallest");
        Memory::new(smallest - 1, ONE).expect_err("one less is too small");
    }

    #[test]
    fn fewer_lanes_go_where_all_do_not_fit() {
        let load = Load {
            streams: 200,
            jobs: 16,
            splits: 4,
            ..ONE
        };
        let (_, all) = Memory::new(1_000, load).expect("enough");
        assert_eq!(all, load);
        let (_, few) = Memory::new(80, load).expect("enough for some");
        assert!(few.jobs * few.splits < 64 && few.jobs >= 1, "{few:?}");
    }

    #[tokio::test]
    async fn a_reader_has_a_portion_of_its_own_whatever_the_others_hold() {
        let memory = Arc::new(Memory::of(64_000_000, ONE));
        let share = || Share {
            memory: Arc::clone(&memory),
            own: Some(Arc::new(Semaphore::new(1))),
        };
        let all = share().row(usize::MAX).await.expect("the whole pool");
        let other = share();
        let own = other.portion().await;
        let next = tokio::time::timeout(Duration::from_millis(20), other.portion()).await;
        assert!(next.is_err(), "it reads ahead out of the pool, which is empty");
        drop(own);
        other.portion().await;
        drop(all);
        let mut ahead = vec![other.portion().await, other.portion().await];
        let before = memory.pool.available_permits();
        other.settle(&mut ahead[1], 1_000);
        assert!(
            memory.pool.available_permits() > before,
            "what it does not need is there again"
        );
        drop(ahead);
        assert_eq!(memory.pool.available_permits(), memory.pool_units as usize);
    }
}
