//! Trying a backup out: its files are those that were written, and what is restored from them, where
//! nobody looks, is what the manifest says.

use std::path::{Path, PathBuf};

use super::manifest::{Form, Manifest, Saved, State, differences};
use super::{Context, Step, blocking, file, keys, pocketbase, postgres, sqlite, stopped};
use crate::config::connection::{Connection, ConnectionKind};
use crate::{Error, ErrorKind, Result};

/// What was found out about one connection of a backup.
#[derive(Debug)]
pub struct Verdict {
    /// Its name.
    pub connection: String,
    /// Its kind.
    pub kind: String,
    /// Whether anything was saved.
    pub state: State,
    /// Tables or patterns of keys that were compared.
    pub tables: u64,
    /// Rows or keys that the manifest tells of.
    pub rows: u64,
    /// What is not as the manifest says, in words; empty where it is good.
    pub differences: Vec<String>,
}

/// Where connections are found.
pub struct Servers<'a> {
    /// A connection of the configuration by its name.
    pub resolve: &'a (dyn Fn(&str) -> Result<Connection> + Send + Sync),
    /// The connection to the Postgres server to restore on, where it is not each one's own.
    pub postgres: Option<&'a Connection>,
}

/// Tries every connection of a backup out; nothing of it stays.
///
/// # Errors
/// What kept it from being tried out. A backup that is no good is no error: it is in the verdicts.
pub async fn verify(folder: &Path, manifest: &Manifest, servers: &Servers<'_>, context: &Context<'_>) -> Result<Vec<Verdict>> {
    let mut verdicts = Vec::new();
    for saved in &manifest.connections {
        if context.shutdown.is_cancelled() {
            return Err(stopped());
        }
        let mut verdict = Verdict {
            connection: saved.connection.clone(),
            kind: saved.kind.clone(),
            state: saved.state,
            tables: saved.tables.len() as u64,
            rows: saved.rows(),
            differences: Vec::new(),
        };
        if saved.state == State::Saved {
            context.tell(Step::Begun {
                connection: &saved.connection,
                doing: "verifying",
            });
            verdict.differences = blocking(|| file::damaged(folder, &saved.files));
            if verdict.differences.is_empty() {
                verdict.differences = tried(folder, saved, servers, context).await?;
            }
        }
        verdicts.push(verdict);
    }
    Ok(verdicts)
}

async fn tried(folder: &Path, saved: &Saved, servers: &Servers<'_>, context: &Context<'_>) -> Result<Vec<String>> {
    let own = folder.join(&saved.connection);
    match saved.form {
        Some(Form::PostgresCustom | Form::PostgresDirectory) => {
            let resolved;
            let connection = if let Some(connection) = servers.postgres {
                connection
            } else {
                resolved = (servers.resolve)(&saved.connection)?;
                &resolved
            };
            let ConnectionKind::Postgres { url, .. } = &connection.kind else {
                return Err(Error::new(
                    ErrorKind::Usage,
                    format!(
                        "connection `{}` is not of kind postgres, and a dump of Postgres is to be restored there",
                        connection.name
                    ),
                )
                .hint("name a Postgres connection of the configuration: --server CONNECTION"));
            };
            let database = postgres::Database {
                name: &connection.name,
                url,
            };
            match postgres::verify(database, saved, &own, context).await {
                // The dump itself is no good.
                Err(error) if matches!(error.kind(), ErrorKind::Unreadable | ErrorKind::Refused) => {
                    Ok(vec![error.message().to_owned()])
                }
                other => other,
            }
        }
        Some(Form::Keys) => match keys::verify(&(servers.resolve)(&saved.connection)?, saved, &own, context).await {
            Err(error) if error.kind() == ErrorKind::Unreadable => Ok(vec![error.message().to_owned()]),
            other => other,
        },
        Some(Form::Sqlite | Form::PbData) => blocking(|| copied(folder, saved)),
        None => Ok(Vec::new()),
    }
}

/// Restores files into a folder of their own for temporary files.
fn copied(folder: &Path, saved: &Saved) -> Result<Vec<String>> {
    let scratch = Scratch::new()?;
    let outcome = files_into(folder, saved, &scratch.0).and_then(|()| agree(saved, &scratch.0));
    match outcome {
        Err(error) if error.kind() == ErrorKind::Unreadable => Ok(vec![error.message().to_owned()]),
        other => other,
    }
}

/// Copies the files of a connection to where they are wanted; every one has to be what was written.
pub(super) fn files_into(folder: &Path, saved: &Saved, to: &Path) -> Result<()> {
    for expected in &saved.files {
        let inner = inner(saved, &expected.path);
        let copy = if saved.form == Some(Form::PbData) {
            to.join(inner)
        } else {
            to.to_owned()
        };
        if let Some(parent) = copy.parent() {
            file::make_folder(parent)?;
        }
        let copy = if saved.form == Some(Form::Sqlite) && copy.is_dir() {
            copy.join(inner)
        } else {
            copy
        };
        let (bytes, sum) = file::copy(&folder.join(&expected.path), &copy)?;
        if bytes != expected.bytes || sum != expected.sha256 {
            return Err(Error::new(
                ErrorKind::Unreadable,
                format!("{} is not what was written: its checksum differs", expected.path),
            )
            .hint("restore another backup"));
        }
    }
    Ok(())
}

/// A file's path below what is restored.
pub(super) fn inner<'a>(saved: &Saved, path: &'a str) -> &'a str {
    let rest = path
        .strip_prefix(saved.connection.as_str())
        .unwrap_or(path)
        .trim_start_matches('/');
    rest.strip_prefix("pb_data/").unwrap_or(rest)
}

/// What files that were restored hold other than the manifest says.
pub(super) fn agree(saved: &Saved, at: &Path) -> Result<Vec<String>> {
    if saved.form == Some(Form::PbData) {
        return pocketbase::compare(at, &saved.tables);
    }
    let path = match saved.files.first() {
        Some(file) if at.is_dir() => at.join(inner(saved, &file.path)),
        _ => at.to_owned(),
    };
    Ok(differences(&saved.tables, &sqlite::examine(&path, "")?))
}

/// A folder among the system's temporary files, which goes with this. What a killed verification left
/// there is removed by the next one.
struct Scratch(PathBuf);

/// How its name begins, before the process and digits at random.
const SCRATCH: &str = "dbferry-verify-";

impl Scratch {
    fn new() -> Result<Self> {
        let parent = std::env::temp_dir();
        remove_dead(&parent);
        let path = parent.join(format!("{SCRATCH}{}-{}", std::process::id(), uuid::Uuid::new_v4().simple()));
        file::make_folder(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(error = %error.kind(), folder = %self.0.display(), "a temporary folder could not be removed");
        }
    }
}

/// Folders of processes that are gone; what is not ours cannot be removed and stays.
fn remove_dead(parent: &Path) {
    for entry in std::fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some((process, digits)) = name.strip_prefix(SCRATCH).and_then(|rest| rest.split_once('-')) else {
            continue;
        };
        let is_ours = process.parse::<u32>().is_ok() && uuid::Uuid::try_parse(digits).is_ok();
        // Without /proc nobody can be told to be dead.
        let is_dead = Path::new("/proc/self").exists() && !Path::new("/proc").join(process).exists();
        if is_ours
            && is_dead
            && let Err(error) = std::fs::remove_dir_all(entry.path())
        {
            tracing::debug!(error = %error.kind(), "a temporary folder of another could not be removed");
        }
    }
}
