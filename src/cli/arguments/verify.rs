//! What was typed of `verify`.

use clap::{Args, ValueHint};

use super::{MemoryArguments, OnlyArguments, ProjectArguments};
use crate::cli::intent::{ReportPath, subject};
use crate::pipeline::subject::SubjectKey;

/// What the help of the command ends with.
pub(super) const AFTER_HELP: &str = "\
Examples:
  dbferry verify mappings/game
  dbferry verify mappings/game --only players --max-differences 1000
  dbferry verify mappings/game --for user=42
  dbferry verify mappings/game --recheck 3 --wait 10
  dbferry verify mappings/game --report verify.html --report verify.json
  dbferry verify mappings/game --ledger

Reads both sides, and writes to neither. Exit code 0 says that every row which the mapping covers is
in the target as it should be, and no other; 5 that it is not so, or that not everything was compared.
The report shows values of rows that differ; columns marked `pii` in the mapping are masked.
With --ledger the question is another one: has anybody touched what was committed? Exit code 0 says
that every batch which could be compared holds what was committed; 5 that one does not, or that none
could be compared. Rows that were added to either side are in no batch, and are not seen.";

#[derive(Debug, Args)]
pub(in crate::cli) struct VerifyArguments {
    #[command(flatten)]
    pub(in crate::cli) project: ProjectArguments,

    #[command(flatten)]
    pub(in crate::cli) only: OnlyArguments,

    /// Compare only the rows of one subject, such as user=42; every stream says how it finds them
    #[arg(long = "for", value_name = "SUBJECT=KEY", value_parser = subject)]
    pub(in crate::cli) subject: Option<SubjectKey>,

    /// Compare only rows for which this is true: a condition over source columns in the source's
    /// own SQL, as the mapping's `subject` is
    #[arg(long = "where", value_name = "SQL")]
    pub(in crate::cli) condition: Option<String>,

    #[command(flatten)]
    pub(in crate::cli) memory: MemoryArguments,

    /// Compare only about so many rows of each stream, chosen by a hash of their keys; what is found
    /// is named, but nothing is called equal
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(in crate::cli) sample: Option<u64>,

    /// Only ask which committed batches the target still holds as they were committed, by the ledger's
    /// digests; nothing is called equal
    #[arg(long, conflicts_with_all = ["subject", "condition", "sample", "recheck", "wait", "resume", "report"])]
    pub(in crate::cli) ledger: bool,

    /// Differences (with --ledger batches) to list of each stream at most; all are counted
    #[arg(long, value_name = "ROWS", default_value_t = 100)]
    pub(in crate::cli) max_differences: usize,

    /// Look at rows that differ again, so often, where the application goes on writing: what then
    /// agrees is no difference
    #[arg(long, value_name = "TIMES", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(in crate::cli) recheck: Option<u32>,

    /// Seconds to wait before each time that --recheck looks again [default: 5]
    #[arg(long, value_name = "SECONDS", requires = "recheck", value_parser = clap::value_parser!(u64).range(..=86_400))]
    pub(in crate::cli) wait: Option<u64>,

    /// Go on from where an interrupted verification was: streams that it found equal are not compared
    /// again, and of big tables only the pieces that it has not read; without it everything is
    /// compared
    #[arg(long)]
    pub(in crate::cli) resume: bool,

    /// Write the result into this file, too: a page for people (.html), or the document of --output
    /// json (.json); may be repeated
    #[arg(long, value_name = "FILE", value_parser = ReportPath::parse, value_hint = ValueHint::FilePath)]
    pub(in crate::cli) report: Vec<ReportPath>,
}
