//! A file to try migrations in, in a folder for temporary files: it goes when the trial ends.
//!
//! Whoever uses it holds a lock on a file beside it. A folder of ours whose lock is free belongs to a
//! process that is gone.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use uuid::Uuid;

use super::SqliteDatabase;
use crate::schema::rehearsal::PREFIX;
use crate::{Error, ErrorKind, Result};

/// The file that is locked.
const LOCK: &str = "lock";
/// How long a folder may be there before its lock is.
const MAKING_MAX: Duration = Duration::from_mins(1);

/// A scratch folder, and its lock. It goes with this.
pub(in crate::schema) struct Scratch {
    folder: PathBuf,
    lock: File,
}

/// Makes one and opens a file in it. Also the folders that were left behind and are gone now.
pub(in crate::schema) fn make(connection: &str) -> Result<(Scratch, SqliteDatabase, Vec<String>)> {
    let all = std::env::temp_dir();
    let cannot = |error: std::io::Error| {
        Error::new(
            ErrorKind::Unauthorised,
            format!("cannot make a scratch folder in {}", all.display()),
        )
        .because(error)
        .hint("TMPDIR names another folder for temporary files")
    };
    let removed = remove_stale(&all);
    let make = || {
        let folder = all.join(format!("{PREFIX}{}", Uuid::new_v4().simple()));
        fs::create_dir(&folder)?;
        // Under its name it is locked from the beginning.
        let new = folder.join("new");
        let lock = File::create(&new)?;
        let scratch = Scratch { folder, lock };
        scratch.lock.lock()?;
        fs::rename(new, scratch.folder.join(LOCK))?;
        Ok(scratch)
    };
    let scratch = make().map_err(cannot)?;
    let database = SqliteDatabase::create(connection, &scratch.folder.join("target.db"))?;
    Ok((scratch, database, removed))
}

/// Removes what calls that were killed have left; what cannot be removed is left to others.
fn remove_stale(all: &Path) -> Vec<String> {
    let mut removed = Vec::new();
    for entry in fs::read_dir(all).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX) && path.is_dir();
        if is_ours && is_stale(&path) && fs::remove_dir_all(&path).is_ok() {
            removed.push(path.display().to_string());
        }
    }
    removed
}

fn is_stale(folder: &Path) -> bool {
    if let Ok(lock) = File::open(folder.join(LOCK)) {
        return lock.try_lock().is_ok();
    }
    let made = fs::metadata(folder).and_then(|about| about.modified());
    made.is_ok_and(|made| made.elapsed().is_ok_and(|age| age > MAKING_MAX))
}

impl Scratch {
    pub(in crate::schema) fn remove(self) -> Result<()> {
        fs::remove_dir_all(&self.folder).map_err(|error| {
            Error::new(
                ErrorKind::Unauthorised,
                format!("the scratch folder {} cannot be removed", self.folder.display()),
            )
            .because(error)
            .hint("the next call removes it")
        })
    }
}

/// Also where nothing came of it.
impl Drop for Scratch {
    fn drop(&mut self) {
        if self.folder.exists() && fs::remove_dir_all(&self.folder).is_err() {
            tracing::debug!("a scratch folder could not be removed; the next call does");
        }
    }
}
