//! Files of a backup: written for their owner alone, with their checksums, durable before they count.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Component, Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::manifest::File;
use crate::{Error, ErrorKind, Result};

const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
const BUFFER_BYTES: usize = 1 << 17;

/// SHA-256, hexadecimal.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Whether a path of a manifest stays within the backup's folder.
pub(super) fn is_inside(path: &str) -> bool {
    let mut parts = Path::new(path).components().peekable();
    parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_)))
}

/// An error of the file system.
pub(super) fn failed(error: &io::Error, doing: &str, path: &Path) -> Error {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            Error::new(ErrorKind::Full, format!("{doing} {path}: no room is left"))
                .hint("free some space, or name a folder on another disk with --to")
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            Error::new(ErrorKind::Unauthorised, format!("{doing} {path}: not permitted"))
                .hint("check the permissions of the folder")
        }
        io::ErrorKind::NotFound => Error::new(ErrorKind::Missing, format!("{doing} {path}: it is not there"))
            .hint("find out who removed it, then call again"),
        kind => Error::new(ErrorKind::Unreadable, format!("{doing} {path}: {kind}")).hint("check the disk, then call again"),
    }
}

/// Makes a folder and those above it, for their owner alone; those that are there stay as they are.
pub(super) fn make_folder(path: &Path) -> Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(FOLDER_MODE)
        .create(path)
        .map_err(|error| failed(&error, "making", path))
}

/// A new file for its owner alone.
pub(super) fn create(path: &Path) -> Result<fs::File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(path)
        .map_err(|error| failed(&error, "making", path))
}

/// Writes a whole new file.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    create(path)?
        .write_all(bytes)
        .map_err(|error| failed(&error, "writing", path))
}

/// Size and checksum of a file.
pub(super) fn digest(path: &Path) -> Result<(u64, String)> {
    let reading = |error: io::Error| failed(&error, "reading", path);
    let mut file = fs::File::open(path).map_err(reading)?;
    let (mut hash, mut bytes) = (Sha256::new(), 0);
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = file.read(&mut buffer).map_err(reading)?;
        if count == 0 {
            return Ok((bytes, hex::encode(hash.finalize())));
        }
        hash.update(&buffer[..count]);
        bytes += count as u64;
    }
}

/// Copies a file into a new one; size and checksum of what was copied.
pub(super) fn copy(from: &Path, to: &Path) -> Result<(u64, String)> {
    let mut file = fs::File::open(from).map_err(|error| failed(&error, "reading", from))?;
    let mut copy = create(to)?;
    let (mut hash, mut bytes) = (Sha256::new(), 0);
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = file.read(&mut buffer).map_err(|error| failed(&error, "reading", from))?;
        if count == 0 {
            break;
        }
        hash.update(&buffer[..count]);
        copy.write_all(&buffer[..count])
            .map_err(|error| failed(&error, "writing", to))?;
        bytes += count as u64;
    }
    copy.sync_all().map_err(|error| failed(&error, "writing", to))?;
    Ok((bytes, hex::encode(hash.finalize())))
}

/// All files below a folder, in the order of their paths, relative to it. What is neither a file nor a
/// folder is handed to `other`.
pub(super) fn below(folder: &Path, other: &mut dyn FnMut(&Path)) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(relative) = folders.pop() {
        let path = folder.join(&relative);
        let reading = |error: io::Error| failed(&error, "reading", &path);
        for entry in fs::read_dir(&path).map_err(reading)? {
            let entry = entry.map_err(reading)?;
            let kind = entry.file_type().map_err(reading)?;
            let name = relative.join(entry.file_name());
            if kind.is_dir() {
                folders.push(name);
            } else if kind.is_file() {
                found.push(name);
            } else {
                other(&name);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Files below a part of a backup, each with size and checksum.
pub(super) fn listed(folder: &Path, part: &str) -> Result<Vec<File>> {
    let mut files = Vec::new();
    for name in below(&folder.join(part), &mut |_| ())? {
        let path = Path::new(part).join(name);
        let text = path.to_str().ok_or_else(|| {
            Error::new(
                ErrorKind::Unreadable,
                format!("{} has a name that is not text", path.display()),
            )
            .hint("rename the file, then call again")
        })?;
        let (bytes, sha256) = digest(&folder.join(&path))?;
        files.push(File {
            path: text.to_owned(),
            bytes,
            sha256,
        });
    }
    Ok(files)
}

/// What of these files is not as it was written, in words.
pub(super) fn damaged(folder: &Path, files: &[File]) -> Vec<String> {
    let mut damaged = Vec::new();
    for file in files {
        match digest(&folder.join(&file.path)) {
            Ok((bytes, _)) if bytes != file.bytes => {
                damaged.push(format!("{} has {bytes} bytes instead of {}", file.path, file.bytes));
            }
            Ok((_, sum)) if sum != file.sha256 => damaged.push(format!("{} was changed: its checksum differs", file.path)),
            Ok(_) => {}
            Err(error) => damaged.push(error.message().to_owned()),
        }
    }
    damaged
}

/// Makes files and folders durable, and theirs alone whose they are.
pub(super) fn settle(folder: &Path) -> Result<()> {
    let mut folders = vec![folder.to_owned()];
    for name in below(folder, &mut |_| ())? {
        let path = folder.join(&name);
        let failed = |error: io::Error| failed(&error, "writing", &path);
        let file = fs::File::open(&path).map_err(failed)?;
        file.set_permissions(fs::Permissions::from_mode(FILE_MODE)).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        for part in name.ancestors().skip(1).filter(|part| !part.as_os_str().is_empty()) {
            let part = folder.join(part);
            if !folders.contains(&part) {
                folders.push(part);
            }
        }
    }
    for path in &folders {
        fs::set_permissions(path, fs::Permissions::from_mode(FOLDER_MODE)).map_err(|error| failed(&error, "writing", path))?;
        sync_folder(path)?;
    }
    Ok(())
}

/// What was made, renamed or removed in a folder stays so.
pub(super) fn sync_folder(path: &Path) -> Result<()> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    fs::File::open(path)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| failed(&error, "writing", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flipped_byte_a_cut_and_a_missing_file_are_found() {
        let folder = tempfile::tempdir().expect("a folder");
        make_folder(&folder.path().join("x/y")).expect("folders");
        for name in ["x/a", "x/y/b", "x/y/c"] {
            write(&folder.path().join(name), b"0123456789").expect("a file");
        }
        settle(folder.path()).expect("durable");
        let files = listed(folder.path(), "x").expect("listed");
        assert_eq!(
            files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(),
            ["x/a", "x/y/b", "x/y/c"]
        );
        assert!(damaged(folder.path(), &files).is_empty());
        fs::write(folder.path().join("x/a"), b"0123456788").expect("written");
        fs::write(folder.path().join("x/y/b"), b"012345678").expect("written");
        fs::remove_file(folder.path().join("x/y/c")).expect("removed");
        let found = damaged(folder.path(), &files);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(
            found[0].contains("checksum") && found[1].contains("9 bytes") && found[2].contains("not there"),
            "{found:?}"
        );
    }

    #[test]
    fn what_is_written_is_its_owner_s_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x");
        make_folder(&path).expect("a folder");
        write(&path.join("a"), b"1").expect("a file");
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&path.join("a"))), (0o700, 0o600));
    }
}
