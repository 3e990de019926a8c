//! Rows by their keys: each is asked for by itself, some at the same time.

use std::sync::Arc;

use futures::{StreamExt as _, stream};
use scylla::cluster::metadata::ColumnType as CqlType;
use scylla::response::PagingState;

use super::key;
use super::page::each_row;
use super::portion::Portion;
use super::read::{Output, Reading, send};
use crate::Result;
use crate::data::position::Key;

/// Rows that are asked for at the same time.
const ROWS_IN_FLIGHT: usize = 32;

/// Reads the rows of these keys that are there.
pub(super) async fn run(reading: &Arc<Reading>, mut portion: Portion, keys: Vec<Key>, output: &Output) -> Result<()> {
    let (keyspace, selection) = (&*reading.keyspace, &reading.selection);
    let types: Vec<&CqlType<'_>> = selection.key.iter().map(|place| &selection.fields[*place].ty).collect();
    let asked = stream::iter(keys).map(|key| {
        let values = key::values(&types, &key);
        let mut pages = reading.pages.clone();
        async move {
            let answer = match &values {
                Some(values) => Some(pages.page(keyspace, values, PagingState::start()).await?.0),
                // No row has such a key.
                None => None,
            };
            Ok::<_, crate::Error>((key, answer))
        }
    });
    let mut answers = asked.buffer_unordered(ROWS_IN_FLIGHT);
    while let Some(answer) = answers.next().await {
        let (key, Some(answer)) = answer? else { continue };
        selection.check(keyspace, &answer)?;
        each_row(keyspace, &answer, selection.fields.len(), |row| {
            portion.add(row, Some(&key), selection)
        })?;
        if portion.is_full() {
            send(&mut portion, output).await?;
        }
    }
    if portion.is_empty() {
        Ok(())
    } else {
        send(&mut portion, output).await
    }
}
