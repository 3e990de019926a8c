//! How files and what a target records of them agree.

use std::path::Path;

use super::Database;
use super::folder::Script;
use crate::{Error, ErrorKind, Result};

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
pub(super) struct Record {
    pub(super) version: i64,
    pub(super) description: String,
    pub(super) applied_at: String,
    pub(super) success: bool,
    pub(super) checksum: Vec<u8>,
}

impl Script {
    pub(super) fn pending(&self) -> Migration {
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
    pub(super) fn against(&self, script: Option<&Script>) -> Migration {
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
    pub(super) fn expect_intact(&self, folder: &Path, database: &dyn Database) -> Result<()> {
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

    pub(super) fn no_way_back(&self, folder: &Path, scripts: &[Script]) -> Error {
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
