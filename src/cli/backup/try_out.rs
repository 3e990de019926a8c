//! `dbferry backup verify`: restores a backup where nobody looks, and says what differs.

use std::path::Path;

use serde::Serialize;

use super::document::state_name;
use super::place;
use super::watch::Watch;
use crate::backup::manifest::{Manifest, State};
use crate::backup::{self, Context, Servers, Verdict};
use crate::cli::failure::ErrorDocument;
use crate::cli::figures;
use crate::cli::intent::TryIntent;
use crate::cli::output::{Console, Tone, visible};
use crate::cli::signals::{self, Stopping};
use crate::cli::table::{Align, Grid};
use crate::pipeline::shutdown::Shutdown;
use crate::{Result, error};

/// A trial for programs.
#[derive(Debug, Serialize)]
struct TrialDocument<'a> {
    project: &'a str,
    environment: &'a str,
    status: &'static str,
    folder: &'a Path,
    taken_at: &'a str,
    manifest_sha256: &'a str,
    connections: Vec<VerdictDocument<'a>>,
    error: Option<ErrorDocument>,
}

#[derive(Debug, Serialize)]
struct VerdictDocument<'a> {
    connection: &'a str,
    kind: &'a str,
    state: State,
    tables: u64,
    rows: u64,
    differences: &'a [String],
}

pub(super) async fn run(intent: &TryIntent, console: &Console) -> Result<u8> {
    let (manifest, sum) = Manifest::read(&intent.folder)?;
    match Box::pin(tried(intent, (&manifest, &sum), console)).await {
        Ok(code) => Ok(code),
        Err(error) => {
            let invocation = place::invocation(&intent.place, &manifest);
            Ok(crate::cli::failed(&error, Some(&invocation), console))
        }
    }
}

async fn tried(intent: &TryIntent, (manifest, sum): (&Manifest, &str), console: &Console) -> Result<u8> {
    let config = place::configuration(&intent.place, manifest)?;
    let server = intent.server.as_deref().map(|name| config.resolve(name)).transpose()?;
    let resolve = place::resolver(&config);
    let shutdown = Shutdown::new();
    let stopping = Stopping {
        asked: "stopping, and removing what was restored to be looked at; press Ctrl-C again to abort",
        aborted: "aborted: a database whose name begins with dbferry_verify_ may be left; the next call removes it".to_owned(),
    };
    signals::watch(console.clone(), shutdown.clone(), stopping)?;
    let watch = Watch::new(console);
    let tell = |step: backup::Step<'_>| watch.heard(step);
    let context = Context {
        tell: &tell,
        shutdown: &shutdown,
        tools: intent.tools.as_deref(),
        jobs: None,
    };
    let servers = Servers {
        resolve: &resolve,
        postgres: server.as_ref(),
    };
    let verdicts = Box::pin(backup::verify(&intent.folder, manifest, &servers, &context)).await?;
    drop(watch);
    let is_good = verdicts.iter().all(|verdict| verdict.differences.is_empty());
    if console.is_json() {
        console.document(&TrialDocument {
            project: &manifest.project,
            environment: &manifest.environment,
            status: if is_good { "equal" } else { "different" },
            folder: &intent.folder,
            taken_at: &manifest.ended_at,
            manifest_sha256: sum,
            connections: verdicts.iter().map(VerdictDocument::of).collect(),
            error: None,
        })?;
    } else {
        console.result(&text(&verdicts, is_good, console.result_color))?;
    }
    Ok(if is_good { error::EXIT_DONE } else { error::EXIT_DIFFERENCES })
}

impl<'a> VerdictDocument<'a> {
    fn of(verdict: &'a Verdict) -> Self {
        Self {
            connection: &verdict.connection,
            kind: &verdict.kind,
            state: verdict.state,
            tables: verdict.tables,
            rows: verdict.rows,
            differences: &verdict.differences,
        }
    }
}

fn text(verdicts: &[Verdict], is_good: bool, color: bool) -> String {
    let left = ["connection", "kind", "result"].map(|head| (head, Align::Left));
    let right = ["tables", "rows"].map(|head| (head, Align::Right));
    let heads: Vec<_> = left.into_iter().chain(right).collect();
    let mut grid = Grid::new(&heads, color);
    for verdict in verdicts {
        let result = match verdict.state {
            State::Saved if verdict.differences.is_empty() => "restored, equal",
            State::Saved => "different",
            other => state_name(other),
        };
        grid.row([
            verdict.connection.clone(),
            verdict.kind.clone(),
            result.to_owned(),
            figures::count(verdict.tables),
            figures::count(verdict.rows),
        ]);
    }
    let differences = verdicts.iter().flat_map(|verdict| {
        let told = |difference: &String| format!("{}: {}", visible(&verdict.connection), visible(difference));
        verdict.differences.iter().map(told)
    });
    let mut lines = vec![grid.render()];
    lines.extend(differences);
    lines.push(if is_good {
        "the backup can be restored, and is what its manifest says".to_owned()
    } else {
        Tone::Failure.paint("the backup is no good: take another one", color)
    });
    lines.join("\n")
}
