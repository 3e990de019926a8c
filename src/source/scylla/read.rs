//! Reading a table: all of it by ranges, or rows by their keys.

use std::sync::Arc;

use tokio::sync::mpsc::{self, Sender};

use super::page::{Pages, unwanted};
use super::portion::Portion;
use super::selection::Selection;
use super::{points, ranges};
use crate::cql::connect::Keyspace;
use crate::data::batch::SourceBatch;
use crate::data::position::Position;
use crate::data::stream::{Order, ReadRequest};
use crate::source::gather::fitted;
use crate::source::{BATCHES_IN_FLIGHT_MAX, Batches, reader};
use crate::{Error, ErrorKind, Result};

/// Where the portions go.
pub(super) type Output = Sender<Result<SourceBatch>>;

/// A request that was found to be readable.
pub(super) struct Reading {
    pub(super) keyspace: Arc<Keyspace>,
    pub(super) selection: Selection,
    pub(super) request: ReadRequest,
    pub(super) pages: Pages,
}

/// Starts to read in a task of its own.
pub(super) async fn start(keyspace: &Arc<Keyspace>, mut request: ReadRequest) -> Result<Batches> {
    let (output, batches) = mpsc::channel(BATCHES_IN_FLIGHT_MAX);
    if request.only.is_none() && matches!(request.after, Some(Position::End)) {
        return Ok(batches);
    }
    let in_order = request.order != Order::Any && !request.key.is_empty();
    if request.only.is_none() && (in_order || request.after.is_some() || request.piece.is_some()) {
        return Err(Error::new(
            ErrorKind::Mapping,
            format!(
                "connection `{}`: rows of a CQL table have no order that reading could go on in",
                keyspace.connection
            ),
        ));
    }
    request = fitted(request);
    let selection = Selection::of(keyspace, &request)?;
    let only = request.only.take();
    let text = match &only {
        Some(_) if !selection.finds => {
            return Err(Error::new(
                ErrorKind::Internal,
                "rows of a CQL table are only found by its whole primary key",
            ));
        }
        Some(_) => selection.of_key(keyspace)?,
        None => selection.of_range(keyspace)?,
    };
    let reading = Arc::new(Reading {
        pages: Pages::prepare(keyspace, &text, request.rows_max, request.patience).await?,
        keyspace: Arc::clone(keyspace),
        selection,
        request,
    });
    // What cannot be read as is asked for is told at once.
    let portion = reading.portion()?;
    let sender = output.clone();
    reader::spawn(output, async move {
        match only {
            Some(keys) => points::run(&reading, portion, keys, &sender).await,
            None => ranges::run(&reading, &sender).await,
        }
    });
    Ok(batches)
}

impl Reading {
    pub(super) fn portion(&self) -> Result<Portion> {
        Portion::new(&self.request, &self.selection)
    }
}

/// Hands a portion on.
pub(super) async fn send(portion: &mut Portion, output: &Output) -> Result<()> {
    let batch = portion.finish()?;
    output.send(Ok(batch)).await.map_err(|_| unwanted())
}
