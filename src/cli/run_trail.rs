//! `dbferry runs show`: one run with every batch that it has committed, as its targets recorded them.

use serde::Serialize;
use uuid::Uuid;

use super::failure::ErrorDocument;
use super::figures;
use super::files::Files;
use super::intent::Invocation;
use super::output::{Console, visible};
use super::runs::{self, Listed};
use super::table::{Align, Grid};
use crate::data::counts::Counts;
use crate::data::finding::listed;
use crate::data::position::Key;
use crate::ledger::undo::UNDO_SPLIT;
use crate::ledger::{DELETION_SPLIT, REPAIR_SPLIT, SUBJECT_SPLIT, StoredBatch};
use crate::sink::Sink;
use crate::{Error, ErrorKind, Result, error};

/// Runs that are looked through for the one that is asked for.
const RUNS_MAX: u32 = 100_000;
/// What stands for the last run.
const LAST: &str = "last";
/// Fewest letters of a run's id that may stand for it.
const LETTERS_MIN: usize = 4;
/// Letters of a digest that people are shown.
const DIGEST_LETTERS: usize = 12;

/// A run for programs.
#[derive(Debug, Serialize)]
struct TrailDocument<'a> {
    project: &'a str,
    environment: &'a str,
    status: &'static str,
    run: &'a Listed,
    batches: &'a [BatchListed],
    undo_logs: &'a [UndoLogListed],
    error: Option<ErrorDocument>,
}

/// An undo log that the run has left.
#[derive(Debug, Serialize)]
struct UndoLogListed {
    target: String,
    stream: String,
    logged: bool,
    complete: bool,
    bytes: Option<u64>,
}

/// A batch, and the target that recorded it.
#[derive(Debug, Serialize)]
struct BatchListed {
    target: String,
    stream: String,
    split: i32,
    sequence: i64,
    committed_at: String,
    seconds: f64,
    retry: bool,
    first_key: Option<Key>,
    last_key: Option<Key>,
    #[serde(flatten)]
    counts: Counts,
    digest_rows: u64,
    digest: String,
}

pub(super) async fn run(invocation: &Invocation, wanted: &str, console: &Console) -> Result<u8> {
    let files = Files::load_any(invocation)?;
    let project = &files.project.name;
    let sinks = files.open_sinks(&files.writers(), invocation).await?;
    let mut found = recorded(&sinks, wanted, project).await?;
    let mut backups = Vec::new();
    for (_, sink) in &sinks {
        backups.extend(sink.backups(project).await?);
    }
    runs::add_backups(std::slice::from_mut(&mut found), &backups);
    let mut batches = Vec::new();
    for (name, sink) in &sinks {
        let stored = sink.batches(project, found.run).await?;
        batches.extend(stored.into_iter().map(|batch| BatchListed::of(name, batch)));
    }
    let undo_logs = undo_logs(&sinks, project, found.run).await?;
    if console.is_json() {
        console.document(&TrailDocument {
            project,
            environment: &files.config.environment,
            status: "done",
            run: &found,
            batches: &batches,
            undo_logs: &undo_logs,
            error: None,
        })?;
    } else {
        console.result(&text(&found, &batches, console.result_color))?;
        console.result(&ways_back(&undo_logs))?;
    }
    Ok(error::EXIT_DONE)
}

/// Undo logs of a run: without one nothing is told of a stream.
async fn undo_logs(sinks: &[(String, Box<dyn Sink>)], project: &str, run: Uuid) -> Result<Vec<UndoLogListed>> {
    let mut logs = Vec::new();
    for (target, sink) in sinks.iter().filter(|(_, sink)| sink.keeps_undo_log()) {
        let found = sink.undoable(project, run).await?;
        logs.extend(
            found
                .into_iter()
                .filter(|log| log.logged || log.bytes.is_some())
                .map(|log| UndoLogListed {
                    target: target.clone(),
                    stream: log.stream,
                    logged: log.logged,
                    complete: log.complete,
                    bytes: log.bytes,
                }),
        );
    }
    Ok(logs)
}

/// What can be taken back, and what that takes.
fn ways_back(logs: &[UndoLogListed]) -> String {
    let left: Vec<&UndoLogListed> = logs.iter().filter(|log| !log.complete).collect();
    let names: Vec<&str> = left.iter().map(|log| log.stream.as_str()).collect();
    if names.is_empty() {
        return "it left no undo log, or all of it is taken back".to_owned();
    }
    let bytes = left.iter().filter_map(|log| log.bytes).sum();
    visible(&format!("undo logs of {}: {}", listed(&names), figures::bytes(bytes)))
}

/// The run that is meant by its id, by how that begins, or as the last one, as the targets recorded it.
pub(super) async fn recorded(sinks: &[(String, Box<dyn Sink>)], wanted: &str, project: &str) -> Result<Listed> {
    the_one(all_recorded(sinks, project).await?, wanted, project)
}

/// All runs that the targets have recorded, newest first.
async fn all_recorded(sinks: &[(String, Box<dyn Sink>)], project: &str) -> Result<Vec<Listed>> {
    let mut records = Vec::new();
    for (name, sink) in sinks {
        for record in sink.runs(project, RUNS_MAX).await? {
            records.push((name.clone(), record));
        }
    }
    Ok(runs::merged(records, usize::MAX))
}

/// As [`recorded`], for a run that is to be taken back: the last one is the newest that wrote anything
/// and is not taken back.
pub(super) async fn to_take_back(sinks: &[(String, Box<dyn Sink>)], wanted: &str, project: &str) -> Result<Listed> {
    let runs = all_recorded(sinks, project).await?;
    if wanted != LAST {
        return the_one(runs, wanted, project);
    }
    for run in runs {
        for (name, sink) in sinks.iter().filter(|(_, sink)| sink.keeps_undo_log()) {
            let there = run.targets.contains(name);
            let rows = if there {
                sink.undoable(project, run.run).await?
            } else {
                Vec::new()
            };
            if rows.iter().any(|rows| !rows.complete) {
                return Ok(run);
            }
        }
    }
    Err(Error::new(
        ErrorKind::Usage,
        format!("no run of project `{project}` has left rows to take back"),
    )
    .hint("`dbferry runs PROJECT` lists the runs, and which of them are rolled back"))
}

/// The run that is meant by its id, by how that begins, or as the last one, of runs newest first.
fn the_one(mut runs: Vec<Listed>, wanted: &str, project: &str) -> Result<Listed> {
    if wanted == LAST && !runs.is_empty() {
        return Ok(runs.swap_remove(0));
    }
    let wanted = wanted.to_ascii_lowercase();
    let is_meant = |run: Uuid| {
        let id = run.to_string();
        id == wanted || (wanted.len() >= LETTERS_MIN && id.starts_with(&wanted))
    };
    let mut meant: Vec<Listed> = runs.into_iter().filter(|listed| is_meant(listed.run)).collect();
    match (meant.pop(), meant.len()) {
        (Some(found), 0) => Ok(found),
        (None, _) => Err(Error::new(
            ErrorKind::Usage,
            format!("no target of project `{project}` has recorded a run `{wanted}`"),
        )
        .hint(format!(
            "`dbferry runs PROJECT` lists them; the first {LETTERS_MIN} letters or more stand for one, `{LAST}` for the last"
        ))),
        (Some(one), _) => {
            let others: Vec<String> = meant.iter().map(|other| other.run.to_string()).collect();
            Err(Error::new(
                ErrorKind::Usage,
                format!("`{wanted}` stands for more than one run of project `{project}`"),
            )
            .hint(format!("these begin so: {}, {}", one.run, others.join(", "))))
        }
    }
}

impl BatchListed {
    fn of(target: &str, batch: StoredBatch) -> Self {
        let entry = batch.entry;
        Self {
            target: target.to_owned(),
            stream: entry.stream,
            split: entry.split,
            sequence: entry.sequence,
            committed_at: batch.committed_at,
            seconds: entry.seconds,
            retry: entry.retry,
            first_key: entry.first_key,
            last_key: entry.last_key,
            counts: entry.counts,
            digest_rows: entry.digest.rows,
            digest: entry.digest.to_hex(),
        }
    }

    /// What kind of batch it is, besides one of a stream on its way.
    fn kind(&self) -> String {
        match self.split {
            _ if self.retry => "rejects again".to_owned(),
            SUBJECT_SPLIT => "one subject".to_owned(),
            REPAIR_SPLIT => "repaired".to_owned(),
            DELETION_SPLIT => "deleted".to_owned(),
            UNDO_SPLIT => "taken back".to_owned(),
            split if split < 0 => format!("changes of {}", -2 - split),
            split => split.to_string(),
        }
    }
}

fn text(run: &Listed, batches: &[BatchListed], color: bool) -> String {
    let mut lines = vec![
        format!("run {}: {}", run.run, run.status),
        format!(
            "from {} to {}",
            run.started_at,
            run.ended_at.as_deref().unwrap_or("an end that was not recorded")
        ),
        format!(
            "in {} by {}, dbferry {}, into {}",
            visible(&run.environment),
            visible(&run.holder),
            visible(&run.version),
            visible(&run.targets.join(", "))
        ),
    ];
    if let Some(backup) = &run.backup {
        let told = format!(
            "backup before it: {} of {}, manifest SHA-256 {}",
            backup.folder, backup.taken_at, backup.manifest_sha256
        );
        lines.push(visible(&told));
    }
    lines.push(String::new());
    if batches.is_empty() {
        lines.push("it has committed no batch".to_owned());
        return lines.join("\n");
    }
    let left = ["target", "stream", "split"].map(|head| (head, Align::Left));
    let right = [
        "batch", "read", "inserted", "updated", "skipped", "filtered", "expired", "rejected", "seconds",
    ]
    .map(|head| (head, Align::Right));
    let last = ["committed", "digest"].map(|head| (head, Align::Left));
    let heads: Vec<_> = left.into_iter().chain(right).chain(last).collect();
    let mut grid = Grid::new(&heads, color);
    for batch in batches {
        let counts = batch.counts;
        let rows = [
            counts.read,
            counts.inserted,
            counts.updated,
            counts.skipped,
            counts.filtered,
            counts.expired,
            counts.rejected,
        ]
        .map(figures::count);
        let mut row = vec![
            batch.target.clone(),
            batch.stream.clone(),
            batch.kind(),
            batch.sequence.to_string(),
        ];
        row.extend(rows);
        row.push(format!("{:.2}", batch.seconds));
        row.push(batch.committed_at.clone());
        row.push(batch.digest.chars().take(DIGEST_LETTERS).collect());
        grid.row(row);
    }
    lines.push(grid.render());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_meant_by_how_its_id_begins_if_no_other_begins_so() {
        let listed = |id: &str| Listed {
            run: id.parse().expect("an id"),
            environment: "e".to_owned(),
            status: "done".to_owned(),
            started_at: "2024-01-01T00:00:00Z".to_owned(),
            ended_at: None,
            holder: "process 1 on here".to_owned(),
            version: "0.1.0".to_owned(),
            targets: vec!["a".to_owned()],
            backup: None,
        };
        let one = "12345678-0000-4000-8000-000000000001";
        let runs = || vec![listed(one), listed("1234aaaa-0000-4000-8000-000000000002")];
        assert_eq!(the_one(runs(), "12345", "p").expect("one").run.to_string(), one);
        assert_eq!(the_one(runs(), &one.to_uppercase(), "p").expect("one").run.to_string(), one);
        assert_eq!(the_one(runs(), LAST, "p").expect("one").run, runs()[0].run);
        let two = the_one(runs(), "1234", "p").expect_err("two begin so");
        assert!(two.to_string().contains("more than one run"), "{two}");
        let none = the_one(runs(), "123", "p").expect_err("too short");
        assert!(none.to_string().contains("no target of project `p`"), "{none}");
    }
}
