//! Bringing a backup back to where it came from, one connection after the other: what is there is
//! looked at first, checksums are read before anything is changed, and counts are compared with the
//! manifest before the new takes the place of the old (of keys, after it).

use std::path::{Path, PathBuf};

use super::manifest::{Form, Manifest, Role, Saved, State};
use super::place::Beside;
use super::verify::{agree, files_into, inner};
use super::{Context, Step, blocking, file, keys, pocketbase, postgres, sqlite, stopped};
use crate::config::connection::{Connection, ConnectionKind};
use crate::{Error, ErrorKind, Result};

/// Names that are told of many.
const NAMES_MAX: usize = 10;

/// What is to be brought back.
pub struct Wish<'a> {
    /// Folder of the backup.
    pub folder: &'a Path,
    /// Its manifest.
    pub manifest: &'a Manifest,
    /// Only these connections; where none is named, all targets.
    pub only: &'a [String],
    /// What is there may go.
    pub replace: bool,
    /// A connection of the configuration by its name.
    pub resolve: &'a (dyn Fn(&str) -> Result<Connection> + Send + Sync),
}

/// One connection that was brought back.
#[derive(Debug)]
pub struct Restored {
    /// Its name.
    pub connection: String,
    /// Its kind.
    pub kind: String,
    /// Whether there was anything to bring back.
    pub state: State,
    /// Tables or patterns of keys.
    pub tables: u64,
    /// Rows or keys.
    pub rows: u64,
}

impl<'a> Wish<'a> {
    /// Connections that it is about.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] for a name that the backup does not hold.
    pub fn chosen(&self) -> Result<Vec<&'a Saved>> {
        let all = &self.manifest.connections;
        if self.only.is_empty() {
            return Ok(all.iter().filter(|saved| saved.role == Role::Target).collect());
        }
        let mut chosen = Vec::new();
        for name in self.only {
            let found = all.iter().find(|saved| saved.connection == *name);
            let names: Vec<&str> = all.iter().map(|saved| saved.connection.as_str()).collect();
            chosen.push(found.ok_or_else(|| {
                Error::new(ErrorKind::Usage, format!("the backup holds no connection `{name}`"))
                    .hint(format!("it holds {}", names.join(", ")))
            })?);
        }
        Ok(chosen)
    }
}

/// Brings a backup back.
///
/// # Errors
/// What kept a connection from being brought back, after those named in the message.
pub async fn restore(wish: &Wish<'_>, context: &Context<'_>) -> Result<Vec<Restored>> {
    let chosen = wish.chosen()?;
    let mut connections = Vec::new();
    for saved in chosen.iter().filter(|saved| saved.state == State::Saved) {
        let connection = (wish.resolve)(&saved.connection)?;
        context.tell(Step::Begun {
            connection: &saved.connection,
            doing: "looking at",
        });
        let damaged = blocking(|| file::damaged(wish.folder, &saved.files));
        if !damaged.is_empty() {
            return Err(Error::new(
                ErrorKind::Unreadable,
                format!("the backup is damaged: {}", damaged.join("; ")),
            )
            .hint("restore another backup; nothing was changed"));
        }
        let there = standing(&connection, wish.manifest, saved).await?;
        if !there.is_empty() && !wish.replace {
            return Err(not_empty(&saved.connection, &there));
        }
        connections.push((*saved, connection));
    }
    let mut done: Vec<Restored> = Vec::new();
    for (saved, connection) in &connections {
        if context.shutdown.is_cancelled() {
            return Err(after(stopped(), &done));
        }
        context.tell(Step::Begun {
            connection: &saved.connection,
            doing: "restoring",
        });
        let restored = one(wish, saved, connection, context).await;
        restored.map_err(|error| after(error, &done))?;
        done.push(told(saved));
    }
    done.extend(chosen.into_iter().filter(|saved| saved.state != State::Saved).map(told));
    Ok(done)
}

fn told(saved: &Saved) -> Restored {
    Restored {
        connection: saved.connection.clone(),
        kind: saved.kind.clone(),
        state: saved.state,
        tables: saved.tables.len() as u64,
        rows: saved.rows(),
    }
}

/// Says what stands already.
fn after(error: Error, done: &[Restored]) -> Error {
    if done.is_empty() {
        return error;
    }
    let names: Vec<&str> = done.iter().map(|restored| restored.connection.as_str()).collect();
    let hint = error.advice().to_owned();
    error
        .during(format_args!("{} are restored, and then", names.join(", ")))
        .hint(hint)
}

fn not_empty(connection: &str, there: &[String]) -> Error {
    let more = there.len().saturating_sub(NAMES_MAX);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    let names = there[..there.len().min(NAMES_MAX)].join(", ");
    Error::new(
        ErrorKind::Refused,
        format!("connection `{connection}` is not empty, it has {names}{more}"),
    )
    .hint("`--replace` lets what is there go; nothing was changed")
}

/// What stands where a connection is to be brought back, in words.
async fn standing(connection: &Connection, manifest: &Manifest, saved: &Saved) -> Result<Vec<String>> {
    same_kind(connection, saved)?;
    match &connection.kind {
        ConnectionKind::Postgres { url, .. } => {
            let database = postgres::Database {
                name: &connection.name,
                url,
            };
            postgres::standing(database).await
        }
        ConnectionKind::Redis(_) => keys::standing(connection, &manifest.project, saved).await,
        ConnectionKind::Sqlite { path, .. } | ConnectionKind::Pocketbase { path } => blocking(|| files_there(path, saved)),
        ConnectionKind::Cosmos(_) | ConnectionKind::Scylla(_) => Ok(Vec::new()),
    }
}

fn same_kind(connection: &Connection, saved: &Saved) -> Result<()> {
    let kind = connection.kind.name();
    if kind == saved.kind {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Usage,
        format!(
            "connection `{}` is of kind {kind} now, and was of kind {} when it was saved",
            saved.connection, saved.kind
        ),
    )
    .hint("restore with the configuration that the backup was made with"))
}

fn files_there(path: &Path, saved: &Saved) -> Result<Vec<String>> {
    let target = target(path, saved);
    if saved.form == Some(Form::PbData) {
        let mut odd = Vec::new();
        let mut there = if target.is_dir() {
            file::below(&target, &mut |path| odd.push(path.to_owned()))?
        } else {
            Vec::new()
        };
        there.extend(odd);
        return Ok(there.iter().map(|path| path.display().to_string()).collect());
    }
    if !target.exists() || std::fs::metadata(&target).is_ok_and(|found| found.len() == 0) {
        return Ok(Vec::new());
    }
    match sqlite::examine(&target, "") {
        Ok(tables) => Ok(tables.into_iter().map(|table| table.name).collect()),
        // Whatever it is, it is there.
        Err(error) if error.kind() == ErrorKind::Unreadable => Ok(vec![format!("{}, which cannot be read", target.display())]),
        Err(error) => Err(error),
    }
}

/// The file or folder that is replaced.
fn target(path: &Path, saved: &Saved) -> PathBuf {
    if saved.form != Some(Form::PbData) {
        // A PocketBase whose file lies by itself may be named by its folder.
        return if path.is_dir() {
            path.join("data.db")
        } else {
            path.to_owned()
        };
    }
    if path.is_dir() {
        return path.to_owned();
    }
    if path.file_name().is_some_and(|name| name == "data.db") {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        return absolute.parent().map_or_else(|| path.to_owned(), Path::to_owned);
    }
    path.to_owned()
}

async fn one(wish: &Wish<'_>, saved: &Saved, connection: &Connection, context: &Context<'_>) -> Result<()> {
    let own = wish.folder.join(&saved.connection);
    match &connection.kind {
        ConnectionKind::Postgres { url, .. } => {
            let database = postgres::Database {
                name: &connection.name,
                url,
            };
            postgres::restore(database, saved, &own, context).await
        }
        ConnectionKind::Redis(_) => keys::restore(connection, (&wish.manifest.project, saved), &own, context).await,
        ConnectionKind::Sqlite { path, .. } | ConnectionKind::Pocketbase { path } => {
            let about = |error: Error| error.during(format_args!("connection `{}`", connection.name));
            blocking(|| files(wish.folder, saved, &target(path, saved), context)).map_err(about)
        }
        ConnectionKind::Cosmos(_) | ConnectionKind::Scylla(_) => Ok(()),
    }
}

/// Files, made ready beside their place.
fn files(folder: &Path, saved: &Saved, target: &Path, context: &Context<'_>) -> Result<()> {
    let (beside, removed) = Beside::take(target)?;
    for path in removed {
        context.tell(Step::Removed(&format!(
            "{}, which an interrupted restore left",
            path.display()
        )));
    }
    check_unused(beside.target(), saved)?;
    files_into(folder, saved, &beside.path)?;
    let differences = agree(saved, &beside.path)?;
    if !differences.is_empty() {
        return Err(Error::new(
            ErrorKind::Validation,
            format!("what was restored is not what the manifest says: {}", differences.join("; ")),
        )
        .hint("restore another backup; nothing was changed"));
    }
    for journal in &saved.journal_modes {
        let path = match saved.form {
            Some(Form::PbData) => beside.path.join(inner(saved, &journal.path)),
            _ => beside.path.clone(),
        };
        sqlite::set_journal(&path, &saved.journal_modes, &journal.path)?;
    }
    if context.shutdown.is_cancelled() {
        return Err(stopped());
    }
    // Somebody may have begun to use it meanwhile.
    check_unused(beside.target(), saved)?;
    if saved.form == Some(Form::PbData) {
        beside.replace_folder()
    } else {
        beside.replace_file()
    }
}

fn check_unused(target: &Path, saved: &Saved) -> Result<()> {
    if saved.form == Some(Form::PbData) {
        if !target.is_dir() {
            return Ok(());
        }
        for path in file::below(target, &mut |_| ())? {
            let path = target.join(path);
            if pocketbase::is_database(&path) {
                sqlite::check_unused(&path)?;
            }
        }
        return Ok(());
    }
    if target.exists() {
        return sqlite::check_unused(target);
    }
    match sqlite::beside(target).iter().find(|path| path.exists()) {
        Some(log) => Err(Error::new(
            ErrorKind::Busy,
            format!("{} lies where the database is to be, without its database", log.display()),
        )
        .hint("find out whose it is and move it away: SQLite would take it for the log of what is restored")),
        None => Ok(()),
    }
}
