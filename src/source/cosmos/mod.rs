//! Azure Cosmos DB as a source: documents of containers, range by range.
//!
//! Promises: nothing is written; a document arrives as the service wrote it, digit by digit; a
//! range is gone on with after any page; requests keep to the budget of the connection. A
//! container is live: two pages show two moments, and what changes meanwhile is found by following
//! its changes afterwards.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use azure_data_cosmos::CosmosClient;
use tokio::sync::Mutex;

use super::{Batches, Source};
use crate::config::connection::CosmosAccount;
use crate::data::position::Position;
use crate::data::spent::{Sample, Spent};
use crate::data::stream::{Origin, ReadRequest, Subject};
use crate::data::table::{Table, TableName};
use crate::{Error, ErrorKind, Result};

mod account;
mod batch;
mod budget;
mod changes;
mod container;
mod failure;
mod head;
mod partition;
mod patience;
mod query;
mod read;
mod sample;
mod subject;

use budget::Budget;
use container::Container;

/// Longest time that a range which is about to be read does not answer.
const PIN_PATIENCE: Duration = Duration::from_mins(1);

/// An account's database.
pub(super) struct CosmosSource {
    account: Arc<Account>,
}

/// What all readers share.
struct Account {
    client: CosmosClient,
    database: String,
    /// Names of containers by what mappings call them.
    names: BTreeMap<String, String>,
    opened: Mutex<BTreeMap<String, Container>>,
    budget: Budget,
    /// The documents of the one subject that was asked for, so that all streams share one query.
    subject: Mutex<Option<(Origin, Subject, subject::Documents)>>,
    /// When it was opened: a live source has no moment of its own.
    opened_at: String,
}

impl Account {
    /// The container that a stream reads.
    async fn container(&self, origin: &Origin) -> Result<Container> {
        let Origin::Table(name) = origin else {
            return Err(Error::new(
                ErrorKind::Mapping,
                "a stream reads a container of Cosmos DB as a whole, not by a query",
            )
            .hint("write `from = \"connection.container\"`, and leave rows out with `where`"));
        };
        let missing = || {
            Error::new(ErrorKind::Mapping, format!("the connection names no container `{name}`")).hint("add it to its `containers`")
        };
        let container = self
            .names
            .get(&name.name)
            .filter(|_| name.schema.is_none())
            .ok_or_else(missing)?;
        let mut opened = self.opened.lock().await;
        if let Some(found) = opened.get(&name.name) {
            return Ok(found.clone());
        }
        let found = container::open(&self.client, &self.budget, &self.database, container).await?;
        opened.insert(name.name.clone(), found.clone());
        Ok(found)
    }

    /// All documents of a subject, asked for once.
    async fn of_subject(&self, origin: &Origin, subject: &Subject) -> Result<subject::Documents> {
        let container = self.container(origin).await?;
        let mut known = self.subject.lock().await;
        if let Some((from, of, documents)) = known.as_ref()
            && (from, of) == (origin, subject)
        {
            return Ok(Arc::clone(documents));
        }
        let documents = subject::fetch(&container, &self.budget, subject).await?;
        *known = Some((origin.clone(), subject.clone(), Arc::clone(&documents)));
        Ok(documents)
    }
}

impl CosmosSource {
    /// Connects.
    pub(super) async fn open(connection: &CosmosAccount) -> Result<Self> {
        let client = account::client(connection).await?;
        Ok(Self {
            account: Arc::new(Account {
                client,
                database: connection.database.clone(),
                names: connection.containers.clone(),
                opened: Mutex::default(),
                budget: Budget::new(connection.max_request_units_per_second, connection.pages_in_flight_max),
                subject: Mutex::default(),
                opened_at: now(),
            }),
        })
    }
}

#[async_trait]
impl Source for CosmosSource {
    async fn tables(&self) -> Result<Vec<TableName>> {
        Ok(self.account.names.keys().map(TableName::new).collect())
    }

    async fn table(&self, name: &TableName) -> Result<Option<Table>> {
        if name.schema.is_some() || !self.account.names.contains_key(&name.name) {
            return Ok(None);
        }
        let container = self.account.container(&Origin::Table(name.clone())).await?;
        Ok(Some(Table {
            rows_estimate: container.documents,
            ..container::table(name)
        }))
    }

    async fn query(&self, _sql: &str) -> Result<Table> {
        Err(
            Error::new(ErrorKind::Mapping, "Cosmos DB is not read by queries of a mapping")
                .hint("write `from = \"connection.container\"`, and leave rows out with `where`"),
        )
    }

    async fn count(&self, _origin: &Origin) -> Result<Option<u64>> {
        // The service counts only within one partition key.
        Ok(None)
    }

    async fn check_subject(&self, origin: &Origin, condition: &str) -> Result<Vec<String>> {
        let container = self.account.container(origin).await?;
        subject::check(&container, condition)?;
        Ok(Vec::new())
    }

    async fn count_subject(&self, origin: &Origin, subject: &Subject) -> Result<u64> {
        let documents = self.account.of_subject(origin, subject).await?;
        Ok(documents.len() as u64)
    }

    async fn splits(&self, origin: &Origin, _key: &[String], _parts: usize) -> Result<Vec<Position>> {
        let container = self.account.container(origin).await?;
        let ranges = Box::pin(container.client.read_feed_ranges(None))
            .await
            .map_err(|error| failure::tell(&error, "asking for the ranges"))?;
        // As many side by side as the budget allows pages.
        let pins = ranges
            .iter()
            .map(|range| changes::pin(&container, &self.account.budget, range, PIN_PATIENCE));
        let pinned = futures::future::try_join_all(pins).await?;
        let begins = ranges.iter().zip(pinned).map(|(range, pinned)| Position::Range {
            range: range.to_string(),
            after: None,
            changes: Some(pinned),
            again: false,
        });
        Ok(begins.collect())
    }

    fn has_ranges(&self) -> bool {
        true
    }

    fn has_changes(&self) -> bool {
        true
    }

    fn is_live(&self) -> bool {
        true
    }

    async fn moment(&self) -> Result<String> {
        Ok(format!("{} live since {}", self.account.database, self.account.opened_at))
    }

    async fn sample(&self, origin: &Origin) -> Result<Option<Sample>> {
        let container = self.account.container(origin).await?;
        let sample = sample::measure(&container, &self.account.budget).await?;
        Ok(Some(sample))
    }

    fn spent(&self) -> Option<Spent> {
        Some(self.account.budget.spent())
    }

    async fn read(&self, request: ReadRequest) -> Result<Batches> {
        read::start(&self.account, request).await
    }
}

/// This machine's time, to name what a live source has not.
fn now() -> String {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    format!("unix time {}", since.as_secs())
}
