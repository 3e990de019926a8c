//! Pass one: both sides at once, in any order, into buckets. Memory is that of the buckets.

use super::bucket::{Buckets, Differing};
use super::canonical::{Canonical, Hashes};
use super::drain::{Watch, drain};
use super::group::Group;
use super::side::{Portion, Wanted};
use crate::Result;

/// What was read of one stream's source.
#[derive(Debug, Clone, Copy, Default)]
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
}

impl Side {
    fn new(canonical: Canonical, rows: u64) -> Self {
        Self {
            canonical,
            hashes: Hashes::default(),
            buckets: Buckets::new(rows),
            read: Read::default(),
            unreadable: 0,
        }
    }

    fn take(&mut self, portion: &Portion) -> Result<()> {
        self.read.add(portion);
        self.unreadable += portion.unreadable.len() as u64;
        self.canonical.rows(&portion.rows, &mut self.hashes)?;
        self.buckets.add(&self.hashes.key, &self.hashes.row);
        Ok(())
    }
}

/// Reads a group whose members all write the same columns.
///
/// # Errors
/// What reading either side fails with.
pub(super) async fn pass(group: &Group, watch: &Watch) -> Result<Passed> {
    let sources = async {
        let mut reads = Vec::new();
        let mut side = Side::new(group.canonical(0), group.rows_estimate());
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
    };
    let target = async {
        let portions = group.targets[0].read(Wanted::All { handles: false }).await?;
        drain(
            portions,
            watch,
            Side::new(group.canonical(0), group.rows_estimate()),
            |side, portion| side.take(&portion),
        )
        .await
    };
    let ((source, sources), target) = tokio::try_join!(sources, target)?;
    Ok(Passed {
        differing: source.buckets.differing(&target.buckets),
        sources,
        target_rows: target.read.rows,
        unreadable: target.unreadable,
    })
}
