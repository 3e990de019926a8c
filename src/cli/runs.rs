//! `dbferry runs`: the runs of a project, newest first, as its targets recorded them.

use serde::Serialize;
use uuid::Uuid;

use super::failure::ErrorDocument;
use super::files::Files;
use super::intent::Invocation;
use super::output::{Console, visible};
use super::table::{Align, Grid};
use crate::ledger::{BackupNote, RunRecord};
use crate::{Result, error};

/// Status of a run that was killed.
const BROKEN_OFF: &str = "broken_off";

/// Runs for programs.
#[derive(Debug, Serialize)]
struct RunsDocument<'a> {
    project: &'a str,
    environment: &'a str,
    status: &'static str,
    runs: &'a [Listed],
    error: Option<ErrorDocument>,
}

/// A run, and the targets that know of it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Listed {
    pub(super) run: Uuid,
    pub(super) environment: String,
    pub(super) status: String,
    pub(super) started_at: String,
    pub(super) ended_at: Option<String>,
    pub(super) holder: String,
    pub(super) version: String,
    pub(super) targets: Vec<String>,
    /// What was saved before it.
    pub(super) backup: Option<Backup>,
}

/// A backup that was made before a run.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Backup {
    pub(super) folder: String,
    pub(super) taken_at: String,
    pub(super) manifest_sha256: String,
}

pub(super) async fn run(invocation: &Invocation, limit: u32, console: &Console) -> Result<u8> {
    let files = Files::load_any(invocation)?;
    let (mut records, mut backups) = (Vec::new(), Vec::new());
    for (name, sink) in files.open_sinks(&files.writers(), invocation).await? {
        for record in sink.runs(&files.project.name, limit).await? {
            records.push((name.clone(), record));
        }
        backups.extend(sink.backups(&files.project.name).await?);
    }
    let mut runs = merged(records, usize::try_from(limit).unwrap_or(usize::MAX));
    add_backups(&mut runs, &backups);
    if console.is_json() {
        console.document(&RunsDocument {
            project: &files.project.name,
            environment: &files.config.environment,
            status: "done",
            runs: &runs,
            error: None,
        })?;
    } else if runs.is_empty() {
        console.result(&format!("no run of project {} yet", files.project.name))?;
    } else {
        console.result(&text(&runs, console.result_color))?;
    }
    Ok(error::EXIT_DONE)
}

/// One entry for each run, newest first: a run that writes to two targets is in both ledgers.
/// Records of one target come together and newest first.
pub(super) fn merged(records: Vec<(String, RunRecord)>, limit: usize) -> Vec<Listed> {
    let mut runs: Vec<Listed> = Vec::new();
    let mut newest_of = String::new();
    for (target, mut record) in records {
        // One run at a time has a target: one that was begun before the newest ended without
        // having been able to say so.
        if newest_of != target {
            newest_of.clone_from(&target);
        } else if record.status == "running" {
            BROKEN_OFF.clone_into(&mut record.status);
        }
        if let Some(known) = runs.iter_mut().find(|known| known.run == record.run) {
            known.targets.push(target);
            continue;
        }
        runs.push(Listed {
            run: record.run,
            environment: record.environment,
            status: record.status,
            started_at: record.started_at,
            ended_at: record.ended_at,
            holder: record.holder,
            version: record.version,
            targets: vec![target],
            backup: None,
        });
    }
    runs.sort_by(|a, b| b.started_at.cmp(&a.started_at));
    runs.truncate(limit);
    runs
}

/// Every target of a run has noted the same.
pub(super) fn add_backups(runs: &mut [Listed], backups: &[BackupNote]) {
    for run in runs {
        run.backup = backups.iter().find(|note| note.run == run.run).map(|note| Backup {
            folder: note.folder.clone(),
            taken_at: note.taken_at.clone(),
            manifest_sha256: note.manifest_sha256.clone(),
        });
    }
}

fn text(runs: &[Listed], color: bool) -> String {
    let heads = ["run", "status", "started", "ended", "environment", "targets", "by", "version"];
    let mut grid = Grid::new(&heads.map(|head| (head, Align::Left)), color);
    for run in runs {
        grid.row([
            &run.run.to_string(),
            &run.status,
            &run.started_at,
            run.ended_at.as_deref().unwrap_or("–"),
            &run.environment,
            &run.targets.join(", "),
            &run.holder,
            &run.version,
        ]);
    }
    let mut text = grid.render();
    for (run, backup) in runs.iter().filter_map(|run| Some((run, run.backup.as_ref()?))) {
        text.push_str(&visible(&format!(
            "backup before {}: {} of {}",
            run.run, backup.folder, backup.taken_at
        )));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_into_two_targets_is_one_run() {
        let record = |number: u128, started_at: &str| RunRecord {
            run: Uuid::from_u128(number),
            project: "p".to_owned(),
            environment: "e".to_owned(),
            holder: "process 1 on here".to_owned(),
            version: "0.1.0".to_owned(),
            started_at: started_at.to_owned(),
            ended_at: None,
            status: "running".to_owned(),
        };
        let runs = merged(
            vec![
                ("a".to_owned(), record(2, "2024-01-02T00:00:00Z")),
                ("a".to_owned(), record(1, "2024-01-01T00:00:00Z")),
                ("b".to_owned(), record(2, "2024-01-02T00:00:00Z")),
                ("b".to_owned(), record(3, "2023-01-02T00:00:00Z")),
            ],
            2,
        );
        assert_eq!(runs.len(), 2);
        assert_eq!(
            (runs[0].run, runs[0].targets.join(" ")),
            (Uuid::from_u128(2), "a b".to_owned())
        );
        assert_eq!(runs[1].run, Uuid::from_u128(1));
        assert_eq!(runs[0].status, "running");
        assert_eq!(runs[1].status, BROKEN_OFF, "another run has had the target since");
    }
}
