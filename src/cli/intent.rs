//! What was typed means this: settings with nothing left to decide.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;
use tracing_subscriber::filter::LevelFilter;

use super::arguments::{Arguments, Command, EnvironmentArguments, FileFormat, LogLevel, OutputForm, RunArguments, RunsCommand};
use super::output::Console;
use super::stats::Look;
use crate::pipeline::plan;
use crate::pipeline::run::RunOptions;
use crate::pipeline::subject::SubjectKey;

mod backfill;
mod backup;
mod introspect;
mod invocation;
mod repair;
mod rollback;
mod schema;
mod verify;
mod word;

pub(super) use backfill::BackfillIntent;
pub(super) use backup::{BackupIntent, Configured, MakeIntent, RestoreIntent, TryIntent};
pub(super) use introspect::{IntrospectIntent, project_name};
pub(super) use invocation::Invocation;
pub(super) use repair::RepairIntent;
pub(super) use rollback::RollbackIntent;
pub(super) use schema::{SchemaChange, SchemaIntent};
pub(super) use verify::{ReportForm, ReportPath, VerifyIntent};
pub(super) use word::{quoted, subject};

/// Environment where none is named.
pub(super) const ENVIRONMENT: &str = "development";
/// Folder of the configuration where none is named.
pub(super) const CONFIG_DIR: &str = "config";

/// The command with its settings, and how the program shows itself.
pub(super) struct Intent {
    pub(super) action: Action,
    pub(super) console: Console,
    pub(super) log: LevelFilter,
}

/// What is to be done.
pub(super) enum Action {
    Check(Invocation),
    Plan(Invocation, plan::Options),
    Run(RunIntent),
    Verify(VerifyIntent),
    Backfill(BackfillIntent),
    Repair(RepairIntent),
    Rollback(RollbackIntent),
    Backup(BackupIntent),
    Restore(RestoreIntent),
    Stats {
        invocation: Invocation,
        look: Look,
    },
    Runs(Invocation, u32),
    /// The trail of a run, by its id or how that begins.
    RunTrail(Invocation, String),
    Clean {
        invocation: Invocation,
        ask: bool,
    },
    Schema(SchemaIntent),
    Introspect(IntrospectIntent),
    JsonSchema {
        format: Option<FileFormat>,
        out: Option<PathBuf>,
    },
    Completions(clap_complete::Shell),
}

/// `run`.
pub(super) struct RunIntent {
    pub(super) invocation: Invocation,
    pub(super) plan: plan::Options,
    pub(super) run: RunOptions,
    pub(super) apply_schema: bool,
    /// What is saved before anything is written.
    pub(super) backup: Option<MakeIntent>,
    /// Migrations may lose something.
    pub(super) allow_destructive: bool,
    /// Where figures are served, before what the configuration says.
    pub(super) metrics: Option<SocketAddr>,
    /// What is compared once all of it is moved.
    pub(super) verify: Option<Box<VerifyIntent>>,
}

impl Intent {
    /// Reads the arguments of a process.
    ///
    /// # Errors
    /// clap's own: usage errors, and `--help` and `--version`, which are no errors.
    pub(super) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let typed = Arguments::try_parse_from(arguments)?;
        let form = typed.command.output();
        Ok(Self {
            console: Console::new(typed.color, form),
            log: level(typed.log, typed.verbose),
            action: Action::of(typed.command, &typed.environment),
        })
    }
}

impl Command {
    fn output(&self) -> OutputForm {
        match self {
            Self::Check(project) => project.output,
            Self::Stats(stats) => stats.project.output,
            Self::Plan(plan) => plan.project.output,
            Self::Run(run) => run.project.output,
            Self::Verify(verify) => verify.project.output,
            Self::Backfill(backfill) => backfill.project.output,
            Self::Repair(repair) => repair.output,
            Self::Backup(backup) => backup.output(),
            Self::Restore(restore) => restore.output,
            Self::Runs(runs) => match (&runs.command, &runs.project) {
                (Some(RunsCommand::Show(show)), _) => show.project.output,
                (None, Some(project)) => project.output,
                (None, None) => OutputForm::Text,
            },
            Self::Rollback(rollback) => rollback.project.output,
            Self::Clean(clean) => clean.project.output,
            Self::Schema(schema) => schema.output(),
            Self::Introspect(introspect) => introspect.output,
            Self::JsonSchema(_) | Self::Completions { .. } => OutputForm::Text,
        }
    }
}

impl Action {
    /// The project that it is about.
    pub(super) const fn invocation(&self) -> Option<&Invocation> {
        match self {
            Self::Check(invocation)
            | Self::Plan(invocation, _)
            | Self::Stats { invocation, .. }
            | Self::Runs(invocation, _)
            | Self::RunTrail(invocation, _)
            | Self::Clean { invocation, .. } => Some(invocation),
            Self::Run(run) => Some(&run.invocation),
            Self::Rollback(rollback) => Some(&rollback.invocation),
            Self::Verify(verify) => Some(&verify.invocation),
            Self::Backfill(backfill) => Some(&backfill.invocation),
            Self::Schema(schema) => Some(&schema.invocation),
            Self::Introspect(introspect) => Some(&introspect.invocation),
            Self::Backup(backup) => backup.invocation(),
            // It is the report or the backup that tells which.
            Self::Repair(_) | Self::Restore(_) | Self::JsonSchema { .. } | Self::Completions(_) => None,
        }
    }

    fn of(command: Command, environment: &EnvironmentArguments) -> Self {
        let invocation = |project| Invocation::of(project, environment);
        match command {
            Command::Check(project) => Self::Check(invocation(project)),
            Command::Plan(plan) => {
                let options = plan::Options {
                    only: plan.only.only,
                    count: plan.count,
                    cost: true,
                    coverage: true,
                    strict: plan.strict,
                    ..plan::Options::default()
                };
                Self::Plan(invocation(plan.project), options)
            }
            Command::Run(run) => Self::Run(RunIntent::of(run, environment)),
            Command::Verify(verify) => Self::Verify(VerifyIntent::of(verify, environment)),
            Command::Backfill(backfill) => Self::Backfill(BackfillIntent::of(backfill, environment)),
            Command::Repair(repair) => Self::Repair(RepairIntent::of(repair, environment)),
            Command::Rollback(rollback) => Self::Rollback(RollbackIntent::of(rollback, environment)),
            Command::Backup(backup) => Self::Backup(BackupIntent::of(backup, environment)),
            Command::Restore(restore) => Self::Restore(RestoreIntent::of(restore, environment)),
            Command::Stats(stats) => Self::Stats {
                invocation: invocation(stats.project),
                look: Look {
                    show_keys: stats.show_keys,
                    exact: stats.exact,
                },
            },
            Command::Runs(runs) => match (runs.command, runs.project) {
                (Some(RunsCommand::Show(show)), _) => Self::RunTrail(invocation(show.project), show.run),
                // clap asks for a project where no run is to be shown.
                (None, project) => Self::Runs(invocation(project.unwrap_or_default()), runs.limit),
            },
            Command::Clean(clean) => Self::Clean {
                invocation: invocation(clean.project),
                ask: !clean.yes,
            },
            Command::Schema(schema) => Self::Schema(SchemaIntent::of(schema, environment)),
            Command::Introspect(introspect) => Self::Introspect(IntrospectIntent::of(introspect, environment)),
            Command::JsonSchema(wanted) => Self::JsonSchema {
                format: wanted.format,
                out: wanted.out,
            },
            Command::Completions { shell } => Self::Completions(shell),
        }
    }
}

impl RunIntent {
    fn of(typed: RunArguments, environment: &EnvironmentArguments) -> Self {
        let invocation = Invocation::of(typed.project, environment);
        let plan = plan::Options {
            only: typed.only.only,
            batch_rows_max: typed.batch_size,
            rows_per_second_max: typed.max_rows_per_second,
            bytes_per_second_max: typed.max_bytes_per_second,
            max_rejects: typed.max_rejects,
            jobs: typed.jobs.map(usize::from),
            memory_limit: typed.memory.memory_limit,
            subject: typed.subject,
            since_last: typed.since_last,
            undo: typed.undo,
            count: false,
            cost: false,
            coverage: false,
            strict: false,
            // A rehearsal leaves nothing behind, not even an empty database.
            go_without: !typed.dry_run,
            create: !typed.dry_run,
            in_order: typed.dry_run || typed.retry_rejects,
        };
        let reports = typed.report;
        Self {
            verify: typed
                .verify
                .then(|| Box::new(VerifyIntent::after_run(&invocation, &plan, reports))),
            backup: typed.backup.then(|| MakeIntent::before_run(&invocation)),
            invocation,
            plan,
            run: RunOptions {
                dry_run: typed.dry_run,
                restart: typed.restart,
                retry_rejects: typed.retry_rejects,
            },
            apply_schema: typed.apply_schema,
            allow_destructive: typed.allow_destructive,
            metrics: typed.metrics,
        }
    }

    /// The same run as a command line, without what was done already: checkpoints that were
    /// forgotten must not be forgotten again. `more` is added at the end.
    pub(super) fn again(&self, more: &[&str]) -> String {
        let mut words = Vec::new();
        if !self.plan.only.is_empty() {
            words.extend(["--only".to_owned(), quoted(&self.plan.only.join(","))]);
        }
        if let Some(rows) = self.plan.batch_rows_max {
            words.extend(["--batch-size".to_owned(), rows.to_string()]);
        }
        if let Some(rows) = self.plan.rows_per_second_max {
            words.extend(["--max-rows-per-second".to_owned(), rows.to_string()]);
        }
        if let Some(bytes) = self.plan.bytes_per_second_max {
            words.extend(["--max-bytes-per-second".to_owned(), bytes.to_string()]);
        }
        if let Some(rows) = self.plan.max_rejects.filter(|_| !more.contains(&"--max-rejects")) {
            words.extend(["--max-rejects".to_owned(), rows.to_string()]);
        }
        if let Some(jobs) = self.plan.jobs {
            words.extend(["--jobs".to_owned(), jobs.to_string()]);
        }
        if let Some(megabytes) = self.plan.memory_limit {
            words.extend(["--memory-limit".to_owned(), megabytes.to_string()]);
        }
        if let Some(SubjectKey { name, key }) = &self.plan.subject {
            words.extend(["--for".to_owned(), quoted(&format!("{name}={key}"))]);
        }
        if self.plan.since_last && !more.contains(&"--retry-rejects") {
            words.push("--since-last".to_owned());
        }
        if self.plan.undo {
            words.push("--undo".to_owned());
        }
        if let Some(address) = self.metrics {
            words.extend(["--metrics".to_owned(), address.to_string()]);
        }
        if let Some(verify) = &self.verify {
            words.push("--verify".to_owned());
            for report in &verify.reports {
                words.extend(["--report".to_owned(), quoted(&report.path.display().to_string())]);
            }
        }
        words.extend(more.iter().map(|word| (*word).to_owned()));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        self.invocation.command("run", &words)
    }

    /// The command line that goes on where this run stopped.
    pub(super) fn resume(&self) -> String {
        let mut more = Vec::new();
        if self.run.dry_run {
            more.push("--dry-run");
        }
        if self.run.retry_rejects {
            more.push("--retry-rejects");
        }
        self.again(&more)
    }
}

fn level(log: Option<LogLevel>, verbose: u8) -> LevelFilter {
    match (log, verbose) {
        (Some(LogLevel::Off), _) => LevelFilter::OFF,
        (Some(LogLevel::Error), _) => LevelFilter::ERROR,
        (Some(LogLevel::Warn), _) | (None, 0) => LevelFilter::WARN,
        (Some(LogLevel::Info), _) | (None, 1) => LevelFilter::INFO,
        (Some(LogLevel::Debug), _) | (None, 2) => LevelFilter::DEBUG,
        (Some(LogLevel::Trace) | None, _) => LevelFilter::TRACE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::key_prefix::KeyPrefix;

    fn parsed(line: &str) -> Result<Intent, clap::Error> {
        Intent::parse(line.split_whitespace().map(OsString::from))
    }

    fn run(line: &str) -> RunIntent {
        match parsed(line).map(|intent| intent.action) {
            Ok(Action::Run(run)) => run,
            _ => panic!("not a run: {line}"),
        }
    }

    #[test]
    fn the_arguments_are_consistent() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }

    #[test]
    fn streams_are_named_with_commas_and_by_repeating() {
        for line in [
            "dbferry run p --only a,b --only c",
            "dbferry run --only a,b,c p",
            "dbferry run --only a --only b --only c --batch-size 5 p",
        ] {
            assert_eq!(run(line).plan.only, ["a", "b", "c"], "{line}");
        }
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for line in [
            "dbferry run p --restart --retry-rejects",
            "dbferry run p --dry-run --apply-schema",
            "dbferry run p --batch-size 0",
            "dbferry run p --max-rejects -1",
            "dbferry run p -v --log debug",
            "dbferry json-schema",
        ] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }

    #[test]
    fn the_level_of_the_log() {
        let level = |line| parsed(line).map(|intent| intent.log).ok();
        assert_eq!(level("dbferry stats p"), Some(LevelFilter::WARN));
        assert_eq!(level("dbferry stats p -vv"), Some(LevelFilter::DEBUG));
        assert_eq!(level("dbferry --log off stats p"), Some(LevelFilter::OFF));
    }

    #[test]
    fn a_resume_forgets_nothing_again() {
        let typed = run("dbferry run p --restart --only a,b --batch-size 10 --max-rejects 5");
        assert_eq!(typed.resume(), "dbferry run p --only a,b --batch-size 10 --max-rejects 5");
        assert_eq!(
            typed.again(&["--max-rejects", "7"]),
            "dbferry run p --only a,b --batch-size 10 --max-rejects 7"
        );
        assert_eq!(run("dbferry run p --retry-rejects").resume(), "dbferry run p --retry-rejects");
    }

    #[test]
    fn the_environment_may_stand_anywhere() {
        for line in [
            "dbferry --env embedded run p",
            "dbferry run --env embedded p",
            "dbferry run p --env embedded",
        ] {
            assert_eq!(run(line).invocation.environment, "embedded", "{line}");
        }
        assert_eq!(run("dbferry run p").invocation.environment, ENVIRONMENT);
    }

    #[test]
    fn a_rehearsal_creates_no_database() {
        assert!(run("dbferry run p").plan.create);
        assert!(!run("dbferry run p --dry-run").plan.create);
    }

    #[test]
    fn the_next_command_is_ready_to_be_typed() {
        let embedded = run("dbferry run mappings/game --env embedded").invocation;
        assert_eq!(
            embedded.command("run", &["--retry-rejects"]),
            "dbferry run mappings/game --env embedded --retry-rejects"
        );
        let odd = Invocation {
            project: PathBuf::from("my maps/it's"),
            environment: ENVIRONMENT.to_owned(),
            config_dir: PathBuf::from("etc"),
            key_prefix: KeyPrefix::parse("test").ok(),
        };
        assert_eq!(
            odd.command("stats", &[]),
            r"dbferry stats 'my maps/it'\''s' --config-dir etc --key-prefix test"
        );
        assert_eq!(
            embedded.fill_in("`dbferry run PROJECT --restart`"),
            "`dbferry run mappings/game --env embedded --restart`"
        );
    }
}
