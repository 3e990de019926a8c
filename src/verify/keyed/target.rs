//! The target's side: what keys hold, read back with commands that change nothing.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use tokio::sync::mpsc;

use super::Keyed;
use crate::config::limits::Limits;
use crate::data::keyed::Expiry;
use crate::data::keyed::form::TtlRule;
use crate::data::keyed::owner::Writer;
use crate::data::keyed::read::{KeyPlace, KeyRead, KeysWanted, Place};
use crate::data::memory;
use crate::data::position::{Key, KeyBuffer, KeyRef, KeyValue};
use crate::mapping::keyed::told;
use crate::verify::side::{Form, Handles, PORTIONS_IN_FLIGHT_MAX, Portion, Portions, Side, Wanted};
use crate::{Error, ErrorKind, Result};

/// Keys of a stream at their store.
pub(super) struct KeyedTarget {
    keyed: Arc<Keyed>,
    writer: Writer,
    others: Vec<Writer>,
    rows_max: usize,
    bytes_max: usize,
}

impl KeyedTarget {
    pub(super) fn new(keyed: Arc<Keyed>, (writer, others): (Writer, Vec<Writer>), limits: Limits) -> Self {
        Self {
            keyed,
            writer,
            others,
            rows_max: limits.portion_rows_max,
            bytes_max: limits.portion_bytes_max,
        }
    }
}

#[async_trait]
impl Side for KeyedTarget {
    fn form(&self) -> &Form {
        &self.keyed.compared
    }

    fn finds(&self) -> bool {
        true
    }

    fn notes(&self, missing: bool) -> Vec<String> {
        let mut notes = Vec::new();
        let expiry = self.keyed.layout.expiry.as_ref();
        if let (true, Some(Expiry::After(_)), Some(when)) = (missing, expiry, told(&self.keyed.layout)) {
            notes.push(format!(
                "each of its keys {when}: what was moved longer ago is gone, and missing"
            ));
        }
        if self.keyed.form.ttl == TtlRule::Presence && expiry.is_some() {
            notes.push(
                "only whether keys expire was compared, not when: the server does not tell that exactly (Redis 7 does)".to_owned(),
            );
        }
        notes
    }

    async fn read(&self, wanted: Wanted) -> Result<Portions> {
        let (with_handles, keys_alone) = match &wanted {
            Wanted::All { handles } => (*handles, false),
            Wanted::Piece(_) | Wanted::Since(_) => return Err(super::whole()),
            Wanted::Keys { .. } => (true, true),
            Wanted::These(_) => (true, false),
        };
        let wanted = match wanted {
            Wanted::All { .. } | Wanted::Piece(_) | Wanted::Since(_) => KeysWanted::All,
            Wanted::Keys { only: None } => KeysWanted::Keys,
            Wanted::Keys { only: Some(rows) } | Wanted::These(rows) => {
                let places: Option<Vec<_>> = rows.iter().map(place).collect();
                KeysWanted::These(places.ok_or_else(unknown)?)
            }
        };
        let mut batches = self
            .keyed
            .sink
            .read_keys(KeyRead {
                writer: self.writer.clone(),
                others: self.others.clone(),
                layout: Arc::clone(&self.keyed.layout),
                form: Arc::clone(&self.keyed.form),
                wanted,
                rows_max: self.rows_max,
                bytes_max: self.bytes_max,
            })
            .await?;
        let (give, taken) = mpsc::channel(PORTIONS_IN_FLIGHT_MAX);
        let key = self.keyed.compared.key.clone();
        tokio::spawn(async move {
            while let Some(batch) = batches.recv().await {
                let portion = batch.and_then(|rows| portion(rows, &key, (with_handles, keys_alone)));
                let failed = portion.is_err();
                if give.send(portion).await.is_err() || failed {
                    break;
                }
            }
        });
        Ok(taken)
    }

    fn handles(&self, keys: &RecordBatch) -> Option<Vec<Key>> {
        let buffer = handles(keys.columns(), keys.num_rows())?;
        Some((0..buffer.len()).map(|row| buffer.get(row)).collect())
    }
}

fn portion(rows: RecordBatch, key: &[usize], (with_handles, keys_alone): (bool, bool)) -> Result<Portion> {
    let key_rows = rows.project(key).map_err(|_| unknown())?;
    let handles = if with_handles {
        let keys = handles(key_rows.columns(), rows.num_rows()).ok_or_else(unknown)?;
        Some(Handles {
            keys: Arc::new(keys),
            origin: None,
        })
    } else {
        None
    };
    Ok(Portion {
        read: rows.num_rows() as u64,
        rows: if keys_alone { key_rows } else { rows },
        handles,
        filtered: 0,
        expired: 0,
        refused: 0,
        unreadable: Vec::new(),
        memory: memory::Held::default(),
    })
}

/// The row of a handle.
fn place(row: &Key) -> Option<KeyPlace> {
    let (KeyValue::Bytes(key), rest) = row.0.split_first()? else {
        return None;
    };
    let place = match rest.first() {
        None | Some(KeyValue::Null) => Place::Whole,
        Some(KeyValue::Bytes(member)) => Place::Member(member.clone()),
        Some(KeyValue::Int(position)) => Place::Position(*position),
        Some(KeyValue::Text(entry)) => Place::Entry(entry.clone()),
        Some(_) => return None,
    };
    Some(KeyPlace { key: key.clone(), place })
}

/// Handles are what tells the rows apart.
fn handles(columns: &[ArrayRef], rows: usize) -> Option<KeyBuffer> {
    let (keys, places) = columns.split_first()?;
    let keys = keys.as_binary_opt::<i32>()?;
    let mut buffer = KeyBuffer::with_capacity(rows);
    for row in 0..rows {
        buffer.push(KeyRef::Bytes(keys.value(row)));
        if let Some(places) = places.first() {
            buffer.push(place_of(places, row)?);
        }
        buffer.end_row();
    }
    Some(buffer)
}

fn place_of(places: &ArrayRef, row: usize) -> Option<KeyRef<'_>> {
    if places.is_null(row) {
        return Some(KeyRef::Null);
    }
    if let Some(members) = places.as_binary_opt::<i32>() {
        return Some(KeyRef::Bytes(members.value(row)));
    }
    if let Some(positions) = places.as_primitive_opt::<Int64Type>() {
        return Some(KeyRef::Int(positions.value(row)));
    }
    Some(KeyRef::Text(places.as_string_opt::<i32>()?.value(row)))
}

fn unknown() -> Error {
    Error::new(ErrorKind::Internal, "a row of keys was asked for by what is no key")
}
