//! Names of the ledger's keys: all of one project in one slot, behind the prefix of a rehearsal.

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
        let mut name = self.prefix.clone().into_bytes();
        name.extend_from_slice(LEDGER.as_bytes());
        name.push(b'{');
        name.extend_from_slice(super::slot::tag(key));
        name.extend_from_slice(b"}:staged:");
        name.extend_from_slice(stream.as_bytes());
        name.push(b':');
        name.extend_from_slice(key);
        name
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
        }
    }
}
