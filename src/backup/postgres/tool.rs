//! `pg_dump` and `pg_restore`: where they are, and whether they fit the server.
//!
//! They are looked for in the folder that was named (and nowhere else then), or in `PATH`, and where
//! packages put those of several versions. Of those that can dump a server, which are never older than
//! it, the one of its own version is taken, or else the next newer one.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;

use crate::{Error, ErrorKind, Result};

/// Folders of packages that keep several versions side by side.
const PACKAGES: [&str; 3] = ["/usr/lib/postgresql", "/usr/local/lib/postgresql", "/opt/homebrew/opt"];
/// The same where the version is part of the name.
const PREFIXED: [(&str, &str); 1] = [("/usr", "pgsql-")];
/// How long a program may take to tell its version.
const ANSWER_WAIT: Duration = Duration::from_secs(20);

/// Both programs of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::backup) struct Tools {
    folder: PathBuf,
    /// Major version.
    pub(in crate::backup) major: u32,
    /// As `pg_dump` tells it.
    pub(in crate::backup) version: String,
}

impl Tools {
    /// Path of one of them.
    pub(in crate::backup) fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Those that fit a server of this major version, and can read what this version of them wrote.
    ///
    /// # Errors
    /// [`ErrorKind::Missing`] where there are none, or only older ones.
    pub(in crate::backup) async fn find(named: Option<&Path>, server: u32, writer: Option<u32>) -> Result<Self> {
        let folders = match named {
            Some(folder) => vec![folder.to_owned()],
            None => searched(),
        };
        let mut found = Vec::new();
        for folder in &folders {
            found.extend(Self::in_folder(folder).await);
        }
        let least = server.max(writer.unwrap_or_default());
        match choose(&found, least) {
            Some(tools) => Ok(tools),
            None => Err(not_found(named, &found, server, writer)),
        }
    }

    async fn in_folder(folder: &Path) -> Option<Self> {
        if !folder.join("pg_restore").is_file() {
            return None;
        }
        let program = folder.join("pg_dump");
        let asked = Command::new(&program)
            .arg("--version")
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(ANSWER_WAIT, asked).await.ok()?.ok()?;
        let (major, version) = version_of(std::str::from_utf8(&output.stdout).ok()?)?;
        Some(Self {
            folder: folder.to_owned(),
            major,
            version,
        })
    }
}

/// The one of the least version that is enough; of several, the first.
fn choose(found: &[Tools], least: u32) -> Option<Tools> {
    let fitting = found.iter().filter(|tools| tools.major >= least);
    fitting.min_by_key(|tools| tools.major).cloned()
}

/// From `pg_dump (PostgreSQL) 15.14 (Debian 15.14-1)`.
fn version_of(text: &str) -> Option<(u32, String)> {
    let version = text.split_once("(PostgreSQL) ")?.1.split_whitespace().next()?;
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    Some((digits.parse().ok()?, version.chars().filter(char::is_ascii_graphic).collect()))
}

fn searched() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).filter(|folder| folder.is_absolute()).collect();
    for package in PACKAGES {
        folders.extend(entries(Path::new(package), "").map(|folder| folder.join("bin")));
    }
    for (parent, prefix) in PREFIXED {
        folders.extend(entries(Path::new(parent), prefix).map(|folder| folder.join("bin")));
    }
    folders
}

fn entries(folder: &Path, prefix: &str) -> impl Iterator<Item = PathBuf> {
    let mut names: Vec<PathBuf> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(prefix))
        })
        .collect();
    names.sort();
    names.into_iter()
}

fn not_found(named: Option<&Path>, found: &[Tools], server: u32, writer: Option<u32>) -> Error {
    let place = named.map_or_else(
        || "in PATH or where packages put them (/usr/lib/postgresql)".to_owned(),
        |folder| format!("in {}", folder.display()),
    );
    let what = match found.iter().map(|tools| tools.major).max() {
        None => format!("pg_dump and pg_restore were not found {place}"),
        Some(newest) if newest < server => {
            format!("pg_dump {place} is of version {newest}, and the server of version {server}: an older one cannot dump it")
        }
        Some(newest) => format!(
            "pg_restore {place} is of version {newest}, and the dump was written by version {}",
            writer.unwrap_or(server)
        ),
    };
    let wanted = server.max(writer.unwrap_or_default());
    Error::new(ErrorKind::Missing, what).hint(format!(
        "install PostgreSQL's client programs of version {wanted} (postgresql-client-{wanted}), or name the folder that holds them with --pg-tools or DBFERRY_PG_TOOLS"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tools(major: u32, folder: &str) -> Tools {
        Tools {
            folder: PathBuf::from(folder),
            major,
            version: major.to_string(),
        }
    }

    #[test]
    fn versions_are_read() {
        let read = |text| version_of(text).map(|(major, version)| format!("{major} {version}"));
        assert_eq!(
            read("pg_dump (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n").as_deref(),
            Some("15 15.14")
        );
        assert_eq!(read("pg_dump (PostgreSQL) 17beta1\n").as_deref(), Some("17 17beta1"));
        assert_eq!(read("something else"), None);
    }

    #[test]
    fn the_server_s_own_version_is_taken_or_the_next() {
        let found = [tools(12, "a"), tools(17, "b"), tools(15, "c"), tools(15, "d"), tools(16, "e")];
        assert_eq!(choose(&found, 15), Some(tools(15, "c")));
        assert_eq!(choose(&found, 13), Some(tools(15, "c")));
        assert_eq!(choose(&found, 18), None);
        let error = not_found(None, &found[..1], 15, None);
        assert!(
            error.message().contains("version 12") && error.message().contains("version 15"),
            "{error}"
        );
    }
}
