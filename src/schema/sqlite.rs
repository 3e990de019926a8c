//! Migrations of an SQLite file, recorded in the table that sqlx's SQLite driver has.
//!
//! SQLite is called where the caller stands: nothing else goes on while a target is migrated.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _};

use super::folder::{Script, ScriptFile};
use super::hazard::Dialect;
use super::inventory::Inventory;
use super::state::Record;
use super::{Database, Fill, Watch};
use crate::data::table::{MIGRATIONS_TABLE, TableName};
use crate::{Error, ErrorKind, Result};

mod run;
pub(super) mod scratch;
mod statement;

use run::Change;

/// How long another process may hold the file while it is looked at.
const BUSY_WAIT_MAX: Duration = Duration::from_secs(10);

/// An SQLite file.
pub(super) struct SqliteDatabase {
    name: String,
    connection: Connection,
}

impl SqliteDatabase {
    /// Opens the file, and creates it where it is missing.
    pub(super) fn create(name: &str, path: &Path) -> Result<Self> {
        let is_new = !path.exists();
        if let Some(folder) = path.parent().filter(|_| is_new) {
            std::fs::create_dir_all(folder).map_err(|error| {
                Error::new(ErrorKind::Unauthorised, format!("cannot create {}", folder.display())).because(error)
            })?;
        }
        let database = Self::open(name, path, OpenFlags::SQLITE_OPEN_CREATE)?;
        if is_new {
            // Others can read it while a run writes. Where another process has found the new file meanwhile,
            // it stays as that one makes it: SQLite does not wait to change this.
            let log = database.connection.query_row("pragma journal_mode = wal", [], |_| Ok(()));
            match log.map_err(|error| database.classify(&error)) {
                Err(error) if error.kind() != ErrorKind::Busy => return Err(error),
                _ => {}
            }
        }
        Ok(database)
    }

    /// Opens the file; `None` where there is none.
    pub(super) fn open_if_exists(name: &str, path: &Path) -> Result<Option<Self>> {
        if path.exists() {
            return Self::open(name, path, OpenFlags::empty()).map(Some);
        }
        Ok(None)
    }

    fn open(name: &str, path: &Path, more: OpenFlags) -> Result<Self> {
        let about = |error: &rusqlite::Error| classify(error).during(format_args!("migrating connection `{name}`"));
        // An absolute path cannot be taken for a URI.
        let path = std::path::absolute(path)
            .map_err(|error| Error::new(ErrorKind::Unreachable, format!("cannot find {}", path.display())).because(error))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | more;
        let connection = Connection::open_with_flags(path, flags).map_err(|error| about(&error))?;
        settle(&connection).map_err(|error| about(&error))?;
        Ok(Self {
            name: name.to_owned(),
            connection,
        })
    }

    fn classify(&self, error: &rusqlite::Error) -> Error {
        classify(error).during(format_args!("migrating connection `{}`", self.name))
    }

    fn is_applied(&self, version: i64) -> rusqlite::Result<bool> {
        let sql = format!("select exists (select 1 from {MIGRATIONS_TABLE} where version = ?1)");
        self.connection.query_row(&sql, [version], |row| row.get(0))
    }
}

fn settle(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_WAIT_MAX)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.execute_batch("pragma foreign_keys = on; pragma synchronous = extra")?;
    // The first look into the file: it may be no database at all.
    connection.query_row("select count(*) from sqlite_schema", [], |_| Ok(()))
}

fn classify(error: &rusqlite::Error) -> Error {
    let (kind, what) = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (ErrorKind::Busy, "the database is locked by another process"),
        Some(ErrorCode::DiskFull) => (ErrorKind::Full, "no space is left for the database"),
        Some(ErrorCode::NotADatabase) => (ErrorKind::Unreadable, "the file is not an SQLite database"),
        Some(ErrorCode::DatabaseCorrupt) => (ErrorKind::Unreadable, "the database is damaged"),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            (ErrorKind::Unauthorised, "no permission to write to the file or its folder")
        }
        Some(ErrorCode::SystemIoFailure) => (ErrorKind::Lost, "reading or writing the file failed"),
        _ => (ErrorKind::Internal, "SQLite failed"),
    };
    Error::new(kind, what)
}

#[async_trait]
impl Database for SqliteDatabase {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    async fn prepare(&mut self, watch: &dyn Watch) -> Result<()> {
        let table = format!(
            "create table if not exists {MIGRATIONS_TABLE} (
                version bigint primary key,
                description text not null,
                installed_on timestamp not null default current_timestamp,
                success boolean not null,
                checksum blob not null,
                execution_time bigint not null
            )"
        );
        self.waiting(&table, watch)
    }

    async fn history(&mut self) -> Result<Vec<Record>> {
        let rows = || -> rusqlite::Result<Vec<Record>> {
            let there = self
                .connection
                .query_row(
                    "select 1 from sqlite_schema where type = 'table' and name = ?1",
                    [MIGRATIONS_TABLE],
                    |_| Ok(()),
                )
                .optional()?;
            if there.is_none() {
                return Ok(Vec::new());
            }
            self.connection
                .prepare(&format!(
                    "select version, description, cast(installed_on as text), success, checksum from {MIGRATIONS_TABLE} order by version"
                ))?
                .query_map([], |row| {
                    Ok(Record {
                        version: row.get(0)?,
                        description: row.get(1)?,
                        applied_at: row.get(2)?,
                        success: row.get(3)?,
                        checksum: row.get(4)?,
                    })
                })?
                .collect()
        };
        rows().map_err(|error| self.classify(&error))
    }

    async fn apply(&mut self, script: &Script, watch: &dyn Watch) -> Result<bool> {
        let insert = |success: bool, nanoseconds: i64| {
            self.connection.execute(
                &format!(
                    "insert into {MIGRATIONS_TABLE} (version, description, success, checksum, execution_time) values (?1, ?2, ?3, ?4, ?5)"
                ),
                (script.version, &script.description, success, script.checksum(), nanoseconds),
            )
        };
        let change = Change {
            applied: false,
            record: &|elapsed| insert(true, nanoseconds(elapsed)),
            begin: &|| insert(false, -1),
            finish: &|elapsed| {
                self.connection.execute(
                    &format!("update {MIGRATIONS_TABLE} set success = true, execution_time = ?2 where version = ?1"),
                    (script.version, nanoseconds(elapsed)),
                )
            },
            take_back: &|| self.forgotten(script.version),
        };
        self.run(script, &script.up, &change, watch)
    }

    async fn revert(&mut self, script: &Script, down: &ScriptFile, watch: &dyn Watch) -> Result<bool> {
        let mark = |success: bool| {
            self.connection.execute(
                &format!("update {MIGRATIONS_TABLE} set success = ?2 where version = ?1"),
                (script.version, success),
            )
        };
        let change = Change {
            applied: true,
            record: &|_| self.forgotten(script.version),
            begin: &|| mark(false),
            finish: &|_| self.forgotten(script.version),
            take_back: &|| mark(true),
        };
        self.run(script, down, &change, watch)
    }

    async fn fill(&mut self, table: &TableName) -> Result<Fill> {
        let known = "select name from pragma_table_list where type in ('table', 'virtual') and name = ?1 collate nocase and (?2 is null or schema = ?2 collate nocase)";
        let name = self
            .connection
            .query_row(known, (&table.name, &table.schema), |row| row.get::<_, String>(0))
            .optional();
        match name.map_err(|error| self.classify(&error))? {
            None => Ok(Fill::Missing),
            Some(name) if self.has_rows(&name)? => Ok(Fill::Filled),
            Some(_) => Ok(Fill::Empty),
        }
    }

    async fn is_empty(&mut self) -> Result<bool> {
        for name in self.tables()? {
            if self.has_rows(&name)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn inventory(&mut self) -> Result<Inventory> {
        let mut inventory = Inventory::default();
        let mut read = || -> rusqlite::Result<()> {
            let mut statement = self.connection.prepare(&format!(
                "select type, name, coalesce(sql, 'on ' || tbl_name) from sqlite_schema
                 where name not like 'sqlite\\_%' escape '\\' and name <> '{MIGRATIONS_TABLE}'"
            ))?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let (kind, name, sql): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
                inventory.add(kind, name, sql);
            }
            for pragma in ["user_version", "application_id"] {
                let value: i64 = self.connection.query_row(&format!("pragma {pragma}"), [], |row| row.get(0))?;
                inventory.add("pragma", pragma, value.to_string());
            }
            Ok(())
        };
        read().map_err(|error| self.classify(&error))?;
        Ok(inventory)
    }
}

fn nanoseconds(elapsed: Duration) -> i64 {
    i64::try_from(elapsed.as_nanos()).unwrap_or(i64::MAX)
}

impl SqliteDatabase {
    fn forgotten(&self, version: i64) -> rusqlite::Result<usize> {
        self.connection
            .execute(&format!("delete from {MIGRATIONS_TABLE} where version = ?1"), [version])
    }

    /// Tables that are not of bookkeeping.
    fn tables(&self) -> Result<Vec<String>> {
        let names = || -> rusqlite::Result<Vec<String>> {
            self.connection
                .prepare(&format!(
                    "select name from sqlite_schema where type = 'table' and name not like 'sqlite\\_%' escape '\\'
                     and name not like 'dbferry\\_%' escape '\\' and name <> '{MIGRATIONS_TABLE}'"
                ))?
                .query_map([], |row| row.get(0))?
                .collect()
        };
        names().map_err(|error| self.classify(&error))
    }

    fn has_rows(&self, table: &str) -> Result<bool> {
        let text = format!("select exists (select 1 from \"{}\")", table.replace('"', "\"\""));
        self.connection
            .query_row(&text, [], |row| row.get(0))
            .map_err(|error| self.classify(&error))
    }
}
