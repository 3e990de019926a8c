//! Bringing a database back.
//!
//! The dump is restored into a new database beside the target, its rows are counted there, and only
//! then both change their names in one transaction of the server: whoever kills it at any moment leaves
//! the old database under its name, or the new one, whole. It also removes what the backup does not
//! know, needs no room for so many locks, and leaves a target alone whose backup turns out to be no
//! good. It takes a role that may create databases and owns the target, and nobody else may be
//! connected while the names change.
//!
//! Where the role may not, the dump is restored within the target in one transaction of `pg_restore`
//! (`--single-transaction --clean`): old or new as well, but counted only afterwards, and refused where
//! the target holds tables that the backup does not know, for they would stay.

use std::path::Path;
use std::time::Duration;

use sqlx::PgConnection;

use super::scratch::{self, Loading, REPLACED, RESTORE, Server, VERIFY, load};
use super::tool::Tools;
use super::{Database, database, tables, writer};
use crate::backup::manifest::{Count, Saved, differences};
use crate::backup::{Context, Step};
use crate::postgres::catalog::get;
use crate::postgres::error::classify;
use crate::{Error, ErrorKind, Result};

/// How often, and how long apart, sessions of the target that are just ending are looked for.
const LEAVING_LOOKS_MAX: u32 = 25;
const LEAVING_PAUSE: Duration = Duration::from_millis(200);

/// Tables that stand in the target.
pub(in crate::backup) async fn standing(database: Database<'_>) -> Result<Vec<String>> {
    let look = async {
        let Some(mut connection) = database.address()?.connect_if_exists().await? else {
            return Ok(Vec::new());
        };
        let mut there = tables::all(&mut connection).await?.names;
        // The user's own tables say more than the ledger's.
        there.sort_by_key(|table| table.schema.as_deref() == Some("dbferry"));
        Ok(there.iter().map(ToString::to_string).collect())
    };
    let look: Result<Vec<String>> = look.await;
    look.map_err(|error| database.about(error))
}

/// Brings a database back; what is there is replaced.
pub(in crate::backup) async fn restore(database: Database<'_>, saved: &Saved, folder: &Path, context: &Context<'_>) -> Result<()> {
    restored(database, saved, folder, context)
        .await
        .map_err(|error| database.about(error))
}

async fn restored(database: Database<'_>, saved: &Saved, folder: &Path, context: &Context<'_>) -> Result<()> {
    let address = database.address()?;
    let mut server = Server::connect(&address).await?;
    for name in server.drop_leftovers(&[RESTORE, REPLACED, VERIFY]).await? {
        context.tell(Step::Removed(&format!("database {name}, which an interrupted call left")));
    }
    let tools = Tools::find(context.tools, server.major, writer(saved)).await?;
    let loading = Loading {
        database,
        address: &address,
        tools: &tools,
        saved,
        folder,
    };
    let target = Target::look(&mut server).await?;
    if !server.may_create().await? || target.owned == Some(false) {
        if target.owned.is_none() {
            return Err(Error::new(
                ErrorKind::Unauthorised,
                "the database is not there, and the role may not create it",
            )
            .hint("give the role CREATEDB, or create the database"));
        }
        return within(&loading, context).await;
    }
    beside(&mut server, target.owned.is_some(), &loading, context).await
}

/// The database to be replaced.
struct Target {
    /// Whether the role may rename it; `None` where it is not there.
    owned: Option<bool>,
}

impl Target {
    async fn look(server: &mut Server) -> Result<Self> {
        let owned: Option<bool> = sqlx::query_scalar(
            "select pg_catalog.pg_has_role(current_user, d.datdba, 'usage') from pg_catalog.pg_database d where d.datname = $1",
        )
        .bind(server.address.database().to_owned())
        .fetch_optional(&mut server.connection)
        .await
        .map_err(|error| classify(&error))?;
        Ok(Self { owned })
    }
}

/// Into a new database, which then takes the target's name.
async fn beside(server: &mut Server, is_there: bool, loading: &Loading<'_>, context: &Context<'_>) -> Result<()> {
    let name = server.address.database().to_owned();
    if is_there {
        check_unused(&mut server.connection, &name).await?;
    }
    let successor = server.hold_name(RESTORE).await?;
    database::create_successor(server, &successor, &name).await?;
    let address = loading.address.with_database(&successor);
    let made_ready = async {
        let jobs = context.jobs.map(|jobs| format!("--jobs={jobs}"));
        let jobs: Vec<&str> = jobs.iter().map(String::as_str).collect();
        let loading = Loading {
            address: &address,
            ..*loading
        };
        load(&loading, &jobs, context).await?;
        agree(
            &loading.saved.tables,
            &scratch::counted(&address).await?,
            "nothing was changed",
        )?;
        database::dress(server, &successor, &name).await?;
        let replaced = if is_there {
            Some(server.hold_name(REPLACED).await?)
        } else {
            None
        };
        database::swap(server, &successor, &name, replaced.as_deref()).await?;
        Ok(replaced)
    };
    let outcome: Result<Option<String>> = made_ready.await;
    match outcome {
        Ok(Some(replaced)) => server.drop_database(&replaced).await.map_err(|error| {
            error.during(format_args!(
                "the backup is restored and verified, but the database of before is still there as `{replaced}`"
            ))
        }),
        Ok(None) => Ok(()),
        Err(error) => {
            server.drop_database(&successor).await?;
            Err(error)
        }
    }
}

/// Nobody else is connected; who is just going is waited for.
async fn check_unused(connection: &mut PgConnection, name: &str) -> Result<()> {
    let mut others = connected(connection, name).await?;
    for _ in 0..LEAVING_LOOKS_MAX {
        if others.is_empty() {
            return Ok(());
        }
        tokio::time::sleep(LEAVING_PAUSE).await;
        others = connected(connection, name).await?;
    }
    if others.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Busy,
        format!("others are connected to the database: {}", others.join(", ")),
    )
    .hint("stop its application (or end the sessions, see pg_stat_activity), then restore again; nothing was changed"))
}

/// Who is connected to a database, and how often.
async fn connected(connection: &mut PgConnection, name: &str) -> Result<Vec<String>> {
    let rows = sqlx::query(
        "select coalesce(nullif(application_name, ''), 'a client without a name')::text, count(*)
         from pg_catalog.pg_stat_activity where datname = $1 and pid <> pg_catalog.pg_backend_pid() group by 1 order by 1",
    )
    .bind(name)
    .fetch_all(connection)
    .await
    .map_err(|error| classify(&error))?;
    rows.iter()
        .map(|row| Ok(format!("{} ({})", get::<String>(row, 0)?, get::<i64>(row, 1)?)))
        .collect()
}

/// Within the target, in one transaction.
async fn within(loading: &Loading<'_>, context: &Context<'_>) -> Result<()> {
    let mut connection = loading.address.connect(None).await?;
    let there = tables::all(&mut connection).await?.names;
    let unknown: Vec<String> = there
        .iter()
        .map(ToString::to_string)
        .filter(|name| !loading.saved.tables.iter().any(|table| table.name == *name))
        .collect();
    if !unknown.is_empty() {
        return Err(Error::new(
            ErrorKind::Refused,
            format!(
                "the target holds tables that the backup does not know, and the role may not put another database in its place: {}",
                unknown.join(", ")
            ),
        )
        .hint("give the role CREATEDB and the database, or drop these tables; nothing was changed"));
    }
    drop(connection);
    let mut how = vec!["--single-transaction"];
    if !there.is_empty() {
        how.extend(["--clean", "--if-exists"]);
    }
    load(loading, &how, context).await?;
    agree(
        &loading.saved.tables,
        &scratch::counted(loading.address).await?,
        "the backup is restored, and somebody else has written to the target since",
    )
}

fn agree(expected: &[Count], found: &[Count], otherwise: &str) -> Result<()> {
    let differences = differences(expected, found);
    if differences.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Validation,
        format!("what was restored is not what the manifest says: {}", differences.join("; ")),
    )
    .hint(otherwise.to_owned()))
}
