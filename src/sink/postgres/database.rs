//! Creating the target database where it is missing and the configuration wants it.

use sqlx::{AssertSqlSafe, Executor as _, PgConnection};

use crate::config::connection::NewDatabase;
use crate::postgres::catalog::get;
use crate::postgres::connect::Address;
use crate::postgres::error::{classify, code};
use crate::postgres::quote;
use crate::{Error, ErrorKind, Result};

/// Creates the database that `address` names, if `wanted`, and connects to it.
pub(super) async fn create(address: &Address, wanted: Option<&NewDatabase>) -> Result<PgConnection> {
    let name = address.database();
    let Some(wanted) = wanted else {
        return Err(Error::new(ErrorKind::Missing, format!("the server has no database `{name}`"))
            .hint("create it, or let dbferry do it: `create_database = true` in the connection's configuration"));
    };
    let mut connection = address.connect_to_maintenance().await?;
    let failed = |error: Error| error.during(format_args!("cannot create database `{name}`"));
    let mut statement = format!("create database {}", quote::ident(name)?);
    if let Some(owner) = &wanted.owner {
        check_owner(&mut connection, owner).await.map_err(failed)?;
        statement = format!("{statement} owner {}", quote::ident(owner)?);
    }
    statement += &encoded(&mut connection, wanted.encoding.as_deref()).await.map_err(failed)?;
    if let Err(error) = connection.execute(sqlx::raw_sql(AssertSqlSafe(statement))).await {
        // Another run was faster.
        if !matches!(code(&error), Some("42P04" | "23505")) {
            return Err(failed(refused(&error, wanted)));
        }
    }
    address.connect(None).await
}

/// Whether the role may give a database to that owner.
async fn check_owner(connection: &mut PgConnection, owner: &str) -> Result<()> {
    // From version 16 on a member may be kept from acting as the role.
    let row = sqlx::query(
        "select pg_catalog.pg_has_role(r.oid, case when current_setting('server_version_num')::int >= 160000 then 'set' else 'member' end)
         from pg_catalog.pg_roles r where r.rolname = $1",
    )
    .bind(owner)
    .fetch_optional(connection)
    .await
    .map_err(|error| classify(&error))?;
    match row.as_ref().map(|row| get(row, 0)).transpose()? {
        Some(true) => Ok(()),
        Some(false) => Err(Error::new(
            ErrorKind::Unauthorised,
            format!("the role may not give it to `{owner}`, of which it is no member"),
        )
        .hint(format!("grant `{owner}` to the role of the connection's URL"))),
        None => Err(
            Error::new(ErrorKind::Missing, format!("the server has no role `{owner}` to own it"))
                .hint("create the role, or correct `owner` in the connection's configuration"),
        ),
    }
}

/// The part of the statement that says which template and encoding.
async fn encoded(connection: &mut PgConnection, encoding: Option<&str>) -> Result<String> {
    let wanted = encoding.unwrap_or("UTF8");
    let row = sqlx::query(
        "select pg_catalog.pg_char_to_encoding($1), pg_catalog.pg_encoding_to_char(pg_catalog.pg_char_to_encoding($1))::text, d.encoding
         from pg_catalog.pg_database d where d.datname = 'template1'",
    )
    .bind(wanted)
    .fetch_one(connection)
    .await
    .map_err(|error| classify(&error))?;
    let (number, name, there): (i32, String, i32) = (get(&row, 0)?, get(&row, 1)?, get(&row, 2)?);
    if number < 0 {
        return Err(
            Error::new(ErrorKind::Config, format!("the server knows no encoding `{wanted}`"))
                .hint("a name such as UTF8 or LATIN1: see `encoding` in the connection's configuration"),
        );
    }
    // What the server's owner put into template1 is wanted, unless it cannot hold the text.
    Ok(if number == there {
        String::new()
    } else {
        format!(" template template0 encoding '{name}'")
    })
}

fn refused(error: &sqlx::Error, wanted: &NewDatabase) -> Error {
    let refused = classify(error);
    match (code(error), &wanted.encoding) {
        (Some("42501"), _) => refused.hint("give the role `createdb`, or let somebody create the database who may"),
        (Some("55006"), _) => refused.hint("another session uses the database template1: end it, then run again"),
        // Text of one encoding would be sorted by the rules of another.
        (Some("22023" | "42704"), Some(encoding)) => Error::new(
            ErrorKind::Config,
            format!("encoding `{encoding}` does not go with the locale of the server's databases, or is not for databases"),
        )
        .hint("take UTF8, or create the database by hand with a locale that fits"),
        _ => refused,
    }
}
