//! Postgres: a dump by `pg_dump`, with the rows of every table counted in the very moment that is
//! dumped.
//!
//! One connection locks the tables against being emptied or dropped, exports its snapshot, and counts;
//! `pg_dump` dumps that snapshot meanwhile. The dump of one file comes through a pipe, so that it ends
//! with us and never fills a disk unseen.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use secrecy::SecretString;
use sqlx::{Executor as _, PgConnection};

mod child;
mod database;
mod restore;
mod scratch;
mod tables;
mod told;
mod tool;

pub(super) use restore::{restore, standing};
pub(super) use scratch::verify;

use self::child::Start;
use self::tables::Tables;
use self::tool::Tools;
use super::manifest::{Form, Role, Saved, State};
use super::{Context, Step, clock};
use crate::postgres::catalog::get;
use crate::postgres::connect::Address;
use crate::postgres::error::classify;
use crate::{Error, ErrorKind, Result};

/// How often tables may come and go between being listed and being locked.
const ATTEMPTS_MAX: u32 = 5;
/// How often the size of a folder that is written is told.
const PROGRESS_PAUSE: Duration = Duration::from_millis(500);

/// A database: its name in the configuration, and how it is reached.
#[derive(Clone, Copy)]
pub(super) struct Database<'a> {
    pub(super) name: &'a str,
    pub(super) url: &'a SecretString,
}

impl Database<'_> {
    fn address(&self) -> Result<Address> {
        Address::parse(self.url).map_err(|error| self.about(error))
    }

    fn about(&self, error: Error) -> Error {
        error.during(format_args!("connection `{}`", self.name))
    }
}

/// Dumps a database into a part of a backup's folder.
pub(super) async fn dump(database: Database<'_>, role: Role, folder: &Path, context: &Context<'_>) -> Result<Saved> {
    let dumped = dumped(database, role, folder, context).await;
    dumped.map_err(|error| database.about(error))
}

async fn dumped(database: Database<'_>, role: Role, folder: &Path, context: &Context<'_>) -> Result<Saved> {
    let mut saved = Saved::of(database.name, "postgres", role);
    let address = database.address()?;
    saved.database = Some(address.database().to_owned());
    let Some(mut connection) = address.connect_if_exists().await? else {
        saved.state = State::Absent;
        saved.remarks.push("the server had no such database yet".to_owned());
        return Ok(saved);
    };
    let (major, version) = server_version(&mut connection).await?;
    let tools = Tools::find(context.tools, major, None).await?;
    saved.server_version = Some(version);
    saved.tool_version = Some(tools.version.clone());
    let held = hold(&mut connection).await?;
    saved.taken_at = Some(clock::now());
    let form = if context.jobs.is_some() {
        Form::PostgresDirectory
    } else {
        Form::PostgresCustom
    };
    saved.form = Some(form);
    let counting = async { tables::counts(&mut connection, &held.tables.names).await };
    let dumping = run(database, (&address, &tools), &held.snapshot, folder, context);
    let (counts, ()) = tokio::try_join!(counting, dumping)?;
    saved.tables = counts;
    saved.data_entries = Some(saved.tables.len() as u64 + held.tables.of_extensions);
    if !held.tables.foreign.is_empty() {
        saved.remarks.push(format!(
            "rows of foreign tables are another database's and are not part of it: {}",
            held.tables.foreign.join(", ")
        ));
    }
    Ok(saved)
}

/// A moment that is held by an open transaction.
struct Held {
    snapshot: String,
    tables: Tables,
}

/// Locks all tables, and exports the moment after that.
async fn hold(connection: &mut PgConnection) -> Result<Held> {
    for _ in 0..ATTEMPTS_MAX {
        let before = tables::all(connection).await?;
        let failed = |error: sqlx::Error| classify(&error).during("holding a moment");
        connection
            .execute("begin transaction isolation level repeatable read, read only")
            .await
            .map_err(failed)?;
        // A transaction takes its moment with its first query, which a lock is not.
        match tables::lock(connection, &before.names).await {
            Ok(()) => {}
            // One was dropped since it was listed.
            Err(error) if error.kind() == ErrorKind::Missing => {
                connection.execute("rollback").await.map_err(failed)?;
                continue;
            }
            Err(error) => return Err(error),
        }
        let row = connection
            .fetch_one("select pg_catalog.pg_export_snapshot()")
            .await
            .map_err(failed)?;
        let snapshot: String = get(&row, 0)?;
        let tables = tables::all(connection).await?;
        if tables == before {
            return Ok(Held { snapshot, tables });
        }
        connection.execute("rollback").await.map_err(failed)?;
    }
    Err(Error::new(
        ErrorKind::Busy,
        "tables come and go all the time, so that no moment could be held",
    )
    .hint("wait until migrations are done, then call again"))
}

async fn run(
    database: Database<'_>,
    (address, tools): (&Address, &Tools),
    snapshot: &str,
    folder: &Path,
    context: &Context<'_>,
) -> Result<()> {
    let mut arguments: Vec<OsString> = ["--no-password", "--verbose", "--lock-wait-timeout=30000"]
        .map(OsString::from)
        .into();
    arguments.push(format!("--snapshot={snapshot}").into());
    let program = tools.program("pg_dump");
    let mut start = Start {
        program: &program,
        arguments,
        environment: Some(address.for_child(database.url, tools.major)),
        connection: database.name,
    };
    let Some(jobs) = context.jobs else {
        start.arguments.push("--format=custom".into());
        return start.write_to(&folder.join(dump_name(Form::PostgresCustom)), context).await;
    };
    let into = folder.join(dump_name(Form::PostgresDirectory));
    start.arguments.push("--format=directory".into());
    start.arguments.push(format!("--jobs={jobs}").into());
    let mut file = OsString::from("--file=");
    file.push(&into);
    start.arguments.push(file);
    let watching = async {
        let mut told = 0;
        loop {
            tokio::time::sleep(PROGRESS_PAUSE).await;
            let bytes = size_of(&into);
            context.tell(Step::Bytes {
                connection: database.name,
                bytes: bytes.saturating_sub(told),
            });
            told = told.max(bytes);
        }
    };
    tokio::select! {
        ended = start.to_the_end(context) => ended,
        () = watching => Ok(()),
    }
}

/// File or folder of a dump, within its connection's folder.
fn dump_name(form: Form) -> &'static str {
    match form {
        Form::PostgresDirectory => "dump",
        _ => "database.dump",
    }
}

fn size_of(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries.filter_map(|entry| Some(entry.ok()?.metadata().ok()?.len())).sum()
}

/// Looks whether a dump is one that can be restored: `pg_restore` reads its list, and it holds the data
/// of as many tables as were counted.
pub(super) async fn check(saved: &Saved, folder: &Path, context: &Context<'_>) -> Result<()> {
    let tools = Tools::find(context.tools, 0, writer(saved)).await?;
    let program = tools.program("pg_restore");
    let form = saved.form.unwrap_or(Form::PostgresCustom);
    let start = Start {
        program: &program,
        arguments: vec!["--list".into(), folder.join(dump_name(form)).into()],
        environment: None,
        connection: &saved.connection,
    };
    let mut entries = 0_u64;
    start
        .each_line(context, |line| entries += u64::from(is_data_entry(line)))
        .await?;
    match saved.data_entries {
        Some(expected) if expected != entries => Err(Error::new(
            ErrorKind::Validation,
            format!(
                "the dump of `{}` holds the data of {entries} tables, and {expected} were counted",
                saved.connection
            ),
        )
        .hint("take another backup; if it says so again, this is a defect in dbferry: please report it")),
        _ => Ok(()),
    }
}

/// `3344; 0 16390 TABLE DATA public players owner`.
fn is_data_entry(line: &str) -> bool {
    let behind = line.split_once("; ").map_or("", |(_, rest)| rest);
    let mut words = behind.splitn(3, ' ').skip(2);
    !line.starts_with(';') && words.next().is_some_and(|rest| rest.starts_with("TABLE DATA "))
}

/// Major version of what wrote a dump.
fn writer(saved: &Saved) -> Option<u32> {
    let version = saved.tool_version.as_deref()?;
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// Major version, and the whole one.
async fn server_version(connection: &mut PgConnection) -> Result<(u32, String)> {
    let row = connection
        .fetch_one("select current_setting('server_version_num')::int, current_setting('server_version')")
        .await
        .map_err(|error| classify(&error))?;
    let number: i32 = get(&row, 0)?;
    Ok((u32::try_from(number / 10_000).unwrap_or_default(), get(&row, 1)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_of_data_are_told_from_others() {
        assert!(is_data_entry("3344; 0 16390 TABLE DATA public players dbferry"));
        for line in [
            ";     TOC Entries: 12",
            "215; 1259 16390 TABLE public TABLE DATA dbferry",
            "3350; 0 0 SEQUENCE SET public players_id_seq dbferry",
            "",
        ] {
            assert!(!is_data_entry(line), "{line}");
        }
    }
}
