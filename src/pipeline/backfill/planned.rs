//! Planning backfills: keys, conditions, expressions, and how far each of them is.

use std::collections::BTreeMap;

use super::super::ends::allowed;
use super::super::plan::{self, Plan, PlannedStream, sound};
use super::super::shape::missing_table;
use super::super::shutdown::Shutdown;
use super::super::{fingerprint, plan::plan_over};
use crate::config::Config;
use crate::data::backfill::RowRange;
use crate::data::column::ColumnType;
use crate::data::finding::{Finding, Located, listed};
use crate::data::table::TableName;
use crate::mapping::{Backfill, Project, check};
use crate::sink::{self, Sink};
use crate::{Error, ErrorKind, Result};

/// Rows of a batch, where nothing else is said: locked for some tenths of a second.
const BATCH_ROWS: u64 = 2_000;
/// Rows looked at by one statement while those that still need it are counted.
const COUNTED_AT_ONCE: u64 = 20_000;

/// What the command line may change.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Only these; empty for all.
    pub only: Vec<String>,
    /// Rows per batch.
    pub batch_rows_max: Option<u64>,
    /// Rejects after which it stops.
    pub max_rejects: Option<u64>,
    /// Rows in a second.
    pub rows_per_second_max: Option<u64>,
}

/// Checked backfills with their databases open.
pub struct BackfillPlan {
    /// As streams, from tables into themselves.
    pub plan: Plan,
    /// What each of them has besides, in the order of the files.
    pub backfills: Vec<Planned>,
}

/// What a backfill has that no other stream has.
#[derive(Debug, Clone)]
pub struct Planned {
    /// Place of its stream in the plan.
    pub place: usize,
    /// Columns of the key with their types.
    pub key: Vec<(String, ColumnType)>,
    /// Conditions of the rows that it is about.
    pub about: Vec<String>,
    /// Conditions of those that still need it.
    pub needed: Vec<String>,
    /// Rows in a second.
    pub rows_per_second_max: Option<u64>,
    /// About how many rows need it.
    pub rows_estimate: Option<u64>,
}

impl Planned {
    /// Whether rows tell by themselves that they are done, so that it can be called again and again.
    #[must_use]
    pub fn has_pending(&self) -> bool {
        self.needed.len() > self.about.len()
    }

    /// Rows that still need it, counted some at a time.
    pub(super) async fn still_pending(&self, sink: &dyn Sink, table: &TableName, shutdown: &Shutdown) -> Result<u64> {
        let mut range = RowRange {
            key: self.key.clone(),
            conditions: self.needed.clone(),
            after: None,
            rows_max: COUNTED_AT_ONCE,
            looked_at_max: COUNTED_AT_ONCE,
        };
        let mut rows = 0;
        loop {
            let next = sink.next_keys(table, &range).await?;
            rows += next.keys.len() as u64;
            range.after = next.looked_up_to;
            if range.after.is_none() || shutdown.is_cancelled() {
                return Ok(rows);
            }
        }
    }
}

/// Plans backfills: every finding of all of them is collected before it fails.
///
/// # Errors
/// [`ErrorKind::Mapping`] with findings, or the kind of whatever could not be opened.
pub async fn plan(project: &Project, config: &Config, options: &Options) -> Result<BackfillPlan> {
    let mut backfills = chosen(project, options)?;
    let disabled = take_disabled(config, &mut backfills);
    with_keys(config, &mut backfills).await?;
    let connections: Vec<Located<String>> = (backfills.iter())
        .map(|backfill| Located {
            value: backfill.connection().to_owned(),
            place: backfill.stream.to.place.clone(),
        })
        .collect();
    let as_streams = Project {
        sources: connections.clone(),
        sinks: connections,
        streams: backfills.iter().map(|backfill| backfill.stream.clone()).collect(),
        backfills: Vec::new(),
        ..project.clone()
    };
    let wanted = plan::Options {
        batch_rows_max: Some(options.batch_rows_max.unwrap_or(config.limits.batch_rows_max.min(BATCH_ROWS))),
        max_rejects: options.max_rejects,
        in_order: true,
        ..plan::Options::default()
    };
    let mut plan = plan_over(&as_streams, config, &wanted, &BTreeMap::new()).await?;
    plan.disabled.extend(disabled);
    let mut planned = Vec::new();
    let mut findings = Vec::new();
    for backfill in &backfills {
        let Some(place) = plan.streams.iter().position(|stream| stream.name == backfill.name()) else {
            continue;
        };
        let rows_estimate = estimate(&plan, &plan.streams[place], backfill, &mut findings).await?;
        let stream = &mut plan.streams[place];
        planned.push(Planned {
            place,
            key: key(stream),
            about: backfill.about(),
            needed: backfill.needed(),
            rows_per_second_max: (options.rows_per_second_max)
                .or(backfill.rows_per_second_max)
                .or(config.limits.max_rows_per_second),
            rows_estimate,
        });
        prepare(stream, backfill);
    }
    plan.findings.extend(sound(findings)?);
    Ok(BackfillPlan {
        plan,
        backfills: planned,
    })
}

/// What is known of a stream from a table into itself.
fn prepare(stream: &mut PlannedStream, backfill: &Backfill) {
    stream.fingerprint = fingerprint::with_conditions(&stream.fingerprint, &backfill.needed());
    // Its rows are there, and each has its own key.
    stream.suspended.clear();
    stream.write.keys_distinct = true;
}

fn key(stream: &PlannedStream) -> Vec<(String, ColumnType)> {
    let columns = stream.write.columns.iter();
    let typed = columns.map(|column| (column.name.clone(), column.ty.clone()));
    let typed: BTreeMap<String, ColumnType> = typed.collect();
    let of = |name: &String| typed.get(name).map(|ty| (name.clone(), ty.clone()));
    stream.write.key.iter().filter_map(of).collect()
}

/// Those asked for.
fn chosen(project: &Project, options: &Options) -> Result<Vec<Backfill>> {
    let names: Vec<&str> = project.backfills.iter().map(Backfill::name).collect();
    if names.is_empty() {
        return Err(Error::new(
            ErrorKind::Mapping,
            format!("there is no backfill in project `{}`", project.name),
        )
        .hint("write one into a TOML file beside project.toml: [[backfill]]"));
    }
    if let Some(unknown) = options.only.iter().find(|name| !names.contains(&name.as_str())) {
        return Err(Error::new(
            ErrorKind::Usage,
            format!("there is no backfill `{unknown}` in project `{}`", project.name),
        )
        .hint(format!("its backfills are: {}", listed(&names))));
    }
    let wanted = |backfill: &&Backfill| options.only.is_empty() || options.only.iter().any(|name| name == backfill.name());
    Ok(project.backfills.iter().filter(wanted).cloned().collect())
}

/// Takes those out whose connection is disabled; their names.
fn take_disabled(config: &Config, backfills: &mut Vec<Backfill>) -> Vec<String> {
    let is_disabled = |backfill: &Backfill| config.is_disabled(backfill.connection());
    let names = backfills.iter().filter(|backfill| is_disabled(backfill));
    let names = names.map(|backfill| backfill.name().to_owned()).collect();
    backfills.retain(|backfill| !is_disabled(backfill));
    names
}

/// Looks up the keys of their tables.
async fn with_keys(config: &Config, backfills: &mut [Backfill]) -> Result<()> {
    let mut findings = Vec::new();
    let mut sinks = BTreeMap::new();
    for backfill in backfills.iter() {
        let name = backfill.connection();
        if !sinks.contains_key(name) {
            // What is filled in is there: nothing is created.
            let connection = allowed(&config.resolve(name)?, false);
            sinks.insert(name.to_owned(), sink::open(&connection).await?);
        }
    }
    for backfill in backfills {
        let to = &backfill.stream.to;
        let sink = &sinks[&to.value.connection];
        match sink.table(&to.value.table).await? {
            Some(table) => findings.extend(check::backfill_key(backfill, &table).err()),
            None => findings.push(missing_table(to, &sink.tables().await?, "target")),
        }
    }
    sound(findings).map(drop)
}

/// Has the database look at the conditions; about how many rows fit all of them.
async fn estimate(plan: &Plan, stream: &PlannedStream, backfill: &Backfill, findings: &mut Vec<Finding>) -> Result<Option<u64>> {
    let source = &plan.sources[&stream.source_connection];
    let mut sound = Vec::new();
    for condition in backfill.condition.iter().chain(&backfill.pending) {
        match source.check_condition(&stream.origin, &condition.value).await {
            Ok(_) => sound.push(format!("(\n{}\n)", condition.value)),
            Err(error) if error.kind() == ErrorKind::Mapping => findings.push(
                Finding::error(
                    "plan::condition",
                    Some(condition.place.clone()),
                    format!("a condition of backfill `{}` is refused: {error}", backfill.name()),
                )
                .label("not a condition over columns of the table")
                .help("it is the database's own SQL, such as \"metadata is null\""),
            ),
            Err(error) => return Err(error),
        }
    }
    if sound.is_empty() {
        return Ok(stream.rows_estimate);
    }
    match source.check_condition(&stream.origin, &sound.join(" and ")).await {
        Ok(rows) => Ok(rows),
        Err(_) if !findings.is_empty() => Ok(None),
        Err(error) => Err(error),
    }
}
