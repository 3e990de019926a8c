//! What was typed of `verify`.

use clap::{Args, ValueHint};

use super::{OnlyArguments, ProjectArguments};
use crate::cli::intent::{ReportPath, subject};
use crate::pipeline::subject::SubjectKey;

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

    /// Compare only about so many rows of each stream, chosen by a hash of their keys; what is found
    /// is named, but nothing is called equal
    #[arg(long, value_name = "ROWS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(in crate::cli) sample: Option<u64>,

    /// Differences to list of each stream at most; all are counted
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
