//! Counting rows: all of them, or those that a narrower target is a concern for.

use sqlx::PgConnection;

use super::failure;
use super::shape::Shape;
use crate::data::concern::Concern;
use crate::postgres::quote;
use crate::{Error, ErrorKind, Result};

/// Number of rows that a condition is true for.
pub(super) async fn count(connection: &mut PgConnection, shape: &Shape, condition: &str) -> Result<u64> {
    number(
        connection,
        &format!("select count(*) from {} where {condition}", shape.from),
        None,
    )
    .await
}

/// Number of rows that a concern is about.
pub(super) async fn concerned(connection: &mut PgConnection, shape: &Shape, concern: &Concern) -> Result<u64> {
    let column = |name: &str| -> Result<String> {
        shape.column(name)?;
        Ok(format!("s.{}", quote::ident(name)?))
    };
    let condition = match concern {
        Concern::Null { column: name } => format!("{} is null", column(name)?),
        Concern::Longer { column: name, max_chars } => {
            format!("pg_catalog.char_length({}::text) > {max_chars}", column(name)?)
        }
        Concern::FinerTime { column: name, digits } => {
            // Of infinity there are no microseconds: NULL, which is not counted.
            let step = 10_i64.pow(6 - u32::from(*digits).min(6));
            format!("extract(microseconds from {})::int8 % {step} <> 0", column(name)?)
        }
        Concern::WiderNumber {
            column: name,
            precision,
            scale,
        } => {
            let column = column(name)?;
            let digits = i32::from(*precision) - i32::from(*scale);
            format!(
                "case when {column}::text in ('NaN', 'Infinity', '-Infinity') then true \
                 else {column}::numeric <> pg_catalog.round({column}::numeric, {scale}) \
                     or pg_catalog.abs({column}::numeric) >= '1e{digits}'::numeric end"
            )
        }
        Concern::OutOfRange { column: name, min, max } => {
            format!("{} not between '{min}'::int8 and '{max}'::int8", column(name)?)
        }
        Concern::OtherLabel { column: name, labels } => {
            let column = column(name)?;
            // No label at all differs from NULL, too.
            let condition = format!("{column} is not null and {column}::text <> all ($1)");
            let sql = format!("select count(*) from {} where {condition}", shape.from);
            return number(connection, &sql, Some(labels)).await;
        }
        Concern::Repeated { columns } => {
            let columns: Vec<_> = columns.iter().map(|name| column(name)).collect::<Result<_>>()?;
            let sql = format!(
                "select coalesce(sum(g.rows - 1), 0)::int8 from (select count(*) as rows from {} where {} group by {}) as g",
                shape.from,
                columns
                    .iter()
                    .map(|column| format!("{column} is not null"))
                    .collect::<Vec<_>>()
                    .join(" and "),
                columns.join(", ")
            );
            return number(connection, &sql, None).await;
        }
    };
    count(connection, shape, &condition).await
}

async fn number(connection: &mut PgConnection, sql: &str, labels: Option<&[String]>) -> Result<u64> {
    let mut query = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).persistent(false);
    if let Some(labels) = labels {
        query = query.bind(labels);
    }
    let rows: i64 = query.fetch_one(connection).await.map_err(|error| failure::reading(&error))?;
    u64::try_from(rows).map_err(|_| Error::new(ErrorKind::Internal, "a negative number of rows"))
}
