//! What was typed of `backfill`.

use clap::Args;

use super::ProjectArguments;

pub(super) const AFTER_HELP: &str = "\
Examples:
  dbferry backfill mappings/mindia --dry-run
  dbferry backfill mappings/mindia --max-rejects 100
  dbferry backfill mappings/mindia --only media_metadata --max-rows-per-second 2000
  dbferry backfill mappings/mindia --verify-only

Changes rows where they are, a few at a time, while their application goes on: each batch is one
short transaction that commits with its checkpoint, and the next call goes on after it. Pauses
while servers that follow are behind, or others wait for locks. Ctrl-C finishes the batch in
flight. Rejected rows end it with exit code 4, rows that differ with 5.";

#[derive(Debug, Args)]
pub(in crate::cli) struct BackfillArguments {
    #[command(flatten)]
    pub(in crate::cli) project: ProjectArguments,

    /// Only these backfills; repeated or with commas
    #[arg(long, value_name = "BACKFILL", value_delimiter = ',')]
    pub(in crate::cli) only: Vec<String>,

    /// Do everything including the writes, and roll every batch back
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,

    /// Rows that are locked and commit together at most [default: 2000, or less by the
    /// configuration's `batch_rows_max`]
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(in crate::cli) batch_size: Option<u64>,

    /// Rows in a second at most, instead of the backfill's or configuration's `max_rows_per_second`
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(in crate::cli) max_rows_per_second: Option<u64>,

    /// Rejected rows to go on with; it stops when there are more
    #[arg(long, value_name = "ROWS")]
    pub(in crate::cli) max_rejects: Option<u64>,

    /// Forget how far it is, and go through all rows
    #[arg(long)]
    pub(in crate::cli) restart: bool,

    /// Once everything is filled in, compute every row again and compare
    #[arg(long, conflicts_with = "dry_run")]
    pub(in crate::cli) verify: bool,

    /// Change nothing: compute every row again and compare with what it holds
    #[arg(long, conflicts_with_all = ["dry_run", "restart", "verify", "batch_size", "max_rows_per_second", "max_rejects"])]
    pub(in crate::cli) verify_only: bool,
}
