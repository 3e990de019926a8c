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
use crate::data::position::Key;
use crate::ledger::{DELETION_SPLIT, REPAIR_SPLIT, SUBJECT_SPLIT, StoredBatch};
use crate::{Error, ErrorKind, Result, error};

/// Runs that are looked through for the one that is asked for.
const RUNS_MAX: u32 = 100_000;
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
    error: Option<ErrorDocument>,
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
    let files = Files::load(invocation)?;
    let project = &files.project.name;
    let sinks = files.open_sinks(&files.streams(&[]), invocation).await?;
    let mut records = Vec::new();
    for (name, sink) in &sinks {
        for record in sink.runs(project, RUNS_MAX).await? {
            records.push((name.clone(), record));
        }
    }
    let found = the_one(runs::merged(records, usize::MAX), wanted, project)?;
    let mut batches = Vec::new();
    for (name, sink) in &sinks {
        let stored = sink.batches(project, found.run).await?;
        batches.extend(stored.into_iter().map(|batch| BatchListed::of(name, batch)));
    }
    if console.is_json() {
        console.document(&TrailDocument {
            project,
            environment: &files.config.environment,
            status: "done",
            run: &found,
            batches: &batches,
            error: None,
        })?;
    } else {
        console.result(&text(&found, &batches, console.result_color))?;
    }
    Ok(error::EXIT_DONE)
}

/// The run that is meant by its id, or by how that begins.
fn the_one(runs: Vec<Listed>, wanted: &str, project: &str) -> Result<Listed> {
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
            "`dbferry runs PROJECT` lists them; the first {LETTERS_MIN} letters or more stand for one"
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
        String::new(),
    ];
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
        };
        let one = "12345678-0000-4000-8000-000000000001";
        let runs = || vec![listed(one), listed("1234aaaa-0000-4000-8000-000000000002")];
        assert_eq!(the_one(runs(), "12345", "p").expect("one").run.to_string(), one);
        assert_eq!(the_one(runs(), &one.to_uppercase(), "p").expect("one").run.to_string(), one);
        let two = the_one(runs(), "1234", "p").expect_err("two begin so");
        assert!(two.to_string().contains("more than one run"), "{two}");
        let none = the_one(runs(), "123", "p").expect_err("too short");
        assert!(none.to_string().contains("no target of project `p`"), "{none}");
    }
}
