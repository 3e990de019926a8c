//! What was typed of `schema`.

use clap::{Args, Subcommand};

use super::{OutputForm, ProjectArguments};

pub(super) const AFTER_HELP: &str = "\
Examples:
  dbferry schema status mappings/game
  dbferry schema apply mappings/game --env embedded
  dbferry schema new mappings/game add_last_seen --connection game
  dbferry schema test mappings/game

A project carries them as files: migrations/CONNECTION/VERSION_NAME.up.sql and .down.sql, or .up.cql
and .down.cql for ScyllaDB and Cassandra. Files and records are those of sqlx, too.";

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum SchemaCommand {
    /// Apply pending migrations
    #[command(after_help = "\
Examples:
  dbferry schema apply mappings/game --env embedded
  dbferry schema apply mappings/game --dry-run
  dbferry schema apply mappings/bento --only auth_db,user_db
  dbferry schema apply mappings/mindia --to 20250502070000

Steps that lose something are named before anything is applied: what is dropped, emptied, or deleted
as a whole, changed types of columns, and NOT NULL in tables that have rows. So are those of which
that cannot be told, such as DO blocks, where the target has rows. At a terminal it asks; elsewhere
it ends with exit code 2 unless --allow-destructive is given.")]
    Apply(ApplyArguments),

    /// List migrations and which of them are applied
    #[command(after_help = "Example:\n  dbferry schema status mappings/game\n\nWrites nothing.")]
    Status(SchemaArguments),

    /// Undo the last migration, or all after a version; what their tables hold is lost
    #[command(after_help = "\
Examples:
  dbferry schema revert mappings/game
  dbferry schema revert mappings/game --to 0
  dbferry schema revert mappings/game --dry-run")]
    Revert(RevertArguments),

    /// Make the files of a new migration, named after the moment
    #[command(after_help = "\
Examples:
  dbferry schema new mappings/game add_last_seen --connection game

Its version is the moment in UTC, YYYYMMDDHHMMSS. Nothing is written over.")]
    New(NewArguments),

    /// Try the migrations in a scratch database: up, down, and up again
    #[command(after_help = "\
Example:
  dbferry schema test mappings/game

The targets are not touched: it takes a database of its own on the server of a Postgres target, a
keyspace of its own, or a file in the folder for temporary files, whose names begin with
dbferry_test_, and removes it whatever happens; what a call that was killed has left is removed by
the next one. Exit code 5 says that the way down leaves something, or that the second way up makes
something else than the first.")]
    Test(SchemaArguments),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct SchemaArguments {
    #[command(flatten)]
    pub(in crate::cli) project: ProjectArguments,

    /// Only these connections; repeated or with commas
    #[arg(long, alias = "connection", value_name = "CONNECTION", value_delimiter = ',')]
    pub(in crate::cli) only: Vec<String>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ApplyArguments {
    #[command(flatten)]
    pub(in crate::cli) schema: SchemaArguments,

    /// No migration after this version
    #[arg(long, value_name = "VERSION")]
    pub(in crate::cli) to: Option<i64>,

    /// Print the SQL that would run, and do nothing
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,

    /// Go on where something is lost, without asking
    #[arg(long, conflicts_with = "dry_run")]
    pub(in crate::cli) allow_destructive: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RevertArguments {
    #[command(flatten)]
    pub(in crate::cli) schema: SchemaArguments,

    /// Undo all migrations after this version; 0 undoes all
    #[arg(long, value_name = "VERSION")]
    pub(in crate::cli) to: Option<i64>,

    /// Print the SQL that would run, and do nothing
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,

    /// Do not ask
    #[arg(long, conflicts_with = "dry_run")]
    pub(in crate::cli) yes: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct NewArguments {
    #[command(flatten)]
    pub(in crate::cli) project: ProjectArguments,

    /// What it does, in a few words: letters, digits and `_`
    #[arg(value_name = "NAME")]
    pub(in crate::cli) name: String,

    /// Target that it is for; needed where the project has several
    #[arg(long, value_name = "CONNECTION")]
    pub(in crate::cli) connection: Option<String>,
}

impl SchemaCommand {
    pub(in crate::cli) const fn output(&self) -> OutputForm {
        match self {
            Self::Apply(apply) => apply.schema.project.output,
            Self::Status(schema) | Self::Test(schema) => schema.project.output,
            Self::Revert(revert) => revert.schema.project.output,
            Self::New(new) => new.project.output,
        }
    }
}
