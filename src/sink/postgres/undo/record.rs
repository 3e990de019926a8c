//! Writing rows together with what it takes to take them back, in one savepoint.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::Schema;
use arrow::record_batch::RecordBatch;
use sqlx::{AssertSqlSafe, Executor as _, PgConnection};

use super::super::target::{self, Target};
use super::super::write::{differing, dropped, figure};
use super::{Kept, Log, next_portion};
use crate::data::column::ColumnType;
use crate::data::counts::Written;
use crate::data::stream::{OnConflict, StreamTarget};
use crate::postgres::carried::Carried;
use crate::postgres::catalog;
use crate::postgres::catalog::get;
use crate::postgres::copy::copy_in;
use crate::postgres::encode::WireColumn;
use crate::postgres::error::classify_write;
use crate::postgres::quote;
use crate::{Error, ErrorKind, Result};

const PORTION: &str = "portion";

/// What the session is told for the time of a batch: a temporary table looks small, however many rows are
/// in it, and each of them is to be a lookup by key.
pub(in crate::sink::postgres) const LOOKUPS: &str = "set local enable_hashjoin = off; set local enable_mergejoin = off";

/// The log's column with the number of a portion.
pub(super) fn portion_column() -> WireColumn {
    WireColumn {
        name: PORTION.to_owned(),
        ty: ColumnType::Int64,
        wire: None,
        carried: Carried::Nothing,
    }
}

/// The statements that write rows of the temporary table, one after the other: each sees what others have
/// committed before it, so that no row comes between the look and the write.
pub(super) struct Merge {
    /// Writes the rows that are new, and their keys; returns how many, and their `xmin`.
    insert: String,
    /// Locks the rows that differ, and keeps them as they are.
    images: Option<String>,
    /// Changes them.
    update: Option<String>,
    /// Counts the rows that differ.
    differing: Option<String>,
}

impl Merge {
    pub(super) async fn new(
        connection: &mut PgConnection,
        kept: &Kept,
        wanted: &StreamTarget,
        (table, stage): (&str, &str),
    ) -> Result<Self> {
        let found = catalog::table(connection, &wanted.table)
            .await?
            .ok_or_else(|| Error::new(ErrorKind::Missing, "the table is gone"))?;
        let names = quote::idents(wanted.columns.iter().map(|column| column.name.as_str()))?;
        let key = quote::idents(wanted.key.iter().map(String::as_str))?;
        let logged = wanted
            .key
            .iter()
            .map(|name| kept.column(name))
            .collect::<Result<Vec<_>>>()?
            .join(", ");
        let insert = format!(
            "with written as (
                 insert into {table} as o ({names}) overriding system value select {names} from {stage}
                 on conflict ({key}) do nothing returning {key}
             ), logged as (
                 insert into {rows} (portion, {logged}) select $1, {key} from written returning xmin
             )
             select count(*), coalesce(max(xmin::text), '0') from logged",
            rows = kept.rows
        );
        let same_key = target::same_key(&wanted.key)?;
        let compared = target::compared(&found, wanted)?;
        let differs = target::differs(&compared, "s");
        // What this very portion has inserted is no row that was there.
        let other = format!("{same_key} and {differs} and o.xmin <> $WRITER::text::xid");
        let images = |number: &str| other.replace("$WRITER", number);
        let updates = wanted.on_conflict == OnConflict::Update && !compared.is_empty();
        let mut held = Vec::new();
        let mut into = Vec::new();
        for (at, name) in kept.columns.iter().enumerate() {
            held.push(format!("o.{}", quote::ident(name)?));
            into.push(format!("c{}", at + 1));
        }
        let set = compared
            .iter()
            .map(|name| format!("{name} = s.{name}"))
            .collect::<Vec<_>>()
            .join(", ");
        let looked_at = wanted.on_conflict == OnConflict::ErrorUnlessEqual && !compared.is_empty();
        Ok(Self {
            insert,
            images: updates.then(|| {
                format!(
                    "insert into {} (portion, action, was, {into}) select $1, 'u', d.was, {} from {stage} s,
                         lateral (select o.xmin as was, {} from {table} o where {} for no key update of o) d ({})",
                    kept.rows,
                    numbered("d", held.len()),
                    held.join(", "),
                    images("$2"),
                    std::iter::once("was".to_owned())
                        .chain((1..=held.len()).map(|number| format!("v{number}")))
                        .collect::<Vec<_>>()
                        .join(", "),
                    into = into.join(", ")
                )
            }),
            update: updates.then(|| format!("update {table} o set {set} from {stage} s where {}", images("$1"))),
            differing: looked_at.then(|| format!("select count(*) from {stage} s join {table} o on {}", images("$1"))),
        })
    }
}

fn numbered(of: &str, count: usize) -> String {
    (1..=count)
        .map(|number| format!("{of}.v{number}"))
        .collect::<Vec<_>>()
        .join(", ")
}

impl Log {
    /// Keeps the keys of rows that were copied straight into the table.
    pub(in crate::sink::postgres) async fn copied(
        &self,
        connection: &mut PgConnection,
        rows: &RecordBatch,
        buffer: &mut Vec<u8>,
    ) -> Result<()> {
        let portion = next_portion(connection).await?;
        let inconsistent = |error| Error::new(ErrorKind::Internal, "cannot take the key out of a batch").because(error);
        let keys = rows.project(&self.key_at).map_err(inconsistent)?;
        let mut fields = vec![Arc::new(ColumnType::Int64.field(PORTION, false))];
        fields.extend(keys.schema_ref().fields().iter().cloned());
        let number: ArrayRef = Arc::new(Int64Array::from(vec![portion; rows.num_rows()]));
        let columns = std::iter::once(number).chain(keys.columns().iter().cloned()).collect();
        let logged = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(inconsistent)?;
        let taken = copy_in(connection, &self.copy, &logged, &self.wire, buffer).await?;
        if taken != rows.num_rows() as u64 {
            return Err(Error::new(ErrorKind::Internal, "the undo log took another number of keys"));
        }
        Ok(())
    }

    /// Writes the rows of the temporary table by the stream's policy.
    pub(in crate::sink::postgres) async fn merged(
        &self,
        connection: &mut PgConnection,
        target: &Target,
        sent: u64,
    ) -> Result<Written> {
        let (Some(merge), Some(staged)) = (&self.merge, &target.staged) else {
            return Err(Error::new(
                ErrorKind::Internal,
                "rows of a stream that finds no row by its key",
            ));
        };
        let refused = |error: &sqlx::Error| classify_write(error, &target.wire);
        let portion = next_portion(connection).await?;
        let row = sqlx::query(AssertSqlSafe(merge.insert.as_str()))
            .bind(portion)
            .fetch_one(&mut *connection)
            .await
            .map_err(|error| refused(&error))?;
        let (inserted, writer): (u64, String) = (figure(&row, 0)?, get(&row, 1)?);
        if target.firing.before_insert {
            let row = connection
                .fetch_one(AssertSqlSafe(staged.present.as_str()))
                .await
                .map_err(|error| refused(&error))?;
            if figure(&row, 0)? != sent {
                return Err(dropped());
            }
        }
        if let Some(sql) = &merge.differing {
            let row = sqlx::query(AssertSqlSafe(sql.as_str()))
                .bind(&writer)
                .fetch_one(&mut *connection)
                .await
                .map_err(|error| refused(&error))?;
            if figure(&row, 0)? > 0 {
                return Err(differing());
            }
        }
        let mut updated = 0;
        if let (Some(images), Some(update)) = (&merge.images, &merge.update) {
            let held = sqlx::query(AssertSqlSafe(images.as_str()))
                .bind(portion)
                .bind(&writer)
                .execute(&mut *connection)
                .await
                .map_err(|error| refused(&error))?;
            updated = held.rows_affected();
            if updated > 0 {
                let done = sqlx::query(AssertSqlSafe(update.as_str()))
                    .bind(&writer)
                    .execute(&mut *connection)
                    .await
                    .map_err(|error| refused(&error))?;
                self.all_changed(target, updated, done.rows_affected())?;
            }
        }
        if inserted + updated > sent {
            let what = format!("{sent} rows sent, of which {inserted} are new and {updated} differ");
            return Err(Error::new(ErrorKind::Internal, what));
        }
        Ok(Written {
            inserted,
            updated,
            skipped: sent - inserted - updated,
            expired: 0,
        })
    }

    fn all_changed(&self, target: &Target, wanted: u64, done: u64) -> Result<()> {
        if wanted == done {
            return Ok(());
        }
        if done < wanted && target.firing.before_update {
            return Err(dropped());
        }
        Err(Error::new(
            ErrorKind::Validation,
            format!(
                "{wanted} rows differ and are in the undo log {}, but the server changed {done}",
                self.id
            ),
        ))
    }
}
