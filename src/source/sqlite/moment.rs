//! A text that names the content of a database file as one transaction sees it.
//!
//! Two equal texts mean the same content. The reverse does not hold: a checkpoint that empties the
//! write-ahead log moves content without changing it, and gives another text.
//!
//! The log is read here as its format defines it: the last frame that ends a transaction and
//! whose checksum chain is whole, named by the salts of the log and that checksum. The database
//! file itself is only looked at from outside: to open and close it would give up the locks that
//! SQLite holds in this process.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A commit is in the log a little before other connections see it. A log that was written to
/// within this time may hold such a one.
const COMMIT_IN_FLIGHT_MAX: Duration = Duration::from_millis(50);

const LOG_HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;

/// The database file and its log.
pub(super) struct Files {
    database: PathBuf,
    log: PathBuf,
}

/// Both files as seen from outside; equal before and after means untouched between.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct State {
    database: Option<(u64, SystemTime)>,
    log: Option<(u64, SystemTime)>,
}

impl Files {
    /// The files of a database at an absolute path without symbolic links.
    pub(super) fn of(database: &Path) -> Self {
        let mut log = OsString::from(database);
        log.push("-wal");
        Self {
            database: database.to_owned(),
            log: log.into(),
        }
    }

    pub(super) fn state(&self) -> State {
        State {
            database: outside(&self.database),
            log: outside(&self.log),
        }
    }

    /// Sleeps until a commit that is being written is visible to others.
    pub(super) fn wait_for_commit_in_flight(&self) {
        let Some((_, written)) = outside(&self.log) else { return };
        // A time in the future is a clock that differs from ours: nothing can be learned from it.
        if let Ok(age) = written.elapsed() {
            std::thread::sleep(COMMIT_IN_FLIGHT_MAX.saturating_sub(age));
        }
    }

    /// Names the content; `None` while the log changes under the reading.
    pub(super) fn content(&self, state: &State) -> Option<String> {
        let end = match state.log {
            Some((length, _)) if length > 0 => last_commit(&self.log).ok()?,
            _ => None,
        };
        if let Some(end) = end {
            return Some(format!(
                "wal {:08x}{:08x} frame {} checksum {:08x}{:08x}",
                end.salt[0], end.salt[1], end.frame, end.checksum[0], end.checksum[1]
            ));
        }
        let (length, written) = state.database?;
        let since = written.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Some(format!(
            "file of {length} bytes written at {}.{:09}",
            since.as_secs(),
            since.subsec_nanos()
        ))
    }
}

/// A text that is equal to no other, for a moment that could not be told.
pub(super) fn unsettled() -> String {
    format!("unsettled {}", uuid::Uuid::new_v4())
}

fn outside(path: &Path) -> Option<(u64, SystemTime)> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.len(), found.modified().ok()?))
}

/// The end of the last transaction in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Commit {
    salt: [u32; 2],
    frame: u64,
    checksum: [u32; 2],
}

/// Walks the log as recovery does. `None` where it holds no whole transaction. The log itself
/// carries no locks, so that opening it here does no harm.
fn last_commit(log: &Path) -> io::Result<Option<Commit>> {
    let mut log = BufReader::with_capacity(1 << 16, File::open(log)?);
    let mut header = [0; LOG_HEADER_BYTES];
    if !fill(&mut log, &mut header)? {
        return Ok(None);
    }
    // The lowest bit of the magic number tells the byte order of the checksums.
    let big_endian = match word(&header, 0) {
        0x377f_0682 => false,
        0x377f_0683 => true,
        _ => return Ok(None),
    };
    let salt = [word(&header, 16), word(&header, 20)];
    let mut checksum = add(big_endian, [0, 0], &header[..24]);
    let page_bytes = word(&header, 8) as usize;
    if checksum != [word(&header, 24), word(&header, 28)] || !(512..=65_536).contains(&page_bytes) {
        return Ok(None);
    }
    let mut frame = vec![0; FRAME_HEADER_BYTES + page_bytes];
    let mut last = None;
    for number in 1.. {
        if !fill(&mut log, &mut frame)? || [word(&frame, 8), word(&frame, 12)] != salt {
            break;
        }
        checksum = add(big_endian, checksum, &frame[..8]);
        checksum = add(big_endian, checksum, &frame[FRAME_HEADER_BYTES..]);
        if checksum != [word(&frame, 16), word(&frame, 20)] {
            break;
        }
        let ends_transaction = word(&frame, 4) != 0;
        if ends_transaction {
            last = Some(Commit {
                salt,
                frame: number,
                checksum,
            });
        }
    }
    Ok(last)
}

/// Reads until `buffer` is full; false where the file ends before.
fn fill(file: &mut impl io::Read, buffer: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().fold(0, |word, byte| (word << 8) | u32::from(*byte))
}

/// The log's running checksum over pairs of words.
fn add(big_endian: bool, checksum: [u32; 2], bytes: &[u8]) -> [u32; 2] {
    let [mut first, mut second] = checksum;
    for pair in bytes.chunks_exact(8) {
        let (left, right) = (word(pair, 0), word(pair, 4));
        let (left, right) = if big_endian {
            (left, right)
        } else {
            (left.swap_bytes(), right.swap_bytes())
        };
        first = first.wrapping_add(left).wrapping_add(second);
        second = second.wrapping_add(right).wrapping_add(first);
    }
    [first, second]
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    fn content(files: &Files) -> String {
        files.content(&files.state()).expect("nobody writes")
    }

    #[test]
    fn every_commit_gives_another_text_and_nothing_else_does() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().canonicalize().expect("it exists").join("a.db");
        let files = Files::of(&path);
        let writer = Connection::open(&path).expect("a new database");
        writer
            .execute_batch("pragma journal_mode = wal; create table t (v)")
            .expect("a table");
        let mut seen = vec![content(&files)];
        assert!(seen[0].starts_with("wal "), "{seen:?}");
        for round in 0..20 {
            writer
                .execute("insert into t values (zeroblob(3000))", [])
                .expect("an insert");
            let text = content(&files);
            assert_eq!(text, content(&files));
            assert!(!seen.contains(&text), "{text}");
            seen.push(text);
            if round % 5 == 4 {
                // Copies the log into the file; the log's frames stay where they are.
                writer
                    .query_row("pragma wal_checkpoint(passive)", [], |_| Ok(()))
                    .expect("a checkpoint");
                assert_eq!(seen.last(), Some(&content(&files)));
            }
            if round == 10 {
                writer
                    .query_row("pragma wal_checkpoint(restart)", [], |_| Ok(()))
                    .expect("a checkpoint");
            }
        }
        // A log that was copied whole is begun anew, which gives another text: one more commit.
        writer.execute("insert into t values (1)", []).expect("an insert");
        seen.push(content(&files));
        writer
            .execute_batch("begin; insert into t values (zeroblob(9000000))")
            .expect("a transaction that spills into the log");
        assert_eq!(seen.last(), Some(&content(&files)), "what is not committed does not count");
        writer.execute_batch("rollback").expect("the end of it");
        assert_eq!(seen.last(), Some(&content(&files)));
        drop(writer);
        assert!(content(&files).starts_with("file of "), "the log is gone with its last user");
    }

    #[test]
    fn a_log_that_is_none_counts_as_empty() {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("a.db-wal");
        for bytes in [&b""[..], b"short", &[0; 4096]] {
            std::fs::write(&log, bytes).expect("a file");
            assert_eq!(last_commit(&log).expect("readable"), None);
        }
    }
}
