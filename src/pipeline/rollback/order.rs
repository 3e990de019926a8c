//! Which stream goes back first: one that refers to another before that one, and of several that write
//! the same table the one that wrote last.

use super::{Leases, Rollback, Way};
use crate::data::table::ForeignKey;
use crate::ledger::Suspended;
use crate::{Error, ErrorKind, Result};

/// Puts the streams in order.
pub(super) fn arrange(ways: &mut Vec<Way>) {
    ways.sort_by(|a, b| b.last.cmp(&a.last));
    let mut left = std::mem::take(ways);
    while !left.is_empty() {
        let free = (0..left.len()).find(|at| left.iter().all(|other| !refers(other, &left[*at])));
        // A circle: the keys in it are taken away for the time.
        ways.push(left.remove(free.unwrap_or(0)));
    }
}

/// Whether rows of one stream refer to rows of another one, of another table.
fn refers(way: &Way, to: &Way) -> bool {
    way.connection == to.connection
        && way.target.table != to.target.table
        && way.foreign_keys.iter().any(|key| key.table == to.target.table)
}

impl Rollback<'_> {
    /// Takes away the foreign keys that no order keeps.
    pub(super) async fn suspend_circles(&mut self, leases: &mut Leases) -> Result<()> {
        for (at, way) in self.ways.iter().enumerate() {
            let gone_before = |key: &&ForeignKey| {
                let mut before = self.ways[..at].iter().filter(|other| !other.undoable.complete);
                before.any(|other| {
                    other.connection == way.connection && other.target.table == key.table && key.table != way.target.table
                })
            };
            let keys: Vec<_> = way
                .foreign_keys
                .iter()
                .filter(gone_before)
                .map(|key| way.suspended(key))
                .collect();
            if keys.is_empty() || way.undoable.complete {
                continue;
            }
            let session = leases.session(&way.connection)?;
            session
                .open_stream(&way.target, crate::ledger::undo::UNDO_SPLIT, false)
                .await?;
            session.suspend(&keys).await?;
            self.taken_away.extend(keys);
        }
        Ok(())
    }

    /// Puts foreign keys back that are away, those of the run that was taken back too. One of these that does
    /// not hold yet waits for the next run, which puts it back as always.
    ///
    /// # Errors
    /// [`ErrorKind::Validation`] where one does not hold that was taken away for the way back.
    pub(super) async fn restore_keys(&mut self, leases: &mut Leases) -> Result<()> {
        for session in leases.sessions.values_mut() {
            for key in session.suspended().await? {
                let held = session.restore(&key).await?;
                let ours = self
                    .taken_away
                    .iter()
                    .any(|own| own.table == key.table && own.key.name == key.key.name);
                if !held && ours {
                    return Err(Error::new(
                        ErrorKind::Validation,
                        format!("{} does not hold any more: rows refer to nothing by it", key.described()),
                    )
                    .hint("it is away until a run of the stream puts it back; find these rows, and mend or delete them"));
                }
                if !held {
                    self.report.warnings.push(format!(
                        "{} is still away, for rows refer to nothing by it; the next run puts it back, or tells which rows these are",
                        key.described()
                    ));
                }
            }
        }
        Ok(())
    }
}

impl Way {
    /// A key of its table, taken away for the way back.
    pub(super) fn suspended(&self, key: &ForeignKey) -> Suspended {
        Suspended {
            stream: self.target.stream.clone(),
            table: self.target.table.clone(),
            key: key.clone(),
            validated: true,
            until: vec![self.target.stream.clone()],
        }
    }

    /// Keys from its table to itself.
    pub(super) fn keys_to_itself(&self) -> Vec<Suspended> {
        let own = self.foreign_keys.iter().filter(|key| key.table == self.target.table);
        own.map(|key| self.suspended(key)).collect()
    }
}
