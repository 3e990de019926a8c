//! Backups of what a project writes to and reads from, and the way back.
//!
//! A backup is a folder with a [manifest](manifest::Manifest): of every Postgres database a dump by
//! `pg_dump`, of every SQLite file a copy by SQLite's online backup, of a PocketBase its whole
//! `pb_data`, of a store the keys of the project. The ledger is part of each, so that after a restore
//! a run goes on from the checkpoint that was there. Each connection is of a moment of its own; ScyllaDB
//! and Cosmos DB are named as not backed up.
//!
//! A backup has its name only when all of it is durable and was read back: sizes and checksums, the
//! list of a dump, the integrity of a file ([`folder`]). [`verify()`] restores it where nobody looks, and
//! [`restore()`] where it came from; how each kind is replaced so that a kill leaves the old or the new
//! one stands in its own module.

mod clock;
mod file;
mod folder;
mod key_file;
mod keys;
mod leftovers;
pub mod manifest;
mod place;
mod pocketbase;
mod postgres;
mod restore;
mod retention;
mod sqlite;
mod verify;

use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

pub use folder::{Kept, PARENT, Place, kept};
pub use keys::{of_ledger, of_prefix, of_staged};
pub use restore::{Restored, Wish, restore};
pub use retention::Retention;
pub use verify::{Servers, Verdict, verify};

use self::folder::Partial;
use self::manifest::{FORMAT, Form, Manifest, Role, Saved, Selection, State};
use crate::config::connection::{Connection, ConnectionKind};
use crate::{Error, ErrorKind, Result};

/// What is told of the work while it goes on.
#[derive(Debug, Clone, Copy)]
pub enum Step<'a> {
    /// A connection is begun.
    Begun {
        /// Its name.
        connection: &'a str,
        /// What is done with it.
        doing: &'a str,
    },
    /// A table, file or pattern of it is in hand.
    Table {
        /// Name of the connection.
        connection: &'a str,
        /// What is in hand.
        table: &'a str,
    },
    /// So many bytes more.
    Bytes {
        /// Name of the connection.
        connection: &'a str,
        /// Bytes since the last time.
        bytes: u64,
    },
    /// Something that an earlier call left was removed.
    Removed(&'a str),
    /// What an operator should know.
    Remark(&'a str),
}

/// Around any of the work.
pub struct Context<'a> {
    /// Who is told how it goes.
    pub tell: &'a (dyn Fn(Step<'_>) + Send + Sync),
    /// Cancelled when it is to stop.
    pub shutdown: &'a CancellationToken,
    /// Folder of `pg_dump` and `pg_restore`, where one was named.
    pub tools: Option<&'a Path>,
    /// How many tables are dumped or restored at once; `None` makes dumps of one file.
    pub jobs: Option<u16>,
}

impl Context<'_> {
    fn tell(&self, step: Step<'_>) {
        (self.tell)(step);
    }
}

/// One connection to be backed up.
#[derive(Debug, Clone)]
pub struct Part {
    /// The connection, resolved.
    pub connection: Connection,
    /// What the project uses it for.
    pub role: Role,
    /// Of a store: which of its keys.
    pub keys: Vec<Selection>,
}

/// What is to be backed up, and where to.
#[derive(Debug)]
pub struct Order<'a> {
    /// Project.
    pub project: &'a str,
    /// Environment.
    pub environment: &'a str,
    /// What every key of a rehearsal begins with.
    pub key_prefix: &'a str,
    /// Connections.
    pub parts: Vec<Part>,
    /// Where to.
    pub place: Place,
    /// Which older ones go after it.
    pub retention: Retention,
}

/// A good backup that was just made.
#[derive(Debug)]
pub struct Outcome {
    /// Its folder.
    pub folder: PathBuf,
    /// What is in it.
    pub manifest: Manifest,
    /// SHA-256 of the manifest.
    pub manifest_sha256: String,
    /// Older ones that were removed.
    pub removed: Vec<PathBuf>,
    /// An older one that could not be removed.
    pub not_removed: Option<Error>,
}

/// Stopped on request.
fn stopped() -> Error {
    Error::new(ErrorKind::Interrupted, "stopped on request").hint("call it again: it begins anew")
}

/// Blocking work where it disturbs no other task.
fn blocking<T>(work: impl FnOnce() -> T) -> T {
    tokio::task::block_in_place(work)
}

/// Makes a backup.
///
/// # Errors
/// What kept it from being made, with nothing left behind; or what was found to be wrong with it, with
/// its folder, which then ends in `.failed`.
pub async fn backup(order: &Order<'_>, context: &Context<'_>) -> Result<Outcome> {
    let began_at = clock::now();
    let whose = (order.project, order.environment);
    let parent = order.place.parent(order.project);
    if parent.is_dir() {
        for path in leftovers::remove_leftovers(&parent, order.project, order.environment)? {
            context.tell(Step::Removed(&format!(
                "{}, which an interrupted backup left",
                path.display()
            )));
        }
    }
    let partial = Partial::begin(&order.place, whose, &began_at)?;
    let connections = match saved_all(order, &partial.path, context).await {
        Ok(connections) => connections,
        Err(error) => {
            partial.give_up()?;
            return Err(error);
        }
    };
    let mut manifest = Manifest {
        format: FORMAT,
        dbferry: env!("CARGO_PKG_VERSION").to_owned(),
        project: order.project.to_owned(),
        environment: order.environment.to_owned(),
        began_at,
        ended_at: String::new(),
        key_prefix: order.key_prefix.to_owned(),
        connections,
    };
    if let Err(error) = checked_all(&mut manifest, &partial.path, context).await {
        if error.kind() == ErrorKind::Interrupted {
            partial.give_up()?;
            return Err(error);
        }
        let hint = error.advice().to_owned();
        let failed = partial.fail()?;
        return Err(error
            .during(format_args!("the backup is no good and is kept as {}", failed.display()))
            .hint(hint));
    }
    manifest.ended_at = clock::now();
    let manifest_sha256 = manifest.write(&partial.path)?;
    file::settle(&partial.path)?;
    let folder = partial.finish()?;
    let (removed, not_removed) = match removed(order, &folder) {
        Ok(removed) => (removed, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    Ok(Outcome {
        folder,
        manifest,
        manifest_sha256,
        removed,
        not_removed,
    })
}

/// Older backups that the order's retention would remove once it is carried out.
///
/// # Errors
/// Where their folder cannot be read.
pub fn outdated(order: &Order<'_>) -> Result<Vec<PathBuf>> {
    let parent = order.place.parent(order.project);
    if !parent.is_dir() {
        return Ok(Vec::new());
    }
    let found = order.retention.outdated(&parent, (order.project, order.environment), None)?;
    Ok(found.into_iter().map(|kept| kept.folder).collect())
}

fn removed(order: &Order<'_>, newest: &Path) -> Result<Vec<PathBuf>> {
    let parent = order.place.parent(order.project);
    let whose = (order.project, order.environment);
    retention::remove(&order.retention.outdated(&parent, whose, Some(newest))?)
}

async fn saved_all(order: &Order<'_>, folder: &Path, context: &Context<'_>) -> Result<Vec<Saved>> {
    let mut all: Vec<Saved> = Vec::new();
    for part in &order.parts {
        if context.shutdown.is_cancelled() {
            return Err(stopped());
        }
        let mut saved = saved(order, part, folder, context).await?;
        saved.files = blocking(|| match saved.form {
            Some(_) => file::listed(folder, &part.connection.name),
            None => Ok(Vec::new()),
        })?;
        all.push(saved);
    }
    Ok(all)
}

/// Saves one connection into a folder of its name.
async fn saved(order: &Order<'_>, part: &Part, folder: &Path, context: &Context<'_>) -> Result<Saved> {
    let connection = &part.connection;
    let (name, kind) = (connection.name.as_str(), connection.kind.name());
    context.tell(Step::Begun {
        connection: name,
        doing: "saving",
    });
    let own = folder.join(name);
    let made = || file::make_folder(&own);
    match &connection.kind {
        ConnectionKind::Postgres { url, .. } => {
            made()?;
            let saved = postgres::dump(postgres::Database { name, url }, part.role, &own, context).await?;
            if saved.state != State::Saved {
                std::fs::remove_dir(&own).map_err(|error| file::failed(&error, "removing", &own))?;
            }
            Ok(saved)
        }
        ConnectionKind::Redis(_) => {
            made()?;
            keys::dump(connection, (order.project, &part.keys), &own, context).await
        }
        ConnectionKind::Sqlite { path, .. } | ConnectionKind::Pocketbase { path } => {
            let about = |error: Error| error.during(format_args!("connection `{name}`"));
            blocking(|| files(connection, path, part.role, folder, context)).map_err(about)
        }
        ConnectionKind::Cosmos(_) | ConnectionKind::Scylla(_) => {
            let mut saved = Saved::of(name, kind, part.role);
            saved.state = State::NotBackedUp;
            saved.remarks.push(format!(
                "databases of kind {kind} are not backed up by dbferry: use what their makers offer"
            ));
            Ok(saved)
        }
    }
}

/// An SQLite file, or the folder of a PocketBase.
fn files(connection: &Connection, path: &Path, role: Role, folder: &Path, context: &Context<'_>) -> Result<Saved> {
    let name = connection.name.as_str();
    let mut saved = Saved::of(name, connection.kind.name(), role);
    saved.server_version = Some(sqlite::version());
    saved.database = path.file_name().map(|name| name.to_string_lossy().into_owned());
    if !path.exists() {
        if role == Role::Source {
            return Err(
                Error::new(ErrorKind::Unreachable, format!("there is no file {}", path.display()))
                    .hint("check the path; it is relative to the current folder"),
            );
        }
        saved.state = State::Absent;
        saved.remarks.push("there was no such file yet".to_owned());
        return Ok(saved);
    }
    file::make_folder(&folder.join(name))?;
    saved.taken_at = Some(clock::now());
    let home = match connection.kind {
        ConnectionKind::Pocketbase { .. } => pocketbase::home(path),
        _ => None,
    };
    if let Some(home) = home {
        let part = format!("{name}/pb_data");
        let copied = pocketbase::copy(&home, folder, &part, name, context)?;
        saved.form = Some(Form::PbData);
        saved.one_moment = false;
        saved.tables = copied.tables;
        saved.journal_modes = copied.journal_modes;
        saved.remarks = copied.remarks;
        return Ok(saved);
    }
    let part = format!("{name}/database.sqlite");
    let copy = folder.join(&part);
    let mode = sqlite::copy(path, &copy, name, context)?;
    saved.form = Some(Form::Sqlite);
    saved.journal_modes.push(manifest::JournalMode { path: part, mode });
    saved.tables = sqlite::examine(&copy, "")?;
    Ok(saved)
}

/// Makes all of it durable, and reads it back.
async fn checked_all(manifest: &mut Manifest, folder: &Path, context: &Context<'_>) -> Result<()> {
    blocking(|| file::settle(folder))?;
    for saved in manifest.connections.iter_mut().filter(|saved| saved.state == State::Saved) {
        if context.shutdown.is_cancelled() {
            return Err(stopped());
        }
        let name = saved.connection.clone();
        context.tell(Step::Begun {
            connection: &name,
            doing: "checking",
        });
        let damaged = blocking(|| file::damaged(folder, &saved.files));
        if !damaged.is_empty() {
            return Err(Error::new(
                ErrorKind::Validation,
                format!("what was written does not read back: {}", damaged.join("; ")),
            )
            .hint("check the disk, then back up again"));
        }
        let own = folder.join(&name);
        match saved.form {
            Some(Form::PostgresCustom | Form::PostgresDirectory) => postgres::check(saved, &own, context).await?,
            Some(Form::Keys) => blocking(|| keys::check(&own, saved))?,
            // Their integrity was looked at when their rows were counted.
            Some(Form::Sqlite | Form::PbData) | None => {}
        }
        saved.checked = true;
    }
    Ok(())
}
