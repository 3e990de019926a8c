//! Planning: opens both ends, checks every stream against them, and puts the streams in order.
//! Reads catalogs and checkpoints; writes nothing, but for a missing target database that it was
//! allowed to create.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::coverage::{self, Planned, Subject};
use super::ends::{Ends, Opening};
use super::follow;
use super::later::{self, Later};
use super::not_covered::LeftToOthers;
use super::partitions::{self, Partitions};
use super::passes::{self, Pass};
use super::report::SpentReport;
use super::shape::check_stream;
use super::subject::{self, SubjectKey};
use super::{deferred, difference, memory, planned, privilege, spending, undo, writers};
use crate::config::Config;
use crate::config::limits::Limits;
use crate::data::finding::{Finding, Severity};
use crate::data::keyed::Layout;
use crate::data::keyed::owner::Writers;
use crate::data::stream::{DeferIndexes, OnConflict, Origin, StreamTarget};
use crate::ledger::{BackupNote, Checkpoint, Suspended};
use crate::mapping::coverage::Coverage;
use crate::mapping::difference::Difference;
use crate::mapping::{Project, Stream, check};
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
    /// Instead of the configuration's.
    pub rows_per_second_max: Option<u64>,
    /// Instead of the configuration's.
    pub bytes_per_second_max: Option<u64>,
    /// Rejects after which a run stops.
    pub max_rejects: Option<u64>,
    /// Streams side by side.
    pub jobs: Option<usize>,
    /// Memory of the process, in megabytes.
    pub memory_limit: Option<u64>,
    /// Only the rows of one subject.
    pub subject: Option<SubjectKey>,
    /// Only what has changed since the last complete run.
    pub since_last: bool,
    /// Count the rows that differences between source and target concern.
    pub count: bool,
    /// Measure what reading sources costs that are paid for by what is asked of them.
    pub cost: bool,
    /// Tell what no stream moves, if all streams are planned.
    pub coverage: bool,
    /// What no stream moves is an error.
    pub strict: bool,
    /// A target server that cannot be reached is tried again after the streams of the others.
    pub go_without: bool,
    /// Create a missing target database where its connection says so. Without it nothing is
    /// written, whatever the connections say.
    pub create: bool,
    /// Every stream leaves an undo log, whatever its mapping says.
    pub undo: bool,
    /// Few rows are moved, or over one session: what refers to something comes after it, however
    /// often the source is read for that.
    pub in_order: bool,
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
    /// What the operator should know of a run of this plan.
    pub warnings: Vec<String>,
    /// What is moved of the sources and what not, where it was asked for.
    pub coverage: Option<Coverage>,
    /// Readings that are paid for, where that was asked for.
    pub passes: Vec<Pass>,
    /// Subjects that the project declares.
    pub subjects: Vec<Subject>,
    /// Limits of the run.
    pub limits: Limits,
    /// What was saved before it; every ledger notes it under the run's id.
    pub backup: Option<BackupNote>,
    /// Open rejects of streams that the run has moved before these.
    pub(super) rejects_elsewhere: u64,
    /// Streams whose targets cannot be reached now.
    pub(super) later: Option<Later>,
    /// All streams of the project, planned or not.
    pub(crate) stream_names: Vec<String>,
    /// Those of them that write keys.
    pub(crate) writers: Writers,
    pub(crate) sources: BTreeMap<String, Arc<dyn Source>>,
    pub(crate) sinks: BTreeMap<String, Arc<dyn Sink>>,
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
    /// Target columns whose values are never shown.
    pub pii: Vec<String>,
    /// How its rows become keys, where it writes no table.
    pub keyed: Option<Arc<Layout>>,
    /// Source key; empty for an atomic stream.
    pub source_key: Vec<String>,
    /// Whether an interrupted run goes on within the stream; an atomic one starts it again.
    pub resumable: bool,
    /// Streams that must be complete before this one.
    pub after: Vec<String>,
    /// Columns in order.
    pub columns: Vec<PlannedColumn>,
    /// Where the target's columns hold less than the source's.
    pub differences: Vec<Difference>,
    /// `where` leaves rows out.
    pub filtered: bool,
    /// Rows, if the source has an estimate.
    pub rows_estimate: Option<u64>,
    /// How far it is, over all its splits.
    pub checkpoint: Option<Checkpoint>,
    /// What the operator should know.
    pub notes: Vec<String>,
    /// Its largest partition, where its target has some and it was asked for.
    pub partitions: Option<Partitions>,
    /// Foreign keys that are taken away for the load and put back afterwards.
    pub suspended: Vec<Suspended>,
    pub(crate) source_connection: String,
    pub(crate) sink_connection: String,
    pub(crate) origin: Origin,
    pub(crate) transform: Arc<Transform>,
    pub(crate) write: StreamTarget,
    pub(crate) fingerprint: String,
    /// Whether indexes are away for its load.
    pub(super) defer_indexes: DeferIndexes,
    pub(super) refers_to_itself: bool,
    /// What it leaves to other streams, before it has begun.
    pub(super) leaves: Option<LeftToOthers>,
    /// No other stream of the project writes the same table.
    pub(crate) only_writer: bool,
    /// Other streams of the project that write the same table, planned or not.
    pub(crate) shares_with: Vec<String>,
    /// Only the rows of a subject are moved.
    pub(crate) subject: Option<crate::data::stream::Subject>,
    /// Number of its rows in the source.
    pub(crate) subject_rows: Option<u64>,
    /// Only what has changed since it was copied is moved.
    pub(super) follows: bool,
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
    plan_over(project, config, options, &BTreeMap::new()).await
}

/// Plans a project over sources of which some are open already.
pub(super) async fn plan_over(
    project: &Project,
    config: &Config,
    options: &Options,
    sources: &BTreeMap<String, Arc<dyn Source>>,
) -> Result<Plan> {
    let mut findings = sound(in_files(project, config))?;
    let (mut selected, disabled) = select(project, config, &options.only)?;
    let mut warnings = subject::choose(project, &mut selected, options.subject.as_ref())?;
    let opening = Opening {
        create: options.create,
        // The rows of a subject are not known to be all that there are while a target is away.
        go_without: options.go_without && options.subject.is_none(),
        sources,
    };
    let mut ends = Ends::open(config, &selected, &opening).await?;
    let away = std::mem::take(&mut ends.away);
    let later = later::set_aside((project, config, options), &mut selected, away)?;
    let mut checked = Vec::new();
    for stream in &selected {
        checked.push(check_stream(stream, &ends, &mut findings).await?);
    }
    findings.extend(undo::unfit(&selected, &checked, options, &ends));
    let mut findings = sound(findings)?;
    warnings.extend(undo::not_taken_back(&selected, options, &ends));
    let mut covered = None;
    if options.coverage && options.only.is_empty() {
        let (streams, shapes, disabled) = (&selected[..], &checked[..], &disabled[..]);
        let planned = Planned {
            streams,
            shapes,
            disabled,
        };
        let (coverage, found) = coverage::coverage(project, config, &ends, &planned, options.strict).await?;
        findings.extend(found);
        covered = Some(coverage);
    }
    let findings = sound(findings)?;
    let mut streams = planned::arranged(project, &selected, checked, &ends, options).await?;
    privilege::check(&streams, &ends.sources).await?;
    for stream in &mut streams {
        let left_out = covered.as_ref().and_then(|coverage| coverage.left_out.get(&stream.name));
        stream.notes.extend(left_out.into_iter().flatten().cloned());
        if options.count {
            let source = &ends.sources[&stream.source_connection];
            difference::count(stream, source.as_ref()).await?;
        }
    }
    if let Some(wanted) = &options.subject {
        warnings.extend(subject::restrict(&mut streams, &selected, wanted, &ends).await?);
    }
    if options.since_last {
        warnings.extend(follow::restrict(&mut streams, &ends)?);
    }
    let mut plan = Plan {
        writers: writers::of(project, &streams),
        project: project.name.clone(),
        environment: config.environment.clone(),
        streams,
        findings,
        disabled,
        warnings,
        coverage: covered,
        passes: Vec::new(),
        subjects: coverage::subjects(project),
        limits: limits(project, config, options),
        backup: None,
        rejects_elsewhere: 0,
        later,
        stream_names: project.streams.iter().map(|stream| stream.name.value.clone()).collect(),
        sources: ends.sources,
        sinks: ends.sinks,
    };
    measure(&mut plan, options).await?;
    Ok(plan)
}

/// What fits the memory limit, and what has to be read for the plan.
async fn measure(plan: &mut Plan, options: &Options) -> Result<()> {
    memory::fit(plan)?;
    deferred::plan(plan).await?;
    if options.cost {
        plan.passes = passes::paid(plan).await?;
    }
    if options.coverage {
        partitions::look(plan).await?;
    }
    Ok(())
}

impl Plan {
    /// What planning has cost, of sources that are paid for by what is asked of them.
    #[must_use]
    pub fn spent(&self) -> Vec<SpentReport> {
        spending::report(&self.sources)
    }
}

/// What can be told without opening anything.
fn in_files(project: &Project, config: &Config) -> Vec<Finding> {
    let mut findings = check::alone(project, &config.connections());
    findings.extend(check::kinds(project, |connection| config.kind(connection)));
    findings
}

/// The findings, if none of them is an error.
pub(super) fn sound(findings: Vec<Finding>) -> Result<Vec<Finding>> {
    let mut errors = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .peekable();
    if errors.peek().is_none() {
        return Ok(findings);
    }
    let kind = if errors.all(|finding| finding.code == "plan::missing_table") {
        ErrorKind::Missing
    } else {
        ErrorKind::Mapping
    };
    Err(Error::findings(kind, findings))
}

fn limits(project: &Project, config: &Config, options: &Options) -> Limits {
    let mut limits = config.limits;
    limits.batch_rows_max = options.batch_rows_max.unwrap_or(limits.batch_rows_max);
    limits.is_batch_fixed = options.batch_rows_max.is_some();
    limits.max_rows_per_second = options.rows_per_second_max.or(limits.max_rows_per_second);
    limits.max_bytes_per_second = options.bytes_per_second_max.or(limits.max_bytes_per_second);
    limits.max_rejects = options.max_rejects.or(project.max_rejects).unwrap_or(limits.max_rejects);
    limits.jobs = options.jobs.unwrap_or(limits.jobs);
    limits.memory_limit_megabytes = options.memory_limit.unwrap_or(limits.memory_limit_megabytes);
    let portion = usize::try_from(limits.batch_rows_max).unwrap_or(usize::MAX);
    limits.portion_rows_max = limits.portion_rows_max.min(portion);
    limits
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
