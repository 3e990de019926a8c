//! The source's side: its rows through the mapping, as the keys that they should be.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, StringArray};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use tokio::sync::mpsc;

use super::Keyed;
use super::places::{Part, Places, REMEMBERED_MAX, Survey, Winners};
use super::reading::{Drawn, Reading};
use crate::config::limits::Limits;
use crate::data::keyed::form::KeyFacts;
use crate::data::keyed::{Collision, KeyType};
use crate::data::position::Key;
use crate::data::stream::{Order, Origin, ReadRequest, Subject};
use crate::pipeline::plan::PlannedStream;
use crate::source::Source;
use crate::verify::side::{Form, Handles, PORTIONS_IN_FLIGHT_MAX, Portion, Portions, Side, Wanted};
use crate::{Error, ErrorKind, Result};

/// The source of a stream that writes keys.
pub(super) struct KeyedSource {
    rows: Arc<Rows>,
}

/// All that reading needs.
struct Rows {
    reading: Arc<Reading>,
    /// Makes what tells the rows apart, alone.
    narrow: Option<Arc<Reading>>,
    /// Reads all that the mapping needs.
    request: ReadRequest,
    /// Rows may meet in one key, and the last of them counts.
    later_wins: bool,
    /// Most keys that are remembered in one reading.
    most: usize,
}

/// What is remembered from row to row in one reading.
enum Memory {
    /// Nothing.
    None,
    Places(Places),
    Winners(Winners),
}

impl KeyedSource {
    pub(super) fn new(
        keyed: Arc<Keyed>,
        stream: &PlannedStream,
        (source, subject): (Arc<dyn Source>, Option<Subject>),
        limits: Limits,
    ) -> Self {
        let layout = &keyed.layout;
        let meet = !stream.write.keys_distinct && !layout.key_type.is_ordered();
        let later_wins = meet && layout.collision == Collision::LaterWins;
        let narrow = if layout.key_type.is_ordered() || later_wins {
            None
        } else {
            stream.transform.narrowed(&layout.key_columns())
        };
        let request = ReadRequest {
            origin: stream.origin.clone(),
            columns: stream.transform.read_columns().to_vec(),
            key: stream.source_key.clone(),
            order: if layout.order_matters() { Order::Key } else { Order::Any },
            after: None,
            subject,
            only: None,
            piece: None,
            rows_max: limits.portion_rows_max,
            bytes_max: limits.portion_bytes_max,
            patience: Duration::from_secs(limits.retry_seconds_max),
        };
        let narrow = narrow.map(|narrow| Reading {
            source: Arc::clone(&source),
            columns: narrow.target_columns().to_vec(),
            transform: Arc::new(narrow),
            keyed: Arc::clone(&keyed),
            keys_alone: true,
        });
        let reading = Reading {
            source,
            columns: stream.write.columns.clone(),
            transform: Arc::clone(&stream.transform),
            keyed,
            keys_alone: false,
        };
        Self {
            rows: Arc::new(Rows {
                reading: Arc::new(reading),
                narrow: narrow.map(Arc::new),
                request,
                later_wins,
                most: REMEMBERED_MAX,
            }),
        }
    }
}

#[async_trait]
impl Side for KeyedSource {
    fn form(&self) -> &Form {
        &self.rows.reading.keyed.compared
    }

    /// The place of an element is not to be had without those before it; and a query is run as a
    /// whole for each row that is asked for.
    fn finds(&self) -> bool {
        let request = &self.rows.request;
        !request.key.is_empty() && matches!(request.origin, Origin::Table(_)) && !self.rows.is_ordered()
    }

    fn notes(&self, _missing: bool) -> Vec<String> {
        if !self.rows.later_wins {
            return Vec::new();
        }
        let mut notes = vec!["of rows with one key the last counts; those before it are told as filtered".to_owned()];
        if self.rows.request.subject.is_some() {
            notes.push("rows that were not looked at may come later: what differs may be theirs".to_owned());
        }
        notes
    }

    async fn read(&self, wanted: Wanted) -> Result<Portions> {
        // What has expired is told by the server's clock, each time anew.
        let facts = self.rows.reading.keyed.sink.key_facts().await?;
        let (give, taken) = mpsc::channel(PORTIONS_IN_FLIGHT_MAX);
        let rows = Arc::clone(&self.rows);
        tokio::spawn(async move {
            if let Err(error) = rows.run(facts, wanted, &give).await {
                // Nobody is there any more: then nobody misses it.
                drop(give.send(Err(error)).await);
            }
        });
        Ok(taken)
    }
}

impl Rows {
    fn is_ordered(&self) -> bool {
        self.reading.keyed.layout.key_type.is_ordered()
    }

    async fn run(&self, facts: KeyFacts, wanted: Wanted, give: &mpsc::Sender<Result<Portion>>) -> Result<()> {
        let (only, handles, keys_alone) = match wanted {
            Wanted::All { handles } => (None, handles && !self.request.key.is_empty(), false),
            Wanted::Piece(_) | Wanted::Since(_) => return Err(super::whole()),
            Wanted::Keys { only } => (only, true, true),
            Wanted::These(keys) => (Some(keys), true, false),
        };
        let remembers = only.is_none() && (self.is_ordered() || self.later_wins);
        let (reading, request) = match &self.narrow {
            Some(narrow) if keys_alone => (narrow, self.request(Some(narrow), only)),
            _ => (&self.reading, self.request(None, only)),
        };
        let parts = if remembers { self.parts(&request, facts).await? } else { 1 };
        for number in 0..parts {
            let part = Part { number, of: parts };
            let memory = match self.is_ordered() {
                _ if !remembers => Memory::None,
                true => Memory::Places(Places::default()),
                false => Memory::Winners(self.winners(&request, facts, part).await?),
            };
            let mut hand_on = HandOn {
                keyed: Arc::clone(&reading.keyed),
                part,
                handles,
                keys_alone,
                memory,
                give: give.clone(),
            };
            reading.each(request.clone(), facts, move |drawn| hand_on.take(drawn)).await?;
        }
        Ok(())
    }

    fn request(&self, narrow: Option<&Arc<Reading>>, only: Option<Vec<Key>>) -> ReadRequest {
        let mut request = self.request.clone();
        if let Some(narrow) = narrow {
            request.columns = narrow.transform.read_columns().to_vec();
        }
        if only.is_some() {
            request.subject = None;
        }
        request.only = only;
        request
    }

    /// In how many parts the keys have to be looked at.
    async fn parts(&self, request: &ReadRequest, facts: KeyFacts) -> Result<u64> {
        if let Some(rows) = self.reading.source.count(&request.origin).await?
            && usize::try_from(rows).is_ok_and(|rows| rows <= self.most)
        {
            return Ok(1);
        }
        let gathered = Gathered::new(Survey::new(self.most));
        let into = gathered.clone();
        let survey =
            move |drawn: Drawn| into.with(|survey| drawn.rendered.identities().into_iter().for_each(|key| survey.add(key)));
        self.reading.each(request.clone(), facts, survey).await?;
        gathered.end(|survey| survey.parts())
    }

    /// The last rows of the keys of a part.
    async fn winners(&self, request: &ReadRequest, facts: KeyFacts, part: Part) -> Result<Winners> {
        let gathered = Gathered::new(Winners::default());
        let into = gathered.clone();
        let gather = move |drawn: Drawn| {
            into.with(|winners| {
                for (row, key) in drawn.rendered.identities().into_iter().enumerate() {
                    if part.has(key) {
                        winners.add(key, &drawn.identity(row));
                    }
                }
            })
        };
        self.reading.each(request.clone(), facts, gather).await?;
        gathered.end(std::mem::take)
    }
}

/// What is gathered on the thread that reads.
struct Gathered<T>(Arc<std::sync::Mutex<T>>);

impl<T> Clone for Gathered<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Gathered<T> {
    fn new(empty: T) -> Self {
        Self(Arc::new(std::sync::Mutex::new(empty)))
    }

    /// Adds to it; goes on.
    fn with(&self, add: impl FnOnce(&mut T)) -> Result<bool> {
        add(&mut *self.0.lock().map_err(|_| lost())?);
        Ok(true)
    }

    fn end<R>(&self, take: impl FnOnce(&mut T) -> R) -> Result<R> {
        Ok(take(&mut *self.0.lock().map_err(|_| lost())?))
    }
}

/// Hands rows on to who compares.
struct HandOn {
    keyed: Arc<Keyed>,
    part: Part,
    handles: bool,
    keys_alone: bool,
    memory: Memory,
    give: mpsc::Sender<Result<Portion>>,
}

impl HandOn {
    fn take(&mut self, mut drawn: Drawn) -> Result<bool> {
        let mut overwritten = 0;
        let mut places = Vec::new();
        if !matches!(self.memory, Memory::None) {
            let mut keep = Vec::with_capacity(drawn.rendered.origin.len());
            for (row, key) in drawn.rendered.identities().into_iter().enumerate() {
                keep.push(match &mut self.memory {
                    _ if !self.part.has(key) => false,
                    Memory::None => true,
                    Memory::Places(counted) => {
                        places.push(counted.next(key));
                        true
                    }
                    Memory::Winners(winners) => {
                        let last = winners.is_last(key, &drawn.identity(row));
                        overwritten += u64::from(!last);
                        last
                    }
                });
            }
            let keep = BooleanArray::from(keep);
            if keep.has_false() {
                drawn.rendered.keep(&keep)?;
            }
        }
        let portion = self.portion(&drawn, places, overwritten)?;
        if portion.read == 0 {
            return Ok(true);
        }
        Ok(self.give.blocking_send(Ok(portion)).is_ok())
    }

    fn portion(&self, drawn: &Drawn, places: Vec<i64>, overwritten: u64) -> Result<Portion> {
        let rendered = &drawn.rendered;
        let rows = self.rows(drawn, places)?;
        let handles = self.handles.then(|| Handles {
            keys: Arc::clone(&drawn.source.keys),
            origin: Some((0..rows.num_rows()).map(|row| drawn.origin(row)).collect()),
        });
        // What is in no part is told with the first.
        let once = |count: u64| if self.part.number == 0 { count } else { 0 };
        let refused = (drawn.source.rejects.len() + drawn.target.rejects.len()) as u64 + rendered.refused;
        let filtered = once(drawn.target.filtered) + overwritten;
        let (expired, refused) = (once(rendered.expired), once(refused));
        Ok(Portion {
            read: rows.num_rows() as u64 + filtered + expired + refused,
            rows,
            handles,
            filtered,
            expired,
            refused,
            unreadable: Vec::new(),
            memory: drawn.source.memory.clone(),
        })
    }

    fn rows(&self, drawn: &Drawn, places: Vec<i64>) -> Result<RecordBatch> {
        let rendered = &drawn.rendered;
        let mut columns: Vec<ArrayRef> = vec![Arc::new(rendered.keys.clone())];
        columns.extend(rendered.members.clone());
        match self.keyed.layout.key_type {
            KeyType::List => columns.push(Arc::new(Int64Array::from(places))),
            // Entries are numbered from 1 on where they are written.
            KeyType::Stream => {
                let ids = places.into_iter().map(|place| format!("0-{}", place + 1));
                columns.push(Arc::new(StringArray::from_iter_values(ids)));
            }
            _ => {}
        }
        columns.extend(rendered.rest.iter().cloned());
        let schema = self.keyed.form.schema();
        if self.keys_alone {
            let schema = schema.project(&self.keyed.compared.key).map_err(|_| lost())?;
            columns.truncate(schema.fields().len());
            return RecordBatch::try_new(Arc::new(schema), columns).map_err(|_| lost());
        }
        RecordBatch::try_new(schema, columns).map_err(|_| lost())
    }
}

pub(super) fn lost() -> Error {
    Error::new(ErrorKind::Internal, "rows of keys were lost on their way to be compared")
}
