//! Pass one: both sides at once, in any order, into buckets. Memory is that of the buckets.
//!
//! A big table is read piece by piece, and after each it is noted how far that is. A later sitting
//! takes up the sums of the pieces that were read, and reads the others at its own moment. Where sums
//! agree, each row of either side was the same on the other when it was read; rows that were written
//! since an earlier moment are looked at once more by key, whatever the sums say, because they may
//! have got from a piece that is yet to be read into one that was. What differs is looked at again at
//! the moment of the last sitting, so that nothing counts which an earlier one has read.

use std::collections::HashSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::bucket::{Buckets, Differing};
use super::canonical::{Canonical, Hashes};
use super::drain::{Watch, drain};
use super::group::Group;
use super::kept::{End, Part};
use super::side::{self, Portion, Wanted};
use crate::data::piece::Pieces;
use crate::{Error, ErrorKind, Result};

/// Keys of rows that were written between two sittings which are looked at one by one. With more of
/// them everything is looked at.
const WRITTEN_MAX: usize = 500_000;

/// What was read of one stream's source.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Read {
    pub(super) rows: u64,
    pub(super) filtered: u64,
    pub(super) expired: u64,
    pub(super) refused: u64,
}

impl Read {
    pub(super) fn add(&mut self, portion: &Portion) {
        self.rows += portion.read;
        self.filtered += portion.filtered;
        self.expired += portion.expired;
        self.refused += portion.refused;
    }
}

/// What pass one found.
pub(super) struct Passed {
    pub(super) differing: Differing,
    /// By member.
    pub(super) sources: Vec<Read>,
    pub(super) target_rows: u64,
    /// Rows of the target that cannot be read; they are in no bucket.
    pub(super) unreadable: u64,
}

struct Side {
    canonical: Canonical,
    hashes: Hashes,
    buckets: Buckets,
    read: Read,
    unreadable: u64,
    /// Keys of rows that were written after an earlier sitting.
    written: HashSet<u128>,
}

impl Side {
    fn new(canonical: Canonical, buckets: Buckets) -> Self {
        Self {
            canonical,
            hashes: Hashes::default(),
            buckets,
            read: Read::default(),
            unreadable: 0,
            written: HashSet::new(),
        }
    }

    fn take(&mut self, portion: &Portion) -> Result<()> {
        self.read.add(portion);
        self.unreadable += portion.unreadable.len() as u64;
        self.canonical.rows(&portion.rows, &mut self.hashes)?;
        self.buckets.add(&self.hashes.key, &self.hashes.row);
        Ok(())
    }

    fn take_written(&mut self, portion: &Portion) -> Result<()> {
        self.unreadable += portion.unreadable.len() as u64;
        if self.written.len() <= WRITTEN_MAX {
            self.canonical.keys(&portion.rows, &mut self.hashes.key)?;
            self.written.extend(&self.hashes.key);
        }
        Ok(())
    }
}

/// Reads a group whose members all write the same columns.
///
/// # Errors
/// What reading either side fails with.
pub(super) async fn pass(group: &Group, watch: &Watch) -> Result<Passed> {
    let (from, to) = courses(group, watch).await?;
    let kept = from.as_ref().or(to.as_ref()).and_then(|course| course.before.as_ref());
    let empty = || match kept {
        Some((_, buckets)) => Buckets::of(buckets.count()),
        None => Buckets::new(group.rows_estimate()),
    };
    let (of_sources, of_target) = (Side::new(group.canonical(0), empty()), Side::new(group.canonical(0), empty()));
    let sources = async {
        match from {
            Some(course) => {
                let side = in_pieces(group, course, of_sources, watch).await?;
                let read = side.read;
                Ok((side, vec![read]))
            }
            None => sources(group, of_sources, watch).await,
        }
    };
    let target = async {
        if let Some(course) = to {
            return in_pieces(group, course, of_target, watch).await;
        }
        let portions = group.targets[0].read(Wanted::All { handles: false }).await?;
        drain(portions, watch, of_target, |side, portion| side.take(&portion)).await
    };
    let ((mut source, sources), mut target) = tokio::try_join!(sources, target)?;
    let differing = if source.written.len().max(target.written.len()) > WRITTEN_MAX {
        Differing::all(source.read.rows.max(target.read.rows))
    } else {
        let mut written = std::mem::take(&mut source.written);
        written.extend(target.written.drain());
        source.buckets.differing(&target.buckets).with(written)
    };
    Ok(Passed {
        differing,
        sources,
        target_rows: target.read.rows,
        unreadable: source.unreadable + target.unreadable,
    })
}

async fn sources(group: &Group, mut side: Side, watch: &Watch) -> Result<(Side, Vec<Read>)> {
    let mut reads = Vec::new();
    for member in &group.members {
        let portions = member.source.read(Wanted::All { handles: false }).await?;
        let (told, stream) = (watch.clone(), member.name.clone());
        side.read = Read::default();
        side = drain(portions, watch, side, move |side, portion| {
            told.progress(&stream, portion.read);
            side.take(&portion)
        })
        .await?;
        reads.push(side.read);
    }
    Ok((side, reads))
}

/// How a side is read that is read in pieces.
struct Course {
    end: End,
    /// As they are cut now.
    pieces: Pieces,
    /// What an earlier sitting has read.
    before: Option<(Part, Buckets)>,
}

/// How both sides are read; `None` of a side that is read as a whole.
async fn courses(group: &Group, watch: &Watch) -> Result<(Option<Course>, Option<Course>)> {
    if !watch.kept.is_on() {
        return Ok((None, None));
    }
    let (from, to) = tokio::try_join!(
        async {
            match group.members.as_slice() {
                [member] => course(&member.source, End::Source, watch).await,
                _ => Ok(None),
            }
        },
        course(&group.targets[0], End::Target, watch)
    )?;
    let counts = |course: &Option<Course>| Some(course.as_ref()?.before.as_ref()?.1.count());
    if let (Some(one), Some(other)) = (counts(&from), counts(&to))
        && one != other
    {
        watch.kept.anew("its two sides were noted at different times");
        let anew = |course: Option<Course>| course.map(|course| Course { before: None, ..course });
        return Ok((anew(from), anew(to)));
    }
    for course in [&from, &to].into_iter().flatten() {
        if let Some((part, _)) = &course.before {
            watch.kept.goes_on(course.end, part);
            if let (End::Source, [member]) = (course.end, group.members.as_slice()) {
                watch.goes_on(&member.name, member.rows_estimate, part.read.rows);
            }
        }
    }
    Ok((from, to))
}

async fn course(side: &Arc<dyn side::Side>, end: End, watch: &Watch) -> Result<Option<Course>> {
    let before = watch.kept.part(end);
    let pieces = side.pieces().await?;
    let before = match (&pieces, before) {
        (_, None) => None,
        (Some(pieces), Some((part, buckets))) if pieces.layout == part.pieces.layout => Some((part, buckets)),
        (_, Some(_)) => {
            watch.kept.anew(match end {
                End::Source => "its source was written to or moved, and does not tell what is new in it",
                End::Target => "its target was written to or moved, and does not tell what is new in it",
            });
            None
        }
    };
    let worth_it = |pieces: &Pieces| before.is_some() || pieces.count() > 1;
    Ok(pieces.filter(worth_it).map(|pieces| Course { end, pieces, before }))
}

/// Reads what is left of a side, and keeps what was read after each piece.
async fn in_pieces(group: &Group, course: Course, mut sums: Side, watch: &Watch) -> Result<Side> {
    let side = match course.end {
        End::Source => &group.members[0].source,
        End::Target => &group.targets[0],
    };
    let mut part = Part {
        pieces: course.pieces.clone(),
        done: 0,
        began: super::outcome::now(),
        sittings: 1,
        read: Read::default(),
        unreadable: 0,
    };
    if let Some((before, buckets)) = course.before {
        (sums.buckets, sums.read, sums.unreadable) = (buckets, before.read, before.unreadable);
        if before.pieces.mark != course.pieces.mark {
            let portions = side.read(Wanted::Since(before.pieces.mark.clone())).await?;
            sums = drain(portions, watch, sums, |sums, portion| sums.take_written(&portion)).await?;
        }
        part = Part {
            sittings: before.sittings + 1,
            ..before
        };
    }
    while part.done < part.pieces.count() {
        let portions = side.read(Wanted::Piece(part.pieces.piece(part.done))).await?;
        let (told, stream, end) = (watch.clone(), group.name().to_owned(), course.end);
        sums = drain(portions, watch, sums, move |sums, portion| {
            if end == End::Source {
                told.progress(&stream, portion.read);
            }
            sums.take(&portion)
        })
        .await?;
        part.done += 1;
        (part.read, part.unreadable) = (sums.read, sums.unreadable);
        (sums, part) = keep(sums, part, course.end, watch).await?;
    }
    Ok(sums)
}

/// Writing a file blocks.
async fn keep(sums: Side, part: Part, end: End, watch: &Watch) -> Result<(Side, Part)> {
    let kept = Arc::clone(&watch.kept);
    let writing = move || {
        kept.keep(end, &part, &sums.buckets);
        (sums, part)
    };
    tokio::task::spawn_blocking(writing)
        .await
        .map_err(|_| Error::new(ErrorKind::Internal, "the thread that notes what was read panicked"))
}
