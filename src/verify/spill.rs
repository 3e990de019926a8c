//! Hashes of many rows on disk, in parts by the hash of their keys: what a join reads part by part.
//!
//! There are no values on disk. A file has no name any more as soon as it is open, so that nothing
//! is left behind however a verification ends.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};

use crate::{Error, ErrorKind, Result};

/// Bytes of an entry.
const ENTRY: usize = 34;

/// Entries of a part that fit into memory side by side with others.
const ENTRIES_IN_PART: u64 = 250_000;

/// Most parts, each an open file.
const PARTS_MAX: u64 = 256;

/// Bytes that wait to be written to a part.
const WAITING: usize = 8 << 10;

/// Where a row comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum From {
    /// The source of a member.
    Source {
        /// Which.
        member: u16,
        /// It is a recorded reject.
        recorded: bool,
    },
    /// The target, in the form of this number.
    Target(u16),
}

/// A row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    pub(super) key: u128,
    pub(super) row: u128,
    pub(super) from: From,
}

/// Parts of entries, written once and then read.
pub(super) struct Spill {
    parts: Vec<BufWriter<File>>,
}

const TARGET: u16 = 1 << 15;
const RECORDED: u16 = 1 << 14;

impl Spill {
    /// For about so many entries.
    ///
    /// # Errors
    /// [`ErrorKind::Full`] where no file can be made in the folder for temporary files.
    pub(super) fn new(entries: u64) -> Result<Self> {
        let parts = (entries / ENTRIES_IN_PART + 1).min(PARTS_MAX);
        let parts = (0..parts).map(|_| Ok(BufWriter::with_capacity(WAITING, unnamed()?)));
        Ok(Self {
            parts: parts.collect::<Result<_>>()?,
        })
    }

    /// Number of parts.
    pub(super) const fn parts(&self) -> usize {
        self.parts.len()
    }

    /// Adds an entry to its part.
    ///
    /// # Errors
    /// [`ErrorKind::Full`] where it cannot be written.
    pub(super) fn add(&mut self, entry: Entry) -> Result<()> {
        let tag = match entry.from {
            From::Source { member, recorded } => member | if recorded { RECORDED } else { 0 },
            From::Target(form) => form | TARGET,
        };
        let mut bytes = [0; ENTRY];
        bytes[..16].copy_from_slice(&entry.key.to_le_bytes());
        bytes[16..32].copy_from_slice(&entry.row.to_le_bytes());
        bytes[32..].copy_from_slice(&tag.to_le_bytes());
        let part = self.part(entry.key);
        self.parts[part].write_all(&bytes).map_err(|error| failed(&error))
    }

    /// The upper bits: buckets go by the lower ones.
    const fn part(&self, key: u128) -> usize {
        ((key >> 64) as u64 % self.parts.len() as u64) as usize
    }

    /// The entries of a part, in order of their keys.
    ///
    /// # Errors
    /// [`ErrorKind::Full`] where they cannot be written and read again.
    pub(super) fn read(&mut self, part: usize) -> Result<Vec<Entry>> {
        let writer = &mut self.parts[part];
        writer.flush().map_err(|error| failed(&error))?;
        let file = writer.get_mut();
        file.seek(SeekFrom::Start(0)).map_err(|error| failed(&error))?;
        let mut reader = BufReader::new(file);
        let mut entries = Vec::new();
        let mut bytes = [0; ENTRY];
        loop {
            match reader.read_exact(&mut bytes) {
                Ok(()) => entries.push(entry(&bytes)),
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => break,
                Err(error) => return Err(failed(&error)),
            }
        }
        entries.sort_unstable();
        Ok(entries)
    }
}

fn entry(bytes: &[u8; ENTRY]) -> Entry {
    let wide = |from: usize| {
        let mut word = [0; 16];
        word.copy_from_slice(&bytes[from..from + 16]);
        u128::from_le_bytes(word)
    };
    let tag = u16::from_le_bytes([bytes[32], bytes[33]]);
    Entry {
        key: wide(0),
        row: wide(16),
        from: if tag & TARGET == 0 {
            From::Source {
                member: tag & !RECORDED,
                recorded: tag & RECORDED != 0,
            }
        } else {
            From::Target(tag & !TARGET)
        },
    }
}

fn unnamed() -> Result<File> {
    let path = std::env::temp_dir().join(format!("dbferry-verify-{}", uuid::Uuid::new_v4()));
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(&path).map_err(|error| failed(&error))?;
    // Where an open file keeps its name it is left to whoever clears the folder.
    drop(std::fs::remove_file(&path));
    Ok(file)
}

fn failed(error: &std::io::Error) -> Error {
    Error::new(
        ErrorKind::Full,
        format!(
            "cannot keep hashes of rows in the folder for temporary files: {}",
            error.kind()
        ),
    )
    .hint("free some space there, or name another folder in TMPDIR")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_come_back_from_their_parts_in_order() {
        let mut spill = Spill::new(10 * ENTRIES_IN_PART).expect("a folder for temporary files");
        assert_eq!(spill.parts(), 11);
        let froms = [
            From::Source {
                member: 3,
                recorded: true,
            },
            From::Source {
                member: 0,
                recorded: false,
            },
            From::Target(2),
        ];
        let key = |number: u128| (number << 64) | (1000 - number);
        for number in (0..200_u128).rev() {
            let (key, from) = (key(number), froms[usize::try_from(number % 3).expect("small")]);
            spill.add(Entry { key, row: number, from }).expect("some room");
        }
        let mut all = Vec::new();
        for part in 0..spill.parts() {
            let entries = spill.read(part).expect("what was written");
            assert!(entries.is_sorted_by_key(|entry| entry.key));
            all.extend(entries);
        }
        all.sort_by_key(|entry| entry.row);
        assert_eq!(all.len(), 200);
        assert!(all.iter().all(|entry| entry.key == key(entry.row)));
        assert_eq!(all[4].from, froms[1]);
        assert_eq!(all[3].from, froms[0]);
        assert_eq!(all[5].from, froms[2]);
    }
}
