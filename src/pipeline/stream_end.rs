//! The end of a stream: a stream that is split is complete when its last split is, and it is
//! validated as a whole before that split's last batch commits.

use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::{Mutex, MutexGuard};

use super::validate;
use super::worker::{Job, Progress};
use crate::ledger::Checkpoint;
use crate::sink::Session;
use crate::{Error, ErrorKind, Result};

/// How many splits of a stream are complete.
pub(super) struct StreamEnd {
    splits: usize,
    state: Mutex<State>,
}

/// Of a stream whose end somebody is looking at; nobody else ends a split meanwhile.
#[derive(Default)]
pub(super) struct State {
    complete: BTreeMap<i32, Checkpoint>,
    /// Splits whose last commit was begun, and nobody knows how it went.
    in_doubt: BTreeSet<i32>,
    /// This run has compared the figures of the whole stream.
    validated: bool,
    /// Somebody sees to the stream's end, or has done so.
    told: bool,
}

/// What is left to do when a split is complete.
pub(super) enum Ending {
    /// Other splits are not complete, or somebody has done it.
    Nothing,
    /// The stream was complete before this run.
    Before(Checkpoint),
    /// This run completed it.
    Now(Checkpoint),
}

impl StreamEnd {
    /// Of a stream with `splits` splits, of which some are complete.
    pub(super) fn new(splits: usize, complete: Vec<Checkpoint>) -> Self {
        Self {
            splits,
            state: Mutex::new(State {
                complete: complete
                    .into_iter()
                    .map(|checkpoint| (checkpoint.split, checkpoint))
                    .collect(),
                ..State::default()
            }),
        }
    }

    /// Before the batch that completes a split commits: where it is the last split, the figures
    /// of the whole stream are compared. The lock is kept until the outcome of the commit is
    /// told by [`State::is_complete`].
    ///
    /// # Errors
    /// [`ErrorKind::Validation`]; [`ErrorKind::Lost`] while it is unknown whether another split
    /// is complete.
    pub(super) async fn before_commit(
        &self,
        job: &Job<'_>,
        session: &mut dyn Session,
        after: &Checkpoint,
        progress: &mut Progress,
    ) -> Result<MutexGuard<'_, State>> {
        let mut state = self.state.lock().await;
        state.in_doubt.remove(&after.split);
        let others = state.complete.values().filter(|other| other.split != after.split);
        let known = others.clone().count() + 1;
        if known == self.splits {
            let whole = Checkpoint::whole(others.chain([after]));
            if let (Some(whole), false) = (whole, crate::ledger::BARE) {
                validate::completion(job, session, &whole, progress).await?;
            }
            state.validated = true;
        } else if known + state.in_doubt.len() == self.splits {
            return Err(Error::new(
                ErrorKind::Lost,
                "it is not known yet whether the other splits of the stream are complete",
            ));
        }
        state.in_doubt.insert(after.split);
        Ok(state)
    }

    /// What the target says of a split, read under its lock.
    pub(super) async fn seen(&self, checkpoint: &Checkpoint) {
        let mut state = self.state.lock().await;
        state.in_doubt.remove(&checkpoint.split);
        if checkpoint.complete {
            state.complete.insert(checkpoint.split, checkpoint.clone());
        }
    }

    /// A split is complete, and its session has nothing else to do: what about the stream? It is
    /// the caller's to see to; [`Self::left_undone`] gives that back.
    pub(super) async fn ending(&self) -> Ending {
        let mut state = self.state.lock().await;
        if state.told || state.complete.len() < self.splits {
            return Ending::Nothing;
        }
        state.told = true;
        match Checkpoint::whole(state.complete.values()) {
            Some(whole) if state.validated => Ending::Now(whole),
            Some(whole) => Ending::Before(whole),
            None => Ending::Nothing,
        }
    }

    /// Whoever was to see to the stream's end could not.
    pub(super) async fn left_undone(&self) {
        self.state.lock().await.told = false;
    }
}

impl State {
    /// The batch that completes a split is durable.
    pub(super) fn is_complete(&mut self, after: &Checkpoint) {
        self.in_doubt.remove(&after.split);
        self.complete.insert(after.split, after.clone());
    }
}
