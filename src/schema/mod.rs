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

use std::path::PathBuf;

use async_trait::async_trait;

use crate::config::connection::{Connection, ConnectionKind};
use crate::data::table::{MIGRATIONS_TABLE, TableName};
use crate::mapping::Project;
use crate::{Error, ErrorKind, Result, sink};

mod change;
mod cql;
mod draft;
mod failure;
mod folder;
mod hazard;
mod inventory;
mod postgres;
mod rehearsal;
mod sqlite;
mod state;
mod watch;

pub use change::{Allowed, Order, Proposal, Step, Stopped, apply, proposal, reversal, revert, status, unknown_version, versions};
pub use draft::{Draft, draft, has_migrations};
pub use hazard::Hazard;
pub use inventory::{Difference, Object};
pub use rehearsal::{Rehearsal, rehearse};
pub use state::{Migration, State};
pub use watch::{Event, Unwatched, Watch};

use folder::{Language, Script, ScriptFile};
use hazard::Dialect;
use inventory::Inventory;
use state::Record;

/// What a table of a target holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fill {
    /// There is no such table.
    Missing,
    Empty,
    /// Rows, or nobody may say.
    Filled,
}

/// A target that migrations are applied to. Dropping it gives back its lock.
#[async_trait]
trait Database: Send {
    /// Whose statements it takes.
    fn dialect(&self) -> Dialect;

    /// Waits until no other process migrates this target; creates the table of records.
    async fn prepare(&mut self, watch: &dyn Watch) -> Result<()>;

    /// What was applied, by version; nothing where there is no table of records.
    async fn history(&mut self) -> Result<Vec<Record>>;

    /// Runs the file of a script and records it: both or none, where the file allows it. Whether it
    /// did: another process may have done it meanwhile.
    async fn apply(&mut self, script: &Script, watch: &dyn Watch) -> Result<bool>;

    /// Runs the file that undoes a script and forgets its record. Whether it did, as above.
    async fn revert(&mut self, script: &Script, down: &ScriptFile, watch: &dyn Watch) -> Result<bool>;

    /// Whether a table has rows.
    async fn fill(&mut self, table: &TableName) -> Result<Fill>;

    /// Whether no table has any, what keeps records left out.
    async fn is_empty(&mut self) -> Result<bool>;

    /// All that its schema is made of, records left out.
    async fn inventory(&mut self) -> Result<Inventory>;

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
    folder_of(project, &connection.name, connection.kind.name())
}

/// The same for a connection of a name and a kind.
///
/// # Errors
/// As [`folder_for`].
pub fn folder_of(project: &Project, connection: &str, kind: &str) -> Result<Option<PathBuf>> {
    let all = project.folder.join("migrations");
    let names = [format!("{connection}.{kind}"), connection.to_owned()];
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

/// Whose statements a connection takes.
const fn dialect(connection: &Connection) -> Dialect {
    match connection.kind {
        ConnectionKind::Scylla(_) => Dialect::Cql,
        ConnectionKind::Sqlite { .. } => Dialect::Sqlite,
        _ => Dialect::Postgres,
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
