//! `dbferry stats`: how far every stream is, from the rows on both sides and the target's ledger.

use std::collections::BTreeMap;

use serde::Serialize;

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
use crate::pipeline::foreign_keys;
use crate::pipeline::report::StreamStatus;
use crate::sink::Sink;
use crate::source::{self, Source};
use crate::{Result, error};

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
    /// Rows in the target table now; unknown where there is no such table.
    target_rows: Option<u64>,
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

pub(super) async fn run(invocation: &Invocation, show_keys: bool, console: &Console) -> Result<u8> {
    let files = Files::load(invocation)?;
    let stats = gather(&files, invocation, show_keys).await?;
    for warning in &stats.warnings {
        let caution = Tone::Caution.paint("warning:", console.note_color);
        console.note(&format!("{caution} {}", visible(warning)));
    }
    if console.is_json() {
        console.document(&stats)?;
    } else {
        console.result(&text(&stats, console.result_color))?;
        if !stats.rejects.is_empty() && !show_keys {
            let command = invocation.command("stats", &["--show-keys"]);
            console.note(&format!("which rows: {}", Tone::Advice.paint(&command, console.note_color)));
        }
    }
    Ok(error::EXIT_DONE)
}

async fn gather(files: &Files, invocation: &Invocation, show_keys: bool) -> Result<StatsDocument> {
    let streams = files.streams(&[]);
    let project = &files.project.name;
    let mut groups = Groups::new(show_keys);
    let mut warnings = Vec::new();
    let mut ledgers = BTreeMap::new();
    for (name, sink) in files.open_sinks(&streams, invocation).await? {
        let checkpoints = sink.checkpoints(project).await?;
        let open: BTreeMap<String, u64> = sink.reject_counts(project).await?.into_iter().collect();
        read_rejects(sink.as_ref(), project, &mut groups).await?;
        warnings.extend(foreign_keys::still_away(sink.as_ref(), project).await?);
        ledgers.insert(name, (sink, checkpoints, open));
    }
    let sources = open_sources(files, &streams, &mut warnings).await?;
    let mut found = Vec::new();
    for stream in &streams {
        let source = sources.get(stream.from.connection());
        let source_rows = match source {
            Some(source) => count(source.as_ref(), stream, &mut warnings).await,
            None => None,
        };
        let (sink, checkpoints, open) = &ledgers[&stream.to.value.connection];
        let table = &stream.to.value.table;
        // Keys need no table to be there.
        let is_there = stream.keyed.is_some() || sink.table(table).await?.is_some();
        let target_rows = if is_there { Some(sink.count(table).await?) } else { None };
        let splits = checkpoints.iter().filter(|checkpoint| checkpoint.stream == stream.name.value);
        let checkpoint = Checkpoint::whole(splits);
        let rejects_open = open.get(&stream.name.value).copied().unwrap_or(0);
        found.push(StreamStats::of(
            stream,
            checkpoint.as_ref(),
            source_rows,
            target_rows,
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

async fn count(source: &dyn Source, stream: &Stream, warnings: &mut Vec<String>) -> Option<u64> {
    let origin = match &stream.from {
        From::Table(table) => Origin::Table(table.value.table.clone()),
        From::Query { sql, .. } => Origin::Query {
            sql: sql.value.trim().trim_end_matches(';').to_owned(),
        },
    };
    match source.count(&origin).await {
        Ok(rows) => rows,
        Err(error) => {
            let name = &stream.name.value;
            warnings.push(format!(
                "the source rows of stream `{name}` are not counted: {}",
                chain(&error)
            ));
            None
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
    fn of(
        stream: &Stream,
        checkpoint: Option<&Checkpoint>,
        source_rows: Option<u64>,
        target_rows: Option<u64>,
        rejects_open: u64,
    ) -> Self {
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
            source_rows,
            target_rows,
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
        match (self.status, self.source_rows) {
            (StreamStatus::Pending, _) => "not begun".to_owned(),
            (StreamStatus::Partial, Some(rows)) => format!("{} % read", figures::percent(self.read, rows).min(99)),
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
    let known = |rows: Option<u64>| rows.map_or_else(|| "?".to_owned(), figures::count);
    for stream in &stats.streams {
        let mut row = vec![
            stream.name.clone(),
            known(stream.source_rows),
            figures::count(stream.read),
            figures::count(stream.inserted),
            figures::count(stream.updated),
            figures::count(stream.skipped),
            figures::count(stream.filtered),
        ];
        row.extend(expired.then(|| figures::count(stream.expired)));
        row.extend([
            figures::count(stream.rejects_open),
            known(stream.target_rows),
            stream.batches.to_string(),
            stream.state(),
        ]);
        grid.row(row);
    }
    let mut lines = vec![grid.render()];
    let left_out = |name: &String| visible(&format!("left out, a connection of it is disabled: {name}"));
    lines.extend(stats.disabled.iter().map(left_out));
    if !stats.rejects.is_empty() {
        lines.push("open rejects:".to_owned());
        lines.extend(stats.rejects.iter().map(|group| format!("  {}", group.line())));
    }
    lines.join("\n").trim_end().to_owned()
}
