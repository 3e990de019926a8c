//! Differences of a planned stream, and the rows that they concern.

use super::plan::PlannedStream;
use super::shape::Shape;
use crate::Result;
use crate::mapping::Stream;
use crate::mapping::difference::{self, Difference};
use crate::source::Source;

/// Differences of the columns that a stream takes as they are.
pub(super) fn differences(stream: &Stream, shape: &Shape) -> Vec<Difference> {
    let columns = shape.transform.target_columns().iter();
    let taken: Vec<(&str, &str)> = columns
        .filter_map(|column| Some((column.name.as_str(), shape.transform.taken_from(&column.name)?)))
        .collect();
    difference::differences(stream, &shape.source, &shape.target, &taken)
}

/// Counts the rows of the source that each difference concerns, whatever the stream's `where`.
///
/// # Errors
/// What the source fails with.
pub(super) async fn count(stream: &mut PlannedStream, source: &dyn Source) -> Result<()> {
    for difference in &mut stream.differences {
        if let Some(concern) = &difference.concern {
            difference.rows = source.concerned(&stream.origin, concern).await?;
        }
    }
    Ok(())
}
