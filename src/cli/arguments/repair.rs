//! What was typed of `repair`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::{OnlyArguments, OutputForm};
use crate::cli::key_prefix::KeyPrefix;

pub(super) const AFTER_HELP: &str = "\
Examples:
  dbferry verify mappings/game --report verify.json
  dbferry repair verify.json --dry-run
  dbferry repair verify.json
  dbferry repair verify.json --delete-extra --yes

Looks at every row of the report again, shows what it would do, and asks. Rows that are missing or
different are moved anew from the source; rows that the target alone has are deleted only with
--delete-extra, and rows that the source does not have any more are never written. Interrupted, it
does the rest when it is called again. Exit code 5 says that something of the report is left.";

#[derive(Debug, Args)]
pub(in crate::cli) struct RepairArguments {
    /// Report that `verify --report FILE.json` has written
    #[arg(value_name = "REPORT", value_hint = ValueHint::FilePath)]
    pub(in crate::cli) report: PathBuf,

    /// Folder of the project [default: mappings/ and the report's project]; the environment is the
    /// report's unless --env names it
    #[arg(value_hint = ValueHint::DirPath)]
    pub(in crate::cli) project: Option<PathBuf>,

    #[command(flatten)]
    pub(in crate::cli) only: OnlyArguments,

    /// Delete rows that the target alone has, but for those that other rows refer to
    #[arg(long)]
    pub(in crate::cli) delete_extra: bool,

    /// Show what would be done, and do nothing
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,

    /// Do not ask
    #[arg(long, conflicts_with = "dry_run")]
    pub(in crate::cli) yes: bool,

    /// Form of the result on stdout: tables for people, or one JSON document (docs/output.md)
    #[arg(long, value_name = "FORM", value_enum, default_value_t)]
    pub(in crate::cli) output: OutputForm,

    /// The keys verified were those of a rehearsal in Redis, which begin with NAME:
    #[arg(long, value_name = "NAME", value_parser = KeyPrefix::parse)]
    pub(in crate::cli) key_prefix: Option<KeyPrefix>,
}
