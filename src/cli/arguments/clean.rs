//! What was typed of `clean`.

use clap::Args;

use super::ProjectArguments;

#[derive(Debug, Args)]
pub(in crate::cli) struct CleanArguments {
    #[command(flatten)]
    pub(in crate::cli) project: ProjectArguments,

    /// Do not ask
    #[arg(long)]
    pub(in crate::cli) yes: bool,
}
