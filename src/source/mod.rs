//! Sources: where rows come from.
//!
//! A source knows no sink, no mapping and no checkpoint's meaning. It opens read-only, sees one
//! moment from [`open`] until it is dropped (where its database can do so), and reads rows in
//! the order of a key, so that reading can go on after any of them.

use async_trait::async_trait;
use tokio::sync::mpsc;

use crate::config::connection::{Connection, ConnectionKind};
use crate::data::batch::SourceBatch;
use crate::data::column::ColumnType;
use crate::data::concern::Concern;
use crate::data::piece::Pieces;
use crate::data::position::Position;
use crate::data::spent::{Sample, Spent};
use crate::data::stream::{Origin, ReadRequest, Subject};
use crate::data::table::{Table, TableName};
use crate::{Error, ErrorKind, Result};

mod cosmos;
mod gather;
mod pocketbase;
mod postgres;
mod reader;
mod scylla;
mod sqlite;
mod urgency;

pub(crate) use urgency::give_way;

/// Batches in the order they were read. The reader blocks when the channel is full, and stops
/// when the receiver is dropped. After an `Err` nothing follows. An empty stream yields nothing.
pub type Batches = mpsc::Receiver<Result<SourceBatch>>;

/// Batches that may wait between reader and transform.
pub const BATCHES_IN_FLIGHT_MAX: usize = 2;

/// The reading end.
///
/// Called in this order: [`Source::table`] or [`Source::query`] for each stream while planning,
/// then [`Source::count`], [`Source::splits`] and [`Source::read`] while running. Streams are read
/// side by side: implementations take `&self`, and either serve several readers at once, all of
/// them in one moment, or let the next one wait until a reader has ended or was dropped. The
/// pipeline never makes one reader wait for another.
#[async_trait]
pub trait Source: Send + Sync {
    /// Names of all tables, views and collections that a stream could read, for coverage and for
    /// "did you mean". The database's own and dbferry's tables are left out.
    async fn tables(&self) -> Result<Vec<TableName>>;

    /// Shape of a table; `None` where there is none of that name.
    async fn table(&self, name: &TableName) -> Result<Option<Table>>;

    /// Shape of a query's result. The text is only prepared, never run, and must be one
    /// read-only statement. Columns whose type the database cannot tell are flexible text.
    ///
    /// # Errors
    /// [`ErrorKind::Mapping`] with the database's message where the text is not valid.
    async fn query(&self, sql: &str) -> Result<Table>;

    /// Whether these columns of an origin may be read; found out without reading.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Unauthorised`] that names precisely what is missing where.
    async fn permitted(&self, origin: &Origin, columns: &[String]) -> Result<()> {
        let _ = (origin, columns);
        Ok(())
    }

    /// Exact number of rows that [`Source::read`] without `after` and `only` will yield; `None`
    /// where nothing tells it short of reading them all.
    async fn count(&self, origin: &Origin) -> Result<Option<u64>>;

    /// Prepares the condition by which the rows of a subject are found (SQL of this source over
    /// the origin's columns, `$key` being the key), without running it. Returns what the operator
    /// should know, such as that no index helps and the whole table is looked through.
    ///
    /// # Errors
    /// [`ErrorKind::Mapping`] with the database's message where it is no such condition.
    async fn check_subject(&self, origin: &Origin, condition: &str) -> Result<Vec<String>>;

    /// Prepares a condition in SQL of this source over a table's columns, without running it; returns
    /// about how many rows it holds for, where the database tells without looking at them.
    ///
    /// # Errors
    /// [`ErrorKind::Mapping`] with the database's message where it is no such condition;
    /// [`ErrorKind::Usage`] where the source takes none.
    async fn check_condition(&self, origin: &Origin, condition: &str) -> Result<Option<u64>> {
        let _ = (origin, condition);
        Err(Error::new(
            ErrorKind::Usage,
            "this kind of source takes no conditions of its own",
        ))
    }

    /// Lets go of the moment that it sees: what is read from here on is read at a later one. Nothing is
    /// read while this is called.
    ///
    /// # Errors
    /// By kind; the moment is gone all the same.
    async fn let_go(&self) -> Result<()> {
        Ok(())
    }

    /// Exact number of rows that belong to a subject.
    async fn count_subject(&self, origin: &Origin, subject: &Subject) -> Result<u64>;

    /// Where the splits begin that a stream is cut into: about `parts` of about equal size in the
    /// order of the key ([`Position::Within`]), or as many as the source has
    /// ([`Position::Range`], where it [has ranges](Self::has_ranges)). Each is what reading the
    /// split is asked for with. Empty where the source cannot split, or the stream is too small.
    async fn splits(&self, origin: &Origin, key: &[String], parts: usize) -> Result<Vec<Position>> {
        let _ = (origin, key, parts);
        Ok(Vec::new())
    }

    /// How this table can be read in pieces of about so many bytes, each as fast as the whole is
    /// read in any order, and at different times: what was written between two of them is found
    /// by [`Piece::Since`](crate::data::piece::Piece::Since). `None` where it cannot.
    async fn pieces(&self, origin: &Origin, bytes: u64) -> Result<Option<Pieces>> {
        let _ = (origin, bytes);
        Ok(None)
    }

    /// Whether rows come in ranges that the source itself keeps apart, each with places of its own
    /// to go on from. Such a stream is cut into them whatever its size and the limits say.
    fn has_ranges(&self) -> bool {
        false
    }

    /// Whether it keeps a record of what has changed since a range was read, which
    /// [`Position::Changes`] is a place in.
    fn has_changes(&self) -> bool {
        false
    }

    /// Whether no two pages of this source show one moment: rows that change while it is read are
    /// seen as they were or as they are.
    fn is_live(&self) -> bool {
        false
    }

    /// Number of rows that a [`Concern`] is about, counted exactly; `None` where this source
    /// cannot count them.
    async fn concerned(&self, origin: &Origin, concern: &Concern) -> Result<Option<u64>> {
        let _ = (origin, concern);
        Ok(None)
    }

    /// Names the moment that this source sees, such as a time with a change counter. Two equal
    /// texts mean the same content (Invariant 14). Asked again after a lost connection, for the
    /// moment may have been lost with it.
    async fn moment(&self) -> Result<String>;

    /// Version of the server or library that reads it, where it tells one.
    async fn version(&self) -> Result<Option<String>> {
        Ok(None)
    }

    /// What was asked of this connection since it was opened and what it has cost, planning and all,
    /// where the source is paid for that way. Readers that are shared count once.
    fn spent(&self) -> Option<Spent> {
        None
    }

    /// Reads a few rows of an origin, a page at most, for what they cost; `None` where the source is
    /// not paid for that way.
    async fn sample(&self, origin: &Origin) -> Result<Option<Sample>> {
        let _ = origin;
        Ok(None)
    }

    /// Starts reading. Rows that do not decode exactly into the wanted types are rejects within
    /// their batch; an `Err` in the channel ends the stream.
    ///
    /// # Errors
    /// When the request itself cannot be prepared.
    async fn read(&self, request: ReadRequest) -> Result<Batches>;
}

/// Types that any flexible column can be read as.
#[must_use]
pub fn readable_as(from: &ColumnType, to: &ColumnType, flexible: bool) -> bool {
    from == to || (flexible && !matches!(to, ColumnType::Opaque { .. }))
}

/// Opens a source. The only place that names the connectors.
///
/// # Errors
/// By kind: unreachable, unauthorised, busy, unreadable.
pub async fn open(connection: &Connection) -> Result<Box<dyn Source>> {
    match &connection.kind {
        ConnectionKind::Sqlite { path, .. } => Ok(Box::new(sqlite::SqliteSource::open(&connection.name, path).await?)),
        ConnectionKind::Pocketbase { path } => Ok(Box::new(pocketbase::PocketbaseSource::open(&connection.name, path).await?)),
        ConnectionKind::Postgres { url, .. } => Ok(Box::new(postgres::PostgresSource::open(&connection.name, url).await?)),
        ConnectionKind::Cosmos(account) => Ok(Box::new(cosmos::CosmosSource::open(account).await?)),
        ConnectionKind::Scylla(cluster) => Ok(Box::new(scylla::ScyllaSource::open(&connection.name, cluster).await?)),
        ConnectionKind::Redis(_) => Err(Error::new(
            ErrorKind::Config,
            format!(
                "connection `{}` is a Redis server, which is only ever written",
                connection.name
            ),
        )
        .hint("sources are of kind \"sqlite\", \"pocketbase\", \"postgres\" or \"cosmos\"")),
    }
}
