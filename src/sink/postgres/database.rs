//! Creating the target database where it is missing and the configuration wants it.

use sqlx::{AssertSqlSafe, Executor as _, PgConnection};

use crate::postgres::catalog::get;
use crate::postgres::connect::Address;
use crate::postgres::error::{classify, code};
use crate::postgres::quote;
use crate::{Error, ErrorKind, Result};

/// Databases that every server has, to give the command from.
const MAINTENANCE: [&str; 2] = ["postgres", "template1"];

/// Creates the database that `address` names, if `wanted`, and connects to it.
pub(super) async fn create(address: &Address, wanted: bool) -> Result<PgConnection> {
    let name = address.database();
    if !wanted {
        return Err(Error::new(ErrorKind::Missing, format!("the server has no database `{name}`"))
            .hint("create it, or let dbferry do it: `create_database = true` in the connection's configuration"));
    }
    let quoted = quote::ident(name)?;
    let mut connection = maintenance(address).await?;
    let encoding = connection
        .fetch_one("select pg_catalog.pg_encoding_to_char(encoding)::text from pg_catalog.pg_database where datname = 'template1'")
        .await
        .map_err(|error| classify(&error))?;
    // What the server's owner put into template1 is wanted, unless it cannot hold all text.
    let how = if get::<String>(&encoding, 0)? == "UTF8" {
        ""
    } else {
        " template template0 encoding 'UTF8'"
    };
    let statement = format!("create database {quoted}{how}");
    if let Err(error) = connection.execute(sqlx::raw_sql(AssertSqlSafe(statement))).await {
        // Another run was faster.
        if !matches!(code(&error), Some("42P04" | "23505")) {
            let failed = classify(&error).during(format_args!("cannot create database `{name}`"));
            return Err(match code(&error) {
                Some("42501") => failed.hint("give the role `createdb`, or let somebody create the database who may"),
                Some("55006") => failed.hint("another session uses the database template1: end it, then run again"),
                _ => failed,
            });
        }
    }
    address.connect(None).await
}

async fn maintenance(address: &Address) -> Result<PgConnection> {
    for name in MAINTENANCE {
        if let Some(connection) = address.with_database(name).connect_if_exists().await? {
            return Ok(connection);
        }
    }
    Err(Error::new(
        ErrorKind::Missing,
        "the server has neither the database nor one to create it from (`postgres`)",
    ))
}
