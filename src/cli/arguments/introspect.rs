//! What was typed of `introspect`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::OutputForm;

#[derive(Debug, Args)]
pub(in crate::cli) struct IntrospectArguments {
    /// Connections to read from; repeated or with commas
    #[arg(long, value_name = "CONNECTION", value_delimiter = ',', required = true)]
    pub(in crate::cli) from: Vec<String>,

    /// Connections to write to; repeated or with commas
    #[arg(long, value_name = "CONNECTION", value_delimiter = ',', required = true)]
    pub(in crate::cli) to: Vec<String>,

    /// Folder of the project [default: mappings/ and the name]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(in crate::cli) out: Option<PathBuf>,

    /// Name of the project [default: the folder's, or the first connection to read from]
    #[arg(long, value_name = "NAME", value_parser = crate::cli::intent::project_name)]
    pub(in crate::cli) name: Option<String>,

    /// Pair tables of other names by their columns, too
    #[arg(long)]
    pub(in crate::cli) guess: bool,

    /// Write over files that are there
    #[arg(long)]
    pub(in crate::cli) force: bool,

    /// Print the files instead of writing them
    #[arg(long, conflicts_with = "force")]
    pub(in crate::cli) print: bool,

    /// Form of the result on stdout: tables for people, or one JSON document (docs/output.md)
    #[arg(long, value_name = "FORM", value_enum, default_value_t)]
    pub(in crate::cli) output: OutputForm,
}
