//! What was typed of `backup` and `restore`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::{OutputForm, ProjectArguments};
use crate::backup::PARENT;

pub(super) const AFTER_HELP: &str = "\
Examples:
  dbferry backup mappings/game
  dbferry backup mappings/game --to /mnt/backups/game-before --jobs 4
  dbferry backup mappings/game --keep 7 --keep-days 30
  dbferry backup list
  dbferry backup verify backups/game/production-20260131T235959Z

Saves all targets of the project, and its SQLite and PocketBase sources, into a new folder with a
manifest, and reads it back. Postgres is dumped by pg_dump, whose folder --pg-tools or the variable
DBFERRY_PG_TOOLS names; else it is looked for. ScyllaDB and Cosmos DB are not backed up.";

pub(super) const AFTER_RESTORE: &str = "\
Examples:
  dbferry restore backups/game/production-20260131T235959Z
  dbferry restore backups/game/production-20260131T235959Z --only game --replace

Brings back the targets; sources only where --only names them. A target that is not empty is refused
without --replace. The environment is the backup's unless --env names another. What is restored is
compared with the manifest; killed at any moment, the old or the new state is there, or the next call
says what stands.";

#[derive(Debug, Args)]
pub(in crate::cli) struct BackupArguments {
    #[command(subcommand)]
    pub(in crate::cli) command: Option<BackupCommand>,

    #[command(flatten)]
    pub(in crate::cli) project: Option<ProjectArguments>,

    /// New folder of the backup [default: backups/PROJECT/ENVIRONMENT-TIME]
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub(in crate::cli) to: Option<PathBuf>,

    /// Dump so many tables of a Postgres database at once, into a folder instead of one file
    #[arg(long, value_name = "TABLES", value_parser = clap::value_parser!(u16).range(1..))]
    pub(in crate::cli) jobs: Option<u16>,

    /// Save Postgres sources, too
    #[arg(long)]
    pub(in crate::cli) sources: bool,

    /// Save the keys of Redis that begin so, instead of those that the project's streams write; may
    /// be repeated
    #[arg(long, value_name = "BEGINNING")]
    pub(in crate::cli) keys: Vec<String>,

    /// Afterwards remove older backups of the same project and environment in the same folder, but
    /// for so many of the newest
    #[arg(long, value_name = "BACKUPS", value_parser = clap::value_parser!(u32).range(1..))]
    pub(in crate::cli) keep: Option<u32>,

    /// Afterwards remove those that are older than so many days; with --keep, what either keeps stays
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..))]
    pub(in crate::cli) keep_days: Option<u32>,

    /// Tell what would be saved and removed, and do nothing
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,

    #[command(flatten)]
    pub(in crate::cli) tools: ToolArguments,
}

/// Where programs of Postgres's own are.
#[derive(Debug, Default, Args)]
pub(in crate::cli) struct ToolArguments {
    /// Folder of `pg_dump` and `pg_restore` [default: the variable `DBFERRY_PG_TOOLS`, or a search]
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    pub(in crate::cli) pg_tools: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum BackupCommand {
    /// Restore a backup where nobody looks, and compare it with its manifest
    #[command(after_help = "\
Examples:
  dbferry backup verify backups/game/production-20260131T235959Z
  dbferry backup verify backups/game/production-20260131T235959Z --server scratch

Postgres is restored into a database of its own on the same server (the role needs CREATEDB), SQLite
into a temporary file, keys under names of their own; nothing of it stays. Exit code 5 says that the
backup is no good.")]
    Verify(BackupVerifyArguments),

    /// List good backups, oldest first
    #[command(after_help = "Example:\n  dbferry backup list /mnt/backups\n\nWrites nothing.")]
    List(BackupListArguments),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct BackupVerifyArguments {
    /// Folder of the backup
    #[arg(value_hint = ValueHint::DirPath)]
    pub(in crate::cli) folder: PathBuf,

    /// Restore dumps of Postgres on the server of this connection of the configuration
    #[arg(long, value_name = "CONNECTION")]
    pub(in crate::cli) server: Option<String>,

    #[command(flatten)]
    pub(in crate::cli) tools: ToolArguments,

    /// Form of the result on stdout: tables for people, or one JSON document (docs/output.md)
    #[arg(long, value_name = "FORM", value_enum, default_value_t)]
    pub(in crate::cli) output: OutputForm,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct BackupListArguments {
    /// Folder in which backups, or folders of backups, lie
    #[arg(default_value = PARENT, value_hint = ValueHint::DirPath)]
    pub(in crate::cli) folder: PathBuf,

    /// Form of the result on stdout: tables for people, or one JSON document (docs/output.md)
    #[arg(long, value_name = "FORM", value_enum, default_value_t)]
    pub(in crate::cli) output: OutputForm,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RestoreArguments {
    /// Folder of the backup
    #[arg(value_hint = ValueHint::DirPath)]
    pub(in crate::cli) folder: PathBuf,

    /// Only these connections; repeated or with commas
    #[arg(long, value_name = "CONNECTION", value_delimiter = ',')]
    pub(in crate::cli) only: Vec<String>,

    /// Let go what a target holds
    #[arg(long)]
    pub(in crate::cli) replace: bool,

    /// Restore so many tables of a Postgres database at once
    #[arg(long, value_name = "TABLES", value_parser = clap::value_parser!(u16).range(1..))]
    pub(in crate::cli) jobs: Option<u16>,

    /// Do not ask
    #[arg(long)]
    pub(in crate::cli) yes: bool,

    #[command(flatten)]
    pub(in crate::cli) tools: ToolArguments,

    /// Form of the result on stdout: tables for people, or one JSON document (docs/output.md)
    #[arg(long, value_name = "FORM", value_enum, default_value_t)]
    pub(in crate::cli) output: OutputForm,
}

impl BackupArguments {
    pub(in crate::cli) fn output(&self) -> OutputForm {
        match (&self.command, &self.project) {
            (Some(BackupCommand::Verify(verify)), _) => verify.output,
            (Some(BackupCommand::List(list)), _) => list.output,
            (None, Some(project)) => project.output,
            (None, None) => OutputForm::Text,
        }
    }
}
