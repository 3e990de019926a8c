//! Documents into batches: their text, and what every document says of itself.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Builder, StringBuilder};
use serde_json::value::RawValue;

use super::container::{DOCUMENT, ETAG, ID, PARTITION, TS};
use super::head::Head;
use super::partition::Paths;
use crate::data::batch::SourceBatch;
use crate::data::position::{Key, KeyRef, Position};
use crate::data::render::row_json;
use crate::data::stream::ReadRequest;
use crate::source::gather::{Gather, RowFacts};
use crate::{Error, ErrorKind, Result};

/// One column of a batch.
enum Column {
    Document(StringBuilder),
    Id(StringBuilder),
    Partition(StringBuilder),
    Ts(Int64Builder),
    Etag(StringBuilder),
}

/// Gathers documents.
pub(super) struct Documents {
    columns: Vec<Column>,
    paths: Paths,
    /// The partition key of the document being taken in.
    partition: String,
    keyed: bool,
    gather: Gather,
}

impl Documents {
    /// # Errors
    /// [`ErrorKind::Mapping`] for a column that documents do not have.
    pub(super) fn new(request: &ReadRequest, paths: &Paths) -> Result<Self> {
        let column = |name: &String| match name.as_str() {
            DOCUMENT => Ok(Column::Document(StringBuilder::new())),
            ID => Ok(Column::Id(StringBuilder::new())),
            PARTITION => Ok(Column::Partition(StringBuilder::new())),
            TS => Ok(Column::Ts(Int64Builder::new())),
            ETAG => Ok(Column::Etag(StringBuilder::new())),
            _ => Err(
                Error::new(ErrorKind::Mapping, format!("documents have no column `{name}`")).hint(format!(
                    "they have `{DOCUMENT}`, `{ID}`, `{PARTITION}`, `{TS}` and `{ETAG}`; declare fields under [stream.fields]"
                )),
            ),
        };
        let facts = RowFacts {
            ordered: false,
            unique: true,
            same_key: Key::eq,
            row_json,
        };
        Ok(Self {
            columns: request
                .columns
                .iter()
                .map(|wanted| column(&wanted.name))
                .collect::<Result<_>>()?,
            paths: paths.clone(),
            partition: String::new(),
            keyed: !request.key.is_empty(),
            gather: Gather::new(request, facts),
        })
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.gather.is_empty()
    }

    pub(super) const fn is_full(&self) -> bool {
        self.gather.is_full()
    }

    /// Waits until there is memory for the next batch, unless it has begun.
    pub(super) async fn take_memory(&mut self) {
        self.gather.take_memory().await;
    }

    /// Takes in a document.
    ///
    /// # Errors
    /// [`ErrorKind::Unreadable`] where the service sent something else.
    pub(super) fn add(&mut self, document: &RawValue) -> Result<()> {
        let text = document.get();
        let unreadable = |error| Error::new(ErrorKind::Unreadable, "the service sent something that is no document").because(error);
        let head = Head::of(text, self.paths.roots()).map_err(unreadable)?;
        self.paths.key(&head.asked, &mut self.partition).map_err(unreadable)?;
        for column in &mut self.columns {
            match column {
                Column::Document(values) => values.append_value(text),
                Column::Id(values) => values.append_value(&head.id),
                Column::Partition(values) => values.append_value(&self.partition),
                Column::Ts(values) => values.append_value(head.ts),
                Column::Etag(values) => values.append_value(&head.etag),
            }
        }
        if self.keyed {
            self.gather.push_key(KeyRef::Text(&self.partition));
            self.gather.push_key(KeyRef::Text(&head.id));
        }
        self.gather.end_row(text.len())
    }

    /// Hands over what there is, which may be nothing, and where it ends.
    pub(super) fn finish(&mut self, position: Position) -> Result<SourceBatch> {
        let columns = self.columns.iter_mut().map(|column| -> ArrayRef {
            match column {
                Column::Document(values) | Column::Id(values) | Column::Partition(values) | Column::Etag(values) => {
                    Arc::new(values.finish())
                }
                Column::Ts(values) => Arc::new(values.finish()),
            }
        });
        let columns = columns.collect();
        self.gather.finish_at(columns, position)
    }
}
