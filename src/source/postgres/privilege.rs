//! Privileges: what a role that only reads still has to be granted, named precisely.

use sqlx::{AssertSqlSafe, Executor as _, PgConnection};

use super::failure;
use super::shape::Shape;
use crate::postgres::catalog::get;
use crate::postgres::error::classify;
use crate::postgres::quote;
use crate::{Error, ErrorKind, Result};

/// Whether the role may read these columns; without any, whether it may count rows.
///
/// # Errors
/// [`ErrorKind::Unauthorised`] that names what is missing where, with the statement that grants it.
pub(super) async fn check(connection: &mut PgConnection, shape: &Shape, columns: &[String]) -> Result<()> {
    named(connection, shape, columns).await?;
    let quoted = quote::idents(columns.iter().map(String::as_str))?;
    explain(connection, &format!("select {quoted} from {}", shape.from))
        .await
        .map_err(|error| failure::reading(&error).during(format_args!("`{}`", shape.table.name)))
}

/// Has the server make ready to carry a statement out: it finds what is not granted behind a
/// view or in a query, and locks all that the statement touches, but reads nothing.
pub(super) async fn explain(connection: &mut PgConnection, sql: &str) -> Result<(), sqlx::Error> {
    let explain = sqlx::raw_sql(AssertSqlSafe(format!("explain (costs off) {sql}")));
    connection.execute(explain).await.map(drop)
}

/// What the catalog tells of a table itself.
///
/// # Errors
/// As [`check`].
pub(super) async fn named(connection: &mut PgConnection, shape: &Shape, columns: &[String]) -> Result<()> {
    let Some(oid) = shape.oid else { return Ok(()) };
    let row = sqlx::query(
        "select quote_ident(current_user), quote_ident(n.nspname), pg_catalog.has_schema_privilege(n.oid, 'usage'),
             pg_catalog.has_any_column_privilege(c.oid, 'select'), pg_catalog.row_security_active(c.oid),
             array(select a.attname::text from pg_catalog.pg_attribute a
                 where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attname = any ($2)
                     and not pg_catalog.has_column_privilege(c.oid, a.attnum, 'select') order by a.attnum)
         from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid = $1::oid",
    )
    .bind(oid)
    .bind(columns)
    .fetch_one(connection)
    .await
    .map_err(|error| classify(&error))?;
    let (role, schema): (String, String) = (get(&row, 0)?, get(&row, 1)?);
    let name = &shape.table.name;
    let table = quote::table(name)?;
    let denied: Vec<String> = get(&row, 5)?;
    let any: bool = get(&row, 3)?;
    let (mut missing, mut grants) = (Vec::new(), Vec::new());
    if !get::<bool>(&row, 2)? {
        missing.push(format!("USAGE on schema `{}`", name.schema.as_deref().unwrap_or_default()));
        grants.push(format!("grant usage on schema {schema} to {role}"));
    }
    if !any {
        missing.push(format!("SELECT on table `{name}`"));
        grants.push(format!("grant select on {table} to {role}"));
    } else if !denied.is_empty() {
        let names: Vec<_> = denied.iter().map(|column| format!("`{column}`")).collect();
        let quoted = quote::idents(denied.iter().map(String::as_str))?;
        missing.push(format!("SELECT on {} of `{name}`", names.join(", ")));
        grants.push(format!("grant select ({quoted}) on {table} to {role}"));
    }
    if !missing.is_empty() {
        return Err(Error::new(
            ErrorKind::Unauthorised,
            format!("role {role} has no {}", missing.join(" and no ")),
        )
        .hint(format!("{};", grants.join("; "))));
    }
    if get(&row, 4)? {
        return Err(Error::new(
            ErrorKind::Unauthorised,
            format!("row level security of `{name}` applies to role {role}, and would hide rows from it"),
        )
        .hint(format!("alter role {role} bypassrls; or read as the table's owner")));
    }
    Ok(())
}
