//! `dbferry restore`: brings a backup back to where it came from, after asking.

use std::path::Path;

use serde::Serialize;

use super::backup::place;
use super::backup::watch::Watch;
use super::failure::ErrorDocument;
use super::figures;
use super::intent::RestoreIntent;
use super::output::{Console, visible};
use super::signals::{self, Stopping};
use super::table::{Align, Grid};
use crate::backup::manifest::{Manifest, State};
use crate::backup::{self, Context, Restored, Wish};
use crate::pipeline::shutdown::Shutdown;
use crate::{Error, ErrorKind, Result, error};

/// A restore for programs.
#[derive(Debug, Serialize)]
struct RestoreDocument<'a> {
    project: &'a str,
    environment: &'a str,
    status: &'static str,
    folder: &'a Path,
    taken_at: &'a str,
    connections: Vec<RestoredDocument<'a>>,
    error: Option<ErrorDocument>,
}

#[derive(Debug, Serialize)]
struct RestoredDocument<'a> {
    connection: &'a str,
    kind: &'a str,
    restored: bool,
    state: State,
    tables: u64,
    rows: u64,
}

pub(super) async fn run(intent: &RestoreIntent, console: &Console) -> Result<u8> {
    let (manifest, _) = Manifest::read(&intent.folder)?;
    match Box::pin(restored(intent, &manifest, console)).await {
        Ok(code) => Ok(code),
        // Only from here on it is known which project advice speaks of.
        Err(error) => {
            let invocation = place::invocation(&intent.place, &manifest);
            Ok(super::failed(&error, Some(&invocation), console))
        }
    }
}

async fn restored(intent: &RestoreIntent, manifest: &Manifest, console: &Console) -> Result<u8> {
    let config = place::configuration(&intent.place, manifest)?;
    let resolve = place::resolver(&config);
    let wish = Wish {
        folder: &intent.folder,
        manifest,
        only: &intent.only,
        replace: intent.replace,
        resolve: &resolve,
    };
    let names: Vec<&str> = wish.chosen()?.iter().map(|saved| saved.connection.as_str()).collect();
    if names.is_empty() {
        return Err(
            Error::new(ErrorKind::Usage, "the backup holds no target").hint("name its sources that are to be restored: --only")
        );
    }
    if intent.ask {
        agreed(intent, manifest, (&names, &config.environment), console)?;
    }
    let shutdown = Shutdown::new();
    let stopping = Stopping {
        asked: "stopping before the new takes the place of the old; press Ctrl-C again to abort",
        aborted: "aborted: what was there is there, or the new in its place; call the same restore again".to_owned(),
    };
    signals::watch(console.clone(), shutdown.clone(), stopping)?;
    let watch = Watch::new(console);
    let tell = |step: backup::Step<'_>| watch.heard(step);
    let context = Context {
        tell: &tell,
        shutdown: &shutdown,
        tools: intent.tools.as_deref(),
        jobs: intent.jobs,
    };
    let done = Box::pin(backup::restore(&wish, &context)).await?;
    drop(watch);
    if console.is_json() {
        console.document(&RestoreDocument {
            project: &manifest.project,
            environment: &config.environment,
            status: "done",
            folder: &intent.folder,
            taken_at: &manifest.ended_at,
            connections: done.iter().map(RestoredDocument::of).collect(),
            error: None,
        })?;
    } else {
        console.result(&text(&done, console.result_color))?;
    }
    Ok(error::EXIT_DONE)
}

/// Somebody has to agree.
fn agreed(intent: &RestoreIntent, manifest: &Manifest, (names, environment): (&[&str], &str), console: &Console) -> Result<()> {
    let what = if intent.replace { "; what they hold now is lost" } else { "" };
    let question = format!(
        "restore {} of {environment} from the backup of {} of {}{what}?",
        names.join(", "),
        manifest.environment,
        manifest.ended_at
    );
    match console.ask(&visible(&question)) {
        Some(true) => Ok(()),
        Some(false) => Err(Error::new(ErrorKind::Interrupted, "nothing was restored").hint("`--yes` restores without asking")),
        None => Err(
            Error::new(ErrorKind::Usage, "a backup is to be restored, and nobody is there to agree")
                .hint("`--yes` restores without asking"),
        ),
    }
}

impl<'a> RestoredDocument<'a> {
    fn of(restored: &'a Restored) -> Self {
        Self {
            connection: &restored.connection,
            kind: &restored.kind,
            restored: restored.state == State::Saved,
            state: restored.state,
            tables: restored.tables,
            rows: restored.rows,
        }
    }
}

fn text(done: &[Restored], color: bool) -> String {
    let left = ["connection", "kind", "result"].map(|head| (head, Align::Left));
    let right = ["tables", "rows"].map(|head| (head, Align::Right));
    let heads: Vec<_> = left.into_iter().chain(right).collect();
    let mut grid = Grid::new(&heads, color);
    for restored in done {
        let result = match restored.state {
            State::Saved => "restored, verified",
            State::Absent => "left as it is: there was nothing to save",
            State::NotBackedUp => "left as it is: not backed up",
        };
        grid.row([
            restored.connection.clone(),
            restored.kind.clone(),
            result.to_owned(),
            figures::count(restored.tables),
            figures::count(restored.rows),
        ]);
    }
    grid.render()
}
