//! Names of the ledger's keys: all of one project in one slot, behind the prefix of a rehearsal.

use uuid::Uuid;

use crate::data::keyed::pattern::escape_glob;

/// How the ledger's own keys begin, behind the prefix.
pub(super) const LEDGER: &str = "dbferry:";

/// The names for one project.
#[derive(Debug, Clone)]
pub(super) struct Names {
    prefix: String,
    beginning: String,
}

impl Names {
    pub(super) fn new(prefix: &str, project: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
            beginning: format!("{prefix}{LEDGER}{{{project}}}:"),
        }
    }

    fn of(&self, what: &str) -> Vec<u8> {
        format!("{}{what}", self.beginning).into_bytes()
    }

    /// Counts the leases: who writes under an older number is fenced off.
    pub(super) fn epoch(&self) -> Vec<u8> {
        self.of("epoch")
    }

    /// Who holds the lease; it expires when nobody renews it.
    pub(super) fn lease(&self) -> Vec<u8> {
        self.of("lease")
    }

    /// Runs by their ids.
    pub(super) fn runs(&self) -> Vec<u8> {
        self.of("runs")
    }

    /// Backups that were made for runs, by the runs' ids.
    pub(super) fn backups(&self) -> Vec<u8> {
        self.of("backups")
    }

    /// There while keys are being brought back from a backup; holds the last lease's number of before.
    pub(super) fn restoring(&self) -> Vec<u8> {
        self.of("restoring")
    }

    /// `split:stream` of every checkpoint.
    pub(super) fn streams(&self) -> Vec<u8> {
        self.of("streams")
    }

    /// A split as [`Self::streams`] has it.
    pub(super) fn member(stream: &str, split: i32) -> Vec<u8> {
        format!("{split}:{stream}").into_bytes()
    }

    /// A checkpoint.
    pub(super) fn checkpoint(&self, stream: &str, split: i32) -> Vec<u8> {
        self.of(&format!("checkpoint:{split}:{stream}"))
    }

    /// Batches of a stream by `split:sequence:run`.
    pub(super) fn batches(&self, stream: &str) -> Vec<u8> {
        self.of(&format!("batches:{stream}"))
    }

    /// Rejects by id.
    pub(super) fn rejects(&self) -> Vec<u8> {
        self.of("rejects")
    }

    /// The last id of a reject.
    pub(super) fn reject_id(&self) -> Vec<u8> {
        self.of("reject_id")
    }

    /// Source rows by the digests of the keys that they have claimed.
    pub(super) fn claims(&self, stream: &str) -> Vec<u8> {
        self.of(&format!("claims:{stream}"))
    }

    /// Keys that get their expiry or their name when the stream is complete.
    /// Rows that are moved beside the stream (of a subject, or changed since) have keys of their own
    /// here.
    pub(super) fn touched(&self, stream: &str, split: i32) -> Vec<u8> {
        match split {
            ..0 => self.of(&format!("touched:{split}:{stream}")),
            _ => self.of(&format!("touched:{stream}")),
        }
    }

    /// Where a list or stream grows until it is complete: beside its key, in the same slot.
    pub(super) fn staged(&self, stream: &str, key: &[u8]) -> Vec<u8> {
        self.beside(&format!(":staged:{stream}:"), key)
    }

    /// The pattern of all lists and streams of a stream that grow.
    pub(super) fn staged_glob(&self, stream: &str) -> String {
        self.beside_glob(&format!(":staged:{stream}:"))
    }

    /// Whether a key that fits the pattern is one of them, and no key of an application's beside which
    /// something else of dbferry's stands.
    pub(super) fn is_staged(&self, stream: &str, found: &[u8]) -> bool {
        let of = format!(":staged:{stream}:").into_bytes();
        let key = found
            .windows(of.len())
            .position(|window| window == of)
            .map(|at| &found[at + of.len()..]);
        key.is_some_and(|key| self.staged(stream, key) == found)
    }

    /// A key of dbferry's own in the slot of another one.
    fn beside(&self, what: &str, key: &[u8]) -> Vec<u8> {
        let mut name = self.prefix.clone().into_bytes();
        name.extend_from_slice(LEDGER.as_bytes());
        name.push(b'{');
        name.extend_from_slice(super::slot::tag(key));
        name.push(b'}');
        name.extend_from_slice(what.as_bytes());
        name.extend_from_slice(key);
        name
    }

    /// What an undo log knows of a run and stream.
    pub(super) fn undo_record(&self, run: Uuid, stream: &str) -> Vec<u8> {
        self.of(&format!("undo:{run}:{stream}"))
    }

    /// What it keeps of the ledger.
    pub(super) fn undo_saved(&self, run: Uuid, stream: &str, what: &str) -> Vec<u8> {
        self.of(&format!("undo_{what}:{run}:{stream}"))
    }

    /// Streams of which a run keeps an undo log.
    pub(super) fn undo_streams(&self, run: Uuid) -> Vec<u8> {
        self.of(&format!("undo_streams:{run}"))
    }

    /// The run that is half taken back of a stream.
    pub(super) fn undoing(&self, stream: &str) -> Vec<u8> {
        self.of(&format!("undoing:{stream}"))
    }

    /// What a run keeps of a key: beside it, in the same slot.
    pub(super) fn undo(&self, run: Uuid, stream: &str, key: &[u8]) -> Vec<u8> {
        self.beside(&Self::undo_of(run, stream), key)
    }

    /// What a run keeps of a list or stream that an earlier one had begun.
    pub(super) fn undo_staged(&self, run: Uuid, stream: &str, key: &[u8]) -> Vec<u8> {
        self.beside(&Self::undo_staged_of(run, stream), key)
    }

    fn undo_staged_of(run: Uuid, stream: &str) -> String {
        format!(":undo_staged:{run}:{stream}:")
    }

    /// The pattern of all of them.
    pub(super) fn undo_staged_glob(&self, run: Uuid, stream: &str) -> String {
        self.beside_glob(&Self::undo_staged_of(run, stream))
    }

    /// `run:stream` of all that may be there, those too that no undo log knows yet, or any more.
    pub(super) fn undo_copies(&self) -> Vec<u8> {
        self.of("undo_copies")
    }

    /// What stands before the key in the name of its log.
    fn undo_of(run: Uuid, stream: &str) -> String {
        format!(":undo:{run}:{stream}:")
    }

    /// The pattern of all logs of a run and stream.
    pub(super) fn undo_glob(&self, run: Uuid, stream: &str) -> String {
        self.beside_glob(&Self::undo_of(run, stream))
    }

    fn beside_glob(&self, what: &str) -> String {
        let (prefix, what) = (escape_glob(&self.prefix), escape_glob(what));
        format!("{prefix}{LEDGER}{{*}}{what}*")
    }

    /// The key whose log has this name.
    pub(super) fn undone_key(run: Uuid, stream: &str, log: &[u8]) -> Option<Vec<u8>> {
        let of = Self::undo_of(run, stream).into_bytes();
        let at = log.windows(of.len()).position(|window| window == of)?;
        Some(log[at + of.len()..].to_vec())
    }

    /// What keys of the application begin with.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }
}

#[cfg(test)]
mod tests {
    use super::super::slot;
    use super::*;

    #[test]
    fn what_belongs_together_is_in_one_slot() {
        let names = Names::new("rehearsal:", "game");
        assert_eq!(names.epoch(), b"rehearsal:dbferry:{game}:epoch");
        assert_eq!(slot::of(&names.epoch()), slot::of(&names.checkpoint("players", 3)));
        for key in ["rehearsal:queue", "rehearsal:{7}:cart", "x{}y"] {
            let staged = names.staged("queue", key.as_bytes());
            if key != "x{}y" {
                assert_eq!(slot::of(&staged), slot::of(key.as_bytes()), "{key}");
            }
            assert!(staged.starts_with(b"rehearsal:dbferry:"));
            let undo = names.undo(Uuid::nil(), "queue", key.as_bytes());
            assert_eq!(slot::of(&undo) == slot::of(key.as_bytes()), key != "x{}y", "{key}");
            assert_eq!(Names::undone_key(Uuid::nil(), "queue", &undo), Some(key.as_bytes().to_vec()));
        }
    }
}
