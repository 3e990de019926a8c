//! Migrations of a Postgres database, through sqlx's own migrator.

use std::time::Instant;

use async_trait::async_trait;
use secrecy::SecretString;
use sqlx::migrate::{Migrate as _, MigrateError};
use sqlx::postgres::{PgArguments, PgDatabaseError, PgErrorPosition};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Executor as _, PgConnection, Postgres, Row as _};

use super::folder::{Script, ScriptFile};
use super::hazard::Dialect;
use super::inventory::Inventory;
use super::state::Record;
use super::{Database, Fill, Watch, failure};
use crate::data::table::{MIGRATIONS_TABLE, TableName};
use crate::postgres::connect::Address;
use crate::postgres::error::{classify, code};
use crate::postgres::quote;
use crate::{Error, ErrorKind, Result};

mod away;
mod inventory;
mod lock;
pub(super) mod scratch;

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

impl PostgresDatabase {
    /// Runs a file that allows no transaction. That it is begun is recorded first, by `begin`, so that
    /// one which was killed is known; sqlx reads such a record as unfinished, too. Where the server
    /// refuses the file, `take_back` makes the record as it was.
    async fn run_alone(
        &mut self,
        script: &Script,
        file: &ScriptFile,
        begin: Query<'_, Postgres, PgArguments>,
        take_back: &'static str,
    ) -> Result<()> {
        begin
            .execute(&mut self.connection)
            .await
            .map_err(|error| self.about(&error))?;
        let Err(error) = self.connection.execute(file.migration.sql.clone()).await else {
            return Ok(());
        };
        let is_refused = error.as_database_error().is_some();
        let told = self.outcome(script, file, MigrateError::ExecuteMigration(error, script.version));
        if is_refused && self.change(take_back, script.version).await.is_ok() {
            return Err(told);
        }
        let advice = told.advice().to_owned();
        Err(told.hint(format!(
            "{advice}; migration {} is begun and not finished: undo by hand what it did, then `{}`",
            script.version,
            self.forget(script.version)
        )))
    }

    /// Changes the record of a version.
    async fn change(&mut self, text: &'static str, version: i64) -> Result<()> {
        let changed = sqlx::query(text).bind(version).execute(&mut self.connection).await;
        changed.map(drop).map_err(|error| self.about(&error))
    }

    /// Whether a relation, as the server spells it, has a row; one that may not be read is taken to.
    async fn has_rows(&mut self, spelt: &str) -> Result<bool> {
        let text = format!("select exists (select from {spelt})");
        match self.connection.fetch_one(AssertSqlSafe(text)).await {
            Ok(row) => row.try_get(0).map_err(|error| self.about(&error)),
            Err(error) if code(&error) == Some("42501") => Ok(true),
            Err(error) => Err(self.about(&error)),
        }
    }
}

#[async_trait]
impl Database for PostgresDatabase {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    async fn prepare(&mut self, watch: &dyn Watch) -> Result<()> {
        lock::take(&mut self.connection, &self.name, watch).await?;
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

    async fn apply(&mut self, script: &Script, _: &dyn Watch) -> Result<bool> {
        away::none(&mut self.connection).await?;
        if !script.up.migration.no_tx {
            let done = self.connection.apply(MIGRATIONS_TABLE, &script.up.migration).await;
            return done.map(|_| true).map_err(|error| self.outcome(script, &script.up, error));
        }
        let started = Instant::now();
        let begin = sqlx::query(
            "insert into _sqlx_migrations (version, description, success, checksum, execution_time) values ($1, $2, false, $3, -1)",
        );
        let begin = begin.bind(script.version).bind(&script.description).bind(script.checksum());
        let take_back = "delete from _sqlx_migrations where version = $1 and not success";
        self.run_alone(script, &script.up, begin, take_back).await?;
        let elapsed = i64::try_from(started.elapsed().as_nanos()).unwrap_or(i64::MAX);
        let done = sqlx::query("update _sqlx_migrations set success = true, execution_time = $2 where version = $1")
            .bind(script.version)
            .bind(elapsed)
            .execute(&mut self.connection)
            .await;
        done.map(|_| true).map_err(|error| self.about(&error))
    }

    async fn revert(&mut self, script: &Script, down: &ScriptFile, _: &dyn Watch) -> Result<bool> {
        away::none(&mut self.connection).await?;
        if !down.migration.no_tx {
            let done = self.connection.revert(MIGRATIONS_TABLE, &down.migration).await;
            return done.map(|_| true).map_err(|error| self.outcome(script, down, error));
        }
        let begin = sqlx::query("update _sqlx_migrations set success = false where version = $1").bind(script.version);
        let take_back = "update _sqlx_migrations set success = true where version = $1";
        self.run_alone(script, down, begin, take_back).await?;
        self.change("delete from _sqlx_migrations where version = $1", script.version)
            .await?;
        Ok(true)
    }

    async fn fill(&mut self, table: &TableName) -> Result<Fill> {
        let name = quote::table(table)?;
        let found = sqlx::query("select c.oid::regclass::text from pg_catalog.pg_class c where c.oid = to_regclass($1) and c.relkind in ('r', 'p', 'f', 'm')")
            .bind(name)
            .fetch_optional(&mut self.connection)
            .await
            .map_err(|error| self.about(&error))?;
        let Some(row) = found else { return Ok(Fill::Missing) };
        let spelt: String = row.try_get(0).map_err(|error| self.about(&error))?;
        Ok(if self.has_rows(&spelt).await? {
            Fill::Filled
        } else {
            Fill::Empty
        })
    }

    async fn is_empty(&mut self) -> Result<bool> {
        let tables = self
            .connection
            .fetch_all(
                "select c.oid::regclass::text from pg_catalog.pg_class c
                 join pg_catalog.pg_namespace n on n.oid = c.relnamespace
                 where c.relkind in ('r', 'f', 'm') and n.nspname not in ('pg_catalog', 'information_schema', 'dbferry')
                     and n.nspname !~ '^pg_(toast|temp)' and c.relname <> '_sqlx_migrations'
                     and not exists (select from pg_catalog.pg_depend d where d.objid = c.oid and d.deptype = 'e')
                 order by c.reltuples desc",
            )
            .await
            .map_err(|error| self.about(&error))?;
        for row in tables {
            let spelt: String = row.try_get(0).map_err(|error| self.about(&error))?;
            if self.has_rows(&spelt).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn inventory(&mut self) -> Result<Inventory> {
        inventory::read(&mut self.connection)
            .await
            .map_err(|error| self.about(&error))
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
