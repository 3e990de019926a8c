//! Rows that are changed where they are: the next of them, locked and not.
//!
//! Rows are gone through in the order of a key that the database keeps unique, by its index, a
//! bounded number at a time: no statement looks at a whole table, however few of its rows fit.
//! They are locked as an update that leaves the key alone would lock them, so that rows which refer
//! to them can still be inserted.

use std::time::Duration;

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use super::session::execute;
use crate::data::backfill::{NextRows, RowRange};
use crate::data::column::ColumnType;
use crate::data::position::Key;
use crate::data::table::TableName;
use crate::postgres::catalog::{self, get};
use crate::postgres::error::classify;
use crate::postgres::key_form::KeyForm;
use crate::postgres::quote;
use crate::{Error, ErrorKind, Result};

/// After how long in silence the server gives up a batch of ours, with its locks.
const SILENCE: &str = "15s";

/// Rows come through the key's index, in its order: a sort would look at all of them for each batch.
const BY_INDEX: &str = "set local enable_seqscan = off; set local enable_bitmapscan = off; set local enable_sort = off";
/// And are found again by it when they are written, whatever the planner believes of a temporary table.
const AS_BEFORE: &str = "set local enable_seqscan = default; set local enable_bitmapscan = default; set local enable_sort = default; \
     set local enable_hashjoin = off; set local enable_mergejoin = off";

/// Waits for locks, and silence, are short from here on.
pub(super) async fn keep_short(connection: &mut PgConnection, lock_wait: Duration) -> Result<()> {
    let milliseconds = lock_wait.as_millis().max(1);
    let settings = format!("set lock_timeout = '{milliseconds}ms'; set idle_in_transaction_session_timeout = '{SILENCE}'");
    execute(connection, &settings).await
}

/// Locks the next rows, within a transaction.
pub(super) async fn lock_next(connection: &mut PgConnection, table: &str, range: &RowRange) -> Result<NextRows> {
    let key = parts(connection, table, range).await?;
    execute(connection, BY_INDEX).await?;
    let found = next(connection, table, (&key, range), " for no key update of s").await?;
    execute(connection, AS_BEFORE).await?;
    Ok(found)
}

/// The next rows as they are, outside of any transaction.
pub(super) async fn next_keys(connection: &mut PgConnection, table: &TableName, range: &RowRange) -> Result<NextRows> {
    let found = catalog::table(connection, table).await?;
    let found = found.ok_or_else(|| Error::new(ErrorKind::Missing, "the table is gone"))?;
    let table = quote::table(&found.table.name)?;
    let key = parts(connection, &table, range).await?;
    execute(connection, "begin isolation level repeatable read read only").await?;
    let read = async {
        execute(connection, BY_INDEX).await?;
        next(connection, &table, (&key, range), "").await
    };
    let found = read.await;
    let ended = execute(connection, "rollback").await;
    let found = found?;
    ended?;
    Ok(found)
}

/// One column of the key.
struct Part {
    quoted: String,
    /// Its type, as SQL names it.
    cast: String,
    form: KeyForm,
}

async fn parts(connection: &mut PgConnection, table: &str, range: &RowRange) -> Result<Vec<Part>> {
    let names: Vec<String> = range.key.iter().map(|(name, _)| name.clone()).collect();
    let rows = sqlx::query(
        "select pg_catalog.format_type(a.atttypid, -1)
         from unnest($2::text[]) with ordinality k(name, place) join pg_catalog.pg_attribute a on a.attname = k.name
         where a.attrelid = $1::text::regclass and a.attnum > 0 and not a.attisdropped order by k.place",
    )
    .bind(table)
    .bind(&names)
    .fetch_all(connection)
    .await
    .map_err(|error| classify(&error))?;
    if rows.len() != range.key.len() {
        return Err(Error::new(ErrorKind::Missing, "a column of the key is gone"));
    }
    let part = |((name, ty), row): (&(String, ColumnType), &PgRow)| {
        Ok(Part {
            quoted: format!("s.{}", quote::ident(name)?),
            cast: get(row, 0)?,
            form: KeyForm::of(ty),
        })
    };
    range.key.iter().zip(&rows).map(part).collect()
}

async fn next(connection: &mut PgConnection, table: &str, (key, range): (&[Part], &RowRange), lock: &str) -> Result<NextRows> {
    let columns = listed(key, |part| format!("({})::text", part.quoted));
    let order = listed(key, |part| part.quoted.clone());
    let texts = |at: Option<&Key>| at.map(|at| texts(key, at)).transpose();
    let after = texts(range.after.as_ref())?;
    let begin = after.as_ref().map(|_| bound(key, ">", 1));
    // Where the rows end that are looked at for it.
    let within = begin.clone().unwrap_or_else(|| "true".to_owned());
    let last = range.looked_at_max.saturating_sub(1);
    let sql = format!("select {columns} from {table} as s where {within} order by {order} offset {last} limit 1");
    let found = bind(sqlx::query(AssertSqlSafe(sql)), after.as_deref())
        .persistent(false)
        .fetch_optional(&mut *connection)
        .await
        .map_err(|error| failed(&error))?;
    let until = found.map(|row| read(key, &row)).transpose()?;
    let bounds = texts(until.as_ref())?;
    let mut conditions: Vec<String> = range.conditions.iter().map(|text| format!("(\n{text}\n)")).collect();
    conditions.extend(begin);
    conditions.extend(
        bounds
            .as_ref()
            .map(|_| bound(key, "<=", 1 + after.as_ref().map_or(0, Vec::len))),
    );
    let within = if conditions.is_empty() {
        "true".to_owned()
    } else {
        conditions.join(" and ")
    };
    let sql = format!(
        "select {columns} from {table} as s where {within} order by {order} limit {}{lock}",
        range.rows_max
    );
    let query = bind(sqlx::query(AssertSqlSafe(sql)), after.as_deref());
    let rows = bind(query, bounds.as_deref())
        .persistent(false)
        .fetch_all(connection)
        .await
        .map_err(|error| failed(&error))?;
    let keys: Vec<Key> = rows.iter().map(|row| read(key, row)).collect::<Result<_>>()?;
    let is_full = keys.len() as u64 >= range.rows_max;
    Ok(NextRows {
        looked_up_to: if is_full { keys.last().cloned() } else { until },
        keys,
    })
}

fn listed(key: &[Part], with: impl Fn(&Part) -> String) -> String {
    key.iter().map(with).collect::<Vec<_>>().join(", ")
}

/// A comparison of the whole key with parameters from this number on.
fn bound(key: &[Part], operator: &str, first: usize) -> String {
    let columns = listed(key, |part| part.quoted.clone());
    let values: Vec<String> = (first..)
        .zip(key)
        .map(|(number, part)| format!("(${number}::text)::{}", part.cast))
        .collect();
    format!("({columns}) {operator} ({})", values.join(", "))
}

fn bind<'q>(mut query: Query<'q, sqlx::Postgres, PgArguments>, texts: Option<&[String]>) -> Query<'q, sqlx::Postgres, PgArguments> {
    for text in texts.into_iter().flatten() {
        query = query.bind(text.clone());
    }
    query
}

fn texts(key: &[Part], at: &Key) -> Result<Vec<String>> {
    let texts = key.iter().zip(&at.0).map(|(part, value)| part.form.text(value));
    let texts: Option<Vec<_>> = texts.collect();
    texts
        .filter(|texts| texts.len() == key.len() && at.0.len() == key.len())
        .ok_or_else(|| {
            Error::new(
                ErrorKind::Checkpoint,
                "the table's key has other columns or types than the one the backfill stopped at",
            )
        })
}

fn read(key: &[Part], row: &PgRow) -> Result<Key> {
    let value = |(at, part): (usize, &Part)| {
        let text: Option<String> = row.try_get(at).map_err(|error| classify(&error))?;
        text.and_then(|text| part.form.parse(text))
            .ok_or_else(|| Error::new(ErrorKind::Unreadable, "a row's key is NULL, or not of its column's type"))
    };
    key.iter().enumerate().map(value).collect::<Result<_>>().map(Key)
}

/// Nothing is written yet: what fails on a row is a condition.
fn failed(error: &sqlx::Error) -> Error {
    let classified = classify(error);
    if classified.kind() != ErrorKind::Refused {
        return classified;
    }
    let state = crate::postgres::error::code(error).unwrap_or("unknown");
    Error::new(
        ErrorKind::Unreadable,
        format!("the server failed to evaluate `where` or `pending` on some row (SQLSTATE {state})"),
    )
    .hint("a condition that fails on a row (a cast, a division) has to be mended: such as a `case` around it")
}
