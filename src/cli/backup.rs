//! `dbferry backup`: saves what a project writes to, tries saved backups out, and lists them.

mod document;
mod list;
mod parts;
pub(super) mod place;
mod try_out;
pub(super) mod watch;

use self::document::{BackupDocument, planned, text};
use self::watch::Watch;
use super::files::Files;
use super::intent::{BackupIntent, MakeIntent};
use super::output::{Console, Tone, visible};
use super::signals::{self, Meanwhile, Stopping};
use crate::backup::{self, Context, Order, Outcome};
use crate::ledger::BackupNote;
use crate::pipeline::shutdown::Shutdown;
use crate::{Result, error};

pub(super) async fn run(intent: &BackupIntent, console: &Console) -> Result<u8> {
    match intent {
        BackupIntent::Make(make) => made(make, console).await,
        BackupIntent::Verify(wanted) => try_out::run(wanted, console).await,
        BackupIntent::List(folder) => list::run(folder, console),
    }
}

async fn made(intent: &MakeIntent, console: &Console) -> Result<u8> {
    let files = Files::load_any(&intent.invocation)?;
    let (parts, left_out) = parts::chosen(&files, intent)?;
    let order = order(&files, intent, parts);
    if intent.dry_run {
        let outdated = backup::outdated(&order)?;
        if console.is_json() {
            console.document(&BackupDocument::planned(&order, &left_out, &outdated))?;
        } else {
            console.result(&planned(&order, &left_out, &outdated, console.result_color))?;
        }
        return Ok(error::EXIT_DONE);
    }
    let shutdown = Shutdown::new();
    signals::watch(console.clone(), shutdown.clone(), stopping())?;
    let outcome = carried_out(&order, intent, &shutdown, console).await?;
    if console.is_json() {
        console.document(&BackupDocument::done(&outcome, &left_out))?;
    } else {
        console.result(&text(&outcome, &left_out, console.result_color))?;
    }
    Ok(error::EXIT_DONE)
}

fn stopping() -> Stopping {
    Stopping {
        asked: "stopping; press Ctrl-C again to abort",
        aborted: "aborted: the folder that ends in .partial is no backup; the next one removes it".to_owned(),
    }
}

fn order<'a>(files: &'a Files, intent: &MakeIntent, parts: Vec<backup::Part>) -> Order<'a> {
    Order {
        project: &files.project.name,
        environment: &files.config.environment,
        key_prefix: &files.config.key_prefix,
        parts,
        place: intent.place.clone(),
        retention: intent.retention,
    }
}

async fn carried_out(order: &Order<'_>, intent: &MakeIntent, shutdown: &Shutdown, console: &Console) -> Result<Outcome> {
    let watch = Watch::new(console);
    let tell = |step: backup::Step<'_>| watch.heard(step);
    let context = Context {
        tell: &tell,
        shutdown,
        tools: intent.tools.as_deref(),
        jobs: intent.jobs,
    };
    let outcome = Box::pin(backup::backup(order, &context)).await?;
    drop(watch);
    let color = console.note_color;
    let warn = |text: &str| console.note(&format!("{} {}", Tone::Caution.paint("warning:", color), visible(text)));
    for saved in &outcome.manifest.connections {
        for remark in &saved.remarks {
            warn(&format!("{}: {remark}", saved.connection));
        }
    }
    if let Some(error) = &outcome.not_removed {
        warn(&format!("the backup is good, but an older one could not be removed: {error}"));
    }
    Ok(outcome)
}

/// A backup of what a run is going to write to, and what its ledger is to note of it. Signals are
/// watched until the second is dropped.
pub(super) async fn before_run(intent: &MakeIntent, files: &Files, console: &Console) -> Result<(BackupNote, Meanwhile)> {
    let (parts, _) = parts::chosen(files, intent)?;
    let order = order(files, intent, parts);
    let shutdown = Shutdown::new();
    let meanwhile = signals::meanwhile(shutdown.clone())?;
    let outcome = carried_out(&order, intent, &shutdown, console).await?;
    shutdown.cancel();
    let folder = std::path::absolute(&outcome.folder).unwrap_or(outcome.folder);
    console.note(&visible(&format!("backup: {}", folder.display())));
    let note = BackupNote {
        // The run that is to come gives it its id.
        run: uuid::Uuid::nil(),
        folder: folder.display().to_string(),
        taken_at: outcome.manifest.ended_at,
        manifest_sha256: outcome.manifest_sha256,
    };
    Ok((note, meanwhile))
}
