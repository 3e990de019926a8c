//! Looking at the migrations of a target, applying and reverting them.
//!
//! What is to be done is proposed first, without writing anything: the steps, and which of them lose
//! something. It is done under the lock that other processes wait for, one migration after the other, and
//! decided anew there: a loss that nobody has agreed to stops it before anything is done.

use std::collections::BTreeMap;
use std::path::Path;

use super::folder::{self, Script, ScriptFile};
use super::state::{Migration, Record, State};
use super::{Database, Event, Hazard, Watch, create, dialect, hazard, language, open_if_exists};
use crate::config::connection::Connection;
use crate::data::finding::listed;
use crate::{Error, ErrorKind, Result};

/// What is to be done with a target, as it is now.
#[derive(Debug)]
pub struct Proposal {
    /// The connection's name.
    pub connection: String,
    /// In their order.
    pub steps: Vec<Step>,
    /// What is lost by them, in the order of the steps.
    pub hazards: Vec<Hazard>,
    /// The newest version that is applied; 0 where there is none.
    pub newest: i64,
}

/// A file that is to be run.
#[derive(Debug)]
pub struct Step {
    /// The migration, as it is before.
    pub migration: Migration,
    /// Path of the file.
    pub file: String,
    /// What it says.
    pub text: String,
    /// Whether it runs in one transaction with its record.
    pub in_transaction: bool,
}

/// What `apply` may do.
pub struct Order<'a> {
    /// No migration after this version; all where it is `None`.
    pub to: Option<i64>,
    /// Which losses are agreed to.
    pub allowed: Allowed<'a>,
    /// Who follows.
    pub watch: &'a dyn Watch,
}

/// Losses that are agreed to.
#[derive(Debug, Clone, Copy)]
pub enum Allowed<'a> {
    /// Whatever there is.
    All,
    /// These, and no others.
    These(&'a [Hazard]),
}

/// A change that did not come to its end.
#[derive(Debug)]
pub struct Stopped {
    /// What was done before, and stays.
    pub done: Vec<Migration>,
    /// What it was doing then, if it was one of the migrations.
    pub at: Option<i64>,
    /// Why it ended.
    pub error: Error,
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Self {
            done: Vec::new(),
            at: None,
            error,
        }
    }
}

/// All migrations of a folder and of the target, by version. Writes nothing.
pub async fn status(connection: &Connection, folder: &Path) -> Result<Vec<Migration>> {
    let scripts = folder::read(folder, language(connection))?;
    let history = match open_if_exists(connection).await? {
        Some(mut database) => database.history().await?,
        None => Vec::new(),
    };
    let mut found: BTreeMap<i64, Migration> = scripts.iter().map(|script| (script.version, script.pending())).collect();
    for record in history {
        let script = scripts.iter().find(|script| script.version == record.version);
        found.insert(record.version, record.against(script));
    }
    Ok(found.into_values().collect())
}

/// The versions that a folder has files for.
///
/// # Errors
/// As for [`status`], of the folder alone.
pub fn versions(connection: &Connection, folder: &Path) -> Result<Vec<i64>> {
    let scripts = folder::read(folder, language(connection))?;
    Ok(scripts.iter().map(|script| script.version).collect())
}

/// What [`apply`] would do. Writes nothing, and creates nothing.
///
/// # Errors
/// As [`apply`], but for those of running the files.
pub async fn proposal(connection: &Connection, folder: &Path, to: Option<i64>) -> Result<Proposal> {
    let scripts = folder::read(folder, language(connection))?;
    let mut proposal = Proposal {
        connection: connection.name.clone(),
        steps: Vec::new(),
        hazards: Vec::new(),
        newest: 0,
    };
    let steps = if let Some(mut database) = open_if_exists(connection).await? {
        let history = database.history().await?;
        let steps = pending(&mut *database, &scripts, &history, folder, to)?;
        proposal.hazards = hazard::of(&steps, &mut *database).await?;
        proposal.newest = history.iter().map(|record| record.version).max().unwrap_or_default();
        steps
    } else {
        let steps = up_to(scripts.iter(), to);
        proposal.hazards = hazard::of_missing(&steps, dialect(connection));
        steps
    };
    proposal.steps = steps.iter().map(|script| step(script.pending(), &script.up)).collect();
    Ok(proposal)
}

fn step(migration: Migration, file: &ScriptFile) -> Step {
    Step {
        migration,
        file: file.file.path.clone(),
        text: file.text().to_owned(),
        in_transaction: !file.migration.no_tx,
    }
}

/// Scripts that are to be applied, in order.
fn pending<'a>(
    database: &mut dyn Database,
    scripts: &'a [Script],
    history: &[Record],
    folder: &Path,
    to: Option<i64>,
) -> Result<Vec<&'a Script>> {
    for record in history {
        let script = scripts.iter().find(|script| script.version == record.version);
        record.against(script).expect_intact(folder, database)?;
    }
    let is_new = |script: &&Script| history.iter().all(|record| record.version != script.version);
    Ok(up_to(scripts.iter().filter(is_new), to))
}

fn up_to<'a>(scripts: impl Iterator<Item = &'a Script>, to: Option<i64>) -> Vec<&'a Script> {
    scripts.filter(|script| to.is_none_or(|to| script.version <= to)).collect()
}

/// Applies pending migrations in the order of their versions and returns them. The target's database
/// is created where it is missing and the connection allows it.
///
/// # Errors
/// [`ErrorKind::Mapping`] with the place in the file where one fails; those before it stay.
/// [`ErrorKind::Validation`] where an applied migration was changed or is gone: nothing is done.
/// [`ErrorKind::Usage`] where something would be lost that nobody has agreed to: nothing is done.
pub async fn apply(connection: &Connection, folder: &Path, order: &Order<'_>) -> Result<Vec<Migration>, Stopped> {
    let scripts = folder::read(folder, language(connection))?;
    let mut database = create(connection).await?;
    let applied = apply_all(&mut *database, &connection.name, &scripts, folder, order).await;
    database.release().await;
    applied
}

pub(super) async fn apply_all(
    database: &mut dyn Database,
    connection: &str,
    scripts: &[Script],
    folder: &Path,
    order: &Order<'_>,
) -> Result<Vec<Migration>, Stopped> {
    database.prepare(order.watch).await?;
    let history = database.history().await?;
    let pending = pending(database, scripts, &history, folder, order.to)?;
    if let Allowed::These(agreed) = order.allowed {
        let hazards = hazard::of(&pending, database).await?;
        let new: Vec<&Hazard> = hazards.iter().filter(|hazard| !agreed.contains(hazard)).collect();
        if !new.is_empty() {
            return Err(not_agreed(connection, &new).into());
        }
    }
    let mut done = Vec::new();
    for script in pending {
        let stopped = |done, error| Stopped {
            done,
            at: Some(script.version),
            error,
        };
        if order.watch.is_over() {
            return Err(stopped(done, interrupted()));
        }
        match database.apply(script, order.watch).await {
            Ok(true) => {
                let migration = Migration {
                    applied: true,
                    state: State::Applied,
                    ..script.pending()
                };
                order.watch.tell(&Event::Applied {
                    connection,
                    migration: &migration,
                });
                done.push(migration);
            }
            Ok(false) => {}
            Err(error) => return Err(stopped(done, error)),
        }
    }
    Ok(done)
}

/// Since it was proposed somebody has changed the target, or its tables were filled.
fn not_agreed(connection: &str, hazards: &[&Hazard]) -> Error {
    let told: Vec<String> = hazards
        .iter()
        .map(|hazard| {
            let (line, column) = hazard.place.line_column();
            format!("{}:{line}:{column} {}", hazard.place.file.path, hazard.what)
        })
        .collect();
    Error::new(
        ErrorKind::Usage,
        format!(
            "connection `{connection}`: a migration loses something that nobody agreed to: {}",
            told.join("; ")
        ),
    )
    .hint("nothing was applied; `--allow-destructive` agrees to it")
}

pub(super) fn interrupted() -> Error {
    Error::new(ErrorKind::Interrupted, "stopped on request between two migrations")
        .hint("apply again: it goes on with the next one")
}

/// What [`revert`] would do. Writes nothing.
///
/// # Errors
/// As [`revert`], but for those of running the files.
pub async fn reversal(connection: &Connection, folder: &Path, to: Option<i64>) -> Result<Proposal> {
    let scripts = folder::read(folder, language(connection))?;
    let mut proposal = Proposal {
        connection: connection.name.clone(),
        steps: Vec::new(),
        hazards: Vec::new(),
        newest: 0,
    };
    if let Some(mut database) = open_if_exists(connection).await? {
        let history = database.history().await?;
        proposal.newest = history.iter().map(|record| record.version).max().unwrap_or_default();
        for (record, _, down) in undone(&mut *database, &scripts, &history, folder, to)? {
            let script = scripts.iter().find(|script| script.version == record.version);
            proposal.steps.push(step(record.against(script), down));
        }
    }
    Ok(proposal)
}

/// Undoes the last migration, or all after the version `to`, the newest first, and returns them.
///
/// # Errors
/// [`ErrorKind::Validation`] where one of them has no file that undoes it: nothing is done.
pub async fn revert(connection: &Connection, folder: &Path, to: Option<i64>, watch: &dyn Watch) -> Result<Vec<Migration>, Stopped> {
    let scripts = folder::read(folder, language(connection))?;
    let Some(mut database) = open_if_exists(connection).await? else {
        return Ok(Vec::new());
    };
    let reverted = revert_all(&mut *database, (&connection.name, folder), &scripts, to, watch).await;
    database.release().await;
    reverted
}

/// What is undone, the newest first: the record, its script, and the file that undoes it.
fn undone<'a>(
    database: &mut dyn Database,
    scripts: &'a [Script],
    history: &'a [Record],
    folder: &Path,
    to: Option<i64>,
) -> Result<Vec<(&'a Record, &'a Script, &'a ScriptFile)>> {
    let newest_first = history.iter().rev();
    let records: Vec<&Record> = match to {
        Some(version) => newest_first.filter(|record| record.version > version).collect(),
        None => newest_first.take(1).collect(),
    };
    let mut steps = Vec::new();
    for record in records {
        let script = scripts.iter().find(|script| script.version == record.version);
        let migration = record.against(script);
        // What was changed after it was applied may be undone, to apply it anew.
        if migration.state != State::Changed {
            migration.expect_intact(folder, database)?;
        }
        let (script, down) = script
            .and_then(|script| Some((script, script.down.as_ref()?)))
            .ok_or_else(|| migration.no_way_back(folder, scripts))?;
        steps.push((record, script, down));
    }
    Ok(steps)
}

pub(super) async fn revert_all(
    database: &mut dyn Database,
    (connection, folder): (&str, &Path),
    scripts: &[Script],
    to: Option<i64>,
    watch: &dyn Watch,
) -> Result<Vec<Migration>, Stopped> {
    database.prepare(watch).await?;
    let history = database.history().await?;
    let steps = undone(database, scripts, &history, folder, to)?;
    let mut done = Vec::new();
    for (record, script, down) in steps {
        let at = Some(record.version);
        if watch.is_over() {
            let error = interrupted().hint("revert again: it goes on with the next one");
            return Err(Stopped { done, at, error });
        }
        match database.revert(script, down, watch).await {
            Ok(true) => {
                let migration = script.pending();
                watch.tell(&Event::Reverted {
                    connection,
                    migration: &migration,
                });
                done.push(migration);
            }
            Ok(false) => {}
            Err(error) => return Err(Stopped { done, at, error }),
        }
    }
    Ok(done)
}

/// A version that none of the folders knows.
#[must_use]
pub fn unknown_version(version: i64, known: &[i64]) -> Error {
    let known: Vec<String> = known.iter().map(ToString::to_string).collect();
    let error = Error::new(ErrorKind::Usage, format!("no migration has version {version}"));
    if known.is_empty() {
        return error;
    }
    error.hint(format!("there are {}", listed(&known)))
}
