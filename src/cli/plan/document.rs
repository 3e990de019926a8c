//! The plan as a document for programs, see docs/output.md.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::cli::failure::{ErrorDocument, FindingDocument};
use crate::cli::intent::Invocation;
use crate::data::counts::Counts;
use crate::data::keyed::{Expiry, Layout};
use crate::data::spent::Units;
use crate::data::stream::OnConflict;
use crate::mapping::coverage::{Coverage, Ignored, SourceCoverage};
use crate::mapping::difference::{Difference, DifferenceKind};
use crate::pipeline::coverage::Subject;
use crate::pipeline::passes::Pass;
use crate::pipeline::plan::{Plan, PlannedColumn, PlannedStream};
use crate::pipeline::report::SpentReport;

/// A plan for programs.
#[derive(Debug, Serialize)]
pub(super) struct PlanDocument<'a> {
    project: &'a str,
    environment: &'a str,
    status: &'static str,
    streams: Vec<StreamDocument<'a>>,
    disabled: &'a [String],
    costs: Vec<CostDocument<'a>>,
    spent: Vec<SpentReport>,
    coverage: Option<CoverageDocument<'a>>,
    subjects: Vec<SubjectDocument<'a>>,
    limits: LimitsDocument,
    findings: Vec<FindingDocument>,
    error: Option<ErrorDocument>,
}

#[derive(Debug, Serialize)]
struct StreamDocument<'a> {
    name: &'a str,
    source: &'a str,
    target: &'a str,
    on_conflict: OnConflict,
    key: &'a [String],
    keys: Option<KeysDocument<'a>>,
    source_key: &'a [String],
    resumable: bool,
    undo: bool,
    rows_estimate: Option<u64>,
    after: &'a [String],
    columns: Vec<ColumnDocument<'a>>,
    differences: Vec<DifferenceDocument<'a>>,
    partitions: Option<PartitionsDocument<'a>>,
    checkpoint: Option<CheckpointDocument>,
    notes: &'a [String],
}

/// The largest partition of a CQL table; null for other targets.
#[derive(Debug, Serialize)]
struct PartitionsDocument<'a> {
    key: &'a [String],
    rows_read: u64,
    largest_rows: u64,
    largest_bytes: u64,
    exact: bool,
}

#[derive(Debug, Serialize)]
struct ColumnDocument<'a> {
    name: &'a str,
    #[serde(rename = "type")]
    ty: &'a str,
    expression: &'a str,
    expression_type: &'a str,
}

/// A checkpoint without its position: that holds values of the source.
#[derive(Debug, Serialize)]
struct CheckpointDocument {
    batches: i64,
    complete: bool,
    counts: Counts,
}

#[derive(Debug, Serialize)]
struct LimitsDocument {
    batch_rows_max: u64,
    batch_bytes_max: u64,
    batch_milliseconds_max: u64,
    max_rejects: u64,
}

impl<'a> PlanDocument<'a> {
    pub(super) fn of(plan: &'a Plan, invocation: &Invocation) -> Self {
        Self {
            project: &plan.project,
            environment: &plan.environment,
            status: "ready",
            streams: plan.streams.iter().map(StreamDocument::of).collect(),
            disabled: &plan.disabled,
            costs: plan.passes.iter().map(CostDocument::of).collect(),
            spent: plan.spent(),
            coverage: plan.coverage.as_ref().map(CoverageDocument::of),
            subjects: plan.subjects.iter().map(SubjectDocument::of).collect(),
            limits: LimitsDocument {
                batch_rows_max: plan.limits.batch_rows_max,
                batch_bytes_max: plan.limits.batch_bytes_max,
                batch_milliseconds_max: plan.limits.batch_milliseconds_max,
                max_rejects: plan.limits.max_rejects,
            },
            findings: FindingDocument::all(&plan.findings, Some(invocation)),
            error: None,
        }
    }
}

impl<'a> StreamDocument<'a> {
    fn of(stream: &'a PlannedStream) -> Self {
        Self {
            name: &stream.name,
            source: &stream.source,
            target: &stream.target,
            on_conflict: stream.on_conflict,
            key: &stream.key,
            keys: stream.keyed.as_deref().map(KeysDocument::of),
            source_key: &stream.source_key,
            resumable: stream.resumable,
            undo: stream.write.undo,
            rows_estimate: stream.rows_estimate,
            after: &stream.after,
            columns: stream.columns.iter().map(ColumnDocument::of).collect(),
            differences: stream.differences.iter().map(DifferenceDocument::of).collect(),
            partitions: stream.partitions.as_ref().map(|partitions| PartitionsDocument {
                key: &partitions.key,
                rows_read: partitions.rows_read,
                largest_rows: partitions.largest_rows,
                largest_bytes: partitions.largest_bytes,
                exact: partitions.exact,
            }),
            checkpoint: stream.checkpoint.as_ref().map(|checkpoint| CheckpointDocument {
                batches: checkpoint.sequence,
                complete: checkpoint.complete,
                counts: checkpoint.counts,
            }),
            notes: &stream.notes,
        }
    }
}

/// How rows become keys; null for a table.
#[derive(Debug, Serialize)]
struct KeysDocument<'a> {
    pattern: String,
    #[serde(rename = "type")]
    ty: &'static str,
    values: &'a [String],
    score: Option<&'a str>,
    ttl_milliseconds: Option<u64>,
    expires_at: Option<&'a str>,
}

impl<'a> KeysDocument<'a> {
    fn of(layout: &'a Layout) -> Self {
        let (ttl_milliseconds, expires_at) = match &layout.expiry {
            None => (None, None),
            Some(Expiry::After(after)) => (u64::try_from(after.as_millis()).ok(), None),
            Some(Expiry::At(column)) => (None, Some(column.as_str())),
        };
        Self {
            pattern: layout.pattern.to_string(),
            ty: layout.key_type.name(),
            values: &layout.values,
            score: layout.score.as_deref(),
            ttl_milliseconds,
            expires_at,
        }
    }
}

impl<'a> ColumnDocument<'a> {
    fn of(column: &'a PlannedColumn) -> Self {
        Self {
            name: &column.target,
            ty: &column.target_type,
            expression: &column.expression,
            expression_type: &column.source_type,
        }
    }
}

/// A difference; rows are null where they were not, or cannot be, counted.
#[derive(Debug, Serialize)]
struct DifferenceDocument<'a> {
    column: &'a str,
    source_column: &'a str,
    kind: DifferenceKind,
    source_type: &'a str,
    target_type: &'a str,
    description: &'a str,
    effect: &'a str,
    allowed: bool,
    rows: Option<u64>,
}

impl<'a> DifferenceDocument<'a> {
    fn of(difference: &'a Difference) -> Self {
        Self {
            column: &difference.column,
            source_column: &difference.source_column,
            kind: difference.kind,
            source_type: &difference.source_type,
            target_type: &difference.target_type,
            description: &difference.what,
            effect: &difference.effect,
            allowed: difference.allowed,
            rows: difference.rows,
        }
    }
}

/// What one reading of a source will cost; null where that is not known.
#[derive(Debug, Serialize)]
struct CostDocument<'a> {
    connection: &'a str,
    source: &'a str,
    streams: &'a [String],
    rows_estimate: Option<u64>,
    request_units: Option<Units>,
    request_units_per_1000_rows: Option<Units>,
    rows_measured: u64,
}

impl<'a> CostDocument<'a> {
    fn of(pass: &'a Pass) -> Self {
        Self {
            connection: &pass.connection,
            source: &pass.source,
            streams: &pass.streams,
            rows_estimate: pass.rows_estimate,
            request_units: pass.request_units(),
            request_units_per_1000_rows: pass.sample.of_rows(super::cost::ROWS),
            rows_measured: pass.sample.rows,
        }
    }
}

#[derive(Debug, Serialize)]
struct SubjectDocument<'a> {
    name: &'a str,
    streams_without: &'a [String],
}

impl<'a> SubjectDocument<'a> {
    fn of(subject: &'a Subject) -> Self {
        Self {
            name: &subject.name,
            streams_without: &subject.streams_without,
        }
    }
}

#[derive(Debug, Serialize)]
struct CoverageDocument<'a> {
    sources: Vec<SourceDocument<'a>>,
    columns_not_moved: BTreeMap<&'a str, &'a [String]>,
    columns_ignored: BTreeMap<&'a str, BTreeMap<&'a str, &'a str>>,
}

#[derive(Debug, Serialize)]
struct SourceDocument<'a> {
    connection: &'a str,
    read: &'a [String],
    ignored: BTreeMap<&'a str, &'a str>,
    in_queries: &'a [String],
    disabled: &'a [String],
    not_moved: &'a [String],
}

impl<'a> CoverageDocument<'a> {
    fn of(coverage: &'a Coverage) -> Self {
        let lost = coverage.columns.iter();
        let mut ignored: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
        for column in &coverage.ignored_columns {
            let columns = ignored.entry(&column.table).or_default();
            columns.insert(&column.column, &column.reason);
        }
        Self {
            sources: coverage.sources.iter().map(SourceDocument::of).collect(),
            columns_not_moved: lost.map(|lost| (lost.table.as_str(), lost.columns.as_slice())).collect(),
            columns_ignored: ignored,
        }
    }
}

impl<'a> SourceDocument<'a> {
    fn of(source: &'a SourceCoverage) -> Self {
        Self {
            connection: &source.connection,
            read: &source.read,
            ignored: reasons(&source.ignored),
            in_queries: &source.in_queries,
            disabled: &source.disabled,
            not_moved: &source.not_moved,
        }
    }
}

fn reasons(ignored: &[Ignored]) -> BTreeMap<&str, &str> {
    let pairs = ignored.iter().map(|ignored| (ignored.name.as_str(), ignored.reason.as_str()));
    pairs.collect()
}
