//! Conditions of the user's over a table's columns, in the server's own SQL.

use sqlx::{AssertSqlSafe, Executor as _, PgConnection};

use super::failure;
use super::shape::Shape;
use crate::postgres::catalog::get;
use crate::{Error, ErrorKind, Result};

/// Has the server parse a condition, and estimate how many rows it holds for.
///
/// # Errors
/// [`ErrorKind::Mapping`] where it is not valid.
pub(super) async fn check(connection: &mut PgConnection, shape: &Shape, condition: &str) -> Result<Option<u64>> {
    // On its own first, so that nothing of it reaches out of parentheses.
    let alone = format!("select 1 from {} where {condition}\n", shape.from);
    let prepared = failure::prepare(connection, &alone, "condition").await?;
    if !prepared.parameters.is_empty() {
        return Err(Error::new(
            ErrorKind::Mapping,
            "the condition has parameters, and there is nothing to give them",
        ));
    }
    let within = format!("select 1 from {} where (\n{condition}\n)", shape.from);
    failure::prepare(connection, &within, "condition").await?;
    let row = connection
        .fetch_one(sqlx::raw_sql(AssertSqlSafe(format!("explain {within}"))))
        .await
        .map_err(|error| failure::reading(&error))?;
    // Such as `Seq Scan on t s  (cost=0.00..1.01 rows=1 width=4)`.
    let step: String = get(&row, 0)?;
    let rows = step
        .rsplit_once("rows=")
        .and_then(|(_, rest)| rest.split(' ').next()?.parse().ok());
    Ok(rows)
}
