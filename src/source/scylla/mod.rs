//! Tables of a CQL keyspace, read as what a stream has written: by token ranges or by primary key.
//!
//! Rows have no order to go on in after a stop, so no stream reads from here; whoever compares or
//! mends a target does. Nothing is written. A keyspace is live: two pages show two moments, each
//! what most replicas of a datacenter agree on.
//!
//! Owns: how the ring is cut ([`ring`]), how pages are asked for and asked for again ([`page`]),
//! what rows are called ([`key`]). Values are decoded in [`crate::cql::decode`].

use std::sync::Arc;

use async_trait::async_trait;

use super::{Batches, Source};
use crate::config::connection::ScyllaCluster;
use crate::cql::connect::Keyspace;
use crate::data::stream::{Origin, ReadRequest, Subject};
use crate::data::table::{Table, TableName};
use crate::{Error, ErrorKind, Result};

mod key;
mod page;
mod points;
mod portion;
mod ranges;
mod read;
mod ring;
mod selection;
mod server;

use server::Server;

/// A keyspace, only read.
pub(super) struct ScyllaSource {
    keyspace: Arc<Keyspace>,
    server: Server,
    /// When it was opened: a live keyspace has no moment of its own.
    opened_at: u64,
}

impl ScyllaSource {
    /// Connects for the connection `name`.
    pub(super) async fn open(name: &str, cluster: &ScyllaCluster) -> Result<Self> {
        let Some(keyspace) = Keyspace::open_if_exists(name, cluster).await? else {
            return Err(Error::new(
                ErrorKind::Missing,
                format!("connection `{name}`: there is no keyspace `{}`", cluster.keyspace),
            )
            .hint("`dbferry schema apply PROJECT` and a run create it where the connection says `create_database = true`"));
        };
        let server = Server::ask(&keyspace).await?;
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Ok(Self {
            keyspace: Arc::new(keyspace),
            server,
            opened_at: since.unwrap_or_default().as_secs(),
        })
    }
}

#[async_trait]
impl Source for ScyllaSource {
    async fn tables(&self) -> Result<Vec<TableName>> {
        Ok(self.keyspace.table_names())
    }

    async fn table(&self, name: &TableName) -> Result<Option<Table>> {
        self.keyspace.table(name)
    }

    async fn query(&self, _sql: &str) -> Result<Table> {
        Err(Error::new(
            ErrorKind::Mapping,
            format!(
                "connection `{}`: a keyspace is read by its tables, not by queries",
                self.keyspace.connection
            ),
        ))
    }

    async fn count(&self, origin: &Origin) -> Result<Option<u64>> {
        self.server.splits_by_token(&self.keyspace)?;
        ranges::count(&self.keyspace, origin).await.map(Some)
    }

    async fn check_subject(&self, _origin: &Origin, _condition: &str) -> Result<Vec<String>> {
        Err(self.no_condition())
    }

    async fn count_subject(&self, _origin: &Origin, _subject: &Subject) -> Result<u64> {
        Err(self.no_condition())
    }

    fn is_live(&self) -> bool {
        true
    }

    async fn moment(&self) -> Result<String> {
        Ok(format!("{} live since unix time {}", self.keyspace.name, self.opened_at))
    }

    async fn version(&self) -> Result<Option<String>> {
        Ok(Some(self.server.version.clone()))
    }

    async fn read(&self, request: ReadRequest) -> Result<Batches> {
        if request.subject.is_some() {
            return Err(self.no_condition());
        }
        if request.only.is_none() {
            self.server.splits_by_token(&self.keyspace)?;
        }
        read::start(&self.keyspace, request).await
    }
}

impl ScyllaSource {
    fn no_condition(&self) -> Error {
        Error::new(
            ErrorKind::Mapping,
            format!(
                "connection `{}`: rows of a CQL table are found by their key, not by a condition",
                self.keyspace.connection
            ),
        )
    }
}
