//! One stream of a run, as its target has to know it to find its rows again.

use std::sync::Arc;

use super::{Rollback, Way};
use crate::data::stream::{OnConflict, RowOptions, StreamTarget, Triggers};
use crate::data::table::{Column, ForeignKey};
use crate::ledger::undo::Undoable;
use crate::sink::Sink;
use crate::{Error, ErrorKind, Result};

impl Rollback<'_> {
    pub(super) async fn way(&self, connection: &str, sink: &dyn Sink, undoable: Undoable, last: String) -> Result<Way> {
        let (target, foreign_keys) = if undoable.complete {
            // Nothing is opened any more.
            (target(&undoable, Vec::new()), Vec::new())
        } else {
            self.target(sink, &undoable).await?
        };
        Ok(Way {
            connection: connection.to_owned(),
            undoable,
            target,
            foreign_keys,
            last,
            only: None,
        })
    }

    /// What the sink has to know to find the rows again. Of a table the undo log tells it, whatever the
    /// mapping says by now; how rows become keys is in the mapping alone.
    async fn target(&self, sink: &dyn Sink, undoable: &Undoable) -> Result<(StreamTarget, Vec<ForeignKey>)> {
        let mapped = self
            .wanted
            .project
            .streams
            .iter()
            .find(|stream| stream.name.value == undoable.stream);
        if let Some(keyed) = mapped.and_then(|stream| stream.keyed.as_ref()) {
            let mut target = target(undoable, Vec::new());
            target.keyed = Some(Arc::clone(&keyed.layout));
            return Ok((target, Vec::new()));
        }
        let Some(table) = sink.table(&undoable.table).await? else {
            return Err(Error::new(
                ErrorKind::Missing,
                format!("table `{}` of stream `{}` is gone", undoable.table, undoable.stream),
            )
            .hint("what it held before the run is in no undo log; restore a backup: `dbferry restore FOLDER`"));
        };
        let keys = undoable.key.iter().map(|name| table.column(name).cloned());
        let keys: Option<Vec<_>> = keys.collect();
        let keys = keys.ok_or_else(|| {
            Error::new(
                ErrorKind::Mapping,
                format!(
                    "table `{}` has lost key columns of stream `{}` since the run",
                    undoable.table, undoable.stream
                ),
            )
            .hint("restore a backup: `dbferry restore FOLDER`")
        })?;
        Ok((target(undoable, keys), table.foreign_keys))
    }
}

/// Rows are only found and put back: what a mapping says of how they are made has no meaning here.
fn target(undoable: &Undoable, columns: Vec<Column>) -> StreamTarget {
    StreamTarget {
        stream: undoable.stream.clone(),
        table: undoable.table.clone(),
        columns,
        key: undoable.key.clone(),
        on_conflict: OnConflict::Update,
        triggers: Triggers::Off,
        keys_distinct: true,
        keyed: None,
        options: RowOptions::default(),
        undo: false,
    }
}
