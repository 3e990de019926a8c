//! Migrations as files: their names, and which belong together.

use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use sqlx::migrate::{Migration as SqlxMigration, MigrationType};
use sqlx::{AssertSqlSafe, SqlSafeStr as _};

use crate::data::finding::{Place, SourceFile};
use crate::{Error, ErrorKind, Result};

/// What migrations are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    /// For databases of tables in SQL.
    Sql,
    /// For keyspaces.
    Cql,
}

impl Language {
    /// How the names of its files end.
    pub(super) const fn extension(self) -> &'static str {
        match self {
            Self::Sql => "sql",
            Self::Cql => "cql",
        }
    }
}

/// A file of a migration.
#[derive(Debug)]
pub(super) struct ScriptFile {
    pub(super) language: Language,
    pub(super) file: Arc<SourceFile>,
    /// As sqlx knows it: with its checksum, and whether it runs in a transaction.
    pub(super) migration: SqlxMigration,
}

/// A migration: what applies it, and what undoes it.
#[derive(Debug)]
pub(super) struct Script {
    pub(super) version: i64,
    pub(super) description: String,
    pub(super) up: ScriptFile,
    pub(super) down: Option<ScriptFile>,
}

impl Script {
    /// Of the file that applies it, as sqlx computes it (SHA-384).
    pub(super) fn checksum(&self) -> &[u8] {
        &self.up.migration.checksum
    }
}

impl ScriptFile {
    pub(super) fn text(&self) -> &str {
        &self.file.text
    }

    /// How its name ends.
    pub(super) const fn extension(&self) -> &'static str {
        self.language.extension()
    }

    /// A place in the file: the word that begins at a byte.
    pub(super) fn place(&self, start: usize) -> Place {
        let rest = self.text().get(start..).unwrap_or_default();
        let word = rest
            .find(|c: char| !(c.is_alphanumeric() || c == '_'))
            .filter(|length| *length > 0)
            .or_else(|| rest.chars().next().map(char::len_utf8))
            .unwrap_or_default();
        let span: Range<usize> = start..start + word;
        Place {
            file: Arc::clone(&self.file),
            span,
        }
    }
}

/// Reads the migrations of a folder, by version. Files that end in neither `.sql` nor `.cql` are no
/// matter.
///
/// # Errors
/// [`ErrorKind::Config`] naming the file whose name is no migration's, that has another's
/// version, that undoes nothing, or that is of the other language.
pub(super) fn read(folder: &Path, language: Language) -> Result<Vec<Script>> {
    let cannot = |path: &Path, error: std::io::Error| {
        Error::new(ErrorKind::Config, format!("cannot read {}", path.display())).because(error)
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| cannot(folder, error))? {
        let path = entry.map_err(|error| cannot(folder, error))?.path();
        let written = [Language::Sql, Language::Cql]
            .into_iter()
            .find(|one| path.extension().is_some_and(|extension| extension == one.extension()));
        let Some(written) = written.filter(|_| path.is_file()) else {
            continue;
        };
        if written != language {
            return Err(of_other_language(&path, language));
        }
        let text = fs::read_to_string(&path).map_err(|error| cannot(&path, error))?;
        files.push(file(&path, text, language)?);
    }
    files.sort_by(|one, other| one.migration.cmp(&other.migration));
    pair(files)
}

fn of_other_language(path: &Path, language: Language) -> Error {
    let (what, hint) = match language {
        Language::Sql => (
            "is CQL, and its connection is no keyspace of ScyllaDB or Cassandra",
            "write it in SQL, into a file that ends in `.sql`, or put it into the folder of the connection that it is for",
        ),
        Language::Cql => (
            "is SQL, and its connection is a keyspace of ScyllaDB or Cassandra",
            "write it in CQL, into a file that ends in `.cql`, or put it into the folder of the connection that it is for",
        ),
    };
    Error::new(ErrorKind::Config, format!("{} {what}", path.display())).hint(hint)
}

fn file(path: &Path, text: String, language: Language) -> Result<ScriptFile> {
    // sqlx knows the parts of a name that ends in `.sql`.
    let ending = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let name = format!("{}sql", name.strip_suffix(ending).unwrap_or(name));
    let kind = MigrationType::from_filename(&name);
    let parts = name
        .strip_suffix(kind.suffix())
        .and_then(|name| name.split_once('_'))
        .and_then(|(version, description)| Some((version.parse::<i64>().ok().filter(|version| *version > 0)?, description)));
    let Some((version, description)) = parts.filter(|(_, description)| !description.is_empty()) else {
        return Err(Error::new(
            ErrorKind::Config,
            format!("{} is not named as a migration is", path.display()),
        )
        .hint(format!(
            "`0001_name.up.{ending}` and `0001_name.down.{ending}`, or `0001_name.{ending}`, with a version above 0"
        )));
    };
    let no_transaction = language == Language::Cql || text.starts_with("-- no-transaction");
    Ok(ScriptFile {
        language,
        migration: SqlxMigration::new(
            version,
            description.replace('_', " ").into(),
            kind,
            AssertSqlSafe(text.as_str()).into_sql_str(),
            no_transaction,
        ),
        file: Arc::new(SourceFile {
            path: path.display().to_string(),
            text,
        }),
    })
}

/// Sorted by version, what applies before what undoes.
fn pair(files: Vec<ScriptFile>) -> Result<Vec<Script>> {
    let mut scripts: Vec<Script> = Vec::new();
    for file in files {
        let version = file.migration.version;
        let last = scripts.last_mut().filter(|last| last.version == version);
        match (last, file.migration.migration_type.is_down_migration()) {
            (None, false) => scripts.push(Script {
                version,
                description: file.migration.description.to_string(),
                up: file,
                down: None,
            }),
            (Some(script), true) if script.down.is_none() => script.down = Some(file),
            (Some(script), _) => {
                return Err(Error::new(
                    ErrorKind::Config,
                    format!("{} and {} have the same version", script.up.file.path, file.file.path),
                )
                .hint("give one of them the next free number"));
            }
            (None, true) => {
                return Err(Error::new(
                    ErrorKind::Config,
                    format!("{} undoes a migration that is not there", file.file.path),
                )
                .hint(format!(
                    "write what applies it into a file `{version}_….up.{}`",
                    file.extension()
                )));
            }
        }
    }
    Ok(scripts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a scratch folder");
        for name in names {
            fs::write(folder.path().join(name), format!("-- {name}\nselect 1;\n")).expect("a file");
        }
        folder
    }

    #[test]
    fn files_are_paired_by_version_and_sorted_by_number() {
        let folder = folder(&["10_c.sql", "2_b_two.up.sql", "2_b_two.down.sql", "0001_a.up.sql", "README.md"]);
        let scripts = read(folder.path(), Language::Sql).expect("migrations");
        let read: Vec<_> = scripts
            .iter()
            .map(|script| (script.version, script.description.as_str(), script.down.is_some()))
            .collect();
        assert_eq!(read, [(1, "a", false), (2, "b two", true), (10, "c", false)]);
        assert_eq!(scripts[0].checksum().len(), 48);
        assert!(!scripts[0].up.migration.no_tx);
    }

    #[test]
    fn a_name_that_says_no_version_is_refused() {
        for (names, says) in [
            (&["players.sql"][..], "not named as a migration"),
            (&["0_players.sql"], "not named as a migration"),
            (&["1_.sql"], "not named as a migration"),
            (&["1_a.sql", "01_b.sql"], "have the same version"),
            (&["1_a.up.sql", "1_a.sql"], "have the same version"),
            (&["1_a.down.sql"], "undoes a migration that is not there"),
        ] {
            let folder = folder(names);
            let error = read(folder.path(), Language::Sql).expect_err("a mistake");
            assert!(error.message().contains(says), "{error}");
            assert_eq!(error.kind(), ErrorKind::Config);
        }
    }

    #[test]
    fn a_folder_has_files_of_one_language() {
        let folder = folder(&["2_b.cql", "1_a.up.cql", "1_a.down.cql"]);
        let scripts = read(folder.path(), Language::Cql).expect("migrations");
        let read_names: Vec<_> = scripts
            .iter()
            .map(|script| (script.version, script.description.as_str(), script.down.is_some()))
            .collect();
        assert_eq!(read_names, [(1, "a", true), (2, "b", false)]);
        assert!(scripts[0].up.file.path.ends_with("1_a.up.cql"));
        for (language, says) in [(Language::Sql, "is CQL"), (Language::Cql, "is SQL")] {
            fs::write(folder.path().join("3_c.sql"), "").expect("a file");
            if language == Language::Sql {
                fs::remove_file(folder.path().join("3_c.sql")).expect("a file");
            }
            let error = read(folder.path(), language).expect_err("of the other language");
            assert!(error.message().contains(says), "{error}");
        }
        let folder = self::folder(&["players.cql"]);
        let error = read(folder.path(), Language::Cql).expect_err("no version");
        assert!(error.advice().contains("0001_name.up.cql"), "{}", error.advice());
    }

    #[test]
    fn a_place_is_a_word() {
        let folder = folder(&["1_a.sql"]);
        let scripts = read(folder.path(), Language::Sql).expect("migrations");
        let place = scripts[0].up.place(11);
        assert_eq!((place.text(), place.line_column()), ("select", (2, 1)));
        assert_eq!(scripts[0].up.place(19).text(), ";");
        assert_eq!(scripts[0].up.place(21).text(), "");
    }
}
