//! `dbferry json-schema`: what may stand in the files that users write, for their editors, and in
//! those that it writes.

use std::path::Path;

use serde_json::Value;

use super::arguments::FileFormat;
use super::output::{Console, visible};
use crate::config::load;
use crate::mapping::file;
use crate::verify::{ledger, report};
use crate::{Error, ErrorKind, Result, error};

const ALL: [FileFormat; 5] = [
    FileFormat::Config,
    FileFormat::Project,
    FileFormat::Mapping,
    FileFormat::Report,
    FileFormat::LedgerReport,
];

impl FileFormat {
    fn schema(self) -> Value {
        match self {
            Self::Config => load::json_schema(),
            Self::Project => file::project_json_schema(),
            Self::Mapping => file::mapping_json_schema(),
            Self::Report => report::json_schema(),
            Self::LedgerReport => ledger::report::json_schema(),
        }
    }

    const fn file_name(self) -> &'static str {
        match self {
            Self::Config => "config.schema.json",
            Self::Project => "project.schema.json",
            Self::Mapping => "mapping.schema.json",
            Self::Report => "report.schema.json",
            Self::LedgerReport => "ledger-report.schema.json",
        }
    }
}

pub(super) fn run(format: Option<FileFormat>, out: Option<&Path>, console: &Console) -> Result<u8> {
    match (format, out) {
        (Some(format), None) => console.document(&format.schema())?,
        (format, Some(folder)) => {
            let formats = format.map_or_else(|| ALL.to_vec(), |format| vec![format]);
            for format in formats {
                write(format, folder, console)?;
            }
        }
        // The arguments ask for one of the two.
        (None, None) => {}
    }
    Ok(error::EXIT_DONE)
}

fn write(format: FileFormat, folder: &Path, console: &Console) -> Result<()> {
    let path = folder.join(format.file_name());
    let refused = |error: std::io::Error| {
        Error::new(ErrorKind::Missing, format!("cannot write {}", path.display()))
            .because(error)
            .hint("check that the folder can be written to")
    };
    // `{:#}` of a JSON value is its indented form.
    let text = format!("{:#}\n", format.schema());
    std::fs::create_dir_all(folder).map_err(refused)?;
    std::fs::write(&path, text).map_err(refused)?;
    console.note(&format!("wrote {}", visible(&path.display().to_string())));
    Ok(())
}
