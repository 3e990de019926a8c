//! Fan-out: streams that read the same rows from the same place share one reader.
//!
//! Every stream that is expected takes its place in the room, or leaves it; then those that ask
//! for the same position are served by one `read` over the union of their columns, each with its
//! own columns in its own order. The slowest sets the pace. Whoever comes later, or comes again
//! after a failure, reads alone; whoever drops its receiver is no longer waited for.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{mpsc, oneshot};

use crate::data::batch::SourceBatch;
use crate::data::position::Position;
use crate::data::stream::{ReadColumn, ReadRequest};
use crate::source::{BATCHES_IN_FLIGHT_MAX, Batches, Source};
use crate::{Error, ErrorKind, Result};

type Sender = mpsc::Sender<Result<SourceBatch>>;

/// Where the streams of a unit meet before they read.
pub(crate) struct Room {
    source: Arc<dyn Source>,
    inside: Mutex<Inside>,
}

struct Inside {
    /// How many are still expected.
    to_come: usize,
    waiting: Vec<Waiting>,
}

struct Waiting {
    request: ReadRequest,
    answer: oneshot::Sender<Result<Batches>>,
}

/// One stream's place. Dropping it before it was taken tells the others not to wait.
pub(crate) struct Seat {
    room: Arc<Room>,
    taken: AtomicBool,
}

impl Room {
    /// One seat for each of `seats` streams.
    pub(crate) fn seats(source: &Arc<dyn Source>, seats: usize) -> Vec<Seat> {
        let room = Arc::new(Self {
            source: Arc::clone(source),
            inside: Mutex::new(Inside {
                to_come: seats,
                waiting: Vec::new(),
            }),
        });
        (0..seats)
            .map(|_| Seat {
                room: Arc::clone(&room),
                taken: AtomicBool::new(false),
            })
            .collect()
    }

    /// One less is expected; the last one opens the doors.
    fn arrive(&self, waiting: Option<Waiting>) {
        let all = {
            let mut inside = self.inside.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            inside.waiting.extend(waiting);
            inside.to_come = inside.to_come.saturating_sub(1);
            if inside.to_come > 0 {
                return;
            }
            std::mem::take(&mut inside.waiting)
        };
        // Outside of a runtime there is nobody left to serve.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            for together in by_place(all) {
                runtime.spawn(serve(Arc::clone(&self.source), together));
            }
        }
    }
}

impl Seat {
    /// Starts reading: the first time together with the others, later alone.
    ///
    /// # Errors
    /// What the source fails with.
    pub(crate) async fn read(&self, request: ReadRequest) -> Result<Batches> {
        if self.taken.swap(true, Ordering::Relaxed) {
            return self.room.source.read(request).await;
        }
        let (answer, told) = oneshot::channel();
        self.room.arrive(Some(Waiting { request, answer }));
        told.await
            .unwrap_or_else(|_| Err(Error::new(ErrorKind::Internal, "the shared reader gave no answer")))
    }

    /// The others need not wait.
    pub(crate) fn leave(&self) {
        if !self.taken.swap(true, Ordering::Relaxed) {
            self.room.arrive(None);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Requests that differ in nothing but their columns, put together.
fn by_place(all: Vec<Waiting>) -> Vec<Vec<Waiting>> {
    let mut places: Vec<Vec<Waiting>> = Vec::new();
    for waiting in all {
        let same = places.iter_mut().find(|place| {
            let first = &place[0].request;
            let alike = ReadRequest {
                columns: waiting.request.columns.clone(),
                ..first.clone()
            };
            alike == waiting.request && union(place.iter().map(|seat| &seat.request).chain([&waiting.request])).is_some()
        });
        match same {
            Some(place) => place.push(waiting),
            None => places.push(vec![waiting]),
        }
    }
    places
}

/// All columns of several requests; `None` where one is wanted as two types.
fn union<'a>(requests: impl Iterator<Item = &'a ReadRequest>) -> Option<Vec<ReadColumn>> {
    let mut all: Vec<ReadColumn> = Vec::new();
    for column in requests.flat_map(|request| &request.columns) {
        match all.iter().find(|known| known.name == column.name) {
            Some(known) if known.ty != column.ty => return None,
            Some(_) => {}
            None => all.push(column.clone()),
        }
    }
    Some(all)
}

/// Reads once for all who wait at one place.
async fn serve(source: Arc<dyn Source>, mut seats: Vec<Waiting>) {
    seats.retain(|seat| !seat.answer.is_closed());
    let (Some(first), Some(columns)) = (seats.first(), union(seats.iter().map(|seat| &seat.request))) else {
        return;
    };
    let request = ReadRequest {
        columns,
        ..first.request.clone()
    };
    if seats.len() == 1 {
        for seat in seats {
            // Nobody is told where nobody waits any more.
            drop(seat.answer.send(source.read(seat.request).await));
        }
        return;
    }
    let batches = match source.read(request.clone()).await {
        Ok(batches) => batches,
        Err(error) => {
            for seat in seats {
                drop(seat.answer.send(Err(error.again())));
            }
            return;
        }
    };
    let mut guests = Vec::with_capacity(seats.len());
    for seat in seats {
        let (sender, receiver) = mpsc::channel(BATCHES_IN_FLIGHT_MAX);
        if seat.answer.send(Ok(receiver)).is_ok() {
            guests.push(Guest::new(&source, seat.request, &request.columns, sender));
        }
    }
    hand_out(batches, guests).await;
}

/// Gives every batch to all who still receive.
async fn hand_out(mut batches: Batches, mut guests: Vec<Guest>) {
    while let Some(batch) = batches.recv().await {
        match batch {
            Ok(batch) => {
                let given = futures::future::join_all(guests.into_iter().map(|guest| guest.take(&batch))).await;
                guests = given.into_iter().flatten().collect();
            }
            Err(error) => {
                for guest in guests {
                    drop(guest.sender.send(Err(error.again())).await);
                }
                return;
            }
        }
        if guests.is_empty() {
            return;
        }
    }
}

/// One of several who are read for.
struct Guest {
    source: Arc<dyn Source>,
    request: ReadRequest,
    /// For each wanted column its place among those read; `None` where all are wanted as read.
    places: Option<Vec<usize>>,
    sender: Sender,
}

impl Guest {
    fn new(source: &Arc<dyn Source>, request: ReadRequest, read: &[ReadColumn], sender: Sender) -> Self {
        let places = (request.columns != read).then(|| {
            let wanted = request.columns.iter();
            wanted
                .filter_map(|column| read.iter().position(|other| other.name == column.name))
                .collect()
        });
        Self {
            source: Arc::clone(source),
            request,
            places,
            sender,
        }
    }

    /// Hands the batch on; `None` when this one is not to be read for any more.
    async fn take(mut self, batch: &SourceBatch) -> Option<Self> {
        if batch.rejects.iter().any(|reject| !self.concerns(reject.column.as_deref())) {
            // For this stream the row is good.
            tokio::spawn(self.go_on_alone());
            return None;
        }
        let own = self.own(batch);
        let failed = own.is_err();
        self.request.after = Some(Position::moved_on(self.request.after.as_ref(), batch.position.clone()));
        let sent = self.sender.send(own).await.is_ok();
        (sent && !failed).then_some(self)
    }

    /// Whether a fault in a column makes the row unreadable for this stream.
    fn concerns(&self, column: Option<&str>) -> bool {
        column.is_none_or(|column| {
            self.request.key.iter().any(|key| key == column) || self.request.columns.iter().any(|own| own.name == column)
        })
    }

    fn own(&self, batch: &SourceBatch) -> Result<SourceBatch> {
        let mut own = batch.clone();
        if let Some(places) = &self.places {
            own.rows = batch.rows.project(places).map_err(|error| {
                Error::new(ErrorKind::Internal, "the columns of a stream are not among those read for it").because(error)
            })?;
        }
        Ok(own)
    }

    /// Reads what is left, for this stream alone.
    async fn go_on_alone(self) {
        match self.source.read(self.request).await {
            Ok(mut batches) => {
                while let Some(batch) = batches.recv().await {
                    if self.sender.send(batch).await.is_err() {
                        return;
                    }
                }
            }
            Err(error) => drop(self.sender.send(Err(error)).await),
        }
    }
}
