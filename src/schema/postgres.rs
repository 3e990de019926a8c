//! Migrations of a Postgres database, through sqlx's own migrator.

use async_trait::async_trait;
use secrecy::SecretString;
use sqlx::migrate::{Migrate as _, MigrateError};
use sqlx::postgres::{PgDatabaseError, PgErrorPosition};
use sqlx::{Executor as _, PgConnection, Row as _};

use super::folder::{Script, ScriptFile};
use super::{Database, Record, failure};
use crate::data::table::MIGRATIONS_TABLE;
use crate::postgres::connect::Address;
use crate::postgres::error::{classify, code};
use crate::{Error, ErrorKind, Result};

/// A Postgres database.
pub(super) struct PostgresDatabase {
    name: String,
    connection: PgConnection,
}

impl PostgresDatabase {
    /// Connects.
    pub(super) async fn open(name: &str, url: &SecretString) -> Result<Self> {
        Self::open_if_exists(name, url).await?.ok_or_else(|| {
            Error::new(
                ErrorKind::Missing,
                format!("the database of connection `{name}` does not exist"),
            )
        })
    }

    /// Connects; `None` where the database does not exist.
    pub(super) async fn open_if_exists(name: &str, url: &SecretString) -> Result<Option<Self>> {
        let about = |error: Error| error.during(format_args!("connection `{name}`"));
        let address = Address::parse(url).map_err(about)?;
        let connection = address.connect_if_exists().await.map_err(about)?;
        Ok(connection.map(|connection| Self {
            name: name.to_owned(),
            connection,
        }))
    }

    fn about(&self, error: &sqlx::Error) -> Error {
        classify(error).during(format_args!("migrating connection `{}`", self.name))
    }

    fn failed(&self, error: MigrateError) -> Error {
        match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => self.about(&error),
            _ => Error::new(ErrorKind::Internal, "sqlx refused a migration that was checked"),
        }
    }

    /// A failure of the script itself or of the connection.
    fn outcome(&self, script: &Script, file: &ScriptFile, error: MigrateError) -> Error {
        let MigrateError::ExecuteMigration(error, _) = error else {
            return self.failed(error);
        };
        let Some(server) = error
            .as_database_error()
            .and_then(|error| error.try_downcast_ref::<PgDatabaseError>())
        else {
            return self.about(&error);
        };
        let at = match server.position() {
            Some(PgErrorPosition::Original(position)) => byte_at(file.text(), position),
            _ => None,
        };
        if tells_no_value(server.code()) {
            return failure::refused(script, file, at, server.message());
        }
        let classified = classify(&error);
        match classified.kind() {
            ErrorKind::Refused | ErrorKind::Internal => failure::refused(script, file, at, classified.message()),
            _ => classified.during(&file.file.path),
        }
    }
}

/// Classes of errors whose message speaks of the statement alone: syntax and names (42), what is
/// not supported (0A), what others depend on (2B), and missing schemas (3F).
fn tells_no_value(code: &str) -> bool {
    ["42", "0A", "2B", "3F"].iter().any(|class| code.starts_with(class)) && code != "42501"
}

/// Positions are counted in characters, from 1.
fn byte_at(text: &str, position: usize) -> Option<usize> {
    text.char_indices().nth(position.checked_sub(1)?).map(|(at, _)| at)
}

#[async_trait]
impl Database for PostgresDatabase {
    async fn prepare(&mut self) -> Result<()> {
        match self.connection.lock().await {
            Ok(()) => {}
            Err(MigrateError::Execute(error)) if code(&error) == Some("55P03") => {
                return Err(Error::new(
                    ErrorKind::Busy,
                    format!("another process is migrating connection `{}`", self.name),
                ));
            }
            Err(error) => return Err(self.failed(error)),
        }
        let prepared = self.connection.ensure_migrations_table(MIGRATIONS_TABLE).await;
        prepared.map_err(|error| self.failed(error))
    }

    async fn history(&mut self) -> Result<Vec<Record>> {
        let rows = async {
            let there = self
                .connection
                .fetch_one("select to_regclass('_sqlx_migrations') is not null")
                .await?;
            if !there.try_get::<bool, _>(0)? {
                return Ok(Vec::new());
            }
            let rows = self
                .connection
                .fetch_all(
                    "select version, description, to_char(installed_on at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS'), success, checksum
                     from _sqlx_migrations order by version",
                )
                .await?;
            rows.iter()
                .map(|row| {
                    Ok(Record {
                        version: row.try_get(0)?,
                        description: row.try_get(1)?,
                        applied_at: row.try_get(2)?,
                        success: row.try_get(3)?,
                        checksum: row.try_get(4)?,
                    })
                })
                .collect::<Result<Vec<Record>, sqlx::Error>>()
        };
        rows.await.map_err(|error: sqlx::Error| self.about(&error))
    }

    async fn apply(&mut self, script: &Script) -> Result<()> {
        let done = self.connection.apply(MIGRATIONS_TABLE, &script.up.migration).await;
        done.map(drop).map_err(|error| self.outcome(script, &script.up, error))
    }

    async fn revert(&mut self, script: &Script, down: &ScriptFile) -> Result<()> {
        let done = self.connection.revert(MIGRATIONS_TABLE, &down.migration).await;
        done.map(drop).map_err(|error| self.outcome(script, down, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_characters_counted_from_one() {
        assert_eq!(byte_at("ü x", 3), Some(3));
        assert_eq!(byte_at("x", 1), Some(0));
        assert_eq!((byte_at("x", 2), byte_at("x", 0)), (None, None));
    }

    #[test]
    fn only_messages_about_statements_are_passed_on() {
        for code in ["42601", "42P01", "42P07", "0A000", "2BP01", "3F000"] {
            assert!(tells_no_value(code), "{code}");
        }
        for code in ["22P02", "23505", "P0001", "42501", "53100"] {
            assert!(!tells_no_value(code), "{code}");
        }
    }
}
