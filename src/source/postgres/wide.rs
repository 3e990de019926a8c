//! Wide rows: a row of COPY is one message, which the driver holds whole. So where a table may have wide
//! rows, the server leaves their long values out and tells the lengths instead; such a row is then read
//! alone, when there is memory for it, or it is a reject that was never sent (Invariants 4 and 7).
//!
//! A row that has no value outside of its page is never wide: tables whose values all are within their
//! pages are read as they are. Elsewhere lengths are asked for in ways that fetch no value: what is text or
//! bytes tells its own, and of other types only values are looked at that are large as they are stored.

use std::sync::Arc;

use futures::StreamExt as _;
use sqlx::{Connection as _, PgConnection};

use super::failure;
use super::link::Links;
use super::portion::{self, Portion};
use super::read::{Output, send};
use super::select::{Selection, select};
use super::shape::Shape;
use crate::Result;
use crate::data::column::ColumnType;
use crate::data::stream::{Order, ReadColumn, ReadRequest};
use crate::postgres::catalog::get;
use crate::postgres::error::{classify, lost};
use crate::postgres::tuple::Tuples;

/// How many times longer a value may be than it is stored.
const COMPRESSION_MAX: usize = 256;
/// Values that are sent of wide rows, too.
const SHORT_BYTES: usize = 1_000;
/// Stored values up to this size need no look.
const STORED_BYTES_MIN: usize = 2_000;

/// Whether a relation may have rows that are wide: it keeps values outside of its pages, or nobody knows.
pub(super) async fn may_be(connection: &mut PgConnection, shape: &Shape) -> Result<bool> {
    let Some(oid) = shape.oid else { return Ok(true) };
    let row = sqlx::query(
        "with recursive r(oid) as (select $1::oid union all
             select i.inhrelid from pg_catalog.pg_inherits i join r on i.inhparent = r.oid)
         select coalesce(pg_catalog.bool_or(c.relkind in ('v', 'f')
             or c.reltoastrelid <> 0 and pg_catalog.pg_relation_size(c.reltoastrelid) > 0), true)
         from r join pg_catalog.pg_class c on c.oid = r.oid",
    )
    .bind(oid)
    .fetch_one(connection)
    .await
    .map_err(|error| classify(&error))?;
    get(&row, 0)
}

/// The statement without long values in rows of more than `bytes_max`, and with a column more that tells
/// their lengths. `long` are places among `columns`, `rest` is what follows the list of columns.
pub(super) fn guarded(columns: &[String], long: &[(usize, &ReadColumn)], rest: &str, bytes_max: usize) -> String {
    let inner: Vec<_> = columns
        .iter()
        .enumerate()
        .map(|(at, column)| format!("{column} as c{at}"))
        .collect();
    let lengths = |alias: &dyn Fn(usize) -> String| -> Vec<String> {
        long.iter()
            .map(|(at, column)| length(&column.ty, &alias(*at), bytes_max))
            .collect()
    };
    let whole = lengths(&|at| columns[at].clone()).join(" + ");
    let told = lengths(&|at| format!("q.c{at}")).join(", ");
    let outer: Vec<_> = (0..columns.len())
        .map(|at| {
            let value = format!("q.c{at}");
            match long.iter().find(|(place, _)| *place == at) {
                // Short values are shown of a row that is a reject.
                Some((_, column)) => {
                    let short = length(&column.ty, &value, bytes_max);
                    format!("case when q.n <= {bytes_max} or {short} <= {SHORT_BYTES} then {value} end")
                }
                None => value,
            }
        })
        .collect();
    // The offset keeps the sum from being computed anew for each column.
    format!(
        "select {}, case when q.n > {bytes_max} then (array[{told}])::text end
         from (select {}, ({whole}) as n {rest} offset 0) q",
        outer.join(", "),
        inner.join(", ")
    )
}

/// Length of a value as it is sent, or more.
fn length(ty: &ColumnType, value: &str, bytes_max: usize) -> String {
    let looked_at = |length: String| {
        let stored_max = (bytes_max / COMPRESSION_MAX).max(STORED_BYTES_MIN);
        let stored = format!("pg_catalog.pg_column_size({value})");
        format!("coalesce(case when {stored} > {stored_max} then {length} else {stored} end, 0)::int8")
    };
    let octets = |value: String| format!("pg_catalog.octet_length({value})");
    match ty {
        ColumnType::Text { .. } => format!("coalesce({}, 0)::int8", octets(format!("({value})::text"))),
        ColumnType::Bytes => format!("coalesce({}, 0)::int8", octets(value.to_owned())),
        ColumnType::Opaque { name } if name.starts_with("bytea") && !name.ends_with(']') => looked_at(octets(value.to_owned())),
        ColumnType::Opaque { name } if name.ends_with("[]") => looked_at(octets(format!("pg_catalog.array_send({value})"))),
        ColumnType::List(_) => looked_at(octets(format!("pg_catalog.array_send({value})"))),
        _ => looked_at(octets(format!("({value})::text"))),
    }
}

/// Reads the column with the lengths.
pub(super) fn told(field: &[u8]) -> Vec<u64> {
    let text = std::str::from_utf8(field).unwrap_or_default();
    let lengths = text.trim_matches(['{', '}']).split(',');
    lengths.map(|length| length.parse().unwrap_or(0)).collect()
}

/// What reading a wide row takes.
pub(super) struct Wide {
    pub(super) links: Arc<Links>,
    pub(super) shape: Shape,
    pub(super) request: ReadRequest,
}

impl Wide {
    /// Takes in a row whose long values were left out: whole, as a portion of its own, or as a reject.
    pub(super) async fn take_in(
        &self,
        portion: &mut Portion,
        (tuple, selection): (&[u8], &Selection),
        lengths: &[u64],
        output: &Output,
    ) -> Result<()> {
        let whole = usize::try_from(lengths.iter().sum::<u64>()).unwrap_or(usize::MAX);
        let bytes_max = portion.row_bytes_max();
        if whole > bytes_max || !reads_alone(&self.request, selection) {
            return portion.refuse(tuple, selection, lengths, bytes_max);
        }
        let key = portion::key(tuple, selection)?;
        if !portion.is_empty() {
            send(portion, output).await?;
        }
        portion.take_memory_for(whole).await?;
        let mut aside = self.links.aside().await?;
        let request = ReadRequest {
            only: Some(vec![key]),
            after: None,
            piece: None,
            subject: None,
            ..self.request.clone()
        };
        let alone = select(&mut aside.connection, &self.shape, &request, None).await?;
        {
            let copy = format!("copy (\n{}\n) to stdout (format binary)", alone.sql);
            let mut tuples = Tuples::new(alone.fields);
            let failed = |error: sqlx::Error| failure::reading(&error);
            let mut messages = aside.connection.copy_out_raw(&copy).await.map_err(failed)?;
            while let Some(message) = messages.next().await {
                tuples.push(message.map_err(failed)?);
                while let Some(tuple) = tuples.next()? {
                    portion.add(tuple, &alone)?;
                }
            }
            tuples.finish()?;
        }
        if portion.is_empty() {
            return Err(lost("a row that was seen is not found again by its key"));
        }
        // Otherwise the driver would keep a buffer of the row's size for as long as the connection is kept,
        // which is no part of what the row holds of the memory.
        aside.connection.shrink_buffers();
        self.links.finish(aside).await?;
        send(portion, output).await
    }
}

/// Whether a row that was met is found again by its key, and no other is.
pub(super) fn reads_alone(request: &ReadRequest, selection: &Selection) -> bool {
    let in_order = request.order != Order::Any && request.only.is_none() && request.subject.is_none();
    !selection.key.is_empty() && (selection.unique || in_order)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_read_as_the_server_writes_them() {
        assert_eq!(told(b"{1,200000000,0}"), [1, 200_000_000, 0]);
        assert_eq!(told(b"{7}"), [7]);
    }
}
