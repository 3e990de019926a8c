//! The life of a backup's folder: begun under a name that ends in `.partial`, renamed when all of it
//! is written, durable and checked, or to a name that ends in `.failed`.
//!
//! So a backup that was killed is never taken for one, and the next one of the same project removes
//! what it left.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::leftovers::{MARKER, Marker, locked, remove_marked, remove_unmarked, turn};
use super::manifest::{self, Manifest};
use super::{clock, file};
use crate::{Error, ErrorKind, Result};

/// Suffix of a backup that is being written, or was never finished.
pub(super) const PARTIAL: &str = ".partial";
/// Suffix of a backup that was found to be no good.
pub(super) const FAILED: &str = ".failed";
/// Folder of all backups, where no other is named.
pub const PARENT: &str = "backups";
/// Backups begun within one second.
const SAME_NAME_MAX: u32 = 1_000;

/// A folder that is being written.
pub(super) struct Partial {
    /// Where files are written.
    pub(super) path: PathBuf,
    /// What it is called when it is good.
    name: PathBuf,
    marker: File,
}

/// A good backup.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Its folder.
    pub folder: PathBuf,
    /// What it says of itself.
    pub manifest: Manifest,
}

/// Where a backup goes.
#[derive(Debug, Clone)]
pub enum Place {
    /// Into a new folder of this one, named after environment and moment.
    Under(PathBuf),
    /// Into this one, which is not there yet.
    Exactly(PathBuf),
}

impl Place {
    /// The folder in which the new one will lie.
    pub(super) fn parent(&self, project: &str) -> PathBuf {
        match self {
            Self::Under(folder) => folder.join(project),
            Self::Exactly(folder) => match folder.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
                _ => PathBuf::from("."),
            },
        }
    }
}

impl Partial {
    /// Begins a folder.
    pub(super) fn begin(place: &Place, (project, environment): (&str, &str), began_at: &str) -> Result<Self> {
        let parent = place.parent(project);
        file::make_folder(&parent)?;
        let turn = turn(&parent)?;
        let name = match place {
            Place::Exactly(folder) => {
                if folder.symlink_metadata().is_ok() {
                    return Err(Error::new(ErrorKind::Usage, format!("{} is there already", folder.display()))
                        .hint("a backup is written into a new folder: name another one, or leave --to away"));
                }
                folder.clone()
            }
            Place::Under(_) => free(&parent, &format!("{environment}-{}", clock::name_of(began_at)))?,
        };
        let path = with_suffix(&name, PARTIAL);
        if path.symlink_metadata().is_ok() && !(turn.is_some() && path.is_dir() && remove_unmarked(&path)?) {
            return Err(Error::new(
                ErrorKind::Busy,
                format!(
                    "{} is being written by another backup, or is none of dbferry's",
                    path.display()
                ),
            )
            .hint("wait until that one has ended, or name another folder"));
        }
        file::make_folder(&path)?;
        let marker = Marker {
            project: project.to_owned(),
            environment: environment.to_owned(),
        };
        marker.write(&path)?;
        let marker = locked(&path)?;
        Ok(Self { path, name, marker })
    }

    /// It is good: it gets its name.
    pub(super) fn finish(self) -> Result<PathBuf> {
        self.rename(&self.name)?;
        let marker = self.name.join(MARKER);
        fs::remove_file(&marker).map_err(|error| file::failed(&error, "removing", &marker))?;
        file::sync_folder(&self.name)?;
        drop(self.marker);
        Ok(self.name)
    }

    /// It is no good, and stays to be looked at.
    pub(super) fn fail(self) -> Result<PathBuf> {
        let name = with_suffix(&self.name, FAILED);
        self.rename(&name)?;
        Ok(name)
    }

    /// It was given up: nothing of it stays.
    pub(super) fn give_up(self) -> Result<()> {
        remove_marked(&self.path)
    }

    fn rename(&self, name: &Path) -> Result<()> {
        file::sync_folder(&self.path)?;
        fs::rename(&self.path, name).map_err(|error| file::failed(&error, "renaming", &self.path))?;
        file::sync_folder(self.name.parent().unwrap_or(Path::new(".")))
    }
}

/// A name that nothing has, good, failed or partial.
fn free(parent: &Path, name: &str) -> Result<PathBuf> {
    for number in 1..SAME_NAME_MAX {
        let name = if number == 1 {
            name.to_owned()
        } else {
            format!("{name}-{number}")
        };
        let path = parent.join(name);
        let taken = ["", PARTIAL, FAILED]
            .iter()
            .any(|suffix| with_suffix(&path, suffix).symlink_metadata().is_ok());
        if !taken {
            return Ok(path);
        }
    }
    Err(Error::new(ErrorKind::Busy, "too many backups were begun within one second").hint("call again"))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

pub(super) fn is_suffixed(path: &Path, suffix: &str) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(suffix))
}

pub(super) fn folders(parent: &Path) -> Result<Vec<PathBuf>> {
    let reading = |error: std::io::Error| file::failed(&error, "reading", parent);
    let mut found = Vec::new();
    for entry in fs::read_dir(parent).map_err(reading)? {
        let entry = entry.map_err(reading)?;
        if entry.file_type().map_err(reading)?.is_dir() {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// Good backups that lie in a folder, oldest first: neither partial nor failed ones, nor any whose
/// manifest was changed.
///
/// # Errors
/// Where the folder cannot be read.
pub fn kept(parent: &Path) -> Result<Vec<Kept>> {
    let mut kept = Vec::new();
    for folder in folders(parent)? {
        if is_suffixed(&folder, PARTIAL) || is_suffixed(&folder, FAILED) || !folder.join(manifest::NAME).is_file() {
            continue;
        }
        if let Ok((manifest, _)) = Manifest::read(&folder) {
            kept.push(Kept { folder, manifest });
        }
    }
    kept.sort_by(|one, other| (&one.manifest.ended_at, &one.folder).cmp(&(&other.manifest.ended_at, &other.folder)));
    Ok(kept)
}

/// Removes a good backup. It loses its name first, so that a half of it is never taken for one.
pub(super) fn remove(kept: &Kept) -> Result<()> {
    let partial = with_suffix(&kept.folder, PARTIAL);
    let marker = Marker {
        project: kept.manifest.project.clone(),
        environment: kept.manifest.environment.clone(),
    };
    if !kept.folder.join(MARKER).exists() {
        marker.write(&kept.folder)?;
    }
    fs::rename(&kept.folder, &partial).map_err(|error| file::failed(&error, "removing", &kept.folder))?;
    remove_marked(&partial)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: &str = "2026-01-31T23:59:59Z";

    #[test]
    fn what_is_there_is_never_written_into() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = Place::Exactly(folder.path().to_owned());
        let error = Partial::begin(&place, ("game", "test"), NOW).err().expect("refused");
        assert_eq!(error.kind(), ErrorKind::Usage);
    }
}
