//! The rows of one subject on their way back: the source tells which they are, through the mapping.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::RecordBatch;

use super::Rollback;
use crate::data::keyed::keys::values_of;
use crate::data::keyed::{KeyType, Keys, Layout};
use crate::data::stream::{OnConflict, StreamTarget, Triggers};
use crate::pipeline::feed::{self, Feed};
use crate::pipeline::plan::{Plan, PlannedStream};
use crate::{Error, ErrorKind, Result};

impl Rollback<'_> {
    /// Takes only those rows back that a plan's subject has in its sources now.
    ///
    /// # Errors
    /// As those of reading; [`ErrorKind::Usage`] where a stream of the subject is taken back already.
    pub async fn restrict(&mut self, plan: &Plan) -> Result<()> {
        self.of_subject = true;
        self.report.warnings.extend(plan.warnings.iter().cloned());
        let mut kept = Vec::new();
        for mut way in std::mem::take(&mut self.ways) {
            let Some(stream) = plan.streams.iter().find(|stream| stream.name == way.target.stream) else {
                continue;
            };
            if way.undoable.complete {
                return Err(Error::new(
                    ErrorKind::Usage,
                    format!("stream `{}` of run {} is taken back already", stream.name, self.wanted.run),
                ));
            }
            way.only = Some(keys(plan, stream).await?);
            way.target = StreamTarget {
                on_conflict: OnConflict::Update,
                triggers: Triggers::Off,
                undo: false,
                ..stream.write.clone()
            };
            kept.push(way);
        }
        self.ways = kept;
        self.report.streams = self.ways.iter().map(super::Way::report).collect();
        Ok(())
    }
}

/// Keys of the target's rows that come from the subject's.
async fn keys(plan: &Plan, stream: &PlannedStream) -> Result<Vec<RecordBatch>> {
    let source = &plan.sources[&stream.source_connection];
    let request = feed::request(stream, None, None, &plan.limits);
    let mut feed = Feed::of(source.read(request).await?, stream);
    let mut keys = Vec::new();
    while let Some(portion) = feed.next().await? {
        let rows = &portion.target.rows;
        if rows.num_rows() > 0 {
            keys.push(match &stream.write.keyed {
                Some(layout) => rendered(layout, &stream.write, rows)?,
                None => columns(&stream.write, rows)?,
            });
        }
    }
    Ok(keys)
}

fn columns(write: &StreamTarget, rows: &RecordBatch) -> Result<RecordBatch> {
    let place = |name: &String| write.columns.iter().position(|column| column.name == *name);
    let at: Option<Vec<usize>> = write.key.iter().map(place).collect();
    let at = at.ok_or_else(|| Error::new(ErrorKind::Internal, "a key column that the stream does not write"))?;
    rows.project(&at)
        .map_err(|error| Error::new(ErrorKind::Internal, "cannot take the key out of a batch").because(error))
}

/// The keys as they are written, and their members where a row is one.
fn rendered(layout: &Layout, write: &StreamTarget, rows: &RecordBatch) -> Result<RecordBatch> {
    let refused = |refusal: crate::error::Refusal| Error::refused(refusal);
    let keys = Keys::render(layout, &write.columns, rows).map_err(refused)?;
    let names = (0..rows.num_rows()).map(|row| Some(keys.get(row)));
    let mut fields = vec![Field::new("key", DataType::Binary, false)];
    let mut arrays: Vec<ArrayRef> = vec![Arc::new(names.collect::<BinaryArray>())];
    if let (KeyType::Set | KeyType::Zset, Some(value)) = (layout.key_type, layout.values.first()) {
        let mut members = values_of(value, &write.columns, rows, layout.moments).map_err(refused)?;
        let mut texts: Vec<Option<Vec<u8>>> = Vec::with_capacity(rows.num_rows());
        for row in 0..rows.num_rows() {
            let text = if members.is_null(row) {
                None
            } else {
                Some(members.bytes(row).map_err(refused)?.into_owned())
            };
            texts.push(text);
        }
        fields.push(Field::new("member", DataType::Binary, true));
        arrays.push(Arc::new(texts.iter().map(|text| text.as_deref()).collect::<BinaryArray>()));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
        .map_err(|error| Error::new(ErrorKind::Internal, "keys that make no batch").because(error))
}
