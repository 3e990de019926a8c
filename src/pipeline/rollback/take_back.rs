//! One stream on its way back, batch by batch.

use std::time::Instant;

use super::{Event, Events, Leases, Rollback, Shutdown, Way, going_on};
use crate::data::digest::Digest;
use crate::ledger::undo::{ChangedSince, UNDO_SPLIT, UndoStep, Undone};
use crate::ledger::{BatchEntry, Checkpoint, Suspended};
use crate::pipeline::worker;
use crate::sink::Session;
use crate::{Error, ErrorKind, Result};

impl Way {
    /// What taking it back would do.
    pub(super) async fn look(&self, session: &mut dyn Session, run: uuid::Uuid) -> Result<ChangedSince> {
        let Some(only) = &self.only else {
            return session.changed_since(run, None, super::KEYS_MAX).await;
        };
        let mut all = ChangedSince::default();
        for keys in only {
            let found = session.changed_since(run, Some(keys), super::KEYS_MAX).await?;
            all.unchanged += found.unchanged;
            all.rows += found.rows;
            all.keys.extend(found.keys);
            for (key, rows) in found.referred {
                match all.referred.iter_mut().find(|(known, _)| *known == key) {
                    Some((_, known)) => *known += rows,
                    None => all.referred.push((key, rows)),
                }
            }
        }
        all.keys.truncate(super::KEYS_MAX);
        Ok(all)
    }

    /// The whole stream adds up, or the last batch is given up.
    fn adds_up(&self, done: Undone) -> Result<()> {
        let written = self.undoable.inserted + self.undoable.updated;
        if done.rows() == written {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Validation,
            format!(
                "stream `{}`: the run inserted and changed {written} rows, but {} were taken back or found to be otherwise",
                self.target.stream,
                done.rows()
            ),
        )
        .hint("what was taken back stays so; nothing is forgotten: the checkpoints of the stream are as the run left them"))
    }
}

/// A stream that is open on its session, and where it is.
struct Open<'s> {
    session: &'s mut dyn Session,
    checkpoint: Checkpoint,
    /// Since all of it began.
    done: Undone,
    /// Foreign keys that were taken away for it.
    taken_away: Vec<Suspended>,
}

impl Rollback<'_> {
    /// Takes one stream back.
    pub(super) async fn take_back(&mut self, at: usize, leases: &mut Leases, (events, stop): (&Events, &Shutdown)) -> Result<()> {
        let (way, told) = (&self.ways[at], &mut self.report.streams[at]);
        let stream = &way.target.stream;
        events(Event::StreamStarted {
            stream: stream.clone(),
            rows: told.left(),
            resumed: None,
        });
        let own = leases.run;
        let session = leases.session(&way.connection)?;
        let found = session.open_stream(&way.target, UNDO_SPLIT, false).await?;
        let checkpoint = self.wanted.checkpoint(stream, own, session.epoch(), found);
        let before = if way.only.is_some() {
            Undone::default()
        } else {
            way.undoable.done
        };
        let mut open = Open {
            session,
            checkpoint,
            done: before,
            taken_away: Vec::new(),
        };
        let asked = UndoStep {
            run: self.wanted.run,
            rows_max: self.wanted.rows_max,
            winner: self.wanted.winner,
        };
        match &way.only {
            Some(only) => {
                for keys in only {
                    going_on(stop)?;
                    open.batch(way, (asked, Some(keys)), events).await?;
                }
            }
            None => {
                while open.batch(way, (asked, None), events).await? > 0 {
                    told.done(open.done);
                    going_on(stop)?;
                }
            }
        }
        self.taken_away.append(&mut open.taken_away);
        told.done(open.done);
        told.complete = way.only.is_none();
        events(Event::StreamFinished {
            stream: stream.clone(),
            counts: open.checkpoint.counts,
        });
        Ok(())
    }
}

impl Open<'_> {
    /// One batch, with its entry in the ledger; returns 0 where it was about nothing. The one that finds
    /// nothing left ends the stream's way back.
    async fn batch(
        &mut self,
        way: &Way,
        what: (UndoStep, Option<&arrow::record_batch::RecordBatch>),
        events: &Events,
    ) -> Result<u64> {
        let own_keys = way.keys_to_itself();
        let began = Instant::now();
        // For the rows of a subject no key is taken away: all others are still there.
        let mut taken_away = own_keys.is_empty() || what.1.is_some();
        let undone = loop {
            self.session.begin(self.checkpoint.sequence, false).await?;
            match self.step(way, what).await {
                Ok(undone) => break undone,
                Err(error) if error.kind() == ErrorKind::Refused && !taken_away => {
                    // Rows of a table that refers to itself may have come in any order.
                    tracing::debug!(%error, "tried again without the keys from the table to itself");
                    self.session.rollback().await?;
                    self.session.suspend(&own_keys).await?;
                    self.taken_away.extend(own_keys.iter().cloned());
                    taken_away = true;
                }
                Err(error) => return Err(worker::give_up(self.session, error).await),
            }
        };
        let mut after = self.checkpoint.clone();
        after.sequence += 1;
        let counts = crate::data::counts::Counts {
            read: undone.rows(),
            updated: undone.removed + undone.restored,
            skipped: undone.gone + undone.kept,
            ..crate::data::counts::Counts::default()
        };
        after.counts += counts;
        let entry = BatchEntry {
            run: after.run,
            stream: after.stream.clone(),
            split: after.split,
            sequence: after.sequence,
            first_key: None,
            last_key: None,
            counts,
            digest: Digest::default(),
            seconds: began.elapsed().as_secs_f64(),
            retry: false,
        };
        self.session.commit(&after, &entry).await?;
        self.done += undone;
        events(Event::Progress {
            stream: after.stream.clone(),
            rows: undone.rows(),
            bytes: 0,
        });
        events(Event::BatchCommitted {
            stream: after.stream.clone(),
            sequence: after.sequence,
            counts,
            took: began.elapsed(),
        });
        self.checkpoint = after;
        Ok(undone.rows() + u64::from(undone.more))
    }

    async fn step(&mut self, way: &Way, (step, only): (UndoStep, Option<&arrow::record_batch::RecordBatch>)) -> Result<Undone> {
        let undone = self.session.undo(step, only).await?;
        if undone.rows() == 0 && !undone.more && only.is_none() {
            way.adds_up(self.done)?;
            self.session.undo_finished(step.run).await?;
        }
        Ok(undone)
    }
}

impl super::Wanted<'_> {
    /// The checkpoint of the way back: it counts, and is no place to go on from.
    fn checkpoint(&self, stream: &str, own: uuid::Uuid, epoch: i64, found: Option<Checkpoint>) -> Checkpoint {
        let found = found.map(|found| (found.sequence, found.counts)).unwrap_or_default();
        Checkpoint {
            project: self.project.name.clone(),
            stream: stream.to_owned(),
            split: UNDO_SPLIT,
            sequence: found.0,
            run: own,
            epoch,
            fingerprint: String::new(),
            moment: String::new(),
            one_moment: false,
            position: None,
            counts: found.1,
            digest: Digest::default(),
            target_was_empty: false,
            complete: false,
        }
    }
}
