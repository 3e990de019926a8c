//! Whether the target of a stream has indexes that can be away for its load.

use crate::data::finding::Finding;
use crate::data::stream::DeferIndexes;
use crate::mapping::Stream;

/// Kind of connections that have.
const POSTGRES: &str = "postgres";

/// Of a stream into a connection of a kind.
pub(super) fn of(stream: &Stream, kind: &str) -> Option<Finding> {
    let defer = stream.defer_indexes.as_ref()?;
    (defer.value == DeferIndexes::Always && kind != POSTGRES).then(|| {
        Finding::error(
            "mapping::defer_indexes",
            Some(defer.place.clone()),
            format!("indexes of a target of kind {kind} are never taken away"),
        )
        .label("for Postgres tables alone")
        .help("leave it out")
    })
}
