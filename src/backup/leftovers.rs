//! What backups that were killed left, and how it goes away.
//!
//! A folder of a dead backup is known by its marker, which is locked for as long as its writer lives.
//! So the marker is the first that is written into a folder and the last that is removed from it: killed
//! at any moment, a folder has its marker, or nothing else. Folders with nothing in them are ours only
//! by their names; to tell them from those that another is just beginning, whoever begins one and whoever
//! looks for the dead take turns at the folder above.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::folder::{PARTIAL, folders, is_suffixed};
use super::{clock, file};
use crate::{Error, ErrorKind, Result};

/// In a folder that dbferry makes; locked while it does.
pub(super) const MARKER: &str = ".dbferry-backup";
/// How long a turn is waited for; it takes milliseconds.
const TURN_MAX: Duration = Duration::from_secs(10);
const TURN_STEP: Duration = Duration::from_millis(10);

/// Of whom a folder is.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Marker {
    pub(super) project: String,
    pub(super) environment: String,
}

impl Marker {
    /// Writes it into a folder.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        let text = serde_json::to_string(self).unwrap_or_default();
        file::write(&folder.join(MARKER), text.as_bytes())
    }

    /// What is written there, and the file; `None` where there is none, or only the beginning of one.
    fn read(folder: &Path) -> Option<(Self, File)> {
        // For writing too: network file systems lock no other files.
        let mut file = File::options().read(true).write(true).open(folder.join(MARKER)).ok()?;
        let mut text = String::new();
        file.read_to_string(&mut text).ok()?;
        Some((serde_json::from_str(&text).ok()?, file))
    }
}

/// The marker of a folder, locked for as long as this lives.
pub(super) fn locked(folder: &Path) -> Result<File> {
    let at = folder.join(MARKER);
    let marker = File::options()
        .read(true)
        .write(true)
        .open(&at)
        .map_err(|error| file::failed(&error, "opening", &at))?;
    marker.lock().map_err(|error| file::failed(&error, "locking", &at))?;
    Ok(marker)
}

/// Held while a folder gets its marker, and while folders of the dead are looked for. `None` where the
/// file system does not lock folders.
pub(super) fn turn(parent: &Path) -> Result<Option<File>> {
    let folder = File::open(parent).map_err(|error| file::failed(&error, "opening", parent))?;
    let began = Instant::now();
    loop {
        match folder.try_lock() {
            Ok(()) => return Ok(Some(folder)),
            Err(TryLockError::Error(_)) => return Ok(None),
            Err(TryLockError::WouldBlock) if began.elapsed() < TURN_MAX => std::thread::sleep(TURN_STEP),
            Err(TryLockError::WouldBlock) => {
                return Err(Error::new(
                    ErrorKind::Busy,
                    format!("{} is held by another backup that is being begun", parent.display()),
                )
                .hint("find out whether one hangs, then call again"));
            }
        }
    }
}

/// Removes what dead backups of the same project and environment left in a folder; returns what.
pub(super) fn remove_leftovers(parent: &Path, project: &str, environment: &str) -> Result<Vec<PathBuf>> {
    let mine = Marker {
        project: project.to_owned(),
        environment: environment.to_owned(),
    };
    let mut removed = Vec::new();
    let mut dead = Vec::new();
    let turn = turn(parent)?;
    for path in folders(parent)?.into_iter().filter(|path| is_suffixed(path, PARTIAL)) {
        if let Some((marker, file)) = Marker::read(&path) {
            if marker == mine && file.try_lock().is_ok() {
                dead.push((path, file));
            }
        } else if turn.is_some() && is_named_by_us(&path, environment) && remove_unmarked(&path)? {
            removed.push(path);
        }
    }
    drop(turn);
    for (path, _locked) in dead {
        remove_marked(&path)?;
        removed.push(path);
    }
    removed.sort();
    Ok(removed)
}

/// Removes a folder, its marker last.
pub(super) fn remove_marked(path: &Path) -> Result<()> {
    let emptied = || -> io::Result<()> {
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            if entry.file_name() == MARKER {
                continue;
            }
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else {
                fs::remove_file(entry.path())?;
            }
        }
        fs::remove_file(path.join(MARKER))?;
        fs::remove_dir(path)
    };
    match emptied() {
        // Another call removes the same.
        Err(error) if error.kind() == io::ErrorKind::NotFound && !path.exists() => Ok(()),
        done => done.map_err(|error| file::failed(&error, "removing", path)),
    }
}

/// Removes a folder that has nothing in it, or nothing but the beginning of a marker; says whether it
/// was one. Whoever calls has the turn.
pub(super) fn remove_unmarked(path: &Path) -> Result<bool> {
    if Marker::read(path).is_some() {
        return Ok(false);
    }
    let emptied = || -> io::Result<bool> {
        for entry in fs::read_dir(path)? {
            if entry?.file_name() != MARKER {
                return Ok(false);
            }
        }
        match fs::remove_file(path.join(MARKER)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        fs::remove_dir(path).map(|()| true)
    };
    match emptied() {
        // Whoever removes a folder with a marker empties it too, and has no turn.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        done => done.map_err(|error| file::failed(&error, "removing", path)),
    }
}

/// Whether a folder is called as backups of an environment are that nobody has named.
fn is_named_by_us(path: &Path, environment: &str) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let rest = name.strip_suffix(PARTIAL).and_then(|name| name.strip_prefix(environment));
    let Some(rest) = rest.and_then(|rest| rest.strip_prefix('-')) else {
        return false;
    };
    let (moment, number) = rest.split_once('-').unwrap_or((rest, "2"));
    clock::is_name(moment) && number.parse::<u32>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::super::folder::{Partial, Place};
    use super::*;

    const NOW: &str = "2026-01-31T23:59:59Z";

    #[test]
    fn a_dead_one_is_removed_and_a_living_or_foreign_one_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = Place::Under(folder.path().to_owned());
        let parent = place.parent("game");
        let living = Partial::begin(&place, ("game", "test"), NOW).expect("begun");
        let dead = Partial::begin(&place, ("game", "test"), NOW).expect("another name");
        let other = Partial::begin(&place, ("game", "production"), NOW).expect("begun");
        let (gone, other) = (dead, other);
        let (dead, other) = (gone.path.clone(), other.path.clone());
        drop(gone);
        fs::write(dead.join("rows"), "1").expect("a file");
        fs::create_dir(dead.join("app")).expect("a folder");
        fs::create_dir(parent.join("mine.partial")).expect("a folder of the user's");
        assert_eq!(
            remove_leftovers(&parent, "game", "test").expect("looked"),
            std::slice::from_ref(&dead)
        );
        assert!(living.path.is_dir() && other.is_dir() && !dead.exists());
        assert!(parent.join("mine.partial").is_dir());
        let good = living.finish().expect("renamed");
        assert!(good.ends_with("test-20260131T235959Z") && !good.join(MARKER).exists());
    }

    /// Killed before the marker was whole, or after it was removed.
    #[test]
    fn one_without_a_marker_is_removed_where_its_name_is_ours_and_it_is_empty() {
        let folder = tempfile::tempdir().expect("a folder");
        let parent = folder.path();
        let make = |name: &str, marker: Option<&str>, more: bool| {
            let path = parent.join(name);
            fs::create_dir(&path).expect("a folder");
            if let Some(text) = marker {
                fs::write(path.join(MARKER), text).expect("a marker");
            }
            if more {
                fs::write(path.join("rows"), "1").expect("a file");
            }
            path
        };
        let ours = [
            make("test-20260131T235959Z-12.partial", Some("{\"project\":\"ga"), false),
            make("test-20260131T235959Z.partial", None, false),
            make("test-20260201T000000Z.partial", Some(""), false),
        ];
        let others = [
            make("test-20260201T000001Z.partial", None, true),
            make("test-20260201T000002Z", None, false),
            make("test-mine.partial", None, false),
            make("other-20260131T235959Z.partial", None, false),
            make("20260131T235959Z.partial", None, false),
        ];
        let held = turn(parent).expect("a turn");
        assert!(held.is_some());
        std::thread::scope(|scope| {
            let looked = scope.spawn(|| remove_leftovers(parent, "game", "test").expect("looked"));
            // It waits for its turn.
            std::thread::sleep(TURN_STEP);
            assert!(ours.iter().all(|path| path.is_dir()));
            drop(held);
            assert_eq!(looked.join().expect("no panic"), ours);
        });
        assert!(others.iter().all(|path| path.is_dir()));
    }

    #[test]
    fn a_name_that_was_given_is_free_again_after_a_death_before_the_marker() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = Place::Exactly(folder.path().join("nightly"));
        let left = folder.path().join("nightly.partial");
        fs::create_dir(&left).expect("a folder");
        drop(Partial::begin(&place, ("game", "test"), NOW).expect("begun"));
        let error = Partial::begin(&place, ("game", "test"), NOW).err().expect("refused");
        assert_eq!(error.kind(), ErrorKind::Busy, "with a marker it may be another's");
    }
}
