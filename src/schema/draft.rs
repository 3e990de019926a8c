//! New migrations: a pair of files named after the moment; a comment is all they say.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use arrow::temporal_conversions::timestamp_ms_to_datetime;

use super::folder::Language;
use super::{folder, folder_of};
use crate::mapping::Project;
use crate::{Error, ErrorKind, Result};

/// Longest name: with version and ending it stays below what file systems hold.
const NAME_CHARACTERS_MAX: usize = 100;

/// A new migration.
#[derive(Debug)]
pub struct Draft {
    /// Its version.
    pub version: i64,
    /// The file that applies it.
    pub up: PathBuf,
    /// The file that undoes it.
    pub down: PathBuf,
}

/// Kinds of connections that have migrations.
#[must_use]
pub fn has_migrations(kind: &str) -> bool {
    matches!(kind, "postgres" | "sqlite" | "scylla")
}

/// Makes a pair of files for a connection of a kind, and the folder where it is missing.
///
/// # Errors
/// [`ErrorKind::Usage`] for a name that no file can have; [`ErrorKind::Config`] where a file of that
/// version or a later one is there: nothing is written over, and what is new comes last.
pub fn draft(project: &Project, connection: &str, kind: &str, name: &str) -> Result<Draft> {
    let name = spelt(name)?;
    let language = if kind == "scylla" { Language::Cql } else { Language::Sql };
    let folder = match folder_of(project, connection, kind)? {
        Some(folder) => folder,
        None => project.folder.join("migrations").join(connection),
    };
    let cannot = |path: &Path, error: std::io::Error| {
        Error::new(ErrorKind::Config, format!("cannot write {}", path.display())).because(error)
    };
    fs::create_dir_all(&folder).map_err(|error| cannot(&folder, error))?;
    let version = now()?;
    let newest = folder::read(&folder, language)?.last().map(|script| script.version);
    if let Some(newest) = newest.filter(|newest| *newest >= version) {
        return Err(Error::new(
            ErrorKind::Config,
            format!(
                "{} has a migration of version {newest}, and now it is {version}",
                folder.display()
            ),
        )
        .hint("wait for a second, or see to this machine's clock: a new migration comes after all others"));
    }
    let extension = language.extension();
    let path = |way: &str| folder.join(format!("{version}_{name}.{way}.{extension}"));
    let (up, down) = (path("up"), path("down"));
    let write = |path: &Path, text: &str| File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes()));
    let words = name.replace('_', " ");
    write(&up, &format!("-- Applies: {words}\n")).map_err(|error| cannot(&up, error))?;
    if let Err(error) = write(&down, &format!("-- Undoes: {words}\n")) {
        // Half of a pair would be a migration that cannot be reverted.
        let removed = fs::remove_file(&up);
        return Err(cannot(&down, removed.err().unwrap_or(error)));
    }
    Ok(Draft { version, up, down })
}

/// The moment as a version.
fn now() -> Result<i64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let moment = i64::try_from(since.as_millis()).ok().and_then(timestamp_ms_to_datetime);
    let version = moment.and_then(|moment| moment.format("%Y%m%d%H%M%S").to_string().parse().ok());
    version.ok_or_else(|| Error::new(ErrorKind::Config, "this machine's clock is out of bounds"))
}

/// A name as files have it.
fn spelt(name: &str) -> Result<String> {
    let spelt: String = name
        .trim()
        .chars()
        .map(|c| if matches!(c, ' ' | '-') { '_' } else { c })
        .collect();
    let is_fit = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if spelt.is_empty() || !spelt.chars().all(is_fit) || spelt.len() > NAME_CHARACTERS_MAX {
        return Err(Error::new(
            ErrorKind::Usage,
            format!("`{}` is no name for a migration", name.escape_debug()),
        )
        .hint(format!(
            "letters, digits and `_`, at most {NAME_CHARACTERS_MAX}: `dbferry schema new PROJECT add_last_seen`"
        )));
    }
    Ok(spelt)
}
