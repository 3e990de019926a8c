//! What is gathered of a stream, batch by batch.

use super::super::outcome;
use super::super::report::StreamVerdict;
use super::judge::Judgement;
use super::report::{BatchOutcome, LedgerFinding, LedgerStatus, LedgerStream};
use super::told;
use crate::ledger::StoredBatch;
use crate::pipeline::plan::PlannedStream;

/// What is gathered of a stream.
pub(super) struct Gathered<'a> {
    stream: &'a PlannedStream,
    told: LedgerStream,
    findings: Vec<LedgerFinding>,
}

impl<'a> Gathered<'a> {
    /// Nothing yet.
    pub(super) fn new(stream: &'a PlannedStream) -> Self {
        Self {
            stream,
            told: empty(stream),
            findings: Vec::new(),
        }
    }

    /// What the reader should know.
    pub(super) fn note(&mut self, note: String) {
        self.told.notes.push(note);
    }

    /// Counts a batch, and lists it where it is not unchanged.
    pub(super) fn add(&mut self, batch: &StoredBatch, judgement: Judgement, rows_now: Option<u64>) {
        let rows = batch.entry.digest.rows;
        let told = &mut self.told;
        told.batches += 1;
        told.rows += rows;
        match judgement.0 {
            BatchOutcome::Unchanged => {
                told.unchanged += 1;
                told.rows_unchanged += rows;
                return;
            }
            BatchOutcome::Changed => told.changed += 1,
            BatchOutcome::Gone => told.gone += 1,
            BatchOutcome::NotComparable => told.not_comparable += 1,
        }
        self.findings.push(told::finding(self.stream, batch, judgement, rows_now));
    }

    /// Counts batches that cannot be compared.
    pub(super) fn none_of(&mut self, batches: &[StoredBatch], why: &str) {
        for batch in batches {
            let judgement = match batch.entry.digest.rows {
                // It committed no rows: there is nothing that could have changed.
                0 => (BatchOutcome::Unchanged, None),
                _ => (BatchOutcome::NotComparable, Some(why.to_owned())),
            };
            self.add(batch, judgement, None);
        }
    }

    /// What is told of the stream.
    pub(super) fn close(mut self, findings_max: usize) -> LedgerStream {
        if self.told.batches == 0 {
            self.note("nothing of it was ever committed".to_owned());
        }
        // What is sure comes first; within it the order of the stream.
        self.findings.sort_by_key(|finding| {
            (
                finding.outcome == BatchOutcome::NotComparable,
                finding.split,
                finding.sequence,
            )
        });
        self.told.not_listed = self.findings.len().saturating_sub(findings_max) as u64;
        self.findings.truncate(findings_max);
        self.told.findings = self.findings;
        self.told.status = if self.told.changed + self.told.gone > 0 {
            LedgerStatus::Changed
        } else if self.told.unchanged > 0 {
            LedgerStatus::Unchanged
        } else {
            LedgerStatus::Unchecked
        };
        self.told
    }
}

fn empty(stream: &PlannedStream) -> LedgerStream {
    let StreamVerdict {
        name,
        source,
        target,
        fingerprint,
        ..
    } = outcome::unchecked(stream);
    LedgerStream {
        name,
        source,
        target,
        status: LedgerStatus::Unchecked,
        fingerprint,
        batches: 0,
        unchanged: 0,
        changed: 0,
        gone: 0,
        not_comparable: 0,
        rows: 0,
        rows_unchanged: 0,
        seconds: 0.0,
        findings: Vec::new(),
        not_listed: 0,
        notes: Vec::new(),
    }
}
