//! The source's side: rows as they are read, through the mapping, as the target should have them.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use tokio::sync::mpsc;

use super::expiry::Expiry;
use super::side::{self, Compared, Form, Handles, PORTIONS_IN_FLIGHT_MAX, Portion, Portions, Side, Wanted};
use crate::config::limits::Limits;
use crate::data::batch::SourceBatch;
use crate::data::piece::{Piece, Pieces};
use crate::data::position::{Key, Position};
use crate::data::stream::{Order, Origin, ReadRequest, Subject};
use crate::pipeline::plan::PlannedStream;
use crate::pipeline::shared_read::Seat;
use crate::source::Source;
use crate::transform::Transform;
use crate::{Error, ErrorKind, Result};

/// A stream's source behind its mapping.
pub(super) struct MappedSide {
    source: Arc<dyn Source>,
    origin: Origin,
    source_key: Vec<String>,
    subject: Option<Subject>,
    /// Where its first reading is one with that of other streams.
    seat: Option<Seat>,
    transform: Arc<Transform>,
    /// Makes the key's columns alone.
    narrow: Option<Arc<Transform>>,
    form: Form,
    /// Rows end by themselves.
    expiry: Option<Expiry>,
    limits: Limits,
    order: Order,
    /// Rows from this place on.
    place: Option<Position>,
}

/// Form of the rows that a stream writes into a table.
pub(super) fn form(stream: &PlannedStream) -> Form {
    let types = stream.transform.written_types();
    let columns: Vec<_> = stream
        .write
        .columns
        .iter()
        .zip(types)
        .map(|(column, ty)| Compared {
            name: column.name.clone(),
            ty,
            unordered: column.unordered,
        })
        .collect();
    let place = |name: &String| columns.iter().position(|column| column.name == *name);
    let key = stream.write.key.iter().filter_map(place).collect();
    Form { columns, key }
}

impl MappedSide {
    /// The source of a stream; `subject` restricts which of its rows are read, and with a seat they are read
    /// together with other streams the first time.
    pub(super) fn new(
        stream: &PlannedStream,
        source: Arc<dyn Source>,
        (subject, seat): (Option<Subject>, Option<Seat>),
        limits: Limits,
    ) -> Self {
        let form = form(stream);
        let narrow = (!form.key.is_empty())
            .then(|| stream.transform.narrowed(&stream.write.key))
            .flatten();
        Self {
            source,
            origin: stream.origin.clone(),
            source_key: stream.source_key.clone(),
            subject,
            seat,
            transform: Arc::clone(&stream.transform),
            narrow: narrow.map(Arc::new),
            form,
            expiry: Expiry::of(&stream.write),
            limits,
            order: Order::Any,
            place: None,
        }
    }

    /// Only the rows from a place on, in this order.
    pub(super) fn starting_at(mut self, place: Option<Position>, order: Order) -> Self {
        self.order = order;
        self.place = place;
        self
    }

    fn request(&self, transform: &Transform, handles: bool, only: Option<Vec<Key>>) -> ReadRequest {
        let key = if handles { self.source_key.clone() } else { Vec::new() };
        let columns = transform.read_columns().to_vec();
        let request = side::request((&self.origin, columns, key), self.subject.as_ref(), only, &self.limits);
        ReadRequest {
            order: self.order,
            after: self.place.clone(),
            ..request
        }
    }
}

#[async_trait]
impl Side for MappedSide {
    fn form(&self) -> &Form {
        &self.form
    }

    /// A query is run as a whole for each of its rows where the source looks them up one by one.
    fn finds(&self) -> bool {
        !self.source_key.is_empty() && matches!(self.origin, Origin::Table(_)) && !self.form.key.is_empty()
    }

    async fn pieces(&self) -> Result<Option<Pieces>> {
        if self.subject.is_some() || self.form.key.is_empty() {
            return Ok(None);
        }
        self.source.pieces(&self.origin, self.limits.piece_bytes_max).await
    }

    async fn read(&self, wanted: Wanted) -> Result<Portions> {
        let (narrow, handles, only, piece) = match wanted {
            Wanted::All { handles } => (false, handles && !self.source_key.is_empty(), None, None),
            Wanted::Piece(piece) => (false, false, None, Some(piece)),
            Wanted::Since(mark) => (true, false, None, Some(Piece::Since(mark))),
            Wanted::Keys { only } => (true, true, only, None),
            Wanted::These(keys) => (false, true, Some(keys), None),
        };
        let (transform, project) = match (&self.narrow, narrow) {
            (Some(transform), true) => (Arc::clone(transform), None),
            (None, true) => (Arc::clone(&self.transform), Some(self.form.key.clone())),
            (_, false) => (Arc::clone(&self.transform), None),
        };
        // Streams that read together ask for the same, keys and all.
        let keys = handles || transform.judges_keys() || self.seat.is_some();
        let mut request = self.request(&transform, keys, only);
        request.piece = piece;
        // Who falls out of step goes on alone after its last position, which wants an order.
        if self.seat.is_some() && request.order == Order::Any {
            request.order = Order::Stored;
        }
        // Of keys alone it is not known; whoever wants the rows finds out.
        let expiry = self.expiry.filter(|_| !narrow);
        let mut batches = match &self.seat {
            Some(seat) => seat.read(request).await?,
            None => self.source.read(request).await?,
        };
        let (sender, portions) = mpsc::channel(PORTIONS_IN_FLIGHT_MAX);
        // The transform is pure computation: it gets a thread of its own.
        tokio::task::spawn_blocking(move || {
            while let Some(batch) = batches.blocking_recv() {
                let portion = batch.and_then(|batch| mapped(&transform, &batch, project.as_deref(), (handles, expiry)));
                let failed = portion.is_err();
                if sender.blocking_send(portion).is_err() || failed {
                    break;
                }
            }
        });
        Ok(portions)
    }
}

fn mapped(
    transform: &Transform,
    source: &SourceBatch,
    project: Option<&[usize]>,
    (handles, expiry): (bool, Option<Expiry>),
) -> Result<Portion> {
    let target = transform.apply(source)?;
    let accounted = target.rows.num_rows() + target.rejects.len();
    if accounted as u64 + target.filtered != source.rows.num_rows() as u64 {
        return Err(Error::new(ErrorKind::Internal, "the transform lost count of its rows"));
    }
    let refused = (source.rejects.len() + target.rejects.len()) as u64;
    let handles = handles.then(|| Handles {
        keys: Arc::clone(&source.keys),
        origin: Some(target.origin),
    });
    let (rows, handles, expired) = match expiry {
        Some(expiry) => {
            let living = expiry.expected(target.rows)?;
            let handles = handles.map(|handles| living.handles(handles));
            (living.rows, handles, living.expired)
        }
        None => (target.rows, handles, 0),
    };
    Ok(Portion {
        rows: match project {
            Some(places) => projected(&rows, places)?,
            None => rows,
        },
        handles,
        read: source.read(),
        filtered: target.filtered,
        expired,
        refused,
        unreadable: Vec::new(),
        memory: source.memory.clone(),
    })
}

/// Some columns of a batch.
pub(super) fn projected(rows: &RecordBatch, places: &[usize]) -> Result<RecordBatch> {
    rows.project(places)
        .map_err(|error| Error::new(ErrorKind::Internal, "the key's columns are not among the rows").because(error))
}
