//! Migrations around a run: applied before it, or offered where it finds something missing.

use super::targets::{self, Target};
use super::{agree, follow};
use crate::cli::failure;
use crate::cli::files::{self, Files};
use crate::cli::intent::Invocation;
use crate::cli::output::{Console, visible};
use crate::pipeline::shutdown::Shutdown;
use crate::schema::{self, Allowed, Order};
use crate::{Error, ErrorKind, Result};

/// Applies the migrations of all targets of these streams, and says which. `allow`: losses are agreed to.
pub(in crate::cli) async fn apply_all(files: &Files, only: &[String], allow: bool, console: &Console) -> Result<()> {
    let targets = targets::of_streams(files, only)?;
    let mut proposals = Vec::new();
    for Target { connection, folder } in &targets {
        proposals.push(schema::proposal(connection, folder, None).await?);
    }
    if !allow {
        agree::to_losses(&proposals, console, "run --apply-schema")?;
    }
    let follower = follow::Follower::telling(console, Shutdown::new());
    for (Target { connection, folder }, proposal) in targets.iter().zip(&proposals) {
        let order = Order {
            to: None,
            allowed: if allow {
                Allowed::All
            } else {
                Allowed::These(&proposal.hazards)
            },
            watch: &follower,
        };
        schema::apply(connection, folder, &order)
            .await
            .map_err(|stopped| stopped.error)?;
    }
    Ok(())
}

/// Whether somebody at the terminal wants pending migrations applied now, after the plan failed.
pub(in crate::cli) async fn agreed_to_apply(
    error: &Error,
    files: &Files,
    only: &[String],
    invocation: &Invocation,
    console: &Console,
) -> bool {
    // A database that a run may not create is not created by migrations either.
    if error.list().is_empty() || !is_pending(files, only).await {
        return false;
    }
    let project = visible(&invocation.project.display().to_string());
    let missing = visible(&what_is_missing(error));
    let question = format!("{missing}\n{project} has migrations that are not applied: apply them now?");
    console.ask(&question).unwrap_or(false)
}

/// The error of a plan. Where something is missing that pending migrations make, it says so in a
/// few words instead of quoting every place that names it.
pub(in crate::cli) async fn with_way_out(error: Error, files: &Files, only: &[String], invocation: &Invocation) -> Error {
    if error.kind() != ErrorKind::Missing || (error.list().is_empty() && !creates(files, only)) || !is_pending(files, only).await {
        return error;
    }
    Error::new(ErrorKind::Missing, what_is_missing(&error)).hint(format!(
        "the project has migrations that are not applied: `{}` applies them and runs, `{}` only applies them",
        invocation.command("run", &["--apply-schema"]),
        invocation.command("schema apply", &[])
    ))
}

fn what_is_missing(error: &Error) -> String {
    let findings: Vec<&str> = error.list().iter().map(|finding| finding.message.as_str()).collect();
    if findings.is_empty() {
        failure::chain(error)
    } else {
        findings.join("; ")
    }
}

/// Whether a run may create a target's database.
fn creates(files: &Files, only: &[String]) -> bool {
    let found = targets::of_streams(files, only).unwrap_or_default();
    found.iter().any(|target| files::creates(&target.connection))
}

/// Whether a target has a migration to apply. One whose state cannot be told has none: what is
/// wrong with it is told by the commands that are about it.
async fn is_pending(files: &Files, only: &[String]) -> bool {
    for target in targets::of_streams(files, only).unwrap_or_default() {
        let migrations = schema::status(&target.connection, &target.folder).await.unwrap_or_default();
        if migrations.iter().any(|migration| !migration.applied) {
            return true;
        }
    }
    false
}
