//! The undo log: beside each key that a run writes, in the same slot, what it was before, and what the
//! run made of it. What a row is there is what the ledger counts: a key, or a member of one that gathers
//! them; of lists and streams, which come into being as a whole, the key with as many rows as it has
//! elements.
//!
//! A key and its log are written by one script (`script.rs`), so that neither is ever without the other;
//! what the ledger held of the stream before is copied when the run opens it (`state.rs`).

use uuid::Uuid;

use super::command::Command;
use super::link::Link;
use super::names::Names;
use super::ordered::Grown;
use super::planned::{Expected, Planned};
use super::slot;
use crate::data::reject::Reason;
use crate::error::Refusal;
use crate::{Error, Result};

mod again;
mod back;
mod growing;
mod look;
mod restored;
mod script;
mod state;
mod walk;

pub(super) use back::{finish, undo};
pub(super) use look::changed_since;
pub(super) use script::load;
pub(super) use state::{check_whole, forget, is_kept, open, rolled_back, undoable};
pub(super) use walk::Walk;

/// Where a run logs what it writes of a stream.
#[derive(Debug, Clone)]
pub(super) struct Log {
    names: Names,
    run: Uuid,
    stream: String,
    is_cluster: bool,
    /// The split and the number of the batch.
    batch: String,
}

impl Log {
    pub(super) const fn new(names: Names, run: Uuid, stream: String, is_cluster: bool) -> Self {
        Self {
            names,
            run,
            stream,
            is_cluster,
            batch: String::new(),
        }
    }

    /// For one batch of a split.
    pub(super) fn of_batch(&self, split: i32, sequence: i64) -> Self {
        Self {
            batch: format!("{split}:{sequence}"),
            ..self.clone()
        }
    }

    /// Name of the log beside a key.
    pub(super) fn key(&self, key: &[u8]) -> Result<Vec<u8>> {
        let log = self.names.undo(self.run, &self.stream, key);
        if self.is_cluster && slot::of(&log) != slot::of(key) {
            return Err(Error::refused(Refusal {
                column: None,
                reason: Reason::Refused,
                detail: "the braces of this key have nothing in between, so that no undo log can be in its slot".to_owned(),
            }));
        }
        Ok(log)
    }

    /// How many elements lists and streams had before the run.
    pub(super) async fn grown_before(&self, link: &mut Link, page: &[(Vec<u8>, Grown)]) -> Result<Vec<u64>> {
        let keys: Vec<&[u8]> = page.iter().map(|(key, _)| key.as_slice()).collect();
        growing::grown_before(link, &self.names, (self.run, &self.stream), &keys).await
    }

    /// Plans the commands that write a key as one that logs it too. `times` is how often the batch has
    /// written it by then, `new` whether it must not be there.
    ///
    /// # Errors
    /// A refusal, where it cannot be logged.
    pub(super) fn write(&self, planned: &mut Planned, (key, times): (&[u8], u64), new: bool, own: Planned) -> Result<()> {
        let log = self.key(key)?;
        let script = script::WRITE
            .on(&[key, &log])
            .arg(if new { b"1" } else { b"0" })
            .arg(self.batch.as_bytes())
            .arg(times.to_string().as_bytes());
        wrap(planned, script, own);
        Ok(())
    }

    /// As [`Self::write`], for a list or stream that takes its place.
    ///
    /// # Errors
    /// A refusal, where it cannot be logged.
    pub(super) fn place(&self, (key, staged): (&[u8], &[u8]), elements: u64, (new, own): (bool, Planned)) -> Result<Command> {
        let log = self.key(key)?;
        let script = script::WRITE
            .on(&[key, &log, staged])
            .arg(if new { b"1" } else { b"0" })
            .arg(b"p")
            .arg(elements.to_string().as_bytes());
        let mut planned = Planned::default();
        wrap(&mut planned, script, own);
        planned
            .commands
            .pop()
            .ok_or_else(|| Error::new(crate::ErrorKind::Internal, "a key was put in place by no command"))
    }

    /// As [`Self::write`], for members of a key, each with how often the batch has written it by then.
    /// With `whole` what the key holds then is kept as well.
    ///
    /// # Errors
    /// A refusal, where it cannot be logged.
    pub(super) fn members(
        &self,
        planned: &mut Planned,
        (key, scored, whole): (&[u8], bool, bool),
        members: &[(&[u8], u64)],
        own: Planned,
    ) -> Result<()> {
        let log = self.key(key)?;
        let flag = |set: bool| if set { b"1" } else { b"0" };
        let mut script = script::WRITE_MEMBERS
            .on(&[key, &log])
            .arg(flag(scored))
            .arg(self.batch.as_bytes())
            .arg(flag(whole))
            .arg(members.len().to_string().as_bytes());
        for (member, times) in members {
            script.push(member);
            script.push(times.to_string().as_bytes());
        }
        wrap(planned, script, own);
        Ok(())
    }
}

/// Puts commands into a script's arguments, each with the number of its words.
fn wrap(planned: &mut Planned, mut script: Command, own: Planned) {
    for command in own.commands {
        let words: Vec<&[u8]> = command
            .cmd
            .args_iter()
            .filter_map(|word| match word {
                redis::Arg::Simple(word) => Some(word),
                _ => None,
            })
            .collect();
        script.push(words.len().to_string().as_bytes());
        script.extend(words);
    }
    planned.push(script, Expected::Each(own.expected));
}
