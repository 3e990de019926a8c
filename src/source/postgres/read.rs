//! Reading one stream: COPY out of the moment, portions into a bounded channel.

use std::sync::Arc;

use futures::StreamExt as _;
use sqlx::PgConnection;
use tokio::sync::mpsc::{self, Sender};

use super::link::{Links, Reader};
use super::portion::{self, Portion};
use super::select::{Selection, select};
use super::shape::shape;
use super::wide::{self, Wide};
use super::{failure, intact, privilege};
use crate::data::batch::SourceBatch;
use crate::data::memory;
use crate::data::position::Position;
use crate::data::stream::ReadRequest;
use crate::postgres::error::classify;
use crate::postgres::tuple::Tuples;
use crate::source::gather::fitted;
use crate::source::{BATCHES_IN_FLIGHT_MAX, Batches, reader};
use crate::{Error, ErrorKind, Result};

/// Memory of the server's that a reader may sort in, unless the server grants more.
const SORT_MEMORY: &str = "32MB";

/// Where the portions go.
pub(super) type Output = Sender<Result<SourceBatch>>;

/// A request that was found to be readable.
struct Reading {
    reader: Reader,
    selection: Selection,
    portion: Portion,
    wide: Wide,
}

/// Starts to read in a task of its own.
pub(super) async fn start(links: &Arc<Links>, request: ReadRequest) -> Result<Batches> {
    let (output, batches) = mpsc::channel(BATCHES_IN_FLIGHT_MAX);
    if request.only.is_none() && matches!(request.after, Some(Position::End)) {
        return Ok(batches);
    }
    let reading = Reading::prepare(links, fitted(request)).await?;
    let sender = output.clone();
    // Dropping the reading closes its connection, whatever the server is doing.
    reader::spawn(output, async move { reading.run(&sender).await });
    Ok(batches)
}

impl Reading {
    async fn prepare(links: &Arc<Links>, request: ReadRequest) -> Result<Self> {
        let mut reader = links.reader().await?;
        let connection = &mut reader.connection;
        let shape = shape(connection, &request.origin).await?;
        let mut columns: Vec<String> = request.columns.iter().map(|column| column.name.clone()).collect();
        columns.extend(
            request
                .key
                .iter()
                .filter(|part| !columns.contains(part))
                .cloned()
                .collect::<Vec<_>>(),
        );
        privilege::named(connection, &shape, &columns).await?;
        if shape.oid.is_some() {
            alone(connection).await?;
        }
        let row_bytes_max = memory::process().row_bytes_max();
        let guard = wide::may_be(connection, &shape)
            .await?
            .then_some((request.bytes_max, row_bytes_max));
        let selection = select(connection, &shape, &request, guard).await?;
        privilege::explain(connection, &selection.sql)
            .await
            .map_err(|error| failure::preparing(&error))?;
        intact::check(connection).await?;
        Ok(Self {
            reader,
            portion: Portion::new(&request, &shape, &selection),
            selection,
            wide: Wide {
                links: Arc::clone(links),
                shape,
                request,
            },
        })
    }

    /// Reads to the end.
    async fn run(mut self, output: &Output) -> Result<()> {
        let copy = format!("copy (\n{}\n) to stdout (format binary)", self.selection.sql);
        let mut tuples = Tuples::new(self.selection.fields);
        {
            let mut messages = self
                .reader
                .connection
                .copy_out_raw(&copy)
                .await
                .map_err(|error| failure::reading(&error))?;
            while let Some(message) = messages.next().await {
                tuples.push(message.map_err(|error| failure::reading(&error))?);
                while let Some(tuple) = tuples.next()? {
                    self.portion.take_memory().await;
                    match portion::lengths(tuple, &self.selection)? {
                        None => {
                            if tuple.len() > self.wide.request.bytes_max {
                                // It came whole, because it would not be found again: what it takes beside the
                                // driver's buffer is waited for here.
                                if !self.portion.is_empty() {
                                    send(&mut self.portion, output).await?;
                                }
                                self.portion.take_memory_for(tuple.len()).await?;
                            }
                            self.portion.add(tuple, &self.selection)?;
                        }
                        Some(lengths) => {
                            let row = (tuple, &self.selection);
                            self.wide.take_in(&mut self.portion, row, &lengths, output).await?;
                        }
                    }
                    if self.portion.is_full() {
                        send(&mut self.portion, output).await?;
                    }
                }
            }
        }
        tuples.finish()?;
        // A function may have read what no statement names.
        intact::check(&mut self.reader.connection).await?;
        if !self.portion.is_empty() {
            send(&mut self.portion, output).await?;
        }
        self.wide.links.finish(self.reader).await
    }
}

/// A relation is read by one process with room to sort in. Splits are what reads side by side:
/// the server's own workers each hand their rows on to the one that sends them, which costs a
/// second processor and was no faster. What is sorted in little memory is written to disk and
/// read again several times. A query is left to the server's settings.
async fn alone(connection: &mut PgConnection) -> Result<()> {
    sqlx::query(
        "select pg_catalog.set_config('max_parallel_workers_per_gather', '0', true),
             case when pg_catalog.pg_size_bytes(pg_catalog.current_setting('work_mem')) < pg_catalog.pg_size_bytes($1)
                 then pg_catalog.set_config('work_mem', $1, true) end",
    )
    .bind(SORT_MEMORY)
    .execute(connection)
    .await
    .map_err(|error| classify(&error))?;
    Ok(())
}

pub(super) async fn send(portion: &mut Portion, output: &Output) -> Result<()> {
    let batch = portion.finish()?;
    output
        .send(Ok(batch))
        .await
        .map_err(|_| Error::new(ErrorKind::Interrupted, "nobody waits for the rows"))
}
