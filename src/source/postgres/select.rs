//! The SQL that reads a stream: columns, predicates and order pushed down to the server.
//!
//! COPY takes no parameters. Values are bound into settings of the transaction instead, and the
//! text names only those (Invariant 9: no cell in the text of a statement, which servers log).

use sqlx::PgConnection;

use super::key::{self, KeyPart};
use super::piece;
use super::shape::Shape;
use super::subject;
use super::wide;
use crate::data::column::ColumnType;
use crate::data::position::{Key, Position};
use crate::data::stream::{Order, ReadColumn, ReadRequest};
use crate::postgres::error::classify;
use crate::postgres::key_form::KeyForm;
use crate::postgres::quote;
use crate::{Error, ErrorKind, Result};

/// What is selected, and where the key's values stand in it.
pub(super) struct Selection {
    /// The statement.
    pub(super) sql: String,
    /// Fields of every row.
    pub(super) fields: usize,
    pub(super) key: Vec<KeyPart>,
    /// Per part of the key the field that holds its value.
    pub(super) key_fields: Vec<usize>,
    /// The key cannot repeat: the database itself sees to it.
    pub(super) unique: bool,
    /// Places of columns whose long values are left out of wide rows; the last field tells their lengths then.
    pub(super) long: Vec<usize>,
}

/// What rows are wide: those of more bytes than the first, or than the second where no row is found again alone.
pub(super) type Guard = (usize, usize);

/// Builds the statement of a request and binds its values. With a guard, wide rows come without their long
/// values.
///
/// # Errors
/// [`ErrorKind::Mapping`] for a column that is not there or a key that holds NULL, and what
/// `only`, `after` and `subject` may be wrong with.
pub(super) async fn select(
    connection: &mut PgConnection,
    shape: &Shape,
    request: &ReadRequest,
    guard: Option<Guard>,
) -> Result<Selection> {
    let key = key::parts(shape, &request.key)?;
    let mut columns = Vec::with_capacity(request.columns.len() + key.len());
    for column in &request.columns {
        same_form(shape, column)?;
        columns.push(format!("s.{}", quote::ident(&column.name)?));
    }
    let mut key_fields = Vec::with_capacity(key.len());
    for part in &key {
        let rendered = part.form == KeyForm::Rendered;
        let place = (!rendered)
            .then(|| columns.iter().position(|column| *column == part.column))
            .flatten();
        key_fields.push(place.unwrap_or(columns.len()));
        if place.is_none() {
            columns.push(if rendered {
                format!("({})::text", part.column)
            } else {
                part.column.clone()
            });
        }
    }
    let condition = match (&request.subject, &request.only, &request.piece) {
        (Some(subject), ..) => Some(subject::bind(connection, shape, subject).await?),
        (None, Some(only), _) => Some(listed(connection, &key, only).await?),
        (None, None, Some(piece)) => piece::condition(connection, piece).await?,
        (None, None, None) => ranged(connection, shape, &key, request.after.as_ref()).await?,
    };
    let mut rest = format!("from {}", shape.from);
    if let Some(condition) = condition {
        rest.push_str(" where ");
        rest.push_str(&condition);
    }
    if request.only.is_none() && request.order != Order::Any && !key.is_empty() {
        rest.push_str(" order by ");
        rest.push_str(&order(&key));
    }
    let mut selection = Selection {
        sql: format!("select {} {rest}", columns.join(", ")),
        fields: columns.len(),
        key_fields,
        unique: !key.is_empty() && shape.is_unique(&request.key) && !key.iter().any(|part| part.by_text),
        key,
        long: Vec::new(),
    };
    if let Some((alone, not_alone)) = guard {
        let wanted = request.columns.iter().enumerate();
        let long: Vec<_> = wanted
            .filter(|(at, column)| column.ty.may_be_long() && !selection.key_fields.contains(at))
            .collect();
        if !long.is_empty() {
            let bytes_max = if wide::reads_alone(request, &selection) {
                alone
            } else {
                not_alone
            };
            selection.sql = wide::guarded(&columns, &long, &rest, bytes_max);
            selection.fields += 1;
            selection.long = long.into_iter().map(|(at, _)| at).collect();
        }
    }
    Ok(selection)
}

/// Bytes of one type must not be read as another's.
fn same_form(shape: &Shape, wanted: &ReadColumn) -> Result<()> {
    let (column, _) = shape.column(&wanted.name)?;
    if matches!(wanted.ty, ColumnType::Opaque { .. }) || wanted.ty.arrow() == column.ty.arrow() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Mapping,
        format!(
            "column `{}` of `{}` is {}, not {}",
            column.name, shape.table.name, column.ty, wanted.ty
        ),
    )
    .hint("it has changed since it was planned: run again"))
}

/// The expressions that rows are ordered by.
pub(super) fn order(key: &[KeyPart]) -> String {
    let parts: Vec<_> = key.iter().map(|part| part.order.as_str()).collect();
    parts.join(", ")
}

/// After a position, and up to the end of its split.
async fn ranged(connection: &mut PgConnection, shape: &Shape, key: &[KeyPart], at: Option<&Position>) -> Result<Option<String>> {
    let mut conditions = Vec::new();
    for (bound, operator, name) in [
        (at.and_then(Position::after), ">", "after"),
        (at.and_then(Position::until), "<=", "until"),
    ] {
        let Some(bound) = bound else { continue };
        if key.is_empty() {
            return Err(Error::new(
                ErrorKind::Checkpoint,
                "the checkpoint stands at a key, and the stream has none any more",
            ));
        }
        let texts = key::texts(key, bound)?;
        let mut values = Vec::with_capacity(key.len());
        for (i, (part, text)) in key.iter().zip(texts).enumerate() {
            let setting = format!("dbferry.{name}_{i}");
            set(connection, &setting, &text).await?;
            values.push(part.bound(&setting));
        }
        conditions.push(if let [value] = values.as_slice() {
            format!("{} {operator} {value}", order(key))
        } else {
            format!("({}) {operator} ({})", order(key), values.join(", "))
        });
    }
    if conditions.is_empty() {
        return Ok(None);
    }
    refuse_null(connection, shape, key).await?;
    Ok(Some(conditions.join(" and ")))
}

/// The rows of a list of keys, through the key's index.
async fn listed(connection: &mut PgConnection, key: &[KeyPart], only: &[Key]) -> Result<String> {
    if key.is_empty() {
        return Err(Error::new(
            ErrorKind::Usage,
            "a stream without a source key cannot read single rows again",
        )
        .hint("name a unique `source_key`, or begin the stream again with `--restart`"));
    }
    let mut columns = vec![Vec::with_capacity(only.len()); key.len()];
    for one in only {
        for (column, text) in columns.iter_mut().zip(key::texts(key, one)?) {
            column.push(text);
        }
    }
    let mut arrays = Vec::new();
    for (i, column) in columns.iter().enumerate() {
        let setting = format!("dbferry.only_{i}");
        sqlx::query("select pg_catalog.set_config($1, ($2::text[])::text, true)")
            .bind(&setting)
            .bind(column)
            .execute(&mut *connection)
            .await
            .map_err(|error| classify(&error))?;
        arrays.push(format!("pg_catalog.current_setting('{setting}')::text[]"));
    }
    let names: Vec<_> = (0..key.len()).map(|i| format!("k{i}")).collect();
    let list = format!("unnest({}) as o({})", arrays.join(", "), names.join(", "));
    let mut condition = if let [part] = key
        && !part.is_array
    {
        format!("{} = any ({})", part.column, part.as_columns("dbferry.only_0"))
    } else {
        let columns: Vec<_> = key.iter().map(|part| part.column.as_str()).collect();
        let values: Vec<_> = key
            .iter()
            .zip(&names)
            .map(|(part, name)| part.as_column(&format!("o.{name}")))
            .collect();
        format!("({}) in (select {} from {list})", columns.join(", "), values.join(", "))
    };
    // Equal is not the same.
    if key.iter().any(|part| part.by_text) {
        let texts: Vec<_> = key
            .iter()
            .map(|part| format!("({})::text collate \"C\"", part.column))
            .collect();
        let names: Vec<_> = names.iter().map(|name| format!("o.{name} collate \"C\"")).collect();
        condition = format!(
            "{condition} and ({}) in (select {} from {list})",
            texts.join(", "),
            names.join(", ")
        );
    }
    Ok(condition)
}

/// Comparing drops rows whose key is NULL, so that none may be: the database says so, or is asked.
async fn refuse_null(connection: &mut PgConnection, shape: &Shape, key: &[KeyPart]) -> Result<()> {
    let nullable: Vec<_> = key
        .iter()
        .filter(|part| part.nullable)
        .map(|part| format!("{} is null", part.column))
        .collect();
    if nullable.is_empty() {
        return Ok(());
    }
    let sql = format!("select exists (select from {} where {})", shape.from, nullable.join(" or "));
    let found: bool = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
        .persistent(false)
        .fetch_one(connection)
        .await
        .map_err(|error| super::failure::reading(&error))?;
    if found { Err(null_key()) } else { Ok(()) }
}

/// A row without a key has no place in the order.
pub(super) fn null_key() -> Error {
    Error::new(ErrorKind::Mapping, "the source key is NULL in at least one row")
        .hint("name columns in `source_key` that are never NULL, or none: the stream is atomic then")
}

/// Binds a value for the rest of the transaction.
pub(super) async fn set(connection: &mut PgConnection, setting: &str, value: &str) -> Result<()> {
    sqlx::query("select pg_catalog.set_config($1, $2, true)")
        .bind(setting)
        .bind(value)
        .execute(connection)
        .await
        .map_err(|error| classify(&error))?;
    Ok(())
}
