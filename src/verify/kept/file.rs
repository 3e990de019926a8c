//! A file of what is kept: two lines of JSON, sums, and a hash over all of it. It takes the place of
//! the one before as a whole. After a crash of the machine it may be broken, which its hash tells.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

use super::Head;

/// For its owner alone.
const FILE_MODE: u32 = 0o600;
const FOLDER_MODE: u32 = 0o700;

/// Bytes of the hash at the end.
const HASH: usize = 32;

/// Ending of a file that is being written.
const UNFINISHED: &str = "part";

/// Whether a file of the folder is one of ours, and whole.
pub(super) fn is_kept(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| ending != UNFINISHED)
}

/// Where a file is written before it takes its place. Should two write it at once, the hash tells.
pub(super) fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(UNFINISHED);
    name.into()
}

/// Writes a file.
///
/// # Errors
/// What the file system refuses.
pub(super) fn write(path: &Path, head: &Head, body: &impl Serialize, sums: &[u8]) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(head)?;
    bytes.push(b'\n');
    serde_json::to_writer(&mut bytes, body)?;
    bytes.push(b'\n');
    bytes.extend_from_slice(sums);
    let hash = Sha256::digest(&bytes);
    bytes.extend_from_slice(&hash);
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)?;
    }
    let beside = beside(path);
    let mut options = OpenOptions::new();
    // One that was killed may have left it.
    options.write(true).create(true).truncate(true).mode(FILE_MODE);
    let written = options
        .open(&beside)
        .and_then(|mut file| file.write_all(&bytes))
        .and_then(|()| std::fs::rename(&beside, path));
    if written.is_err() {
        // The first failure is the one to tell of.
        drop(std::fs::remove_file(&beside));
    }
    written
}

/// Reads a file; `None` where there is none.
///
/// # Errors
/// What the file system refuses; [`io::ErrorKind::InvalidData`] for a file that is not whole.
pub(super) fn read<B: DeserializeOwned>(path: &Path) -> io::Result<Option<(Head, B, Vec<u8>)>> {
    let broken = || io::Error::from(io::ErrorKind::InvalidData);
    let mut bytes = match std::fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes?,
    };
    let hash = bytes.split_off(bytes.len().checked_sub(HASH).ok_or_else(broken)?);
    if hash.as_slice() != Sha256::digest(&bytes).as_slice() {
        return Err(broken());
    }
    let line = |from: usize| {
        let length = bytes[from..].iter().position(|byte| *byte == b'\n');
        length.map(|length| from..from + length).ok_or_else(broken)
    };
    let head = line(0)?;
    let body = line(head.end + 1)?;
    let sums = bytes[body.end + 1..].to_vec();
    Ok(Some((
        serde_json::from_slice(&bytes[head])?,
        serde_json::from_slice(&bytes[body])?,
        sums,
    )))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_is_written_is_read_and_what_is_broken_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("state/demo/a.source");
        let head: Head = serde_json::from_value(serde_json::json!({
            "form": 1, "version": "0.1.0", "project": "demo", "environment": "development",
            "streams": ["items"], "fingerprints": ["a-b"], "ends": "e",
        }))
        .expect("a head of form 1");
        assert!(read::<u64>(&path).expect("no fault").is_none());
        write(&path, &head, &7_u64, b"\n\n{}\n").expect("a place to write to");
        write(&path, &head, &8_u64, b"\n\n{}\n").expect("in the place of the first");
        let (found, body, sums) = read::<u64>(&path).expect("whole").expect("there");
        assert_eq!((found, body, sums.as_slice()), (head, 8, &b"\n\n{}\n"[..]));
        assert_eq!(std::fs::read_dir(path.parent().expect("a folder")).expect("it").count(), 1);
        let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().expect("a folder"))), (0o600, 0o700));
        let mut bytes = std::fs::read(&path).expect("readable");
        bytes.pop();
        std::fs::write(&path, &bytes).expect("writable");
        assert!(read::<u64>(&path).is_err());
        std::fs::write(&path, "").expect("writable");
        assert!(read::<u64>(&path).is_err());
    }
}
