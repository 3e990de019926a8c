//! `dbferry runs`, as it is typed.

use clap::{Args, Subcommand};

use super::ProjectArguments;

#[derive(Debug, Args)]
pub(in crate::cli) struct RunsArguments {
    #[command(subcommand)]
    pub(in crate::cli) command: Option<RunsCommand>,

    #[command(flatten)]
    pub(in crate::cli) project: Option<ProjectArguments>,

    /// Runs to list at most
    #[arg(long, value_name = "RUNS", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub(in crate::cli) limit: u32,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum RunsCommand {
    /// Show one run with every batch that it has committed
    #[command(after_help = "\
Example:
  dbferry runs show 0b9c51aa mappings/game

The document of `--output json` also has the first and last source key of each batch. Writes nothing.")]
    Show(RunsShowArguments),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct RunsShowArguments {
    /// Id of the run, or how it begins, as `dbferry runs` lists it; or `last`
    pub(in crate::cli) run: String,

    #[command(flatten)]
    pub(in crate::cli) project: ProjectArguments,
}
