//! What was typed of the memory that a command may take.

use clap::Args;

#[derive(Debug, Args)]
pub(in crate::cli) struct MemoryArguments {
    /// Memory that the program may take in all, in megabytes, instead of the configuration's
    /// `memory_limit_megabytes`
    #[arg(long, value_name = "MEGABYTES", value_parser = clap::value_parser!(u64).range(1..))]
    pub(in crate::cli) memory_limit: Option<u64>,
}
