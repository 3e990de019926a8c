//! The manifest of a backup: what is in its folder, of when, and how much of it there has to be.
//!
//! A persisted form: [`FORMAT`] says which. It holds no secret and no cell value: names of databases,
//! tables and patterns of keys are all it tells of what was saved. Its own checksum stands in a file
//! beside it, so that a manifest that was changed is told from the one that was written.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::file;
use crate::{Error, ErrorKind, Result};

/// Version of the form.
pub const FORMAT: u32 = 1;
/// Name of the file.
pub const NAME: &str = "manifest.json";
/// Name of the file with its checksum, in the form that `sha256sum -c` reads.
pub const CHECKSUM_NAME: &str = "manifest.json.sha256";
/// Largest manifest that is read.
const BYTES_MAX: u64 = 256 << 20;

/// A whole backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: u32,
    /// Version of the program that wrote it.
    pub dbferry: String,
    /// Project.
    pub project: String,
    /// Environment.
    pub environment: String,
    /// When it began, RFC 3339 in UTC.
    pub began_at: String,
    /// When all of it was written and checked.
    pub ended_at: String,
    /// What every key of a rehearsal begins with; empty outside of one.
    pub key_prefix: String,
    /// Connections in the order in which they were saved.
    pub connections: Vec<Saved>,
}

/// What was saved of one connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saved {
    /// Its name in the configuration.
    pub connection: String,
    /// Its kind, as the configuration spells it.
    pub kind: String,
    /// What the project uses it for.
    pub role: Role,
    /// Whether anything was saved.
    pub state: State,
    /// In which form, if anything was.
    pub form: Option<Form>,
    /// Name of the database; of a file its name without folders.
    pub database: Option<String>,
    /// Version of the server, or of the library that read the file.
    pub server_version: Option<String>,
    /// Version of the program that wrote the dump.
    pub tool_version: Option<String>,
    /// The moment that it shows, or of keys when the first was read; RFC 3339 in UTC.
    pub taken_at: Option<String>,
    /// Whether all of it is of that one moment.
    pub one_moment: bool,
    /// Rows by table, counted at the same moment; keys by pattern.
    pub tables: Vec<Count>,
    /// Of keys: which ones, by patterns of the server's own.
    pub keys: Vec<Selection>,
    /// Of SQLite files: how they keep their journal, by the file's path in the backup.
    pub journal_modes: Vec<JournalMode>,
    /// Of a dump: how many tables it has data of, those of extensions too.
    pub data_entries: Option<u64>,
    /// Its files, relative to the backup's folder.
    pub files: Vec<File>,
    /// Whether it was read back and found good.
    pub checked: bool,
    /// What an operator should know.
    pub remarks: Vec<String>,
}

/// What a project uses a connection for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It is read.
    Source,
    /// It is written.
    Target,
}

/// Whether anything was saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// All of it.
    Saved,
    /// There was nothing: no such database or file yet.
    Absent,
    /// Databases of this kind are not backed up.
    NotBackedUp,
}

/// Form of the files of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// `pg_dump --format=custom`, one file.
    PostgresCustom,
    /// `pg_dump --format=directory`, a folder.
    PostgresDirectory,
    /// An SQLite file.
    Sqlite,
    /// PocketBase's folder.
    PbData,
    /// Keys in a form of dbferry's own.
    Keys,
}

/// How many rows or keys there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Count {
    /// Table, or pattern of keys.
    pub name: String,
    /// Rows, or keys.
    pub rows: u64,
}

/// Keys that were saved together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selection {
    /// As the project or the operator names them.
    pub name: String,
    /// As the server's patterns do.
    pub glob: String,
}

/// How an SQLite file keeps its journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JournalMode {
    /// Path in the backup.
    pub path: String,
    /// `wal`, `delete` and so on.
    pub mode: String,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Path relative to the backup's folder, parts separated by `/`.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256, hexadecimal.
    pub sha256: String,
}

impl Manifest {
    /// Bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.connections.iter().map(Saved::bytes).sum()
    }

    /// Writes it with its checksum; returns the checksum.
    pub(super) fn write(&self, folder: &Path) -> Result<String> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| Error::new(ErrorKind::Internal, "a manifest has no JSON form").because(error))?;
        let sum = file::sha256(text.as_bytes());
        file::write(&folder.join(NAME), text.as_bytes())?;
        file::write(&folder.join(CHECKSUM_NAME), format!("{sum}  {NAME}\n").as_bytes())?;
        Ok(sum)
    }

    /// Reads that of a folder, with its checksum.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] where there is none, [`ErrorKind::Unreadable`] for one that was changed or
    /// is of another version.
    pub fn read(folder: &Path) -> Result<(Self, String)> {
        let path = folder.join(NAME);
        let none = |error: std::io::Error| {
            Error::new(
                ErrorKind::Usage,
                format!("{} is not a backup: it has no {NAME} that can be read", folder.display()),
            )
            .because(error)
            .hint("name a folder that `dbferry backup PROJECT` has made")
        };
        let bytes = std::fs::metadata(&path).map_err(none)?.len();
        if bytes > BYTES_MAX {
            return Err(Error::new(
                ErrorKind::Unreadable,
                format!("{} is larger than any manifest", path.display()),
            ));
        }
        let text = std::fs::read(&path).map_err(none)?;
        let sum = file::sha256(&text);
        let changed = |what: &str| {
            Error::new(ErrorKind::Unreadable, format!("{} {what}", path.display()))
                .hint("this backup cannot be trusted any more: take another one")
        };
        let noted = std::fs::read_to_string(folder.join(CHECKSUM_NAME)).unwrap_or_default();
        if noted.split_whitespace().next() != Some(sum.as_str()) {
            return Err(changed(&format!(
                "was changed: its checksum is not the one in {CHECKSUM_NAME}"
            )));
        }
        let format = serde_json::from_slice::<Versioned>(&text)
            .map_err(|_| changed("is not JSON of a manifest"))?
            .format;
        if format != FORMAT {
            return Err(Error::new(
                ErrorKind::Unreadable,
                format!(
                    "{} has form {format}, and this version of dbferry reads form {FORMAT}",
                    path.display()
                ),
            )
            .hint("use the version that wrote it, or a newer one"));
        }
        let manifest: Self = serde_json::from_slice(&text).map_err(|_| changed("is not JSON of a manifest"))?;
        if let Some(file) = manifest
            .connections
            .iter()
            .flat_map(|saved| &saved.files)
            .find(|file| !file::is_inside(&file.path))
        {
            return Err(changed(&format!("names a file outside of its folder: {}", file.path)));
        }
        Ok((manifest, sum))
    }
}

/// The part of a manifest that says how to read the others.
#[derive(Deserialize)]
struct Versioned {
    format: u32,
}

impl Saved {
    /// One of which nothing was saved yet.
    pub(super) fn of(connection: &str, kind: &str, role: Role) -> Self {
        Self {
            connection: connection.to_owned(),
            kind: kind.to_owned(),
            role,
            state: State::Saved,
            form: None,
            database: None,
            server_version: None,
            tool_version: None,
            taken_at: None,
            one_moment: true,
            tables: Vec::new(),
            keys: Vec::new(),
            journal_modes: Vec::new(),
            data_entries: None,
            files: Vec::new(),
            checked: false,
            remarks: Vec::new(),
        }
    }

    /// One that is going to be saved.
    #[must_use]
    pub fn planned(part: &super::Part) -> Self {
        Self {
            keys: part.keys.clone(),
            ..Self::of(&part.connection.name, part.connection.kind.name(), part.role)
        }
    }

    /// Bytes of its files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Rows or keys of all tables.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).sum()
    }
}

/// What a restored database holds other than the manifest says, in words.
pub(super) fn differences(expected: &[Count], found: &[Count]) -> Vec<String> {
    let mut differences = Vec::new();
    for wanted in expected {
        match found.iter().find(|other| other.name == wanted.name) {
            Some(there) if there.rows == wanted.rows => {}
            Some(there) => differences.push(format!("{} has {} rows instead of {}", wanted.name, there.rows, wanted.rows)),
            None => differences.push(format!("{} is missing, with {} rows", wanted.name, wanted.rows)),
        }
    }
    for extra in found
        .iter()
        .filter(|found| !expected.iter().any(|wanted| wanted.name == found.name))
    {
        differences.push(format!("{} with {} rows is not in the manifest", extra.name, extra.rows));
    }
    differences
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(name: &str, rows: u64) -> Count {
        Count {
            name: name.to_owned(),
            rows,
        }
    }

    fn manifest() -> Manifest {
        let mut saved = Saved::of("game", "postgres", Role::Target);
        saved.tables.push(count("public.players", 3));
        saved.files.push(File {
            path: "game/game.dump".to_owned(),
            bytes: 7,
            sha256: "00".to_owned(),
        });
        Manifest {
            format: FORMAT,
            dbferry: "0.1.0".to_owned(),
            project: "game".to_owned(),
            environment: "test".to_owned(),
            began_at: "2026-01-01T00:00:00Z".to_owned(),
            ended_at: "2026-01-01T00:00:01Z".to_owned(),
            key_prefix: String::new(),
            connections: vec![saved],
        }
    }

    #[test]
    fn what_was_written_is_read_and_what_was_changed_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let sum = manifest().write(folder.path()).expect("written");
        assert_eq!(Manifest::read(folder.path()).expect("read"), (manifest(), sum));
        let path = folder.path().join(NAME);
        let text = std::fs::read_to_string(&path)
            .expect("text")
            .replace("\"rows\": 3", "\"rows\": 4");
        std::fs::write(&path, text).expect("written");
        let error = Manifest::read(folder.path()).expect_err("changed");
        assert!(error.message().contains("was changed"), "{error}");
    }

    #[test]
    fn a_manifest_of_another_form_or_with_a_path_to_elsewhere_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut other = manifest();
        other.format = 2;
        other.write(folder.path()).expect("written");
        assert!(Manifest::read(folder.path()).expect_err("newer").message().contains("form 2"));
        for path in ["../x", "/etc/passwd", "a/../../x", ""] {
            let mut other = manifest();
            path.clone_into(&mut other.connections[0].files[0].path);
            let folder = tempfile::tempdir().expect("a folder");
            other.write(folder.path()).expect("written");
            let error = Manifest::read(folder.path()).expect_err(path);
            assert!(error.message().contains("outside"), "{error}");
        }
    }

    #[test]
    fn what_differs_is_named() {
        let expected = [count("a", 1), count("b", 2), count("c", 3)];
        let found = [count("a", 1), count("b", 1), count("d", 4)];
        assert_eq!(
            differences(&expected, &found),
            [
                "b has 1 rows instead of 2",
                "c is missing, with 3 rows",
                "d with 4 rows is not in the manifest"
            ]
        );
        assert!(differences(&expected, &expected).is_empty());
    }
}
