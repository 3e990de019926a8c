//! Pass two, where many rows are concerned: both sides whole, what matters as hashes on disk, then
//! joined part by part. Counts are exact, and memory is that of a part.

use std::collections::{BTreeSet, HashMap};

use super::VerifyOptions;
use super::canonical::{Canonical, Hashes, bytes_hash};
use super::drain::{Watch, drain};
use super::group::{Group, reject_hash};
use super::locate::Sought;
use super::pairs::{self, Fact};
use super::pass::Read;
use super::side::{Portion, Unreadable, Wanted};
use super::spill::{Entry, From, Spill};
use super::tally::{self, Figures, State};
use crate::data::position::Key;
use crate::{Error, ErrorKind, Result};

/// Rows of the target that cannot be read, of which the keys are asked for once more.
const UNREADABLE_AT_ONCE: usize = 1_024;

/// What joining found.
#[derive(Default)]
pub(super) struct Joined {
    /// By member.
    pub(super) figures: Vec<Figures>,
    pub(super) extra: u64,
    /// The lowest keys that differ.
    pub(super) first: BTreeSet<u128>,
    /// What was read of each member's source.
    pub(super) sources: Vec<Read>,
    pub(super) target_rows: u64,
    /// Rows of the target of which not even the key can be read: they are among the extra ones.
    pub(super) lost: u64,
    /// How every key differs; `None` where more of them do than are looked at again.
    pub(super) states: Option<HashMap<u128, State>>,
}

/// Hash of a row that cannot be read: no other row has it.
pub(super) fn not_to_be_read() -> u128 {
    bytes_hash(b"unreadable")
}

/// Hashes rows and keeps those that matter.
struct Keeper {
    canonical: Canonical,
    hashes: Hashes,
    sought: Sought,
    spill: Spill,
    read: Read,
    unreadable: Vec<Unreadable>,
}

impl Keeper {
    fn take(&mut self, mut portion: Portion, from: impl Fn(&Portion, usize) -> From) -> Result<()> {
        self.read.add(&portion);
        self.unreadable.append(&mut portion.unreadable);
        self.canonical.rows(&portion.rows, &mut self.hashes)?;
        for (place, (key, row)) in self.hashes.key.iter().zip(&self.hashes.row).enumerate() {
            if self.sought.holds(*key) {
                self.spill.add(Entry {
                    key: *key,
                    row: *row,
                    from: from(&portion, place),
                })?;
            }
        }
        Ok(())
    }
}

/// Reads a group whole and joins what matters; `rows`: about how many that are, of one side.
///
/// # Errors
/// What reading either side fails with; [`ErrorKind::Full`] where the hashes find no room.
pub(super) async fn join(group: &Group, sought: Sought, rows: u64, options: &VerifyOptions, watch: &Watch) -> Result<Joined> {
    let mut joined = Joined {
        states: Some(HashMap::new()),
        ..Joined::default()
    };
    let sources = spill_sources(group, &sought, Spill::new(rows)?, watch);
    let targets = spill_targets(group, &sought, Spill::new(rows)?, watch);
    let ((mut of_sources, reads), (mut of_targets, target_rows, lost)) = tokio::try_join!(sources, targets)?;
    joined.sources = reads;
    joined.target_rows = target_rows;
    joined.lost = lost;
    let facts = Facts::of(group, options);
    let shutdown = watch.shutdown.clone();
    let work = move || {
        joined.figures.resize(facts.form_of.len(), Figures::default());
        for part in 0..of_sources.parts() {
            if shutdown.is_cancelled() {
                return Err(super::stopped());
            }
            let mut entries = of_sources.read(part)?;
            entries.extend(of_targets.read(part)?);
            entries.sort_unstable();
            for rows in entries.chunk_by(|one, other| one.key == other.key) {
                facts.of_key(rows, &mut joined);
            }
        }
        if facts.extras {
            joined.extra += joined.lost;
        }
        Ok(joined)
    };
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Error::new(ErrorKind::Internal, "the thread that joins rows panicked"))?
}

/// What of a group the join has to know.
struct Facts {
    form_of: Vec<usize>,
    keyed: Vec<bool>,
    extras: bool,
    /// Most keys that are told as the first ones.
    first_max: usize,
    /// Most keys of which it is told how they differ.
    states_max: usize,
}

impl Facts {
    fn of(group: &Group, options: &VerifyOptions) -> Self {
        Self {
            first_max: options.max_differences,
            states_max: options.recheck.map_or(0, |_| options.recheck_keys_max),
            form_of: group.members.iter().map(|member| member.form).collect(),
            keyed: group.targets.iter().map(|target| !target.form().key.is_empty()).collect(),
            extras: group.extras,
        }
    }

    fn form(&self, from: From) -> usize {
        match from {
            From::Source { member, .. } => self.form_of[usize::from(member)],
            From::Target(form) => usize::from(form),
        }
    }

    fn of_key(&self, rows: &[Entry], joined: &mut Joined) {
        let any_source = rows.iter().any(|entry| matches!(entry.from, From::Source { .. }));
        let mut state = State::default();
        for form in 0..self.keyed.len() {
            let of_form: Vec<Entry> = rows.iter().filter(|entry| self.form(entry.from) == form).copied().collect();
            let left = pairs::left(&of_form, self.keyed[form], |entry| Fact {
                row: entry.row,
                source: matches!(entry.from, From::Source { .. }),
                recorded: matches!(entry.from, From::Source { recorded: true, .. }),
            });
            left.rejected.iter().for_each(|entry| joined.of(*entry).rejected += 1);
            for (source, _) in &left.different {
                joined.of(*source).different += 1;
                state.figures.different += 1;
                state.member = member(*source);
            }
            for source in &left.missing {
                joined.of(*source).missing += 1;
                state.figures.missing += 1;
                state.member = member(*source);
            }
            let alone = self.keyed.len() == 1 || (form == 0 && !any_source);
            let extra = if alone && self.extras { left.extra.len() as u64 } else { 0 };
            joined.extra += extra;
            state.extra += extra;
        }
        if state != State::default() {
            state.seen = tally::seen(
                rows.iter()
                    .map(|entry| (entry.row, matches!(entry.from, From::Source { .. }))),
            );
            self.differs(rows[0].key, state, joined);
        }
    }

    fn differs(&self, key: u128, state: State, joined: &mut Joined) {
        joined.first.insert(key);
        if joined.first.len() > self.first_max {
            joined.first.pop_last();
        }
        if joined.states.as_ref().is_some_and(|states| states.len() >= self.states_max) {
            joined.states = None;
        }
        if let Some(states) = &mut joined.states {
            states.insert(key, state);
        }
    }
}

impl Joined {
    fn of(&mut self, entry: Entry) -> &mut Figures {
        &mut self.figures[member(entry)]
    }
}

/// The stream that a row is told of.
fn member(entry: Entry) -> usize {
    match entry.from {
        From::Source { member, .. } => usize::from(member),
        From::Target(_) => 0,
    }
}

fn number(place: usize) -> Result<u16> {
    u16::try_from(place)
        .ok()
        .filter(|number| *number < 1 << 14)
        .ok_or_else(|| Error::new(ErrorKind::Usage, "too many streams write one table to be compared at once"))
}

async fn spill_sources(group: &Group, sought: &Sought, mut spill: Spill, watch: &Watch) -> Result<(Spill, Vec<Read>)> {
    let mut reads = Vec::new();
    for (place, member) in group.members.iter().enumerate() {
        let number = number(place)?;
        let handles = !member.recorded.is_empty();
        let portions = member.source.read(Wanted::All { handles }).await?;
        let keeper = Keeper {
            canonical: group.canonical(member.form),
            hashes: Hashes::default(),
            sought: sought.clone(),
            spill,
            read: Read::default(),
            unreadable: Vec::new(),
        };
        let known = std::sync::Arc::clone(&member.recorded);
        let keeper = drain(portions, watch, keeper, move |keeper, portion| {
            keeper.take(portion, |portion, row| From::Source {
                member: number,
                recorded: portion
                    .handles
                    .as_ref()
                    .is_some_and(|handles| known.contains(&reject_hash(&handles.get(row)))),
            })
        })
        .await?;
        reads.push(keeper.read);
        spill = keeper.spill;
    }
    Ok((spill, reads))
}

async fn spill_targets(group: &Group, sought: &Sought, mut spill: Spill, watch: &Watch) -> Result<(Spill, u64, u64)> {
    let (mut rows, mut lost) = (0, 0);
    for (place, target) in group.targets.iter().enumerate() {
        let number = number(place)?;
        let portions = target.read(Wanted::All { handles: target.finds() }).await?;
        let keeper = Keeper {
            canonical: group.canonical(place),
            hashes: Hashes::default(),
            sought: sought.clone(),
            spill,
            read: Read::default(),
            unreadable: Vec::new(),
        };
        let keeper = drain(portions, watch, keeper, move |keeper, portion| {
            keeper.take(portion, |_, _| From::Target(number))
        })
        .await?;
        spill = keeper.spill;
        if place > 0 {
            continue;
        }
        rows = keeper.read.rows;
        let unreadable: Vec<Key> = keeper.unreadable.into_iter().map(|row| row.handle).collect();
        lost = unreadable.len() as u64;
        for handles in unreadable.chunks(UNREADABLE_AT_ONCE).filter(|_| target.finds()) {
            let portions = target
                .read(Wanted::Keys {
                    only: Some(handles.to_vec()),
                })
                .await?;
            let state = (Vec::new(), group.canonical(place), Vec::new());
            let (keys, ..) = drain(
                portions,
                watch,
                state,
                |(keys, canonical, hashes): &mut (Vec<u128>, Canonical, Vec<u128>), portion| {
                    canonical.keys(&portion.rows, hashes)?;
                    keys.extend_from_slice(hashes);
                    Ok(())
                },
            )
            .await?;
            lost -= keys.len() as u64;
            for key in keys.into_iter().filter(|key| sought.holds(*key)) {
                // A hash that no row has: it differs from whatever the source has.
                spill.add(Entry {
                    key,
                    row: not_to_be_read(),
                    from: From::Target(number),
                })?;
            }
        }
    }
    Ok((spill, rows, lost))
}
