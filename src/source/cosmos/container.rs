//! A container as a table: the columns that every document has, whatever is in it.

use std::collections::HashMap;
use std::time::Duration;

use azure_data_cosmos::options::{OperationOptionsBuilder, ReadContainerOptions};
use azure_data_cosmos::{ContainerClient, CosmosClient, PartitionKey};
use serde_json::value::RawValue;

use super::budget::Budget;
use super::failure::{self, Failure};
use super::partition::Paths;
use super::patience::Patience;
use crate::data::column::ColumnType;
use crate::data::table::{Column, Fill, Table, TableName};
use crate::{Error, ErrorKind, Result};

/// The whole document, as the service wrote it.
pub(super) const DOCUMENT: &str = "document";
/// Its id.
pub(super) const ID: &str = "id";
/// Its partition key, as a JSON list.
pub(super) const PARTITION: &str = "_partition";
/// When it was written last: seconds since 1970.
pub(super) const TS: &str = "_ts";
/// What its state is called.
pub(super) const ETAG: &str = "_etag";

/// A container that was found.
#[derive(Clone)]
pub(super) struct Container {
    pub(super) client: ContainerClient,
    pub(super) paths: Paths,
    /// How many documents it has by the service's own estimate, where it gives one.
    pub(super) documents: Option<u64>,
}

/// Asks the service to say how full a container is.
const TELL_USAGE: &str = "x-ms-documentdb-populatequotainfo";

/// Opens a container of a database.
///
/// # Errors
/// [`crate::ErrorKind::Missing`] where there is none.
pub(super) async fn open(client: &CosmosClient, budget: &Budget, database: &str, name: &str) -> Result<Container> {
    let doing = format!("opening container `{name}`");
    let database = client.database_client(database);
    let client = Box::pin(database.container_client(name, None))
        .await
        .map_err(|error| failure::tell(&error, &doing))?;
    let headers = HashMap::from([(TELL_USAGE.into(), "true".into())]);
    let options = OperationOptionsBuilder::new().with_custom_headers(headers).build();
    let options = ReadContainerOptions::default().with_operation_options(options);
    let read = Box::pin(client.read(Some(options)))
        .await
        .map_err(|error| failure::tell(&error, &doing))?;
    budget.charge(read.headers().request_charge().map_or(0.0, |charge| f64::from(*charge)));
    let documents = read.headers().resource_usage().and_then(documents);
    let properties = read.into_model().map_err(|error| failure::tell(&error, &doing))?;
    let paths = Paths::parse(properties.partition_key.paths().iter().map(AsRef::as_ref));
    Ok(Container {
        client,
        paths,
        documents,
    })
}

/// The number of documents that a usage such as `documentSize=0;documentsCount=7;` tells. That of an
/// empty container is no different from none.
fn documents(usage: &str) -> Option<u64> {
    let mut parts = usage.split(';').filter_map(|part| part.split_once('='));
    let (_, count) = parts.find(|(name, _)| name.trim() == "documentsCount")?;
    count.trim().parse().ok().filter(|count| *count > 0)
}

/// What documents of any container look like.
pub(super) fn table(name: &TableName) -> Table {
    let text = || ColumnType::Text {
        max_chars: None,
        padded: false,
    };
    let column = |name: &str, ty, nullable| Column {
        nullable,
        ..Column::new(name, ty)
    };
    // Nobody misses them where no stream moves them.
    let by_service = |name: &str, ty| Column {
        fill: Fill::Generated,
        ..column(name, ty, false)
    };
    let key = vec![PARTITION.to_owned(), ID.to_owned()];
    Table {
        uniques: vec![key.clone()],
        key,
        ..Table::new(
            name.clone(),
            vec![
                column(DOCUMENT, ColumnType::Json { binary: false }, false),
                column(ID, text(), false),
                by_service(PARTITION, text()),
                by_service(TS, ColumnType::Int64),
                by_service(ETAG, text()),
            ],
        )
    }
}

impl Container {
    /// One document by its key; `None` where it is gone.
    pub(super) async fn read(
        &self,
        budget: &Budget,
        patience: Duration,
        partition: PartitionKey,
        id: &str,
    ) -> Result<Option<Box<RawValue>>> {
        let doing = "reading a document";
        let mut patience = Patience::new(patience);
        loop {
            let _permit = budget.page().await?;
            let read = Box::pin(self.client.read_item(partition.clone(), id, None));
            let failure = match tokio::time::timeout(patience.answer(), read).await {
                Ok(Ok(found)) => {
                    budget.charge(found.headers().request_charge().map_or(0.0, |charge| f64::from(*charge)));
                    let bytes = found.into_body().single().map_err(|error| failure::tell(&error, doing))?;
                    return serde_json::from_slice(&bytes).map(Some).map_err(|error| {
                        Error::new(ErrorKind::Unreadable, "the service sent something that is no document").because(error)
                    });
                }
                Ok(Err(error)) => Failure::of(&error),
                Err(_) => Failure::TOO_SLOW,
            };
            budget.refused(failure.is_throttled());
            if failure.is_missing() {
                return Ok(None);
            }
            patience.wait(failure, doing).await?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::documents;

    #[test]
    fn a_usage_tells_how_many_documents_there_are() {
        assert_eq!(
            documents("documentSize=0;documentsSize=12;documentsCount=123;collectionSize=15;"),
            Some(123)
        );
        for unknown in [
            "",
            "documentsCount=0;",
            "documentsCount=-1",
            "documentsCount",
            "documentsSize=7;",
        ] {
            assert_eq!(documents(unknown), None, "{unknown}");
        }
    }
}
