//! Who writes which keys: all streams of a project, whether they are planned or not.

use super::plan::PlannedStream;
use crate::data::keyed::owner::{Writer, Writers};
use crate::mapping::Project;

/// Streams that write keys, with the types of their columns where they are planned.
pub(super) fn of(project: &Project, planned: &[PlannedStream]) -> Writers {
    let mut writers = Writers::default();
    for stream in &project.streams {
        let Some(keyed) = &stream.keyed else { continue };
        let planned = planned.iter().find(|planned| planned.name == stream.name.value);
        let columns = planned.map_or(&[][..], |planned| &planned.write.columns);
        let writer = Writer {
            stream: stream.name.value.clone(),
            pattern: keyed.layout.pattern.clone(),
            types: columns
                .iter()
                .map(|column| (column.name.clone(), column.ty.clone()))
                .collect(),
        };
        writers.add(&stream.to.value.connection, writer);
    }
    writers
}
