//! Reading a source, mapping what is read, and rendering it as keys.

use std::sync::Arc;

use super::Keyed;
use super::rendered::{Rendered, Renderer};
use super::source::lost;
use crate::Result;
use crate::data::batch::{SourceBatch, TargetBatch};
use crate::data::keyed::form::KeyFacts;
use crate::data::stream::ReadRequest;
use crate::data::table::Column;
use crate::source::Source;
use crate::transform::Transform;

/// How a source is read.
pub(super) struct Reading {
    pub(super) keyed: Arc<Keyed>,
    pub(super) source: Arc<dyn Source>,
    pub(super) transform: Arc<Transform>,
    /// What the transform makes.
    pub(super) columns: Vec<Column>,
    /// Only what tells the rows apart is made.
    pub(super) keys_alone: bool,
}

/// What becomes of some rows of a source.
pub(super) struct Drawn {
    pub(super) source: SourceBatch,
    pub(super) target: TargetBatch,
    pub(super) rendered: Rendered,
    /// Rows that were read before them.
    before: u64,
}

impl Drawn {
    /// Number of a rendered row among those that were read.
    pub(super) fn origin(&self, row: usize) -> u32 {
        self.target.origin[self.rendered.origin[row] as usize]
    }

    /// What tells a rendered row's own source row from all others: its key, or where there is none
    /// its number.
    pub(super) fn identity(&self, row: usize) -> Vec<u8> {
        let origin = self.origin(row);
        match self.source.keys.raw(origin as usize) {
            [] => (self.before + u64::from(origin)).to_le_bytes().to_vec(),
            key => key.to_vec(),
        }
    }
}

impl Reading {
    /// Reads, maps and renders on a thread of its own, until `take` wants no more.
    pub(super) async fn each(
        self: &Arc<Self>,
        request: ReadRequest,
        facts: KeyFacts,
        mut take: impl FnMut(Drawn) -> Result<bool> + Send + 'static,
    ) -> Result<()> {
        let mut batches = self.source.read(request).await?;
        let reading = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || {
            let form = Renderer {
                layout: &reading.keyed.layout,
                form: &reading.keyed.form,
                columns: &reading.columns,
                facts,
                keys_alone: reading.keys_alone,
            };
            let mut before = 0;
            while let Some(batch) = batches.blocking_recv() {
                let source = batch?;
                let target = reading.transform.apply(&source)?;
                let rendered = form.render(&target.rows)?;
                let read = source.rows.num_rows() as u64;
                let drawn = Drawn {
                    source,
                    target,
                    rendered,
                    before,
                };
                if !take(drawn)? {
                    break;
                }
                before += read;
            }
            Ok(())
        });
        done.await.map_err(|_| lost())?
    }
}
