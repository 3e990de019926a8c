//! Keys in a file: a form of dbferry's own, read and written one key at a time.
//!
//! ```text
//! "dbferry keys 1\n"
//! 1 · selection u16 · length of the key u32 · length of what it holds u32 · expiry i64 · both · sum u128
//! …
//! 0 · number of keys u64 · sum u128
//! ```
//!
//! Numbers are little-endian; an expiry of -1 is none. A sum is the XXH3 hash of its record and of the
//! sum before, so that records that are changed, left out or exchanged are found.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write as _};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use super::file;
use crate::sink::keys::KeyDump;
use crate::{Error, ErrorKind, Result};

const MAGIC: &[u8; 15] = b"dbferry keys 1\n";
const RECORD: u8 = 1;
const END: u8 = 0;
const HEAD_BYTES: usize = 18;

/// A file being written.
pub(super) struct Writer {
    file: BufWriter<File>,
    path: PathBuf,
    sum: u128,
    count: u64,
}

impl Writer {
    pub(super) fn create(path: &Path) -> Result<Self> {
        let mut writer = Self {
            file: BufWriter::with_capacity(1 << 16, file::create(path)?),
            path: path.to_owned(),
            sum: 0,
            count: 0,
        };
        writer.put(&[MAGIC])?;
        Ok(writer)
    }

    fn put(&mut self, parts: &[&[u8]]) -> Result<()> {
        let mut write = || parts.iter().try_for_each(|part| self.file.write_all(part));
        write().map_err(|error| file::failed(&error, "writing", &self.path))
    }

    /// Writes a key.
    pub(super) fn key(&mut self, selection: u16, dump: &KeyDump) -> Result<()> {
        let length = |bytes: &[u8]| {
            u32::try_from(bytes.len())
                .map_err(|_| Error::new(ErrorKind::Unreadable, "a key holds more than 4 GiB, which no backup can"))
        };
        let mut head = [0; HEAD_BYTES];
        head[..2].copy_from_slice(&selection.to_le_bytes());
        head[2..6].copy_from_slice(&length(&dump.key)?.to_le_bytes());
        head[6..10].copy_from_slice(&length(&dump.payload)?.to_le_bytes());
        head[10..].copy_from_slice(&dump.expires_at.unwrap_or(-1).to_le_bytes());
        self.sum = sum_of(self.sum, &[&[RECORD], &head, &dump.key, &dump.payload]);
        self.count += 1;
        let sum = self.sum.to_le_bytes();
        self.put(&[&[RECORD], &head, &dump.key, &dump.payload, &sum])
    }

    /// Writes the end; how many keys there are.
    pub(super) fn finish(mut self) -> Result<u64> {
        let count = self.count.to_le_bytes();
        let sum = sum_of(self.sum, &[&[END], &count]).to_le_bytes();
        self.put(&[&[END], &count, &sum])?;
        self.file
            .flush()
            .map_err(|error| file::failed(&error, "writing", &self.path))?;
        Ok(self.count)
    }
}

fn sum_of(before: u128, parts: &[&[u8]]) -> u128 {
    let mut hash = Xxh3::new();
    hash.update(&before.to_le_bytes());
    for part in parts {
        hash.update(part);
    }
    hash.digest128()
}

/// A file being read.
pub(super) struct Reader {
    file: BufReader<File>,
    path: PathBuf,
    sum: u128,
    count: u64,
    ended: bool,
}

impl Reader {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|error| file::failed(&error, "reading", path))?;
        let mut reader = Self {
            file: BufReader::with_capacity(1 << 16, file),
            path: path.to_owned(),
            sum: 0,
            count: 0,
            ended: false,
        };
        if reader.bytes(MAGIC.len())? == MAGIC {
            Ok(reader)
        } else {
            Err(reader.damaged("does not begin as a file of keys does"))
        }
    }

    fn damaged(&self, what: &str) -> Error {
        Error::new(
            ErrorKind::Unreadable,
            format!("{} is damaged after {} keys: it {what}", self.path.display(), self.count),
        )
        .hint("restore another backup")
    }

    /// So many bytes; memory is taken as they come, whatever a damaged length says.
    fn bytes(&mut self, length: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = self.file.by_ref().take(length as u64).read_to_end(&mut bytes);
        read.map_err(|error| file::failed(&error, "reading", &self.path))?;
        if bytes.len() < length {
            return Err(self.damaged("ends in the middle"));
        }
        Ok(bytes)
    }

    fn word<const N: usize>(&mut self) -> Result<[u8; N]> {
        let bytes = self.bytes(N)?;
        bytes.try_into().map_err(|_| self.damaged("ends in the middle"))
    }

    /// The next key and its selection; nothing at the end, which has to be the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<(u16, KeyDump)>> {
        if self.ended {
            return Ok(None);
        }
        match self.word::<1>()?[0] {
            RECORD => self.record().map(Some),
            END => {
                let count = self.word::<8>()?;
                let sum = u128::from_le_bytes(self.word()?);
                if u64::from_le_bytes(count) != self.count || sum != sum_of(self.sum, &[&[END], &count]) {
                    return Err(self.damaged("does not end as it was written"));
                }
                self.ended = true;
                if self.file.read(&mut [0]).is_ok_and(|more| more > 0) {
                    return Err(self.damaged("goes on behind its end"));
                }
                Ok(None)
            }
            _ => Err(self.damaged("holds something that is no key")),
        }
    }

    fn record(&mut self) -> Result<(u16, KeyDump)> {
        let head = self.word::<HEAD_BYTES>()?;
        let four = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]) as usize;
        let mut expiry = [0; 8];
        expiry.copy_from_slice(&head[10..]);
        let (key, payload) = (self.bytes(four(2))?, self.bytes(four(6))?);
        let sum = u128::from_le_bytes(self.word()?);
        self.sum = sum_of(self.sum, &[&[RECORD], &head, &key, &payload]);
        if sum != self.sum {
            return Err(self.damaged("was changed"));
        }
        self.count += 1;
        let expires_at = i64::from_le_bytes(expiry);
        let dump = KeyDump {
            key,
            payload,
            expires_at: (expires_at >= 0).then_some(expires_at),
        };
        Ok((u16::from_le_bytes([head[0], head[1]]), dump))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dump(number: u32) -> KeyDump {
        KeyDump {
            key: format!("key:{number}\0é").into_bytes(),
            payload: vec![u8::try_from(number % 251).unwrap_or(0); number as usize * 7],
            expires_at: number.is_multiple_of(2).then_some(i64::from(number)),
        }
    }

    fn read(path: &Path) -> Result<Vec<(u16, KeyDump)>> {
        let mut reader = Reader::open(path)?;
        std::iter::from_fn(|| reader.next().transpose()).collect()
    }

    #[test]
    fn what_was_written_is_read_and_every_flipped_byte_and_cut_is_found() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("keys");
        let mut writer = Writer::create(&path).expect("a file");
        let keys: Vec<(u16, KeyDump)> = (0..6)
            .map(|number| (u16::try_from(number % 3).unwrap_or(0), dump(number)))
            .collect();
        for (selection, key) in &keys {
            writer.key(*selection, key).expect("written");
        }
        assert_eq!(writer.finish().expect("ended"), 6);
        assert_eq!(read(&path).expect("read"), keys);
        let whole = std::fs::read(&path).expect("bytes");
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            std::fs::write(&path, &changed).expect("written");
            assert!(read(&path).is_err(), "byte {at}");
            std::fs::write(&path, &whole[..at]).expect("written");
            assert!(read(&path).is_err(), "cut at {at}");
        }
        std::fs::write(&path, [&whole[..], &[0]].concat()).expect("written");
        assert!(read(&path).is_err(), "longer");
    }
}
