//! Putting a restored file or folder in the place of another: made ready and looked at beside it, under
//! a name of our own, then renamed in one step. Killed at any moment, the old one is in its place, or
//! the new one; what lies beside is removed by the next call.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use uuid::Uuid;

use super::file;
use crate::{Error, ErrorKind, Result};

/// Between the target's name and digits of our own.
const BESIDE: &str = ".dbferry-restore-";
/// Digits behind that.
const DIGITS: usize = 16;
/// Suffix of the file that is locked meanwhile.
const LOCK: &str = ".dbferry-restoring";

/// A place beside the target, ours alone as long as this lives.
pub(super) struct Beside {
    /// Where the new one is made ready.
    pub(super) path: PathBuf,
    target: PathBuf,
    lock: PathBuf,
    _locked: File,
}

impl Beside {
    /// Takes it, and removes what an interrupted restore left; tells what.
    pub(super) fn take(target: &Path) -> Result<(Self, Vec<PathBuf>)> {
        let target = std::path::absolute(target).map_err(|error| file::failed(&error, "finding", target))?;
        // A link stays a link: what it stands for is replaced.
        let target = target.canonicalize().unwrap_or(target);
        let parent = target.parent().unwrap_or(Path::new("/")).to_owned();
        file::make_folder(&parent)?;
        let lock = with_suffix(&target, LOCK);
        let locked = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&lock)
            .map_err(|error| file::failed(&error, "making", &lock))?;
        match locked.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::new(
                    ErrorKind::Busy,
                    format!("another restore of {} goes on", target.display()),
                ));
            }
            Err(TryLockError::Error(error)) => return Err(file::failed(&error, "locking", &lock)),
        }
        let removed = remove_leftovers(&target, &parent)?;
        let digits = Uuid::new_v4().simple().to_string();
        let path = with_suffix(&target, &format!("{BESIDE}{}", &digits[..DIGITS]));
        Ok((
            Self {
                path,
                target,
                lock,
                _locked: locked,
            },
            removed,
        ))
    }

    /// What is to be replaced.
    pub(super) fn target(&self) -> &Path {
        &self.target
    }

    /// The new file takes the target's name, with the rights of the one that is there.
    pub(super) fn replace_file(&self) -> Result<()> {
        let failed = |error: std::io::Error| file::failed(&error, "replacing", &self.target);
        if let Ok(found) = fs::metadata(&self.target) {
            fs::set_permissions(&self.path, found.permissions()).map_err(failed)?;
        }
        File::open(&self.path).and_then(|file| file.sync_all()).map_err(failed)?;
        fs::rename(&self.path, &self.target).map_err(failed)?;
        self.settle()
    }

    /// The new folder takes the target's name; the old one goes.
    pub(super) fn replace_folder(&self) -> Result<()> {
        let failed = |error: std::io::Error| file::failed(&error, "replacing", &self.target);
        file::settle(&self.path)?;
        let Ok(found) = fs::metadata(&self.target) else {
            fs::rename(&self.path, &self.target).map_err(failed)?;
            return self.settle();
        };
        fs::set_permissions(&self.path, found.permissions()).map_err(failed)?;
        renameat_with(CWD, &self.path, CWD, &self.target, RenameFlags::EXCHANGE).map_err(|error| {
            file::failed(&error.into(), "exchanging", &self.target).hint(
                "the file system cannot exchange two folders in one step: rename the old one away by hand, then restore again",
            )
        })?;
        self.settle()?;
        fs::remove_dir_all(&self.path).map_err(|error| file::failed(&error, "removing", &self.path))
    }

    fn settle(&self) -> Result<()> {
        file::sync_folder(self.target.parent().unwrap_or(Path::new("/")))
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        let removed = if self.path.is_dir() {
            fs::remove_dir_all(&self.path)
        } else if self.path.exists() {
            fs::remove_file(&self.path)
        } else {
            Ok(())
        };
        if let Err(error) = removed.and_then(|()| fs::remove_file(&self.lock)) {
            tracing::debug!(error = %error.kind(), "what lay beside a restored target could not be removed");
        }
    }
}

fn remove_leftovers(target: &Path, parent: &Path) -> Result<Vec<PathBuf>> {
    let name = target
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let beginning = format!("{name}{BESIDE}");
    let mut removed = Vec::new();
    let reading = |error: std::io::Error| file::failed(&error, "reading", parent);
    for entry in fs::read_dir(parent).map_err(reading)? {
        let entry = entry.map_err(reading)?;
        let found = entry.file_name().to_string_lossy().into_owned();
        let Some(rest) = found.strip_prefix(&beginning) else {
            continue;
        };
        let is_ours = rest.len() >= DIGITS && rest.as_bytes()[..DIGITS].iter().all(u8::is_ascii_hexdigit);
        if !is_ours || !matches!(&rest[DIGITS..], "" | "-wal" | "-shm" | "-journal") {
            continue;
        }
        let path = entry.path();
        let gone = if path.is_dir() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
        gone.map_err(|error| file::failed(&error, "removing", &path))?;
        removed.push(path);
    }
    Ok(removed)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_change_places_and_nothing_is_left() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = folder.path().join("pb_data");
        fs::create_dir(&target).expect("a folder");
        fs::write(target.join("old"), "1").expect("a file");
        let left = folder.path().join(format!("pb_data{BESIDE}0123456789abcdef"));
        fs::create_dir(&left).expect("what was left");
        fs::create_dir(folder.path().join(format!("pb_data{BESIDE}mine"))).expect("a folder of the user's");
        let (beside, removed) = Beside::take(&target).expect("taken");
        assert_eq!(removed.len(), 1);
        assert_eq!(Beside::take(&target).err().expect("held").kind(), ErrorKind::Busy);
        fs::create_dir(&beside.path).expect("a folder");
        fs::write(beside.path.join("new"), "1").expect("a file");
        beside.replace_folder().expect("replaced");
        drop(beside);
        assert!(target.join("new").exists() && !target.join("old").exists());
        let names = fs::read_dir(folder.path()).expect("read").count();
        assert_eq!(names, 2, "the target, and what is not ours");
    }

    #[test]
    fn a_file_is_given_up_without_a_trace() {
        let folder = tempfile::tempdir().expect("a folder");
        let target = folder.path().join("a.db");
        fs::write(&target, "old").expect("a file");
        let (beside, _) = Beside::take(&target).expect("taken");
        fs::write(&beside.path, "new").expect("a file");
        drop(beside);
        assert_eq!(fs::read_to_string(&target).expect("there"), "old");
        assert_eq!(fs::read_dir(folder.path()).expect("read").count(), 1);
    }
}
