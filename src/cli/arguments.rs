//! What was typed: every command and flag once. Help, completions and usage errors come from here.
//!
//! What it means is [`super::intent`]'s to say.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

use super::key_prefix::KeyPrefix;
use crate::pipeline::subject::SubjectKey;

mod backfill;
mod backup;
mod clean;
mod introspect;
mod memory;
mod repair;
mod rollback;
mod runs;
mod schema;
mod verify;

pub(super) use backfill::BackfillArguments;
pub(super) use backup::{BackupArguments, BackupCommand, RestoreArguments, ToolArguments};
pub(super) use clean::CleanArguments;
pub(super) use introspect::IntrospectArguments;
pub(super) use memory::MemoryArguments;
pub(super) use repair::RepairArguments;
pub(super) use rollback::{ChangedRows, RollbackArguments};
pub(super) use runs::{RunsArguments, RunsCommand};
pub(super) use schema::SchemaCommand;
pub(super) use verify::VerifyArguments;

const AFTER_HELP: &str = "\
Examples:
  dbferry check mappings/game
  dbferry plan mappings/game --env embedded
  dbferry run mappings/game --dry-run
  dbferry run mappings/game --env embedded --apply-schema
  dbferry verify mappings/game --report verify.html
  dbferry stats mappings/game --output json

Results go to stdout, progress and messages to stderr.

Exit codes:
  0    everything is done
  1    failed
  2    mapping, configuration or arguments are wrong
  3    the environment is wrong: unreachable, unauthorised, full, busy, missing
  4    ended with rejected rows
  5    source and target differ, or were not compared completely
  130  interrupted";

/// Moves data between databases and proves that it arrived.
#[derive(Debug, Parser)]
#[command(name = "dbferry", version, max_term_width = 100, after_help = AFTER_HELP, arg_required_else_help = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,

    #[command(flatten)]
    pub(super) environment: EnvironmentArguments,

    /// What is logged to stderr [default: warn]
    #[arg(
        long,
        global = true,
        value_name = "LEVEL",
        value_enum,
        conflicts_with = "verbose",
        help_heading = "Messages"
    )]
    pub(super) log: Option<LogLevel>,

    /// Log more: -v info, -vv debug, -vvv trace
    #[arg(short, long, global = true, action = clap::ArgAction::Count, help_heading = "Messages")]
    pub(super) verbose: u8,

    /// When to use colours: always, never, or on a terminal unless `NO_COLOR` is set
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        value_enum,
        default_value_t,
        hide_possible_values = true,
        help_heading = "Messages"
    )]
    pub(super) color: ColorChoice,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Connect to everything that a project needs, and check all of it
    #[command(after_help = "Example:\n  dbferry check mappings/game --env embedded\n\nWrites nothing.")]
    Check(ProjectArguments),

    /// Show what a run would do: streams in order, keys, types, expressions, warnings
    #[command(after_help = "Example:\n  dbferry plan mappings/game --only players\n\nWrites nothing.")]
    Plan(PlanArguments),

    /// Move the data; goes on after the last committed batch of an earlier run
    #[command(after_help = "\
Examples:
  dbferry run mappings/game --dry-run
  dbferry run mappings/game --env embedded --apply-schema
  dbferry run mappings/game --only players,games --batch-size 10000
  dbferry run mappings/game --max-rows-per-second 2000
  dbferry run mappings/game --max-rejects 100
  dbferry run mappings/game --retry-rejects
  dbferry run mappings/game --verify --report verify.html

Ctrl-C finishes the batch in flight and prints the command that goes on after it. A second Ctrl-C
aborts: the batch in flight is rolled back. Rejected rows end a run with exit code 4.")]
    Run(RunArguments),

    /// Compare source and target through the mapping, and name every row that differs
    #[command(after_help = verify::AFTER_HELP)]
    Verify(VerifyArguments),

    /// Fill in columns of a table's own rows, a few at a time, while its application goes on
    #[command(after_help = backfill::AFTER_HELP)]
    Backfill(BackfillArguments),

    /// Mend in the target what the report of a verification names, row by row
    #[command(after_help = repair::AFTER_HELP)]
    Repair(RepairArguments),

    /// Save what a project writes to, try saved backups out, and list them
    #[command(
        args_conflicts_with_subcommands = true,
        subcommand_negates_reqs = true,
        arg_required_else_help = true,
        after_help = backup::AFTER_HELP
    )]
    Backup(BackupArguments),

    /// Bring a backup back to where it came from
    #[command(after_help = backup::AFTER_RESTORE)]
    Restore(RestoreArguments),

    /// Show how far every stream is: rows on both sides, checkpoint, rejects
    #[command(after_help = "\
Examples:
  dbferry stats mappings/game
  dbferry stats mappings/game --output json
  dbferry stats mappings/game --show-keys

Writes nothing. Keys are values of the source's rows: they are shown only on request.")]
    Stats(StatsArguments),

    /// List the runs of a project, newest first
    #[command(
        args_conflicts_with_subcommands = true,
        subcommand_negates_reqs = true,
        arg_required_else_help = true,
        after_help = "\
Examples:
  dbferry runs mappings/game --limit 5
  dbferry runs show 0b9c51aa mappings/game --output json

Writes nothing."
    )]
    Runs(RunsArguments),

    /// Take a run back: its targets become what they were before it
    #[command(after_help = rollback::AFTER_HELP)]
    Rollback(RollbackArguments),

    /// Remove the keys that a rehearsal has written to Redis
    #[command(after_help = "\
Examples:
  dbferry run mappings/game --key-prefix rehearsal
  dbferry clean mappings/game --key-prefix rehearsal

Removes keys that begin with the prefix, and nothing else.")]
    Clean(CleanArguments),

    /// Create and change the tables of targets by a project's migrations
    #[command(
        subcommand,
        arg_required_else_help = true,
        after_help = schema::AFTER_HELP
    )]
    Schema(SchemaCommand),

    /// Write a starter project from the tables of sources and targets
    #[command(after_help = "\
Examples:
  dbferry introspect --from bento_social --to auth_db,user_db --out mappings/bento
  dbferry introspect --from pocketbase --to game --guess
  dbferry introspect --from app --to shop --print

Columns of the same name are mapped where their types convert exactly; what differs is left as a
comment that says why. The project plans as it is. Writes nothing but its own files.")]
    Introspect(IntrospectArguments),

    /// Print the JSON Schema of a file format, for editors
    #[command(after_help = "\
Examples:
  dbferry json-schema config
  dbferry json-schema --out config/schema

The first line of a file names its schema: #:schema schema/config.schema.json")]
    JsonSchema(JsonSchemaArguments),

    /// Print a completion script for a shell
    #[command(after_help = "Example:\n  dbferry completions bash > ~/.local/share/bash-completion/completions/dbferry")]
    Completions {
        /// Shell
        shell: clap_complete::Shell,
    },
}

/// Which connections the names in a mapping stand for.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Environment")]
pub(super) struct EnvironmentArguments {
    /// Environment: the connections are those of NAME.toml in the configuration folder
    /// [default: development]
    #[arg(long, global = true, value_name = "NAME")]
    pub(super) env: Option<String>,

    /// Folder of the configuration files
    #[arg(long, global = true, value_name = "DIR", default_value = super::intent::CONFIG_DIR, value_hint = ValueHint::DirPath)]
    pub(super) config_dir: PathBuf,
}

/// A project, and how what was found out is told.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct ProjectArguments {
    /// Folder of the project, such as mappings/game
    #[arg(value_hint = ValueHint::DirPath)]
    pub(super) project: PathBuf,

    /// Form of the result on stdout: tables for people, or one JSON document (docs/output.md)
    #[arg(long, value_name = "FORM", value_enum, default_value_t)]
    pub(super) output: OutputForm,

    /// Rehearse in Redis: every key that is written there, or looked for, begins with NAME:
    #[arg(long, value_name = "NAME", value_parser = KeyPrefix::parse)]
    pub(super) key_prefix: Option<KeyPrefix>,
}

#[derive(Debug, Args)]
pub(super) struct PlanArguments {
    #[command(flatten)]
    pub(super) project: ProjectArguments,

    #[command(flatten)]
    pub(super) only: OnlyArguments,

    /// Count the source rows that each difference between source and target concerns
    #[arg(long)]
    pub(super) count: bool,

    /// Fail where a source table or column is left out without a reason under `ignore`
    #[arg(long, conflicts_with = "only")]
    pub(super) strict: bool,
}

#[derive(Debug, Args)]
pub(super) struct OnlyArguments {
    /// Only these streams; repeated or with commas
    #[arg(long, value_name = "STREAM", value_delimiter = ',')]
    pub(super) only: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct RunArguments {
    #[command(flatten)]
    pub(super) project: ProjectArguments,

    #[command(flatten)]
    pub(super) only: OnlyArguments,

    /// Do everything including the writes, then roll all of it back
    #[arg(long)]
    pub(super) dry_run: bool,

    /// Rows that commit together, instead of as many as turn out to be best, up to the configuration's
    /// `batch_rows_max`
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) batch_size: Option<u64>,

    /// Rows in a second at most, of all streams together, instead of the configuration's
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) max_rows_per_second: Option<u64>,

    /// Bytes of the sources in a second at most, of all streams together, instead of the configuration's
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) max_bytes_per_second: Option<u64>,

    /// Move only the rows of one subject, such as user=42; every stream says how it finds them
    #[arg(long = "for", value_name = "SUBJECT=KEY", value_parser = super::intent::subject, conflicts_with_all = ["restart", "retry_rejects"])]
    pub(super) subject: Option<SubjectKey>,

    /// Move only what has changed since the last complete run, over what is there (sources of kind
    /// `cosmos`); deletions are not seen
    #[arg(long, conflicts_with_all = ["subject", "restart", "retry_rejects"])]
    pub(super) since_last: bool,

    /// Streams moved side by side at most, instead of the configuration's `jobs`
    #[arg(long, value_name = "STREAMS", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) jobs: Option<u16>,

    #[command(flatten)]
    pub(super) memory: MemoryArguments,

    /// Forget checkpoints and move the streams from their beginning
    #[arg(long, conflicts_with = "retry_rejects")]
    pub(super) restart: bool,

    /// Leave an undo log of every stream, as if its mapping said `undo = true`, so that `dbferry rollback`
    /// can take the run back
    #[arg(long)]
    pub(super) undo: bool,

    /// Move only the rows in the reject store, after rows or mapping were mended
    #[arg(long)]
    pub(super) retry_rejects: bool,

    /// Rejected rows to go on with; the run stops when there are more
    #[arg(long, value_name = "ROWS")]
    pub(super) max_rejects: Option<u64>,

    /// Serve figures of the run for Prometheus on this address while it goes on, such as
    /// 127.0.0.1:9187; instead of the configuration's
    #[arg(long, value_name = "ADDRESS")]
    pub(super) metrics: Option<SocketAddr>,

    /// Apply pending migrations of the targets first
    #[arg(long, conflicts_with = "dry_run")]
    pub(super) apply_schema: bool,

    /// Back up the targets first, as `dbferry backup` does, and note it in the ledger
    #[arg(long, conflicts_with = "dry_run")]
    pub(super) backup: bool,

    /// Go on where migrations lose something, without asking
    #[arg(long, requires = "apply_schema")]
    pub(super) allow_destructive: bool,

    /// Once everything is moved, compare source and target, as `dbferry verify` does
    #[arg(long, conflicts_with_all = ["dry_run", "retry_rejects"])]
    pub(super) verify: bool,

    /// Write the result of --verify into this file: a page (.html) or a document (.json); may be
    /// repeated
    #[arg(long, value_name = "FILE", requires = "verify", value_parser = super::intent::ReportPath::parse, value_hint = ValueHint::FilePath)]
    pub(super) report: Vec<super::intent::ReportPath>,
}

#[derive(Debug, Args)]
pub(super) struct StatsArguments {
    #[command(flatten)]
    pub(super) project: ProjectArguments,

    /// Name the source keys of a few rejected rows of each kind
    #[arg(long)]
    pub(super) show_keys: bool,

    /// Count every row: without it tables of a million rows or more show their database's estimate
    #[arg(long)]
    pub(super) exact: bool,
}

#[derive(Debug, Args)]
pub(super) struct JsonSchemaArguments {
    /// Which format: of the configuration, of project.toml, of a project's other files, or of the
    /// reports that `verify` and `verify --ledger` write
    #[arg(value_enum, required_unless_present = "out")]
    pub(super) format: Option<FileFormat>,

    /// Write NAME.schema.json into this folder instead of printing; all formats if none is named
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(super) out: Option<PathBuf>,
}

/// Formats of files that users write, and of those that they are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum FileFormat {
    Config,
    Project,
    Mapping,
    Report,
    LedgerReport,
}

// Variants that clap shows have no help of their own: it would stretch `--help` to its long form.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum OutputForm {
    #[default]
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum ColorChoice {
    #[default]
    Auto,
    Always,
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogLevel {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}
