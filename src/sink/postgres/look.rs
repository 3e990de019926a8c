//! Looking before writing: rows of a portion that are in the table already, just as they would be written.
//!
//! Where a table is moved over what is there, that is most rows. The table is read in the order of its
//! key, from the portion's first key to its last, and compared here byte by byte in the form of COPY: the
//! server takes no row in and looks none up. Such a row would not have been written anyway, so it
//! counts as it would have; all others go the careful way ([`super::write`]), which alone decides what is
//! new and what differs. A row that only looks different (JSON with other blanks) goes there, too.
//!
//! Where looking finds little (other rows, keys in another order than the source's), it is left for a while.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use arrow::array::BooleanArray;
use arrow::compute::filter_record_batch;
use arrow::record_batch::RecordBatch;
use futures::StreamExt as _;
use sqlx::PgConnection;
use xxhash_rust::xxh3::xxh3_64;

use crate::data::stream::{OnConflict, StreamTarget};
use crate::postgres::catalog::{CatalogTable, get};
use crate::postgres::copy::copy_in;
use crate::postgres::encode::{Encoder, WireColumn, WireTable};
use crate::postgres::error::classify;
use crate::postgres::quote;
use crate::postgres::tuple::{self, Tuples};
use crate::{Error, ErrorKind, Result};

/// Fewer rows are not worth another question.
const ROWS_MIN: usize = 64;
/// Rows are compared in memory: more than this is not.
const BYTES_MAX: usize = 8 << 20;
/// Rows of the table that are looked at for each row of the portion, at most.
const ROWS_PER_ROW_MAX: usize = 2;
/// Values that are stored in more bytes are not fetched: a page holds no longer one, and compressed it is at
/// most 256 times as long.
const STORED_BYTES_MAX: usize = 8_160;
/// Longest that looking may take for a row, on the average.
const TIME_PER_ROW_MAX: Duration = Duration::from_micros(50);
/// Portions without a look after one that was not worth it; each time four times as many.
const PAUSE_MIN: u32 = 4;
const PAUSE_MAX: u32 = 1_024;

/// How rows of a stream are looked for.
pub(super) struct Look {
    /// Places of the columns that are compared.
    columns: Vec<usize>,
    /// The same as the wire needs them.
    wire: Vec<WireColumn>,
    /// What is selected of the table, up to the limit.
    select: String,
    /// COPY of a portion's ends into the temporary table.
    ends: String,
    /// Portions to be written without a look.
    pause: AtomicU32,
    /// How many there are next time.
    next_pause: AtomicU32,
}

impl Look {
    /// `None` where no index gives the rows in the order of the key. `wire` are the stream's columns, `stage` is the
    /// temporary table, `ends` the COPY into it.
    pub(super) async fn prepare(
        connection: &mut PgConnection,
        found: &CatalogTable,
        (target, wire): (&StreamTarget, &[WireColumn]),
        (table, stage, ends): (&str, &str, &str),
    ) -> Result<Option<Self>> {
        if target.options.in_place || target.undo {
            return Ok(None);
        }
        let Some(key) = ordered_key(connection, found.oid, &target.key).await? else {
            return Ok(None);
        };
        // Of a row that is kept whatever it is, its key is all that matters.
        let only_key = target.on_conflict == OnConflict::Skip;
        let wanted = target.columns.iter().enumerate();
        let wanted: Vec<_> = wanted
            .filter(|(_, column)| !only_key || target.key.contains(&column.name))
            .collect();
        let names = quote::idents(wanted.iter().map(|(_, column)| column.name.as_str()))?;
        let of = |row: &str, direction: &str| -> Result<String> {
            let parts = key.iter().map(|name| Ok(format!("{row}.{}{direction}", quote::ident(name)?)));
            Ok(parts.collect::<Result<Vec<_>>>()?.join(", "))
        };
        let mut conditions = Vec::new();
        for (operator, direction) in [(">=", ""), ("<=", " desc")] {
            conditions.push(format!(
                "({}) {operator} (select {} from {stage} s order by {} limit 1)",
                of("o", "")?,
                of("s", "")?,
                of("s", direction)?
            ));
        }
        for (_, column) in wanted.iter().filter(|(_, column)| column.ty.may_be_long()) {
            let name = quote::ident(&column.name)?;
            conditions.push(format!(
                "coalesce(pg_catalog.pg_column_size(o.{name}), 0) <= {STORED_BYTES_MAX}"
            ));
        }
        Ok(Some(Self {
            wire: wanted.iter().map(|(at, _)| wire[*at].clone()).collect(),
            columns: wanted.into_iter().map(|(at, _)| at).collect(),
            select: format!(
                "select {names} from {table} o where {} order by {}",
                conditions.join(" and "),
                of("o", "")?
            ),
            ends: ends.to_owned(),
            pause: AtomicU32::new(0),
            next_pause: AtomicU32::new(PAUSE_MIN),
        }))
    }

    /// Whether it is worth a look whether these rows are there.
    pub(super) fn is_due(&self, rows: &RecordBatch) -> bool {
        if rows.num_rows() < ROWS_MIN || rows.get_array_memory_size() > BYTES_MAX {
            return false;
        }
        let pause = self.pause.load(Ordering::Relaxed);
        self.pause.store(pause.saturating_sub(1), Ordering::Relaxed);
        pause == 0
    }

    /// The rows that are not there as they are; all of them where they have no form to compare. The temporary table is
    /// empty before, and holds the portion's ends afterwards.
    pub(super) async fn others(
        &self,
        connection: &mut PgConnection,
        wire: &WireTable,
        rows: &RecordBatch,
        buffer: &mut Vec<u8>,
    ) -> Result<RecordBatch> {
        let began = Instant::now();
        let compared = rows.project(&self.columns).map_err(|error| unfit(&error))?;
        let last = rows.num_rows() - 1;
        let ends = only(rows, (0..=last).map(|row| row == 0 || row == last).collect())?;
        if copy_in(connection, &self.ends, &ends, wire, buffer).await? != ends.num_rows() as u64 {
            return Ok(rows.clone());
        }
        buffer.clear();
        if !is_encoded(&compared, &self.wire, buffer) {
            // What has no form for the wire is refused where it is written.
            return Ok(rows.clone());
        }
        let ours = Ours::of(buffer, (compared.num_rows(), self.columns.len()))?;
        let is_there = self.look(connection, &ours).await?;
        buffer.clear();
        let there = is_there.iter().filter(|there| **there).count();
        let time_max = TIME_PER_ROW_MAX * u32::try_from(rows.num_rows()).unwrap_or(u32::MAX);
        self.weigh(there * 2 >= rows.num_rows() && began.elapsed() <= time_max);
        only(rows, is_there.iter().map(|there| !there).collect())
    }

    async fn look(&self, connection: &mut PgConnection, ours: &Ours<'_>) -> Result<Vec<bool>> {
        let limit = ours.ends.len() * ROWS_PER_ROW_MAX;
        let copy = format!("copy ({} limit {limit}) to stdout (format binary)", self.select);
        let mut is_there = vec![false; ours.ends.len()];
        let mut tuples = Tuples::new(self.columns.len());
        let mut messages = connection.copy_out_raw(&copy).await.map_err(|error| classify(&error))?;
        while let Some(message) = messages.next().await {
            tuples.push(message.map_err(|error| classify(&error))?);
            while let Some(theirs) = tuples.next()? {
                if let Some(row) = ours.find(theirs) {
                    is_there[row] = true;
                }
            }
        }
        tuples.finish()?;
        Ok(is_there)
    }

    fn weigh(&self, is_worth_it: bool) {
        if is_worth_it {
            self.next_pause.store(PAUSE_MIN, Ordering::Relaxed);
            return;
        }
        let pause = self.next_pause.load(Ordering::Relaxed);
        self.pause.store(pause, Ordering::Relaxed);
        self.next_pause.store((pause * 4).min(PAUSE_MAX), Ordering::Relaxed);
    }
}

fn only(rows: &RecordBatch, wanted: Vec<bool>) -> Result<RecordBatch> {
    filter_record_batch(rows, &BooleanArray::from(wanted)).map_err(|error| unfit(&error))
}

fn unfit(error: &arrow::error::ArrowError) -> Error {
    Error::new(ErrorKind::Internal, format!("rows cannot be taken apart: {error}"))
}

fn is_encoded(rows: &RecordBatch, columns: &[WireColumn], buffer: &mut Vec<u8>) -> bool {
    Encoder::new(rows, columns).is_ok_and(|mut encoder| encoder.encode(buffer, usize::MAX).is_ok_and(|more| !more))
}

/// Rows of a portion in the form of COPY, found by their bytes.
struct Ours<'a> {
    bytes: &'a [u8],
    /// Per row where its fields begin and end.
    ends: Vec<(usize, usize)>,
    rows: HashMap<u64, usize>,
}

impl<'a> Ours<'a> {
    /// Of as many rows and fields.
    fn of(bytes: &'a [u8], (rows, fields): (usize, usize)) -> Result<Self> {
        let mut ours = Self {
            bytes,
            ends: Vec::with_capacity(rows),
            rows: HashMap::with_capacity(rows),
        };
        let mut at = Encoder::HEADER_BYTES;
        for row in 0..rows {
            let length = tuple::end(&bytes[at..], fields)?;
            let length = length.ok_or_else(|| Error::new(ErrorKind::Internal, "rows were encoded in part"))?;
            let (begin, end) = (at + 2, at + length);
            ours.rows.insert(xxh3_64(&bytes[begin..end]), row);
            ours.ends.push((begin, end));
            at = end;
        }
        Ok(ours)
    }

    /// The row of these very bytes.
    fn find(&self, theirs: &[u8]) -> Option<usize> {
        let row = *self.rows.get(&xxh3_64(theirs))?;
        let (begin, end) = self.ends[row];
        (self.bytes[begin..end] == *theirs).then_some(row)
    }
}

/// The key's columns in the order of a unique index that gives rows in the order of these columns.
async fn ordered_key(connection: &mut PgConnection, oid: i64, key: &[String]) -> Result<Option<Vec<String>>> {
    let rows = sqlx::query(
        "select array(select a.attname::text from unnest(i.indkey::int2[]) with ordinality k(number, place)
             join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number
             where k.place <= i.indnkeyatts order by k.place)
         from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid
             join pg_catalog.pg_am m on m.oid = c.relam
         where i.indrelid = $1::oid and i.indisunique and i.indisvalid and i.indisready and i.indpred is null
             and i.indexprs is null and m.amname = 'btree'
             and not exists (select from unnest(i.indoption::int2[]) o where o <> 0)
             and not exists (select from unnest(i.indclass::oid[]) u join pg_catalog.pg_opclass p on p.oid = u where not p.opcdefault)
             and not exists (select from unnest(i.indkey::int2[], i.indcollation::oid[]) k(number, collated)
                 join pg_catalog.pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.number
                 where k.collated is not null and k.collated <> a.attcollation)
         order by i.indisprimary desc, i.indexrelid",
    )
    .bind(oid)
    .fetch_all(connection)
    .await
    .map_err(|error| classify(&error))?;
    for row in &rows {
        let columns: Vec<String> = get(row, 0)?;
        if columns.len() == key.len() && key.iter().all(|name| columns.contains(name)) {
            return Ok(Some(columns));
        }
    }
    Ok(None)
}
