//! Planning: opens both ends, checks every stream against them, and puts the streams in order.
//! Reads catalogs and checkpoints; writes nothing, but for a missing target database that it was
//! allowed to create.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ends::Ends;
use super::fingerprint;
use super::shape::{Shape, check_stream};
use crate::config::Config;
use crate::config::limits::Limits;
use crate::data::finding::{Finding, Severity};
use crate::data::stream::{OnConflict, Origin, StreamTarget};
use crate::ledger::Checkpoint;
use crate::mapping::stream::From;
use crate::mapping::{Project, Stream, check, order};
use crate::sink::Sink;
use crate::source::Source;
use crate::transform::Transform;
use crate::{Error, ErrorKind, Result};

/// What the command line may change about a plan.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Only these streams; empty for all.
    pub only: Vec<String>,
    /// Rows per commit.
    pub batch_rows_max: Option<u64>,
    /// Rejects after which a run stops.
    pub max_rejects: Option<u64>,
    /// Create a missing target database where its connection says so. Without it nothing is
    /// written, whatever the connections say.
    pub create: bool,
}

/// A checked project with both ends open, ready to run.
pub struct Plan {
    /// Project.
    pub project: String,
    /// Environment.
    pub environment: String,
    /// Streams in the order in which they run.
    pub streams: Vec<PlannedStream>,
    /// Warnings.
    pub findings: Vec<Finding>,
    /// Streams left out because a connection of theirs is disabled.
    pub disabled: Vec<String>,
    /// Limits of the run.
    pub limits: Limits,
    pub(super) sources: BTreeMap<String, Arc<dyn Source>>,
    pub(super) sinks: BTreeMap<String, Arc<dyn Sink>>,
}

/// One stream of a plan.
pub struct PlannedStream {
    /// Name.
    pub name: String,
    /// `connection.table`, or `connection (query)`.
    pub source: String,
    /// `connection.table`.
    pub target: String,
    /// What happens to rows that exist.
    pub on_conflict: OnConflict,
    /// Target key.
    pub key: Vec<String>,
    /// Source key; empty for an atomic stream.
    pub source_key: Vec<String>,
    /// Whether an interrupted run goes on within the stream; an atomic one starts it again.
    pub resumable: bool,
    /// Columns in order.
    pub columns: Vec<PlannedColumn>,
    /// Rows, if the source has an estimate.
    pub rows_estimate: Option<u64>,
    /// How far it is.
    pub checkpoint: Option<Checkpoint>,
    /// What the operator should know.
    pub notes: Vec<String>,
    pub(super) source_connection: String,
    pub(super) sink_connection: String,
    pub(super) origin: Origin,
    pub(super) transform: Arc<Transform>,
    pub(super) write: StreamTarget,
    pub(super) fingerprint: String,
    pub(super) refers_to_itself: bool,
    /// No other stream of the project writes the same table.
    pub(super) only_writer: bool,
}

/// One column of a planned stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedColumn {
    /// Target column.
    pub target: String,
    /// Its type.
    pub target_type: String,
    /// What fills it.
    pub expression: String,
    /// Type of the expression, before the cast to the target's.
    pub source_type: String,
}

/// Plans a project: every finding of every stream is collected before it fails.
///
/// # Errors
/// [`ErrorKind::Mapping`] with findings, [`ErrorKind::Missing`] where all that is wrong is that
/// target tables do not exist yet, or the kind of whatever could not be opened.
pub async fn plan(project: &Project, config: &Config, options: &Options) -> Result<Plan> {
    let names = config.connections();
    let found = check::alone(project, &names);
    if found.iter().any(|finding| finding.severity == Severity::Error) {
        return Err(Error::findings(ErrorKind::Mapping, found));
    }
    let (selected, disabled) = select(project, config, &options.only)?;
    let ends = Ends::open(config, &selected, options.create).await?;
    let mut checked = Vec::new();
    let mut findings = found;
    for stream in &selected {
        checked.push(check_stream(stream, &ends, &mut findings).await?);
    }
    let missing = |finding: &Finding| finding.code == "plan::missing_table";
    if findings.iter().any(|finding| finding.severity == Severity::Error) {
        let kind = if findings
            .iter()
            .filter(|finding| finding.severity == Severity::Error)
            .all(missing)
        {
            ErrorKind::Missing
        } else {
            ErrorKind::Mapping
        };
        return Err(Error::findings(kind, findings));
    }
    let selected: Vec<Stream> = selected.into_iter().cloned().collect();
    let targets: Vec<_> = checked
        .iter()
        .map(|shape| shape.as_ref().map(|shape| shape.target.clone()))
        .collect();
    let sequence = order::order(&selected, &targets).map_err(|finding| Error::findings(ErrorKind::Mapping, vec![finding]))?;
    let mut checkpoints = BTreeMap::new();
    for (name, sink) in &ends.sinks {
        checkpoints.insert(name.clone(), sink.checkpoints(&project.name).await?);
    }
    let mut streams = Vec::new();
    for index in sequence {
        if let Some(shape) = checked[index].take() {
            streams.push(planned(project, &selected, &selected[index], shape, &ends, &checkpoints));
        }
    }
    let mut limits = config.limits;
    limits.batch_rows_max = options.batch_rows_max.unwrap_or(limits.batch_rows_max);
    limits.max_rejects = options.max_rejects.or(project.max_rejects).unwrap_or(limits.max_rejects);
    let portion = usize::try_from(limits.batch_rows_max).unwrap_or(usize::MAX);
    limits.portion_rows_max = limits.portion_rows_max.min(portion);
    Ok(Plan {
        project: project.name.clone(),
        environment: config.environment.clone(),
        streams,
        findings,
        disabled,
        limits,
        sources: ends.sources,
        sinks: ends.sinks,
    })
}

/// The streams asked for, without those of disabled connections.
fn select<'a>(project: &'a Project, config: &Config, only: &[String]) -> Result<(Vec<&'a Stream>, Vec<String>)> {
    for name in only {
        if !project.streams.iter().any(|stream| stream.name.value == *name) {
            let known: Vec<_> = project.streams.iter().map(|stream| stream.name.value.as_str()).collect();
            return Err(Error::new(
                ErrorKind::Usage,
                format!("there is no stream `{name}` in project `{}`", project.name),
            )
            .hint(format!("its streams are: {}", known.join(", "))));
        }
    }
    let mut disabled = Vec::new();
    let mut selected = Vec::new();
    for stream in &project.streams {
        if !only.is_empty() && !only.contains(&stream.name.value) {
            continue;
        }
        if config.is_disabled(stream.from.connection()) || config.is_disabled(&stream.to.value.connection) {
            disabled.push(stream.name.value.clone());
        } else {
            selected.push(stream);
        }
    }
    Ok((selected, disabled))
}

fn planned(
    project: &Project,
    all: &[Stream],
    stream: &Stream,
    shape: Shape,
    ends: &Ends,
    checkpoints: &BTreeMap<String, Vec<Checkpoint>>,
) -> PlannedStream {
    let name = stream.name.value.clone();
    let source = match &stream.from {
        From::Table(from) => format!("{}.{}", from.value.connection, from.value.table),
        From::Query { connection, .. } => format!("{} (query)", connection.value),
    };
    let mut notes = shape.source.notes.clone();
    notes.extend(shape.target.notes.iter().cloned());
    let resumable = !shape.source_key.is_empty();
    if !resumable {
        notes.push("no key orders the source rows: the stream is atomic, an interrupted run starts it again".to_owned());
    }
    if !shape.transform.keys_distinct() {
        notes.push("two source rows may share a target key: every key is claimed before it is written".to_owned());
    }
    let columns = planned_columns(stream, &shape);
    let checkpoint = checkpoints
        .get(&stream.to.value.connection)
        .and_then(|all| all.iter().find(|checkpoint| checkpoint.stream == name))
        .cloned();
    let only_writer = all.iter().filter(|other| other.to.value == stream.to.value).count() == 1;
    let write = StreamTarget {
        stream: name.clone(),
        table: shape.target.name.clone(),
        columns: shape.transform.target_columns().to_vec(),
        key: stream.key.iter().map(|key| key.value.clone()).collect(),
        on_conflict: stream.on_conflict,
        triggers: stream.triggers,
        keys_distinct: shape.transform.keys_distinct(),
    };
    PlannedStream {
        source,
        target: format!("{}.{}", stream.to.value.connection, stream.to.value.table),
        on_conflict: stream.on_conflict,
        key: write.key.clone(),
        resumable,
        columns,
        rows_estimate: shape.source.rows_estimate,
        checkpoint,
        notes,
        fingerprint: fingerprint::fingerprint(
            &project.name,
            &shape.origin,
            &shape.source_key,
            &write,
            &shape.transform.describe(),
            &ends.identities[stream.from.connection()],
        ),
        source_connection: stream.from.connection().to_owned(),
        sink_connection: stream.to.value.connection.clone(),
        origin: shape.origin,
        refers_to_itself: shape
            .target
            .foreign_keys
            .iter()
            .any(|key| key.table.name == shape.target.name.name),
        transform: Arc::new(shape.transform),
        source_key: shape.source_key,
        write,
        only_writer,
        name,
    }
}

fn planned_columns(stream: &Stream, shape: &Shape) -> Vec<PlannedColumn> {
    shape
        .transform
        .target_columns()
        .iter()
        .map(|column| {
            let expression = stream.columns.iter().find(|(name, _)| name.value == column.name).map_or_else(
                || format!("{} (same name)", column.name),
                |(_, expression)| expression.value.clone(),
            );
            PlannedColumn {
                target: column.name.clone(),
                target_type: column.ty.to_string(),
                expression,
                source_type: shape.transform.expression_type(&column.name).unwrap_or_default(),
            }
        })
        .collect()
}
