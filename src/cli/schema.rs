//! `dbferry schema`: the tables of targets, by the migrations that a project carries; and the
//! offer of `run` to apply them.

use std::path::PathBuf;

use serde::Serialize;

use super::failure::{self, ErrorDocument};
use super::files::{self, Files, Role};
use super::intent::{Invocation, SchemaChange, SchemaIntent};
use super::output::{Console, visible};
use super::table::{Align, Grid};
use crate::config::connection::{Connection, ConnectionKind};
use crate::data::finding::listed;
use crate::schema::{self, Migration, State};
use crate::{Error, ErrorKind, Result, error};

/// A target with the migrations that the project has for it.
struct Target {
    connection: Connection,
    folder: PathBuf,
}

/// One migration of one target.
#[derive(Debug, Serialize)]
struct Step {
    connection: String,
    version: i64,
    description: String,
    state: &'static str,
    applied_at: Option<String>,
}

/// Migrations for programs.
#[derive(Debug, Serialize)]
struct SchemaDocument<'a> {
    project: &'a str,
    environment: &'a str,
    status: &'static str,
    migrations: &'a [Step],
    error: Option<ErrorDocument>,
}

pub(super) async fn run(intent: &SchemaIntent, console: &Console) -> Result<u8> {
    let files = Files::load(&intent.invocation)?;
    let targets = chosen(&files, intent.connection.as_deref())?;
    if let SchemaChange::Revert { to, ask: true } = intent.change {
        agreed_to_revert(&targets, to, console)?;
    }
    let mut steps = Vec::new();
    for target in &targets {
        steps.extend(target.change(intent.change).await?);
    }
    if console.is_json() {
        console.document(&SchemaDocument {
            project: &files.project.name,
            environment: &files.config.environment,
            status: "done",
            migrations: &steps,
            error: None,
        })?;
    } else {
        console.result(&text(&steps, intent.change, console.result_color))?;
    }
    Ok(error::EXIT_DONE)
}

impl Target {
    async fn change(&self, change: SchemaChange) -> Result<Vec<Step>> {
        let (migrations, state) = match change {
            SchemaChange::Apply => (schema::apply(&self.connection, &self.folder).await?, Some("applied")),
            SchemaChange::Status => (schema::status(&self.connection, &self.folder).await?, None),
            SchemaChange::Revert { to, .. } => (schema::revert(&self.connection, &self.folder, to).await?, Some("reverted")),
        };
        let step = |migration: Migration| Step {
            connection: self.connection.name.clone(),
            version: migration.version,
            state: state.unwrap_or_else(|| state_name(migration.state)),
            description: migration.description,
            applied_at: migration.applied_at,
        };
        Ok(migrations.into_iter().map(step).collect())
    }
}

/// Names in JSON and in tables: a promise.
const fn state_name(state: State) -> &'static str {
    match state {
        State::Pending => "pending",
        State::Applied => "applied",
        State::Changed => "changed",
        State::FileMissing => "file_missing",
        State::Unfinished => "unfinished",
    }
}

/// All targets with migrations of these streams.
fn targets(files: &Files, only: &[String]) -> Result<Vec<Target>> {
    let streams = files.streams(only);
    let mut resolved = files.resolve(&streams)?;
    let mut targets = Vec::new();
    for (name, role) in Files::ends(&streams) {
        if role != Role::Sink {
            continue;
        }
        let Some(connection) = resolved.remove(&name) else { continue };
        if matches!(connection.kind, ConnectionKind::Redis(_)) {
            // There are no tables to make.
            continue;
        }
        if let Some(folder) = schema::folder_for(&files.project, &connection)? {
            targets.push(Target { connection, folder });
        }
    }
    Ok(targets)
}

/// The targets that a `schema` command is about.
fn chosen(files: &Files, connection: Option<&str>) -> Result<Vec<Target>> {
    let mut targets = targets(files, &[])?;
    let project = &files.project.name;
    let names: Vec<String> = targets.iter().map(|target| target.connection.name.clone()).collect();
    if let Some(wanted) = connection {
        targets.retain(|target| target.connection.name == wanted);
    }
    if targets.is_empty() {
        let error = match connection {
            Some(wanted) => format!("project `{project}` has no migrations for connection `{wanted}`"),
            None => format!("project `{project}` has no migrations"),
        };
        let error = Error::new(ErrorKind::Usage, error);
        return Err(if names.is_empty() {
            let folder = files.project.folder.join("migrations");
            error.hint(format!("they are files in {}/CONNECTION", folder.display()))
        } else {
            error.hint(format!("it has some for {}", listed(&names)))
        });
    }
    Ok(targets)
}

/// Reverting loses rows: somebody has to agree.
fn agreed_to_revert(targets: &[Target], to: Option<i64>, console: &Console) -> Result<()> {
    let names: Vec<_> = targets.iter().map(|target| target.connection.name.as_str()).collect();
    let what = to.map_or_else(
        || "the last migration".to_owned(),
        |version| format!("all migrations after version {version}"),
    );
    let question = format!("revert {what} of {}? what the tables hold is lost", listed(&names));
    match console.ask(&visible(&question)) {
        Some(true) => Ok(()),
        Some(false) => Err(Error::new(ErrorKind::Interrupted, "nothing was reverted").hint("`--yes` reverts without asking")),
        None => Err(Error::new(
            ErrorKind::Usage,
            "reverting loses what the tables hold, and nobody is there to agree",
        )
        .hint("`--yes` reverts without asking")),
    }
}

fn text(steps: &[Step], change: SchemaChange, color: bool) -> String {
    if steps.is_empty() {
        return match change {
            SchemaChange::Apply => "everything is applied already".to_owned(),
            SchemaChange::Status => "there are no migrations".to_owned(),
            SchemaChange::Revert { .. } => "nothing is applied that could be reverted".to_owned(),
        };
    }
    // What was just done needs no time beside it.
    let timed = matches!(change, SchemaChange::Status);
    let heads = [
        ("connection", Align::Left),
        ("version", Align::Right),
        ("migration", Align::Left),
        ("state", Align::Left),
        ("applied", Align::Left),
    ];
    let shown = if timed { heads.len() } else { heads.len() - 1 };
    let mut grid = Grid::new(&heads[..shown], color);
    for step in steps {
        grid.row([
            step.connection.as_str(),
            &step.version.to_string(),
            &step.description,
            step.state,
            step.applied_at.as_deref().unwrap_or_default(),
        ]);
    }
    grid.render()
}

/// Applies the migrations of all targets of these streams, and says which.
pub(super) async fn apply_all(files: &Files, only: &[String], console: &Console) -> Result<()> {
    for target in targets(files, only)? {
        for step in target.change(SchemaChange::Apply).await? {
            console.note(&visible(&format!(
                "{}: applied migration {} {}",
                step.connection, step.version, step.description
            )));
        }
    }
    Ok(())
}

/// Whether somebody at the terminal wants pending migrations applied now, after the plan failed.
pub(super) async fn agreed_to_apply(
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
pub(super) async fn with_way_out(error: Error, files: &Files, only: &[String], invocation: &Invocation) -> Error {
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
    let found = targets(files, only).unwrap_or_default();
    found.iter().any(|target| files::creates(&target.connection))
}

/// Whether a target has a migration to apply. One whose state cannot be told has none: what is
/// wrong with it is told by the commands that are about it.
async fn is_pending(files: &Files, only: &[String]) -> bool {
    for target in targets(files, only).unwrap_or_default() {
        let migrations = schema::status(&target.connection, &target.folder).await.unwrap_or_default();
        if migrations.iter().any(|migration| !migration.applied) {
            return true;
        }
    }
    false
}
