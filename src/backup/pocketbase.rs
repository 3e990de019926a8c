//! PocketBase: its whole `pb_data`, the databases by SQLite's online backup and all other files as
//! they are.
//!
//! Databases come first: a file is uploaded before the record that names it, so that what the copied
//! records name is there. Files that change while they are copied are copied again, and named where
//! they never rest.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::manifest::{Count, JournalMode};
use super::{Context, Step, file, sqlite, stopped};
use crate::Result;

/// What every SQLite file begins with.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// What PocketBase keeps beside its database, by which a folder is known to be its own.
const BESIDE: [&str; 3] = ["storage", "auxiliary.db", "logs.db"];
/// How often a file that changes is copied.
const ATTEMPTS_MAX: u32 = 4;
/// Names that are told of many.
const NAMES_MAX: usize = 20;

/// What was copied.
#[derive(Default)]
pub(super) struct Copied {
    pub(super) tables: Vec<Count>,
    pub(super) journal_modes: Vec<JournalMode>,
    pub(super) remarks: Vec<String>,
}

/// The `pb_data` of a connection; `None` where its file is a database that lies somewhere by itself.
pub(super) fn home(path: &Path) -> Option<PathBuf> {
    if path.is_dir() {
        return Some(path.to_owned());
    }
    let parent = std::path::absolute(path).ok()?.parent()?.to_owned();
    let named = path.file_name().is_some_and(|name| name == "data.db");
    let is_own = parent.file_name().is_some_and(|name| name == "pb_data") || BESIDE.iter().any(|name| parent.join(name).exists());
    (named && is_own).then_some(parent)
}

/// Whether a file is an SQLite database.
pub(super) fn is_database(path: &Path) -> bool {
    let mut beginning = [0; 16];
    fs::File::open(path)
        .and_then(|mut file| file.read_exact(&mut beginning))
        .is_ok()
        && beginning == *MAGIC
}

/// Copies a folder; `part` is what paths of the backup begin with.
pub(super) fn copy(from: &Path, folder: &Path, part: &str, name: &str, context: &Context<'_>) -> Result<Copied> {
    let to = folder.join(part);
    let mut copied = Copied::default();
    let mut odd = Vec::new();
    let files = file::below(from, &mut |path| odd.push(path.display().to_string()))?;
    let (databases, others): (Vec<PathBuf>, Vec<PathBuf>) = files.into_iter().partition(|path| is_database(&from.join(path)));
    for path in &databases {
        let text = path.display().to_string();
        context.tell(Step::Table {
            connection: name,
            table: &text,
        });
        let copy = to.join(path);
        make_parent(&copy)?;
        let mode = sqlite::copy(&from.join(path), &copy, name, context)?;
        copied.journal_modes.push(JournalMode {
            path: format!("{part}/{text}"),
            mode,
        });
        copied.tables.extend(sqlite::examine(&copy, &format!("{text}/"))?);
    }
    let (mut restless, mut gone) = (Vec::new(), Vec::new());
    for path in others.iter().filter(|path| !is_beside(path, &databases)) {
        if context.shutdown.is_cancelled() {
            return Err(stopped());
        }
        let copy = to.join(path);
        make_parent(&copy)?;
        match at_rest(&from.join(path), &copy, name, context)? {
            Rest::Still => {}
            Rest::Changing => restless.push(path.display().to_string()),
            Rest::Gone => gone.push(path.display().to_string()),
        }
    }
    for (names, what) in [
        (odd, "neither files nor folders, and not copied"),
        (restless, "changed while they were copied"),
        (gone, "removed while the others were copied"),
    ] {
        if !names.is_empty() {
            let more = names.len().saturating_sub(NAMES_MAX);
            let more = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            let names = names[..names.len().min(NAMES_MAX)].join(", ");
            copied.remarks.push(format!("{what}: {names}{more}"));
        }
    }
    Ok(copied)
}

fn make_parent(path: &Path) -> Result<()> {
    path.parent().map_or(Ok(()), file::make_folder)
}

/// What SQLite keeps beside a database is in its copy already.
fn is_beside(path: &Path, databases: &[PathBuf]) -> bool {
    databases
        .iter()
        .any(|database| sqlite::beside(database).iter().any(|other| other == path))
}

enum Rest {
    Still,
    Changing,
    Gone,
}

/// Copies a file until it is the same before and after.
fn at_rest(from: &Path, to: &Path, name: &str, context: &Context<'_>) -> Result<Rest> {
    let look = || fs::metadata(from).and_then(|found| Ok((found.len(), found.modified()?)));
    for attempt in 1..=ATTEMPTS_MAX {
        let Ok(before) = look() else { return Ok(Rest::Gone) };
        let (bytes, _) = match file::copy(from, to) {
            Ok(copied) => copied,
            Err(_) if !from.exists() => {
                remove_half(to)?;
                return Ok(Rest::Gone);
            }
            Err(error) => return Err(error),
        };
        context.tell(Step::Bytes { connection: name, bytes });
        if look().is_ok_and(|after| after == before) && bytes == before.0 {
            return Ok(Rest::Still);
        }
        if attempt < ATTEMPTS_MAX {
            remove_half(to)?;
        }
    }
    Ok(Rest::Changing)
}

fn remove_half(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(file::failed(&error, "removing", path)),
        _ => Ok(()),
    }
}

/// What the databases of a copy hold other than the manifest says.
pub(super) fn compare(folder: &Path, expected: &[Count]) -> Result<Vec<String>> {
    let mut differences = Vec::new();
    let mut seen = Vec::new();
    for path in file::below(folder, &mut |_| ())? {
        if is_database(&folder.join(&path)) {
            let prefix = format!("{}/", path.display());
            differences.extend(sqlite::compare(&folder.join(&path), &prefix, expected)?);
            seen.push(prefix);
        }
    }
    let unseen = expected
        .iter()
        .filter(|count| !seen.iter().any(|prefix| count.name.starts_with(prefix.as_str())));
    differences.extend(unseen.map(|count| format!("{} is missing, with {} rows", count.name, count.rows)));
    Ok(differences)
}
