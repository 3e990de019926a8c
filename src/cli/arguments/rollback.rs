//! What was typed of `rollback`.

use clap::{Args, ValueEnum};

use super::ProjectArguments;
use crate::pipeline::subject::SubjectKey;

pub(super) const AFTER_HELP: &str = "\
Examples:
  dbferry rollback 0b9c51aa mappings/game --dry-run
  dbferry rollback 0b9c51aa mappings/game
  dbferry rollback 0b9c51aa mappings/game --changed keep --yes
  dbferry rollback 0b9c51aa mappings/game --for user=42
  dbferry rollback 0b9c51aa mappings/game --forget

Rows that the run inserted are removed, rows that it changed are as before it, and so are the
checkpoints: it can be run again. It needs the undo logs of a run with `undo = true` or --undo. Where rows
were changed since, or others refer to rows that would go, nothing is done and they are listed (exit
code 5). Interrupted, it goes on when it is called again.";

#[derive(Debug, Args)]
pub(in crate::cli) struct RollbackArguments {
    /// Id of the run, or how it begins, as `dbferry runs` lists it; or `last`, of those that wrote rows
    /// and are not taken back
    pub(in crate::cli) run: String,

    #[command(flatten)]
    pub(in crate::cli) project: ProjectArguments,

    /// Where a row was changed since the run: keep what it is now, or overwrite it with what it was before
    #[arg(long, value_name = "WHO", value_enum)]
    pub(in crate::cli) changed: Option<ChangedRows>,

    /// Take only the rows of one subject back, such as user=42; every stream says how it finds them
    #[arg(long = "for", value_name = "SUBJECT=KEY", value_parser = crate::cli::intent::subject)]
    pub(in crate::cli) subject: Option<SubjectKey>,

    /// Rows that are taken back together at most; what was written at once goes at once
    #[arg(long, value_name = "ROWS", default_value_t = 50_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(in crate::cli) batch_size: u64,

    /// Show what would be done, and do nothing
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,

    /// Do not ask
    #[arg(long, conflicts_with = "dry_run")]
    pub(in crate::cli) yes: bool,

    /// Take nothing back, but remove the undo logs of the run: it stands for good then
    #[arg(long, conflicts_with_all = ["changed", "subject", "dry_run"])]
    pub(in crate::cli) forget: bool,
}

// Variants that clap shows have no help of their own: it would stretch `--help` to its long form.
/// Who wins where a row was changed since the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum ChangedRows {
    Keep,
    Overwrite,
}
