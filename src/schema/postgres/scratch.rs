//! A database to try migrations in, on the server of the target: it goes when the trial ends.
//!
//! Whoever uses it holds an advisory lock of its name, in the database from which it was created. A name of
//! ours whose lock is free belongs to a process that is gone.

use secrecy::SecretString;
use sqlx::{AssertSqlSafe, Executor as _, PgConnection, Row as _};
use uuid::Uuid;

use super::PostgresDatabase;
use crate::postgres::connect::Address;
use crate::postgres::error::{classify, code};
use crate::postgres::quote;
use crate::schema::rehearsal::PREFIX;
use crate::{Error, ErrorKind, Result};

/// Databases that every server has, to give the command from.
const MAINTENANCE: [&str; 2] = ["postgres", "template1"];
/// First server that drops a database in spite of its sessions.
const VERSION_FORCE: u32 = 130_000;

/// A scratch database, and the session that keeps it.
pub(in crate::schema) struct Scratch {
    keeper: PgConnection,
    name: String,
}

/// Creates one and connects to it. Also the names of those that were left behind and are gone now.
pub(in crate::schema) async fn make(connection: &str, url: &SecretString) -> Result<(Scratch, PostgresDatabase, Vec<String>)> {
    let about = |error: Error| error.during(format_args!("a scratch database of connection `{connection}`"));
    let address = Address::parse(url).map_err(about)?;
    let mut scratch = Scratch {
        keeper: keeper(&address).await.map_err(about)?,
        name: format!("{PREFIX}{}", Uuid::new_v4().simple()),
    };
    let removed = scratch.remove_stale().await.map_err(about)?;
    scratch.create().await.map_err(about)?;
    match address.with_database(&scratch.name).connect(None).await {
        Ok(own) => {
            let name = connection.to_owned();
            Ok((scratch, PostgresDatabase { name, connection: own }, removed))
        }
        Err(error) => {
            scratch.remove().await?;
            Err(about(error))
        }
    }
}

async fn keeper(address: &Address) -> Result<PgConnection> {
    for name in MAINTENANCE {
        if let Some(connection) = address.with_database(name).connect_if_exists().await? {
            return Ok(connection);
        }
    }
    Err(Error::new(
        ErrorKind::Missing,
        "the server has no database to create another one from (`postgres`)",
    ))
}

impl Scratch {
    async fn create(&mut self) -> Result<()> {
        if !self.lock(&self.name.clone()).await? {
            return Err(Error::new(ErrorKind::Busy, "its name is taken"));
        }
        let text = format!("create database {}", quote::ident(&self.name)?);
        let created = self.keeper.execute(sqlx::raw_sql(AssertSqlSafe(text))).await;
        created.map(drop).map_err(|error| {
            let classified = classify(&error);
            match code(&error) {
                Some("42501") => classified.hint("the role needs `createdb` to try migrations: `alter role … createdb`"),
                Some("55006") => classified.hint("another session uses the database template1: end it, then try again"),
                _ => classified,
            }
        })
    }

    /// Whether nobody else uses the database of that name.
    async fn lock(&mut self, name: &str) -> Result<bool> {
        let row = sqlx::query("select pg_catalog.pg_try_advisory_lock(pg_catalog.hashtextextended($1, 0))")
            .bind(name)
            .fetch_one(&mut self.keeper)
            .await;
        row.and_then(|row| row.try_get(0)).map_err(|error| classify(&error))
    }

    /// Drops what calls that were killed have left. What belongs to another role is left to that.
    async fn remove_stale(&mut self) -> Result<Vec<String>> {
        let rows = sqlx::query(
            "select datname::text from pg_catalog.pg_database
             where starts_with(datname::text, $1) and pg_catalog.pg_has_role(datdba, 'usage') order by 1",
        )
        .bind(PREFIX)
        .fetch_all(&mut self.keeper)
        .await
        .map_err(|error| classify(&error))?;
        let mut removed = Vec::new();
        for row in rows {
            let name: String = row.try_get(0).map_err(|error| classify(&error))?;
            if self.lock(&name).await? {
                self.drop(&name).await?;
                removed.push(name);
            }
        }
        Ok(removed)
    }

    async fn drop(&mut self, name: &str) -> Result<()> {
        let forced = self
            .keeper
            .server_version_num()
            .is_some_and(|version| version >= VERSION_FORCE);
        if !forced {
            sqlx::query("select pg_catalog.pg_terminate_backend(pid) from pg_catalog.pg_stat_activity where datname = $1")
                .bind(name)
                .execute(&mut self.keeper)
                .await
                .map_err(|error| classify(&error))?;
        }
        let with = if forced { " with (force)" } else { "" };
        let text = format!("drop database if exists {}{with}", quote::ident(name)?);
        let dropped = self.keeper.execute(sqlx::raw_sql(AssertSqlSafe(text))).await;
        dropped.map(drop).map_err(|error| classify(&error))
    }

    /// Drops it, whoever is connected.
    pub(in crate::schema) async fn remove(mut self) -> Result<()> {
        let name = self.name.clone();
        self.drop(&name).await.map_err(|error| {
            error
                .during(format_args!("the scratch database `{name}` is still there"))
                .hint(format!("the next call removes it, or `drop database \"{name}\"`"))
        })
    }
}
