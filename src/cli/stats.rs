//! `dbferry stats`: how far every stream is, from the rows on both sides and the target's ledger.

use std::collections::BTreeMap;

use serde::Serialize;

use rows::Rows;

use super::failure::{ErrorDocument, chain};
use super::figures;
use super::files::{Files, Role};
use super::intent::Invocation;
use super::output::{Console, Tone, visible};
use super::rejects::{Groups, RejectGroup};
use super::table::{Align, Grid};
use crate::data::counts::Counts;
use crate::data::stream::Origin;
use crate::ledger::Checkpoint;
use crate::mapping::Stream;
use crate::mapping::stream::From;
use crate::pipeline::report::StreamStatus;
use crate::pipeline::{deferred, foreign_keys};
use crate::sink::Sink;
use crate::source::{self, Source};
use crate::{Result, error};

mod rows;

/// Rejects read back at a time.
const REJECTS_AT_A_TIME: u32 = 1_000;

/// How far a project is, for programs.
#[derive(Debug, Serialize)]
struct StatsDocument {
    project: String,
    environment: String,
    status: &'static str,
    streams: Vec<StreamStats>,
    disabled: Vec<String>,
    rejects: Vec<RejectGroup>,
    warnings: Vec<String>,
    error: Option<ErrorDocument>,
}

/// How far a stream is.
#[derive(Debug, Serialize)]
struct StreamStats {
    name: String,
    source: String,
    target: String,
    status: StreamStatus,
    /// Rows in the source now; unknown where it cannot be read.
    source_rows: Option<u64>,
    /// They are the source's own estimate.
    source_rows_estimated: bool,
    /// Rows in the target table now; unknown where there is no such table.
    target_rows: Option<u64>,
    /// They are the target's own estimate.
    target_rows_estimated: bool,
    /// How much of the source has been read, in whole percent.
    percent: Option<u64>,
    read: u64,
    filtered: u64,
    expired: u64,
    inserted: u64,
    updated: u64,
    skipped: u64,
    rejected: u64,
    rejects_open: u64,
    batches: i64,
    /// Whether all of it was read from one moment of the source.
    one_moment: bool,
}

/// What is looked at, and how closely.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    /// Source keys of some rejects are shown.
    pub(super) show_keys: bool,
    /// Every row is counted, however long that takes.
    pub(super) exact: bool,
}

pub(super) async fn run(invocation: &Invocation, look: Look, console: &Console) -> Result<u8> {
    let files = Files::load_any(invocation)?;
    let stats = gather(&files, invocation, look).await?;
    for warning in &stats.warnings {
        let caution = Tone::Caution.paint("warning:", console.note_color);
        console.note(&format!("{caution} {}", visible(warning)));
    }
    if console.is_json() {
        console.document(&stats)?;
    } else {
        console.result(&text(&stats, console.result_color))?;
        if !stats.rejects.is_empty() && !look.show_keys {
            let command = invocation.command("stats", &["--show-keys"]);
            console.note(&format!("which rows: {}", Tone::Advice.paint(&command, console.note_color)));
        }
    }
    Ok(error::EXIT_DONE)
}

async fn gather(files: &Files, invocation: &Invocation, look: Look) -> Result<StatsDocument> {
    let streams = files.writers();
    let project = &files.project.name;
    let mut groups = Groups::new(look.show_keys);
    let mut warnings = Vec::new();
    let mut ledgers = BTreeMap::new();
    for (name, sink) in files.open_sinks(&streams, invocation).await? {
        let checkpoints = sink.checkpoints(project).await?;
        let open: BTreeMap<String, u64> = sink.reject_counts(project).await?.into_iter().collect();
        read_rejects(sink.as_ref(), project, &mut groups).await?;
        warnings.extend(foreign_keys::still_away(sink.as_ref(), project).await?);
        warnings.extend(deferred::still_away(sink.as_ref(), project).await?);
        ledgers.insert(name, (sink, checkpoints, open));
    }
    let sources = open_sources(files, &streams, &mut warnings).await?;
    let mut found = Vec::new();
    for stream in &streams {
        let source = sources.get(stream.from.connection());
        let source_rows = match source {
            Some(source) => count(source.as_ref(), stream, look.exact, &mut warnings).await,
            None => Rows::default(),
        };
        let (sink, checkpoints, open) = &ledgers[&stream.to.value.connection];
        let table = &stream.to.value.table;
        let target_rows = if stream.keyed.is_some() {
            // Keys need no table to be there.
            Rows::counted(Some(sink.count(table).await?))
        } else {
            let found = sink.table(table).await?;
            match (Rows::estimated(found.as_ref(), look.exact), found) {
                (Some(rows), _) => rows,
                (None, Some(_)) => Rows::counted(Some(sink.count(table).await?)),
                (None, None) => Rows::default(),
            }
        };
        let splits = checkpoints.iter().filter(|checkpoint| checkpoint.stream == stream.name.value);
        let checkpoint = Checkpoint::whole(splits);
        let rejects_open = open.get(&stream.name.value).copied().unwrap_or(0);
        found.push(StreamStats::of(
            stream,
            checkpoint.as_ref(),
            (source_rows, target_rows),
            rejects_open,
        ));
    }
    Ok(StatsDocument {
        project: project.clone(),
        environment: files.config.environment.clone(),
        status: "done",
        streams: found,
        disabled: files.disabled(),
        rejects: groups.finish(),
        warnings,
        error: None,
    })
}

/// A source that is away hides only its own counts: the ledger is what matters here.
async fn open_sources(files: &Files, streams: &[&Stream], warnings: &mut Vec<String>) -> Result<BTreeMap<String, Box<dyn Source>>> {
    let resolved = files.resolve(streams)?;
    let mut sources = BTreeMap::new();
    for (name, role) in Files::ends(streams) {
        if role != Role::Source {
            continue;
        }
        match source::open(&resolved[&name]).await {
            Ok(source) => drop(sources.insert(name, source)),
            Err(error) => warnings.push(format!("the rows of source `{name}` are not counted: {}", chain(&error))),
        }
    }
    Ok(sources)
}

async fn count(source: &dyn Source, stream: &Stream, exact: bool, warnings: &mut Vec<String>) -> Rows {
    let origin = match &stream.from {
        From::Table(table) => Origin::Table(table.value.table.clone()),
        From::Query { sql, .. } => Origin::Query {
            sql: sql.value.trim().trim_end_matches(';').to_owned(),
        },
    };
    let counted = async {
        if let Origin::Table(name) = &origin
            && !exact
            && let Some(rows) = Rows::estimated(source.table(name).await?.as_ref(), exact)
        {
            return Ok(rows);
        }
        source.count(&origin).await.map(Rows::counted)
    };
    match counted.await {
        Ok(rows) => rows,
        Err(error) => {
            let name = &stream.name.value;
            warnings.push(format!(
                "the source rows of stream `{name}` are not counted: {}",
                chain(&error)
            ));
            Rows::default()
        }
    }
}

async fn read_rejects(sink: &dyn Sink, project: &str, groups: &mut Groups) -> Result<()> {
    let mut after = 0;
    loop {
        let rejects = sink.rejects(project, None, after, REJECTS_AT_A_TIME).await?;
        let Some(last) = rejects.last() else { return Ok(()) };
        after = last.id;
        for reject in rejects {
            groups.add(reject);
        }
    }
}

impl StreamStats {
    fn of(stream: &Stream, checkpoint: Option<&Checkpoint>, (source_rows, target_rows): (Rows, Rows), rejects_open: u64) -> Self {
        let counts = checkpoint.map_or_else(Counts::default, |checkpoint| checkpoint.counts);
        Self {
            name: stream.name.value.clone(),
            source: match &stream.from {
                From::Table(table) => table.value.to_string(),
                From::Query { connection, .. } => format!("{} (query)", connection.value),
            },
            target: stream.target(),
            status: match checkpoint {
                None => StreamStatus::Pending,
                Some(checkpoint) if checkpoint.complete => StreamStatus::Complete,
                Some(_) => StreamStatus::Partial,
            },
            source_rows: source_rows.rows,
            source_rows_estimated: source_rows.estimated,
            target_rows: target_rows.rows,
            target_rows_estimated: target_rows.estimated,
            // How many rows a backfill is about nobody has counted.
            percent: source_rows.rows.filter(|_| !stream.in_place).map(|rows| match checkpoint {
                Some(checkpoint) if checkpoint.complete => 100,
                // Not all of it, as long as the stream is not complete.
                _ => figures::percent(counts.read, rows).min(99),
            }),
            read: counts.read,
            filtered: counts.filtered,
            expired: counts.expired,
            inserted: counts.inserted,
            updated: counts.updated,
            skipped: counts.skipped,
            rejected: counts.rejected,
            rejects_open,
            batches: checkpoint.map_or(0, |checkpoint| checkpoint.sequence),
            one_moment: checkpoint.is_none_or(|checkpoint| checkpoint.one_moment),
        }
    }

    fn state(&self) -> String {
        match (self.status, self.percent) {
            (StreamStatus::Pending, _) => "not begun".to_owned(),
            (StreamStatus::Partial, Some(percent)) => format!("{percent} % read"),
            (StreamStatus::Partial, None) => "incomplete".to_owned(),
            (StreamStatus::Complete | StreamStatus::AlreadyComplete, _) => "complete".to_owned(),
        }
    }
}

fn text(stats: &StatsDocument, color: bool) -> String {
    let left = ["stream"].map(|head| (head, Align::Left));
    let expired = stats.streams.iter().any(|stream| stream.expired > 0);
    let right = [
        "in source",
        "read",
        "inserted",
        "updated",
        "skipped",
        "filtered",
        "expired",
        "open rejects",
        "in target",
        "batches",
    ]
    .map(|head| (head, Align::Right));
    let right = right.into_iter().filter(|(head, _)| expired || *head != "expired");
    let heads: Vec<_> = left.into_iter().chain(right).chain([("status", Align::Left)]).collect();
    let mut grid = Grid::new(&heads, color);
    let known = |rows: Option<u64>, estimated: bool| Rows { rows, estimated }.text();
    for stream in &stats.streams {
        let mut row = vec![
            stream.name.clone(),
            known(stream.source_rows, stream.source_rows_estimated),
            figures::count(stream.read),
            figures::count(stream.inserted),
            figures::count(stream.updated),
            figures::count(stream.skipped),
            figures::count(stream.filtered),
        ];
        row.extend(expired.then(|| figures::count(stream.expired)));
        row.extend([
            figures::count(stream.rejects_open),
            known(stream.target_rows, stream.target_rows_estimated),
            stream.batches.to_string(),
            stream.state(),
        ]);
        grid.row(row);
    }
    let mut lines = vec![grid.render()];
    let left_out = |name: &String| visible(&format!("left out, a connection of it is disabled: {name}"));
    lines.extend(stats.disabled.iter().map(left_out));
    if stats
        .streams
        .iter()
        .any(|stream| stream.source_rows_estimated || stream.target_rows_estimated)
    {
        lines.push("≈ is the database's own estimate: `--exact` counts".to_owned());
    }
    if !stats.rejects.is_empty() {
        lines.push("open rejects:".to_owned());
        lines.extend(stats.rejects.iter().map(|group| format!("  {}", group.line())));
    }
    lines.join("\n").trim_end().to_owned()
}
