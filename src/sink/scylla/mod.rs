//! ScyllaDB and Cassandra sink: rows become rows of CQL tables.
//!
//! CQL has no transaction of several partitions. So every write is one that changes nothing the second
//! time: each row is written whole, at a timestamp that belongs to the run and the stream, and the
//! checkpoint follows when all rows are confirmed (`commit.rs`). The ledger is kept in the keyspace, in
//! tables that begin with `dbferry_` (`ledger.rs`); whoever lost the lease is fenced off with the
//! checkpoint, which is written on the condition that both are as they were.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Mutex;
use uuid::Uuid;

use super::{LeaseRequest, Session, Sink};
use crate::Result;
use crate::config::connection::ScyllaCluster;
use crate::cql::connect::Keyspace;
use crate::data::table::{Table, TableName};
use crate::ledger::{Checkpoint, RunRecord, StoredBatch, StoredReject};
use ledger::Ledger;
use session::{Identity, ScyllaSession};

mod chunk;
mod clock;
mod commit;
mod count;
mod decide;
mod delete;
mod lease;
mod ledger;
mod ledger_read;
mod look;
mod portion;
mod read_back;
mod rejects;
mod send;
mod session;
mod statements;
mod stream;
mod write;

/// Sessions of one run that write at once: all of them over one set of connections.
const SESSIONS_MAX: usize = 4;

/// What all sessions of a keyspace have in common.
pub(super) struct Shared {
    keyspace: Arc<Keyspace>,
    ledger: Ledger,
    /// Requests of one session that are on their way at once.
    in_flight: usize,
    /// One of so many batches is read back; 0 none.
    read_back_every: u64,
    /// Keys are claimed by one session after the other, so that no two find the same one free.
    claiming: Mutex<()>,
}

/// ScyllaDB or Cassandra target.
pub(super) struct ScyllaSink {
    shared: Arc<Shared>,
}

impl ScyllaSink {
    pub(super) async fn open(name: &str, cluster: &ScyllaCluster) -> Result<Self> {
        let keyspace = Arc::new(Keyspace::open(name, cluster).await?);
        Ok(Self {
            shared: Arc::new(Shared {
                ledger: Ledger::new(Arc::clone(&keyspace)),
                keyspace,
                in_flight: cluster.requests_in_flight_max,
                read_back_every: cluster.read_back_every_batches,
                claiming: Mutex::default(),
            }),
        })
    }
}

#[async_trait]
impl Sink for ScyllaSink {
    async fn tables(&self) -> Result<Vec<TableName>> {
        self.shared.keyspace.refresh().await?;
        Ok(self.shared.keyspace.table_names())
    }

    async fn table(&self, name: &TableName) -> Result<Option<Table>> {
        self.shared.keyspace.refresh().await?;
        self.shared.keyspace.table(name)
    }

    async fn partition_key(&self, name: &TableName) -> Result<Option<Vec<String>>> {
        let table = self.shared.keyspace.described(name);
        Ok(table.map(|table| table.key.into_iter().take(table.partition).collect()))
    }

    async fn count(&self, name: &TableName) -> Result<u64> {
        count::rows(&self.shared.keyspace, name).await
    }

    async fn checkpoints(&self, project: &str) -> Result<Vec<Checkpoint>> {
        ledger_read::checkpoints(&self.shared.ledger, project).await
    }

    async fn runs(&self, project: &str, rows_max: u32) -> Result<Vec<RunRecord>> {
        ledger_read::runs(&self.shared.ledger, project, rows_max).await
    }

    async fn batches(&self, project: &str, run: Uuid) -> Result<Vec<StoredBatch>> {
        ledger_read::batches(&self.shared.ledger, project, run).await
    }

    async fn rejects(&self, project: &str, stream: Option<&str>, after_id: i64, rows_max: u32) -> Result<Vec<StoredReject>> {
        let mut found = rejects::open(&self.shared.ledger, project, stream).await?;
        found.retain(|(id, _)| *id > after_id);
        found.truncate(usize::try_from(rows_max).unwrap_or(usize::MAX));
        Ok(found.into_iter().map(|(id, reject)| reject.stored(id)).collect())
    }

    async fn reject_counts(&self, project: &str) -> Result<Vec<(String, u64)>> {
        let mut counts: Vec<(String, u64)> = Vec::new();
        for (_, reject) in rejects::open(&self.shared.ledger, project, None).await? {
            match counts.iter_mut().find(|(stream, _)| *stream == reject.stream) {
                Some((_, count)) => *count += 1,
                None => counts.push((reject.stream, 1)),
            }
        }
        Ok(counts)
    }

    async fn acquire(&self, lease: &LeaseRequest) -> Result<Box<dyn Session>> {
        let shared = Arc::clone(&self.shared);
        let (epoch, held) = if lease.dry_run {
            lease::check_free(&shared.ledger, lease).await?;
            (0, None)
        } else {
            shared.ledger.create().await?;
            let (epoch, held) = lease::acquire(&shared.ledger, lease).await?;
            (epoch, Some(held))
        };
        Ok(Box::new(ScyllaSession::new(shared, Identity::of(lease, epoch), held).await?))
    }

    fn sessions_max(&self) -> usize {
        SESSIONS_MAX
    }

    async fn join(&self, lease: &LeaseRequest, epoch: i64) -> Result<Box<dyn Session>> {
        lease::check_held(&self.shared.ledger, &lease.project, lease.run, epoch).await?;
        let identity = Identity::of(lease, epoch);
        Ok(Box::new(ScyllaSession::new(Arc::clone(&self.shared), identity, None).await?))
    }
}
