//! Databases of our own on a server, for as long as something is tried out or made ready in them.
//!
//! Their names are recognisable and at random. Whoever made one holds a lock that bears its name (on a
//! database that every server has), which ends with its connection: a later call finds what a dead one
//! left, by names that nobody holds, and drops it.

use std::ffi::OsString;
use std::path::Path;

use sqlx::{AssertSqlSafe, Executor as _, PgConnection};
use uuid::Uuid;

use super::child::Start;
use super::tool::Tools;
use super::{Database, database, dump_name, server_version, tables, writer};
use crate::backup::manifest::{Form, Saved, differences};
use crate::backup::{Context, Step};
use crate::postgres::catalog::get;
use crate::postgres::connect::Address;
use crate::postgres::error::classify;
use crate::postgres::quote;
use crate::{Error, ErrorKind, Result};

/// How names begin, by what for.
pub(super) const VERIFY: &str = "dbferry_verify_";
pub(super) const RESTORE: &str = "dbferry_restore_";
pub(super) const REPLACED: &str = "dbferry_replaced_";
/// Digits behind that.
const DIGITS: usize = 16;
/// First half of the locks' keys.
const LOCK: i32 = 0x6462_6266;

/// A connection to the server, beside its databases, and the names that it holds.
pub(super) struct Server {
    pub(super) connection: PgConnection,
    pub(super) address: Address,
    pub(super) major: u32,
}

impl Server {
    pub(super) async fn connect(address: &Address) -> Result<Self> {
        let mut connection = address.connect_to_maintenance().await?;
        let (major, _) = server_version(&mut connection).await?;
        Ok(Self {
            connection,
            address: address.clone(),
            major,
        })
    }

    /// A new name, held from now on.
    pub(super) async fn hold_name(&mut self, beginning: &str) -> Result<String> {
        let digits = Uuid::new_v4().simple().to_string();
        let name = format!("{beginning}{}", &digits[..DIGITS]);
        self.hold(&name).await?;
        Ok(name)
    }

    /// Holds a name, if nobody else does.
    async fn hold(&mut self, name: &str) -> Result<bool> {
        sqlx::query_scalar("select pg_catalog.pg_try_advisory_lock($1, pg_catalog.hashtext($2))")
            .bind(LOCK)
            .bind(name)
            .fetch_one(&mut self.connection)
            .await
            .map_err(|error| classify(&error))
    }

    /// A command about databases.
    pub(super) async fn execute(&mut self, statement: String, doing: &str) -> Result<()> {
        let done = self.connection.execute(sqlx::raw_sql(AssertSqlSafe(statement))).await;
        done.map(drop).map_err(|error| classify(&error).during(doing))
    }

    /// Drops a database with all that is connected to it.
    pub(super) async fn drop_database(&mut self, name: &str) -> Result<()> {
        let force = if self.major >= 13 { " with (force)" } else { "" };
        let statement = format!("drop database if exists {}{force}", quote::ident(name)?);
        self.execute(statement, &format!("dropping database `{name}`")).await
    }

    /// Drops what dead calls of ours left; returns the names. What the role may not drop stays.
    pub(super) async fn drop_leftovers(&mut self, beginnings: &[&str]) -> Result<Vec<String>> {
        let rows = self
            .connection
            .fetch_all("select datname::text from pg_catalog.pg_database where datname like 'dbferry\\_%' order by datname")
            .await
            .map_err(|error| classify(&error))?;
        let mut dropped = Vec::new();
        for row in rows {
            let name: String = get(&row, 0)?;
            let is_ours = beginnings.iter().any(|beginning| {
                let digits = name.strip_prefix(beginning);
                digits.is_some_and(|digits| digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
            });
            if is_ours && self.hold(&name).await? {
                match self.drop_database(&name).await {
                    Ok(()) => dropped.push(name),
                    Err(error) if error.kind() == ErrorKind::Unauthorised => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(dropped)
    }

    /// Whether the role may make databases.
    pub(super) async fn may_create(&mut self) -> Result<bool> {
        let row = self
            .connection
            .fetch_one("select rolcreatedb or rolsuper from pg_catalog.pg_roles where rolname = current_user")
            .await
            .map_err(|error| classify(&error))?;
        get(&row, 0)
    }
}

/// What `pg_restore` is to do with a dump.
pub(super) struct Loading<'a> {
    pub(super) database: Database<'a>,
    /// The database to fill.
    pub(super) address: &'a Address,
    pub(super) tools: &'a Tools,
    pub(super) saved: &'a Saved,
    /// Folder of the connection within the backup.
    pub(super) folder: &'a Path,
}

/// Fills a database from a dump.
pub(super) async fn load(loading: &Loading<'_>, more: &[&str], context: &Context<'_>) -> Result<()> {
    let form = loading.saved.form.unwrap_or(Form::PostgresCustom);
    let mut arguments: Vec<OsString> = ["--no-password", "--verbose", "--exit-on-error"].map(OsString::from).into();
    arguments.extend(more.iter().map(OsString::from));
    let mut name = OsString::from("--dbname=");
    name.push(connection_string(loading.address.database()));
    arguments.push(name);
    arguments.push(loading.folder.join(dump_name(form)).into());
    let program = loading.tools.program("pg_restore");
    let start = Start {
        program: &program,
        arguments,
        environment: Some(loading.address.for_child(loading.database.url, loading.tools.major)),
        connection: loading.database.name,
    };
    start.to_the_end(context).await
}

/// A name is not to be taken for a connection string, whatever is in it.
fn connection_string(database: &str) -> String {
    format!("dbname='{}'", database.replace('\\', r"\\").replace('\'', r"\'"))
}

/// Restores a dump into a database of its own and compares counts; nothing of it stays.
///
/// # Errors
/// What kept it from being restored. What differs is in the list.
pub(in crate::backup) async fn verify(
    database: Database<'_>,
    saved: &Saved,
    folder: &Path,
    context: &Context<'_>,
) -> Result<Vec<String>> {
    verified(database, saved, folder, context)
        .await
        .map_err(|error| database.about(error))
}

async fn verified(database: Database<'_>, saved: &Saved, folder: &Path, context: &Context<'_>) -> Result<Vec<String>> {
    let address = database.address()?;
    let mut server = Server::connect(&address).await?;
    for name in server.drop_leftovers(&[VERIFY]).await? {
        context.tell(Step::Removed(&format!(
            "database {name}, which an interrupted verification left"
        )));
    }
    let tools = Tools::find(context.tools, server.major, writer(saved)).await?;
    if !server.may_create().await? {
        return Err(
            Error::new(ErrorKind::Unauthorised, "the role may not make a database to restore into")
                .hint("give it CREATEDB, or name a connection of the configuration whose role has it: --server CONNECTION"),
        );
    }
    let name = server.hold_name(VERIFY).await?;
    database::create_scratch(&mut server, &name, saved).await?;
    let scratch = address.with_database(&name);
    let loading = Loading {
        database,
        address: &scratch,
        tools: &tools,
        saved,
        folder,
    };
    let compared = async {
        load(&loading, &["--no-owner", "--no-privileges"], context).await?;
        let found = counted(&scratch).await?;
        Ok(differences(&saved.tables, &found))
    };
    let outcome: Result<Vec<String>> = compared.await;
    let dropped = server.drop_database(&name).await;
    let differences = outcome?;
    dropped?;
    Ok(differences)
}

/// Rows of all tables of a database.
pub(super) async fn counted(address: &Address) -> Result<Vec<crate::backup::manifest::Count>> {
    let mut connection = address.connect(None).await?;
    let found = tables::all(&mut connection).await?;
    tables::counts(&mut connection, &found.names).await
}
