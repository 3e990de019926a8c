//! SQLite source: any SQLite file, opened read-only and seen at one moment.
//!
//! One connection holds one read transaction from opening until the source is dropped: in WAL
//! mode the application writes on meanwhile, in every other journal mode it waits. Others beside it
//! see the same moment where they can be had, so that some streams are read side by side, each on a
//! thread of its own. A call for which no connection is free waits until one of the streams ends
//! or its receiver is dropped.
//!
//! Owns: what a storage class means as an exact type ([`decode`]), the order of rows
//! ([`statement`]), the name of a moment ([`moment`]). Knows nothing of PocketBase but the
//! [`Meanings`] that it hands in.

use std::path::Path;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::{BATCHES_IN_FLIGHT_MAX, Batches, Source};
use crate::data::concern::Concern;
use crate::data::piece::Pieces;
use crate::data::stream::{Origin, ReadRequest, Subject};
use crate::data::table::{Table, TableName};
use crate::{Error, ErrorKind, Result};

mod catalog;
mod concern;
mod declared;
mod decode;
mod failure;
mod instant;
mod meaning;
mod moment;
mod number;
mod open;
mod origin;
mod piece;
mod portion;
mod pragma;
mod problem;
mod read;
mod statement;
mod stored;
mod subject;
mod value;
mod wide;

pub(super) use meaning::{Empty, Meaning, Meanings, TableMeaning};
use read::Reading;

/// An SQLite file, opened read-only.
pub(super) struct SqliteSource {
    shared: Arc<Shared>,
    moment: String,
}

/// What the reading threads work with.
struct Shared {
    connection: Mutex<Connection>,
    /// Others that see the same moment: streams are read side by side over them.
    others: Vec<Mutex<Connection>>,
    meanings: Meanings,
}

impl SqliteSource {
    /// Opens `path` for the connection `name` and fixes the moment that is read.
    pub(super) async fn open(name: &str, path: &Path) -> Result<Self> {
        Self::open_with(name, path, |_| Ok(Meanings::default())).await
    }

    /// The same with what `learn` finds out from the database itself.
    pub(super) async fn open_with<F>(name: &str, path: &Path, learn: F) -> Result<Self>
    where
        F: FnOnce(&Connection) -> Result<Meanings> + Send + 'static,
    {
        let (name, path) = (name.to_owned(), path.to_owned());
        blocking(move || {
            let open::Opened { connection, moment } = open::open(&name, &path)?;
            let meanings = learn(&connection).map_err(|error| error.during(format_args!("connection `{name}`")))?;
            let others = open::others(&path, &moment).into_iter().map(Mutex::new).collect();
            Ok(Self {
                shared: Arc::new(Shared {
                    connection: Mutex::new(connection),
                    others,
                    meanings,
                }),
                moment,
            })
        })
        .await
    }

    async fn with<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection, &Meanings) -> Result<T> + Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        blocking(move || shared.with(work)).await
    }
}

impl Shared {
    fn with<T>(&self, work: impl FnOnce(&Connection, &Meanings) -> Result<T>) -> Result<T> {
        let connection = self
            .connection
            .lock()
            .map_err(|_| Error::new(ErrorKind::Internal, "an earlier reader of this source panicked"))?;
        work(&connection, &self.meanings)
    }

    /// The same over a connection that nobody else reads over, if there is one.
    fn with_any<T>(&self, work: impl FnOnce(&Connection, &Meanings) -> Result<T>) -> Result<T> {
        match self.others.iter().find_map(|other| other.try_lock().ok()) {
            Some(connection) => work(&connection, &self.meanings),
            None => self.with(work),
        }
    }
}

/// Runs `work` where it may block.
async fn blocking<T, F>(work: F) -> Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T> + Send + 'static,
{
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Error::new(ErrorKind::Internal, "the thread that reads the source panicked"))?
}

#[async_trait]
impl Source for SqliteSource {
    async fn tables(&self) -> Result<Vec<TableName>> {
        self.with(|connection, _| catalog::names(connection)).await
    }

    async fn table(&self, name: &TableName) -> Result<Option<Table>> {
        let name = name.clone();
        self.with(move |connection, meanings| {
            Ok(catalog::table(connection, meanings, &name)
                .map_err(|error| error.during(format_args!("table `{name}`")))?
                .map(|shape| shape.table))
        })
        .await
    }

    async fn query(&self, sql: &str) -> Result<Table> {
        let sql = sql.to_owned();
        self.with(move |connection, meanings| Ok(catalog::query(connection, meanings, &sql)?.table))
            .await
    }

    async fn count(&self, origin: &Origin) -> Result<Option<u64>> {
        let origin = origin.clone();
        self.with(move |connection, meanings| {
            read::shape(connection, meanings, &origin)?;
            let rows: i64 = connection
                .query_row(&statement::count(&origin), [], |row| row.get(0))
                .map_err(failure::reading)?;
            Ok(Some(rows.unsigned_abs()))
        })
        .await
    }

    async fn pieces(&self, origin: &Origin, bytes: u64) -> Result<Option<Pieces>> {
        let (origin, moment) = (origin.clone(), self.moment.clone());
        self.with(move |connection, meanings| piece::pieces(connection, meanings, &origin, bytes, moment))
            .await
    }

    async fn concerned(&self, origin: &Origin, concern: &Concern) -> Result<Option<u64>> {
        let (origin, concern) = (origin.clone(), concern.clone());
        self.with(move |connection, meanings| concern::count(connection, meanings, &origin, &concern).map(Some))
            .await
    }

    async fn check_subject(&self, origin: &Origin, condition: &str) -> Result<Vec<String>> {
        let (origin, condition) = (origin.clone(), condition.to_owned());
        self.with(move |connection, meanings| {
            read::shape(connection, meanings, &origin)?;
            subject::check(connection, &origin, &condition)
        })
        .await
    }

    async fn count_subject(&self, origin: &Origin, subject: &Subject) -> Result<u64> {
        let (origin, subject) = (origin.clone(), subject.clone());
        self.with(move |connection, meanings| {
            read::shape(connection, meanings, &origin)?;
            subject::count(connection, &origin, &subject)
        })
        .await
    }

    async fn moment(&self) -> Result<String> {
        Ok(self.moment.clone())
    }

    async fn version(&self) -> Result<Option<String>> {
        Ok(Some(rusqlite::version().to_owned()))
    }

    async fn read(&self, request: ReadRequest) -> Result<Batches> {
        let (output, batches) = mpsc::channel(BATCHES_IN_FLIGHT_MAX);
        let (prepared, outcome) = oneshot::channel();
        let (shared, sender) = (Arc::clone(&self.shared), output.clone());
        let reader = tokio::task::spawn_blocking(move || {
            super::give_way();
            shared.with_any(|connection, meanings| {
                let reading = Reading::prepare(connection, meanings, request)?;
                if prepared.send(()).is_err() {
                    return Ok(());
                }
                reading.run(connection, &sender)
            })
        });
        // Whoever cannot be told that the rows end early would take what came for everything:
        // this task outlives a panic of the thread and holds the channel open until it is told.
        tokio::spawn(async move {
            let end = reader
                .await
                .unwrap_or_else(|_| Err(Error::new(ErrorKind::Internal, "the thread that reads the source panicked")));
            if let Err(error) = end {
                // Fails only where nobody receives any more.
                drop(output.send(Err(error)).await);
            }
        });
        match outcome.await {
            Ok(()) => Ok(batches),
            Err(_) => first_error(batches).await,
        }
    }
}

/// The request could not be prepared: its error is what the channel holds.
async fn first_error(mut batches: Batches) -> Result<Batches> {
    match batches.recv().await {
        Some(Err(error)) => Err(error),
        _ => Err(Error::new(
            ErrorKind::Internal,
            "the thread that reads the source gave no answer",
        )),
    }
}
