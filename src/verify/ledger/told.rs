//! A batch as the report tells of it: its keys as they may be shown.

use super::super::report::{Shown, Value};
use super::judge::Judgement;
use super::report::LedgerFinding;
use crate::data::position::{Key, KeyValue};
use crate::ledger::StoredBatch;
use crate::pipeline::plan::PlannedStream;

/// Most characters that are shown of a part of a key.
const CHARS_MAX: usize = 200;

/// Tells of a batch.
pub(super) fn finding(
    stream: &PlannedStream,
    batch: &StoredBatch,
    (outcome, reason): Judgement,
    rows_now: Option<u64>,
) -> LedgerFinding {
    let entry = &batch.entry;
    LedgerFinding {
        outcome,
        split: entry.split,
        sequence: entry.sequence,
        run: entry.run.to_string(),
        committed_at: batch.committed_at.clone(),
        first_key: shown(stream, entry.first_key.as_ref()),
        last_key: shown(stream, entry.last_key.as_ref()),
        rows_then: entry.digest.rows,
        rows_now,
        reason,
    }
}

fn shown(stream: &PlannedStream, key: Option<&Key>) -> Vec<Shown> {
    let Some(key) = key else { return Vec::new() };
    let parts = key.0.iter().enumerate();
    parts
        .map(|(part, value)| {
            // Parts that tell repeated keys apart have no name in the mapping.
            let name = stream.source_key.get(part);
            let masked = name.is_some_and(|name| is_personal(stream, name));
            Shown {
                column: name.map_or_else(|| format!("part {}", part + 1), Clone::clone),
                value: said(value, masked),
            }
        })
        .collect()
}

/// Whether a source column goes into a target column whose values are not shown. What is spelt alike
/// counts, too: it is better to mask too much.
fn is_personal(stream: &PlannedStream, source_column: &str) -> bool {
    stream.pii.iter().any(|personal| {
        let mut columns = stream.columns.iter().filter(|column| column.target == *personal);
        personal == source_column || columns.any(|column| column.expression.contains(source_column))
    })
}

fn said(value: &KeyValue, masked: bool) -> Value {
    if masked || *value == KeyValue::Null {
        return Value {
            text: None,
            masked: masked && *value != KeyValue::Null,
            cut_from: None,
        };
    }
    let text = value.to_string();
    let chars = text.chars().count();
    Value {
        cut_from: (chars > CHARS_MAX).then_some(chars as u64),
        text: Some(if chars > CHARS_MAX {
            text.chars().take(CHARS_MAX).collect()
        } else {
            text
        }),
        masked: false,
    }
}
