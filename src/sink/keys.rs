//! Keys of a store as its server writes them down, whoever made them: what a backup is made of.
//!
//! Nothing here knows streams or layouts; which keys are meant is told by patterns of the server's
//! own (`players:*`). Keys of the ledger that speak of a living run (its lease) are never among them.

use async_trait::async_trait;
use tokio::sync::mpsc;

use crate::Result;

/// A key with all that it holds.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyDump {
    /// Its name.
    pub key: Vec<u8>,
    /// What it holds, in the server's own form, with the server's checksum.
    pub payload: Vec<u8>,
    /// When it expires, in milliseconds since 1970; `None` where it does not.
    pub expires_at: Option<i64>,
}

/// Prints sizes alone: keys and what they hold are the user's (Invariant 9).
impl std::fmt::Debug for KeyDump {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyDump({} + {} bytes)", self.key.len(), self.payload.len())
    }
}

impl KeyDump {
    /// Bytes that it takes, about.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.key.len() + self.payload.len() + 32
    }
}

/// A store of keys that can be taken away and brought back.
#[async_trait]
pub trait KeyStore: Send + Sync {
    /// Hands on all keys that match, each once, with what they hold at the moment when each is read;
    /// those that expire meanwhile are left out. Ends early when nobody takes them any more.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Lost`] where the server or cluster changed meanwhile.
    async fn dump(&self, project: &str, glob: &str, give: mpsc::Sender<KeyDump>) -> Result<()>;

    /// How many keys match, and the names of a few of them.
    async fn present(&self, project: &str, glob: &str) -> Result<(u64, Vec<String>)>;

    /// Writes keys over whatever is there, with the moments at which they expire.
    async fn put(&self, keys: &[KeyDump]) -> Result<()>;

    /// Writes keys under names of their own, where nobody looks and which vanish by themselves in
    /// minutes, checks that they are there, and removes them again.
    async fn try_out(&self, scratch: &str, keys: &[KeyDump]) -> Result<()>;

    /// Removes all keys that match.
    async fn remove(&self, project: &str, glob: &str) -> Result<()>;

    /// The moment at the server, in milliseconds since 1970.
    async fn now(&self) -> Result<i64>;

    /// Nobody alive writes for this project.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Busy`] naming who does.
    async fn check_idle(&self, project: &str) -> Result<()>;

    /// Notes in the store that keys of a project are being brought back: no run begins until
    /// [`Self::end_restore`]. Says so where an earlier one was never ended.
    async fn begin_restore(&self, project: &str) -> Result<bool>;

    /// All of them are back. The number of the last lease never goes back, so that a writer of before
    /// stays fenced off.
    async fn end_restore(&self, project: &str) -> Result<()>;
}
