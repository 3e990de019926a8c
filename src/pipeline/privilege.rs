//! Privileges: whether every stream's source may be read, asked before the first row is.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::plan::PlannedStream;
use crate::data::finding::Finding;
use crate::source::Source;
use crate::{Error, ErrorKind, Result};

/// Asks the sources of all streams for the columns that each reads.
///
/// # Errors
/// [`ErrorKind::Unauthorised`] with a finding for every stream that may not be read.
pub(super) async fn check(streams: &[PlannedStream], sources: &BTreeMap<String, Arc<dyn Source>>) -> Result<()> {
    let mut findings = Vec::new();
    for stream in streams {
        let mut columns: Vec<String> = stream
            .transform
            .read_columns()
            .iter()
            .map(|column| column.name.clone())
            .collect();
        for part in &stream.source_key {
            if !columns.contains(part) {
                columns.push(part.clone());
            }
        }
        let source = &sources[&stream.source_connection];
        match source.permitted(&stream.origin, &columns).await {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Unauthorised => findings.push(
                Finding::error(
                    "plan::privilege",
                    None,
                    format!("stream `{}` cannot read {}: {error}", stream.name, stream.source),
                )
                .help(error.advice().to_owned()),
            ),
            Err(error) => return Err(error),
        }
    }
    if findings.is_empty() {
        Ok(())
    } else {
        Err(Error::findings(ErrorKind::Unauthorised, findings))
    }
}
