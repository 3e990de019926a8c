//! Fingerprints: what decides which rows a stream makes, and which source they come from.

use sha2::{Digest as _, Sha256};

use crate::data::stream::{Origin, StreamTarget};
use crate::ledger;

/// Invariant 8: two halves, so that a refusal can say whether the mapping (with the shapes of
/// its tables, as `transform` describes them) or the source (`identity`) is another one.
#[must_use]
pub fn fingerprint(
    project: &str,
    origin: &Origin,
    source_key: &[String],
    write: &StreamTarget,
    transform: &str,
    identity: &str,
) -> String {
    let hash = |parts: &[&str]| {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        hex::encode(&hasher.finalize()[..16])
    };
    let origin = match origin {
        Origin::Table(table) => format!("table {table}"),
        Origin::Query { sql } => format!("query {sql}"),
    };
    let mut settings = format!(
        "{} {:?} {:?} {source_key:?} {:?}",
        ledger::FORM,
        write.on_conflict,
        write.triggers,
        write.key
    );
    if let Some(layout) = &write.keyed {
        settings.push_str(&layout.describe());
    }
    // How many replicas answer is no part of what is written.
    if let Some(column) = &write.options.expires_at {
        settings.extend([" expires at ", column]);
    }
    let mapping = hash(&[
        project,
        &write.stream,
        &origin,
        &settings,
        &write.table.to_string(),
        transform,
    ]);
    format!("{mapping}-{}", hash(&[identity]))
}

/// The fingerprint of a stream whose rows these conditions choose, too.
#[must_use]
pub fn with_conditions(fingerprint: &str, conditions: &[String]) -> String {
    let (mapping, source) = fingerprint.split_once('-').unwrap_or((fingerprint, ""));
    let mut hasher = Sha256::new();
    hasher.update(mapping);
    for condition in conditions {
        hasher.update((condition.len() as u64).to_le_bytes());
        hasher.update(condition);
    }
    format!("{}-{source}", hex::encode(&hasher.finalize()[..16]))
}

/// Which half of two fingerprints differs, in words.
#[must_use]
pub fn what_changed(before: &str, now: &str) -> &'static str {
    match (before.split_once('-'), now.split_once('-')) {
        (Some((before, _)), Some((now, _))) if before == now => "source database",
        _ => "mapping, or the shape of its tables,",
    }
}
