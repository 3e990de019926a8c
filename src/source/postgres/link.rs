//! Links: connections that are ours, and the one moment that all readers see.
//!
//! One connection, the holder, keeps the moment open: it exports its snapshot and touches no
//! table, for a lock of a transaction that stays open for hours would block the application
//! behind the first `alter table`. Every reader begins its own read-only transaction in that
//! snapshot. When the holder is lost its moment is lost with it: the next one who asks begins
//! another.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, Row as _};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};

use crate::postgres::connect::Address;
use crate::postgres::error::{self, classify};
use crate::{Error, ErrorKind, Result};

/// Readers at one time; whoever comes later waits.
const READERS_MAX: usize = 16;
/// Longest time that a connection of ours may take to say that it is there.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(15);
/// Connections that are kept open without work.
const IDLE_MAX: usize = 4;

/// Connections to one database.
pub(super) struct Links {
    address: Address,
    seats: Arc<Semaphore>,
    /// For one reader more, of rows that others read alone.
    aside: Arc<Semaphore>,
    held: Mutex<Option<Held>>,
    idle: std::sync::Mutex<Vec<PgConnection>>,
}

/// The moment, and the connection that holds it.
struct Held {
    connection: PgConnection,
    snapshot: String,
    moment: String,
}

/// A connection in a read-only transaction that sees the moment. Dropped without
/// [`Links::finish`] it is closed, whatever its server is doing.
pub(super) struct Reader {
    pub(super) connection: PgConnection,
    _seat: OwnedSemaphorePermit,
}

impl Links {
    /// Connects once, so that an address that does not work is told at once.
    pub(super) async fn open(address: Address) -> Result<Self> {
        let links = Self {
            address,
            seats: Arc::new(Semaphore::new(READERS_MAX)),
            aside: Arc::new(Semaphore::new(1)),
            held: Mutex::new(None),
            idle: std::sync::Mutex::new(Vec::new()),
        };
        let first = links.address.connect(None).await?;
        links.give_back(first);
        Ok(links)
    }

    /// A connection outside of the moment, for the catalog. Given back after use; after a failure
    /// it is dropped.
    pub(super) async fn lease(&self) -> Result<PgConnection> {
        if let Some(mut connection) = self.take_idle()
            && is_there(&mut connection).await
        {
            return Ok(connection);
        }
        self.address.connect(None).await
    }

    /// Keeps a connection that is in no transaction for the next one.
    pub(super) fn give_back(&self, connection: PgConnection) {
        if let Ok(mut idle) = self.idle.lock()
            && idle.len() < IDLE_MAX
        {
            idle.push(connection);
        }
    }

    fn take_idle(&self) -> Option<PgConnection> {
        self.idle.lock().ok()?.pop()
    }

    /// Names the moment that readers see from here on (Invariant 14).
    pub(super) async fn moment(&self) -> Result<String> {
        let mut held = self.held.lock().await;
        if let Some(holder) = held.as_mut()
            && !is_there(&mut holder.connection).await
        {
            *held = None;
        }
        Ok(self.holder(&mut held).await?.moment.clone())
    }

    /// Version of the server, as it tells it.
    pub(super) async fn version(&self) -> Result<String> {
        let mut reader = self.reader().await?;
        let told = sqlx::query("select pg_catalog.current_setting('server_version')")
            .fetch_one(&mut reader.connection)
            .await
            .and_then(|row| row.try_get(0))
            .map_err(|error| classify(&error))?;
        self.finish(reader).await?;
        Ok(told)
    }

    /// A transaction that sees the moment.
    ///
    /// # Errors
    /// [`ErrorKind::Lost`] where the moment went with its connection; asked again, it is another.
    pub(super) async fn reader(&self) -> Result<Reader> {
        self.seated(&self.seats).await
    }

    /// The same for a reader that waits for a single row. There is one of them at a time, whatever the others
    /// do.
    ///
    /// # Errors
    /// As [`Self::reader`].
    pub(super) async fn aside(&self) -> Result<Reader> {
        self.seated(&self.aside).await
    }

    async fn seated(&self, seats: &Arc<Semaphore>) -> Result<Reader> {
        let seat = Arc::clone(seats)
            .acquire_owned()
            .await
            .map_err(|_| Error::new(ErrorKind::Internal, "the source is closed"))?;
        let snapshot = {
            let mut held = self.held.lock().await;
            self.holder(&mut held).await?.snapshot.clone()
        };
        let mut connection = self.lease().await?;
        let begin = format!(
            "begin isolation level repeatable read read only; set transaction snapshot '{}'",
            snapshot.replace('\'', "''")
        );
        match connection.execute(sqlx::raw_sql(AssertSqlSafe(begin))).await {
            Ok(_) => Ok(Reader { connection, _seat: seat }),
            // The snapshot's file is gone, with the session that had exported it.
            Err(gone) if matches!(error::code(&gone), Some("22023" | "42704" | "55000")) => {
                self.forget(&snapshot).await;
                Err(error::lost(
                    "the moment that was read is gone with the connection that held it",
                ))
            }
            Err(error) => Err(classify(&error)),
        }
    }

    /// Ends a reader's transaction and keeps its connection.
    pub(super) async fn finish(&self, reader: Reader) -> Result<()> {
        let mut connection = reader.connection;
        connection
            .execute(sqlx::raw_sql("commit"))
            .await
            .map_err(|error| classify(&error))?;
        self.give_back(connection);
        Ok(())
    }

    /// Ends the moment; its connection is kept for the next one.
    pub(super) async fn let_go(&self) -> Result<()> {
        if let Some(mut held) = self.held.lock().await.take() {
            let ended = held.connection.execute(sqlx::raw_sql("rollback")).await;
            ended.map_err(|error| classify(&error))?;
            self.give_back(held.connection);
        }
        Ok(())
    }

    async fn forget(&self, snapshot: &str) {
        let mut held = self.held.lock().await;
        if held.as_ref().is_some_and(|holder| holder.snapshot == snapshot) {
            *held = None;
        }
    }

    async fn holder<'a>(&self, held: &'a mut Option<Held>) -> Result<&'a Held> {
        if held.is_none() {
            *held = Some(hold(self.lease().await?, self.address.database()).await?);
        }
        held.as_ref()
            .ok_or_else(|| Error::new(ErrorKind::Internal, "the moment is gone as soon as it was there"))
    }
}

async fn is_there(connection: &mut PgConnection) -> bool {
    let answer = tokio::time::timeout(ANSWER_TIME_MAX, connection.ping()).await;
    matches!(answer, Ok(Ok(())))
}

/// Begins a moment.
async fn hold(mut connection: PgConnection, database: &str) -> Result<Held> {
    let log = log_position(&mut connection).await;
    connection
        .execute(sqlx::raw_sql("begin isolation level repeatable read read only"))
        .await
        .map_err(|error| classify(&error))?;
    let row = connection
        .fetch_one(
            "select pg_catalog.pg_export_snapshot(),
                 pg_catalog.to_char(pg_catalog.clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'),
                 pg_catalog.txid_current_snapshot()::text",
        )
        .await
        .map_err(|error| classify(&error))?;
    let text = |index: usize| row.try_get::<String, _>(index).map_err(|error| classify(&error));
    let moment = format!("{} at {}, snapshot {}, log {log}", database, text(1)?, text(2)?);
    Ok(Held {
        snapshot: text(0)?,
        moment,
        connection,
    })
}

/// Where the write-ahead log is, if the role may ask: a name more for the moment, no need of it.
async fn log_position(connection: &mut PgConnection) -> String {
    let position = async {
        let standby: bool = connection
            .fetch_one("select pg_catalog.pg_is_in_recovery()")
            .await?
            .try_get(0)?;
        let ask = if standby {
            "select pg_catalog.pg_last_wal_replay_lsn()::text"
        } else {
            "select pg_catalog.pg_current_wal_lsn()::text"
        };
        connection.fetch_one(ask).await?.try_get::<Option<String>, _>(0)
    };
    position.await.ok().flatten().unwrap_or_else(|| "unknown".to_owned())
}
