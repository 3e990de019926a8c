//! Schema migrations of targets: files of a project with statements that create and change tables.
//!
//! A folder holds pairs `<version>_<name>.up.sql` and `<version>_<name>.down.sql`, or files
//! `<version>_<name>.sql` that cannot be reverted. What was applied is recorded in the target in
//! sqlx's own table `_sqlx_migrations` with a checksum, so that sqlx and its command line see
//! the same. Each file runs in one transaction together with its record, unless it begins with
//! `-- no-transaction`. An applied file is never changed: another checksum is refused.
//!
//! A keyspace of ScyllaDB or Cassandra takes files that end in `.cql` instead, and records them in a
//! table of dbferry's own: `cql` says how.
//!
//! This module knows neither streams nor the ledger.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use async_trait::async_trait;

use crate::config::connection::{Connection, ConnectionKind};
use crate::data::table::MIGRATIONS_TABLE;
use crate::mapping::Project;
use crate::{Error, ErrorKind, Result, sink};

mod cql;
mod failure;
mod folder;
mod postgres;
mod sqlite;

use folder::{Language, Script, ScriptFile};

/// A migration of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// Version: the number that the file's name begins with.
    pub version: i64,
    /// The rest of the name, in words.
    pub description: String,
    /// Whether the target has it.
    pub applied: bool,
    /// How file and target agree.
    pub state: State,
    /// When it was applied, in UTC.
    pub applied_at: Option<String>,
}

/// How a migration's file and the target's record of it agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Not applied.
    Pending,
    /// Applied as the file says.
    Applied,
    /// Applied, and the file was changed afterwards.
    Changed,
    /// Applied, and there is no file any more.
    FileMissing,
    /// Begun outside a transaction, and not finished.
    Unfinished,
}

/// What a target records of a migration.
#[derive(Debug)]
struct Record {
    version: i64,
    description: String,
    applied_at: String,
    success: bool,
    checksum: Vec<u8>,
}

/// A target that migrations are applied to. Dropping it gives back its lock.
#[async_trait]
trait Database: Send {
    /// Waits until no other process migrates this target; creates the table of records.
    async fn prepare(&mut self) -> Result<()>;

    /// What was applied, by version; nothing where there is no table of records.
    async fn history(&mut self) -> Result<Vec<Record>>;

    /// Runs the file of a script and records it: both or none, where the file allows it.
    async fn apply(&mut self, script: &Script) -> Result<()>;

    /// Runs the file that undoes a script and forgets its record.
    async fn revert(&mut self, script: &Script, down: &ScriptFile) -> Result<()>;

    /// Gives back its lock, where dropping alone does not.
    async fn release(&mut self) {}

    /// What a user runs to have the record of a version forgotten.
    fn forget(&self, version: i64) -> String {
        format!("delete from {MIGRATIONS_TABLE} where version = {version}")
    }
}

/// The folder of a project with migrations for a connection, if there is one:
/// `migrations/<connection>.<kind>` first, then `migrations/<connection>`.
///
/// # Errors
/// [`ErrorKind::Config`] where such a name is taken by something that is no folder.
pub fn folder_for(project: &Project, connection: &Connection) -> Result<Option<PathBuf>> {
    let all = project.folder.join("migrations");
    let names = [
        format!("{}.{}", connection.name, connection.kind.name()),
        connection.name.clone(),
    ];
    for path in names.iter().map(|name| all.join(name)) {
        if path.is_dir() {
            return Ok(Some(path));
        }
        if path.exists() {
            return Err(Error::new(ErrorKind::Config, format!("{} is not a folder", path.display()))
                .hint("migrations of a connection are files in a folder of its name"));
        }
    }
    Ok(None)
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

/// Applies all pending migrations in the order of their versions and returns them. The target's
/// database is created where it is missing and the connection allows it.
///
/// # Errors
/// [`ErrorKind::Mapping`] with the place in the file where one fails; those before it stay.
/// [`ErrorKind::Validation`] where an applied migration was changed or is gone: nothing is done.
pub async fn apply(connection: &Connection, folder: &Path) -> Result<Vec<Migration>> {
    let scripts = folder::read(folder, language(connection))?;
    let mut database = create(connection).await?;
    let applied = apply_all(&mut *database, &scripts, folder).await;
    database.release().await;
    applied
}

async fn apply_all(database: &mut dyn Database, scripts: &[Script], folder: &Path) -> Result<Vec<Migration>> {
    database.prepare().await?;
    let history = database.history().await?;
    for record in &history {
        let script = scripts.iter().find(|script| script.version == record.version);
        record.against(script).expect_intact(folder, database)?;
    }
    let mut applied = Vec::new();
    for script in scripts {
        if history.iter().all(|record| record.version != script.version) {
            database.apply(script).await?;
            applied.push(Migration {
                applied: true,
                state: State::Applied,
                ..script.pending()
            });
        }
    }
    Ok(applied)
}

/// Undoes the last migration, or all after the version `to`, the newest first, and returns them.
///
/// # Errors
/// [`ErrorKind::Validation`] where one of them has no file that undoes it: nothing is done.
pub async fn revert(connection: &Connection, folder: &Path, to: Option<i64>) -> Result<Vec<Migration>> {
    let scripts = folder::read(folder, language(connection))?;
    let Some(mut database) = open_if_exists(connection).await? else {
        return Ok(Vec::new());
    };
    let reverted = revert_all(&mut *database, &scripts, folder, to).await;
    database.release().await;
    reverted
}

async fn revert_all(database: &mut dyn Database, scripts: &[Script], folder: &Path, to: Option<i64>) -> Result<Vec<Migration>> {
    database.prepare().await?;
    let mut history = database.history().await?;
    history.reverse();
    match to {
        Some(version) => history.retain(|record| record.version > version),
        None => history.truncate(1),
    }
    let mut steps = Vec::new();
    for record in &history {
        let script = scripts.iter().find(|script| script.version == record.version);
        let migration = record.against(script);
        // What was changed after it was applied may be undone, to apply it anew.
        if migration.state != State::Changed {
            migration.expect_intact(folder, database)?;
        }
        let (script, down) = script
            .and_then(|script| Some((script, script.down.as_ref()?)))
            .ok_or_else(|| migration.no_way_back(folder, scripts))?;
        steps.push((script, down));
    }
    let mut reverted = Vec::new();
    for (script, down) in steps {
        database.revert(script, down).await?;
        reverted.push(script.pending());
    }
    Ok(reverted)
}

impl Script {
    fn pending(&self) -> Migration {
        Migration {
            version: self.version,
            description: self.description.clone(),
            applied: false,
            state: State::Pending,
            applied_at: None,
        }
    }
}

impl Record {
    /// How the record agrees with the script of its version.
    fn against(&self, script: Option<&Script>) -> Migration {
        let state = match script {
            _ if !self.success => State::Unfinished,
            None => State::FileMissing,
            Some(script) if *script.checksum() == *self.checksum => State::Applied,
            Some(_) => State::Changed,
        };
        Migration {
            version: self.version,
            description: self.description.clone(),
            applied: true,
            state,
            applied_at: Some(self.applied_at.clone()),
        }
    }
}

impl Migration {
    /// Nothing can be built on a migration of which it is not known what it did.
    fn expect_intact(&self, folder: &Path, database: &dyn Database) -> Result<()> {
        let Self {
            version, description, ..
        } = self;
        let folder = folder.display();
        let fault = |what: &str, hint: String| {
            Err(Error::new(ErrorKind::Validation, format!("migration {version} ({description}) {what}")).hint(hint))
        };
        match self.state {
            State::Pending | State::Applied => Ok(()),
            State::Changed => fault(
                "was changed after it was applied",
                format!("restore its file in {folder}, and write the change as a new migration"),
            ),
            State::FileMissing => fault("is applied, but its file is gone", format!("restore its file in {folder}")),
            State::Unfinished => fault(
                "was begun outside a transaction and not finished",
                format!("undo by hand what it did, then `{}`", database.forget(*version)),
            ),
        }
    }

    fn no_way_back(&self, folder: &Path, scripts: &[Script]) -> Error {
        let Self {
            version, description, ..
        } = self;
        Error::new(
            ErrorKind::Validation,
            format!("migration {version} ({description}) cannot be reverted: it has no file that undoes it"),
        )
        .hint(format!(
            "write one beside its own in {}, named as it is with `.down.{}` at the end",
            folder.display(),
            scripts.first().map_or("sql", |script| script.up.extension())
        ))
    }
}

/// What the migrations of a connection are written in.
fn language(connection: &Connection) -> Language {
    match connection.kind {
        ConnectionKind::Scylla(_) => Language::Cql,
        _ => Language::Sql,
    }
}

/// Connects; creates the database where it is missing and the connection allows it.
async fn create(connection: &Connection) -> Result<Box<dyn Database>> {
    if !matches!(connection.kind, ConnectionKind::Scylla(_)) {
        // Opening the sink says all there is to say of an address or a path, and creates a database.
        drop(sink::open(connection).await?);
    }
    match &connection.kind {
        ConnectionKind::Sqlite { path, .. } => Ok(Box::new(sqlite::SqliteDatabase::create(&connection.name, path)?)),
        ConnectionKind::Postgres { url, .. } => Ok(Box::new(postgres::PostgresDatabase::open(&connection.name, url).await?)),
        ConnectionKind::Scylla(cluster) => Ok(Box::new(cql::CqlDatabase::create(&connection.name, cluster).await?)),
        ConnectionKind::Pocketbase { .. } | ConnectionKind::Cosmos(_) | ConnectionKind::Redis(_) => Err(no_target(connection)),
    }
}

/// Connects; `None` where there is no database.
async fn open_if_exists(connection: &Connection) -> Result<Option<Box<dyn Database>>> {
    let name = &connection.name;
    Ok(match &connection.kind {
        ConnectionKind::Sqlite { path, .. } => match sqlite::SqliteDatabase::open_if_exists(name, path)? {
            Some(database) => Some(Box::new(database)),
            None => None,
        },
        ConnectionKind::Postgres { url, .. } => match postgres::PostgresDatabase::open_if_exists(name, url).await? {
            Some(database) => Some(Box::new(database)),
            None => None,
        },
        ConnectionKind::Scylla(cluster) => match cql::CqlDatabase::open_if_exists(name, cluster).await? {
            Some(database) => Some(Box::new(database)),
            None => None,
        },
        ConnectionKind::Pocketbase { .. } | ConnectionKind::Cosmos(_) | ConnectionKind::Redis(_) => {
            return Err(no_target(connection));
        }
    })
}

fn no_target(connection: &Connection) -> Error {
    let (name, title) = (&connection.name, connection.kind.title());
    let why = match connection.kind {
        ConnectionKind::Redis(_) => "server, which has no tables to make",
        _ => "database, which is only ever read",
    };
    Error::new(ErrorKind::Config, format!("connection `{name}` is a {title} {why}"))
}
