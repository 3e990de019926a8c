//! `dbferry schema`: the tables of targets, by the migrations that a project carries; and the
//! offer of `run` to apply them.

use super::failure;
use super::files::Files;
use super::intent::{Invocation, SchemaChange, SchemaIntent};
use super::output::Console;
use super::signals::{self, Stopping};
use crate::pipeline::shutdown::Shutdown;
use crate::schema::{self, Allowed, Migration, Order, Proposal, State, Step, Stopped};
use crate::{Error, Result, error};

mod agree;
mod draft;
mod follow;
mod offer;
mod show;
mod targets;
mod trial;

pub(super) use offer::{agreed_to_apply, apply_all, with_way_out};

use follow::Follower;
use show::{Outcome, Row};
use targets::Target;

pub(super) async fn run(intent: &SchemaIntent, console: &Console) -> Result<u8> {
    let files = Files::load_any(&intent.invocation)?;
    if let SchemaChange::New { name } = &intent.change {
        return draft::run(&files, name, intent.only.first().map(String::as_str), console);
    }
    let targets = targets::chosen(&files, &intent.only)?;
    let change = Change {
        files: &files,
        invocation: &intent.invocation,
        targets: &targets,
        console,
    };
    match intent.change {
        SchemaChange::Status => change.status().await,
        SchemaChange::Apply { to, dry_run, allow } => change.apply(to, dry_run, allow).await,
        SchemaChange::Revert { to, dry_run, ask } => change.revert(to, dry_run, ask).await,
        SchemaChange::Test | SchemaChange::New { .. } => {
            let follower = change.follower(REMOVING)?;
            trial::run(&files, &targets, &follower, console).await
        }
    }
}

/// Said after the first Ctrl-C.
const FINISHING: &str = "finishing the migration in flight; press Ctrl-C again to abort";
const REMOVING: &str = "removing the scratch database; press Ctrl-C again to leave it to the next call";

/// One call, and what it is about.
struct Change<'a> {
    files: &'a Files,
    invocation: &'a Invocation,
    targets: &'a [Target],
    console: &'a Console,
}

impl Change<'_> {
    async fn status(&self) -> Result<u8> {
        let mut rows = Vec::new();
        for Target { connection, folder } in self.targets {
            let migrations = schema::status(connection, folder).await?;
            rows.extend(migrations.iter().map(|migration| Row::of(&connection.name, migration)));
        }
        self.tell(&Outcome::status(rows))
    }

    async fn apply(&self, to: Option<i64>, dry_run: bool, allow: bool) -> Result<u8> {
        if let Some(version) = to {
            self.check_version(version)?;
        }
        // All are looked at before anything is done to one.
        let mut proposals = Vec::new();
        for Target { connection, folder } in self.targets {
            proposals.push(schema::proposal(connection, folder, to).await?);
        }
        if dry_run {
            let found = agree::findings(&proposals);
            if !found.is_empty() {
                self.console.note(&failure::findings(&found, None, self.console.note_color));
            }
            return self.tell(&Outcome::planned(&proposals, "apply"));
        }
        if !allow {
            agree::to_losses(&proposals, self.console, "schema apply")?;
        }
        let follower = self.follower(FINISHING)?;
        let mut rows = Vec::new();
        for (index, Target { connection, folder }) in self.targets.iter().enumerate() {
            let proposal = &proposals[index];
            let order = Order {
                to,
                allowed: if allow {
                    Allowed::All
                } else {
                    Allowed::These(&proposal.hazards)
                },
                watch: &follower,
            };
            match schema::apply(connection, folder, &order).await {
                Ok(done) => rows.extend(done.iter().map(|migration| Row::done(&connection.name, migration, "applied"))),
                Err(stopped) => {
                    rows.extend(rest(proposal, &stopped, "applied"));
                    rows.extend(proposals[index + 1..].iter().flat_map(untouched));
                    return self.stopped(rows, &stopped.error);
                }
            }
        }
        self.tell(&Outcome::done(rows, "everything is applied already"))
    }

    async fn revert(&self, to: Option<i64>, dry_run: bool, ask: bool) -> Result<u8> {
        let mut proposals = Vec::new();
        for Target { connection, folder } in self.targets {
            proposals.push(schema::reversal(connection, folder, to).await?);
        }
        if dry_run {
            return self.tell(&Outcome::planned(&proposals, "revert"));
        }
        if ask {
            agree::to_revert(self.targets, to, self.console)?;
        }
        let follower = self.follower(FINISHING)?;
        let mut rows = Vec::new();
        for (index, Target { connection, folder }) in self.targets.iter().enumerate() {
            match schema::revert(connection, folder, to, &follower).await {
                Ok(done) => rows.extend(
                    done.iter()
                        .map(|migration| Row::done(&connection.name, migration, "reverted")),
                ),
                Err(stopped) => {
                    rows.extend(rest(&proposals[index], &stopped, "reverted"));
                    rows.extend(proposals[index + 1..].iter().flat_map(untouched));
                    return self.stopped(rows, &stopped.error);
                }
            }
        }
        self.tell(&Outcome::done(rows, "nothing is applied that could be reverted"))
    }

    /// A version that no target knows is a slip.
    fn check_version(&self, version: i64) -> Result<()> {
        let mut known = Vec::new();
        for Target { connection, folder } in self.targets {
            known.extend(schema::versions(connection, folder)?);
        }
        known.sort_unstable();
        known.dedup();
        if known.contains(&version) {
            return Ok(());
        }
        Err(schema::unknown_version(version, &known))
    }

    fn follower(&self, asked: &'static str) -> Result<Follower> {
        let shutdown = Shutdown::new();
        let stopping = Stopping {
            asked,
            aborted: format!(
                "aborted: `{}` says what stands",
                self.invocation.command("schema status", &[])
            ),
        };
        signals::watch(self.console.clone(), shutdown.clone(), stopping)?;
        Ok(Follower::new(self.console, shutdown))
    }

    fn tell(&self, outcome: &Outcome) -> Result<u8> {
        outcome.tell(self.files, None, self.console)?;
        Ok(error::EXIT_DONE)
    }

    /// What was done before it stopped, and what was not; then why.
    fn stopped(&self, rows: Vec<Row>, error: &Error) -> Result<u8> {
        let document = failure::ErrorDocument::of(error, Some(self.invocation));
        let printed = Outcome::failed(rows).tell(self.files, Some(document), self.console);
        let why = failure::render(error, Some(self.invocation), self.console.note_color);
        self.console.note(&why);
        printed?;
        Ok(error.kind().policy().exit)
    }
}

/// The steps of a target that did not come to its end: done, failed, not begun.
fn rest(proposal: &Proposal, stopped: &Stopped, done: &'static str) -> Vec<Row> {
    let row = |step: &Step| {
        let migration = &step.migration;
        let version = migration.version;
        if stopped.done.iter().any(|done| done.version == version) {
            Row::done(&proposal.connection, migration, done)
        } else if stopped.at == Some(version) && stopped.error.kind() != crate::ErrorKind::Interrupted {
            Row::done(&proposal.connection, migration, "failed")
        } else {
            Row::of(&proposal.connection, migration)
        }
    };
    proposal.steps.iter().map(row).collect()
}

/// The steps of a target that was not begun.
fn untouched(proposal: &Proposal) -> Vec<Row> {
    proposal
        .steps
        .iter()
        .map(|step| Row::of(&proposal.connection, &step.migration))
        .collect()
}

/// Names in JSON and in tables: a promise.
const fn state_name(migration: &Migration) -> &'static str {
    match migration.state {
        State::Pending => "pending",
        State::Applied => "applied",
        State::Changed => "changed",
        State::FileMissing => "file_missing",
        State::Unfinished => "unfinished",
    }
}
