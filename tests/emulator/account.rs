//! The account behind the server: the emulator, its containers, and what is done to them directly.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use azure_core::credentials::Secret;
use azure_core::http::headers::{HeaderName, HeaderValue};
use azure_core::http::{AsyncRawResponse, Method, RawResponse, Request, Url};
use azure_data_cosmos_driver::in_memory_emulator::{
    ConsistencyLevel, ContainerConfig, InMemoryEmulatorHttpClient, VirtualAccountConfig, VirtualRegion,
};
use serde_json::Value;

use super::fault::Faults;
use super::log::Log;
use super::throughput::Throughput;
use super::{Failure, Settings};

/// A container that an account begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Container {
    /// Its database.
    pub(crate) database: String,
    /// Its name.
    pub(crate) name: String,
    /// Paths of its partition key; several of a hierarchical one.
    pub(crate) paths: Vec<String>,
    /// Physical partitions.
    pub(crate) partitions: u32,
}

impl FromStr for Container {
    type Err = String;

    /// `database/container:/path[,/path…][:partitions]`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("`{text}` is not `database/container:/path[,/path][:partitions]`");
        let mut parts = text.split(':');
        let (database, name) = parts.next().and_then(|part| part.split_once('/')).ok_or_else(wrong)?;
        let paths: Vec<String> = parts.next().ok_or_else(wrong)?.split(',').map(str::to_owned).collect();
        let partitions = parts.next().unwrap_or("1").parse().map_err(|_| wrong())?;
        if parts.next().is_some() || partitions == 0 || paths.iter().any(|path| !path.starts_with('/')) {
            return Err(wrong());
        }
        Ok(Self {
            database: database.to_owned(),
            name: name.to_owned(),
            paths,
            partitions,
        })
    }
}

/// The emulator with what is added to it.
pub(crate) struct Account {
    emulator: InMemoryEmulatorHttpClient,
    url: Url,
    /// What requests are signed with, where that is checked.
    pub(crate) key: Option<Secret>,
    /// Rules for answers that go wrong.
    pub(crate) faults: Faults,
    /// Request units that it sells for pages of documents.
    pub(crate) throughput: Throughput,
    /// What was asked.
    pub(crate) log: Log,
    /// Numbers of documents by container, until something is written: counting is slow.
    counts: Mutex<BTreeMap<String, u64>>,
}

impl Account {
    /// An account of one region at that URL.
    pub(crate) fn open(url: Url, settings: &Settings) -> Result<Self, Failure> {
        let region = VirtualRegion::new("East US", url.clone());
        let config = VirtualAccountConfig::new(vec![region])?.with_consistency(ConsistencyLevel::Session);
        let account = Self {
            emulator: InMemoryEmulatorHttpClient::try_new(config)?,
            url,
            key: settings.key.clone().map(Secret::new),
            faults: Faults::new(),
            throughput: Throughput::default(),
            log: Log::default(),
            counts: Mutex::default(),
        };
        let databases: BTreeSet<&str> = settings
            .containers
            .iter()
            .map(|container| container.database.as_str())
            .collect();
        for database in databases {
            account.emulator.store().create_database(database);
        }
        for container in &settings.containers {
            account.create(container)?;
        }
        Ok(account)
    }

    fn create(&self, container: &Container) -> Result<(), Failure> {
        let kind = if container.paths.len() > 1 { "MultiHash" } else { "Hash" };
        let key = serde_json::json!({ "paths": container.paths, "kind": kind, "version": 2 });
        let config = ContainerConfig::new().with_partition_count(container.partitions).build()?;
        let key = serde_json::from_value(key)?;
        self.emulator
            .store()
            .create_container_with_config(&container.database, &container.name, key, config);
        Ok(())
    }

    /// The emulator's own answer to a request.
    pub(crate) async fn answer(
        &self,
        method: Method,
        path: &str,
        headers: impl IntoIterator<Item = (String, String)>,
        body: Vec<u8>,
    ) -> Result<RawResponse, Failure> {
        let mut request = Request::new(self.url.join(path)?, method);
        for (name, value) in headers {
            request.headers_mut().insert(HeaderName::from(name), HeaderValue::from(value));
        }
        if !body.is_empty() {
            request.set_body(body);
        }
        // Boxed: the emulator's future is large.
        let answer: AsyncRawResponse = Box::pin(self.emulator.execute_request(&request)).await?;
        Ok(answer.try_into_raw_response().await?)
    }

    /// Writes documents, JSON text one to a line; one with the id and partition key of another
    /// replaces it.
    pub(crate) async fn seed(&self, database: &str, container: &str, lines: &str) -> Result<u64, Failure> {
        let paths = self.key_paths(database, container).await?;
        let path = format!("dbs/{database}/colls/{container}/docs");
        let mut written = 0;
        for (number, line) in lines.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let document: Value = serde_json::from_str(line).map_err(|error| format!("line {}: {error}", number + 1))?;
            let headers = [
                ("x-ms-documentdb-partitionkey", partition_key(&document, &paths)),
                ("x-ms-documentdb-is-upsert", "true".to_owned()),
                ("prefer", "return=minimal".to_owned()),
            ];
            let headers = headers.map(|(name, value)| (name.to_owned(), value));
            let answer = self.answer(Method::Post, &path, headers, line.as_bytes().to_vec()).await?;
            let status = u16::from(answer.status());
            if status >= 300 {
                return Err(format!("line {}: status {status}", number + 1).into());
            }
            written += 1;
        }
        self.forget_counts();
        Ok(written)
    }

    /// Removes a document; false where there is none.
    pub(crate) async fn remove(&self, database: &str, container: &str, id: &str, partition_key: &str) -> Result<bool, Failure> {
        let path = format!("dbs/{database}/colls/{container}/docs/{id}");
        let headers = [("x-ms-documentdb-partitionkey".to_owned(), partition_key.to_owned())];
        let status = u16::from(self.answer(Method::Delete, &path, headers, Vec::new()).await?.status());
        self.forget_counts();
        match status {
            204 => Ok(true),
            404 => Ok(false),
            other => Err(format!("status {other}").into()),
        }
    }

    /// Number of a container's documents: the emulator tells it to nobody who only looks at the container.
    pub(crate) async fn count(&self, path: &str) -> Result<u64, Failure> {
        if let Some(count) = self.counts().get(path) {
            return Ok(*count);
        }
        let mut count = 0;
        for partition in self.partitions(path).await? {
            let headers = [
                ("x-ms-documentdb-isquery", "true"),
                ("content-type", "application/query+json"),
                ("x-ms-documentdb-partitionkeyrangeid", partition.as_str()),
            ];
            let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
            let query = br#"{"query":"SELECT VALUE COUNT(1) FROM c","parameters":[]}"#.to_vec();
            let page = self.answer(Method::Post, &format!("{path}/docs"), headers, query).await?;
            let page: Value = serde_json::from_slice(page.body().as_ref())?;
            count += page["Documents"][0].as_u64().ok_or("a count that is no number")?;
        }
        self.counts().insert(path.to_owned(), count);
        Ok(count)
    }

    /// Something is about to be written, or was.
    pub(crate) fn forget_counts(&self) {
        self.counts().clear();
    }

    fn counts(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ids of a container's physical partitions in the order of their keys.
    pub(crate) async fn partitions(&self, path: &str) -> Result<Vec<String>, Failure> {
        let answer = self.answer(Method::Get, &format!("{path}/pkranges"), [], Vec::new()).await?;
        let answer: Value = serde_json::from_slice(answer.body().as_ref())?;
        let mut ranges: Vec<(String, String)> = answer["PartitionKeyRanges"]
            .as_array()
            .ok_or("no such container")?
            .iter()
            .map(|range| (text(&range["minInclusive"]), text(&range["id"])))
            .collect();
        ranges.sort();
        Ok(ranges.into_iter().map(|(_, id)| id).collect())
    }

    /// Splits a physical partition in two. Meanwhile, but at least so long, it answers nothing.
    pub(crate) async fn split(
        &self,
        database: &str,
        container: &str,
        partition: u32,
        locked: Duration,
    ) -> Result<Vec<u32>, Failure> {
        let store = self.emulator.store();
        let at = store.midpoint_split_epk(database, container, partition)?;
        Ok(Box::pin(store.split_partition_and_wait(database, container, partition, at, locked)).await?)
    }

    /// Makes one of two neighbouring physical partitions.
    pub(crate) async fn merge(&self, database: &str, container: &str, pair: (u32, u32), locked: Duration) -> Result<u32, Failure> {
        let store = self.emulator.store();
        Ok(Box::pin(store.merge_partitions_and_wait(database, container, pair.0, pair.1, locked)).await?)
    }

    async fn key_paths(&self, database: &str, container: &str) -> Result<Vec<String>, Failure> {
        let answer = self
            .answer(Method::Get, &format!("dbs/{database}/colls/{container}"), [], Vec::new())
            .await?;
        let answer: Value = serde_json::from_slice(answer.body().as_ref())?;
        let paths = answer["partitionKey"]["paths"].as_array().ok_or("no such container")?;
        Ok(paths.iter().map(text).collect())
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A document's partition key as the header has it: a value that is missing is `{}`.
fn partition_key(document: &Value, paths: &[String]) -> String {
    let values = paths.iter().map(|path| document.pointer(path).cloned());
    let values: Vec<Value> = values.map(|value| value.unwrap_or_else(|| serde_json::json!({}))).collect();
    Value::Array(values).to_string()
}

#[cfg(test)]
mod tests {
    use super::{Container, partition_key};

    #[test]
    fn a_container_is_told_in_one_word() {
        let tree: Container = "shop/Tree:/tenant,/user:2".parse().expect("a container");
        assert_eq!((tree.paths.len(), tree.partitions), (2, 2));
        let small: Container = "shop/Small:/id".parse().expect("a container");
        assert_eq!(small.partitions, 1);
        for wrong in [
            "Small:/id",
            "shop/Small",
            "shop/Small:id",
            "shop/Small:/id:0",
            "shop/Small:/id:1:2",
        ] {
            assert!(wrong.parse::<Container>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_key_that_is_missing_is_not_null() {
        let paths = ["/a".to_owned(), "/b/c".to_owned()];
        let of = |text: &str| partition_key(&serde_json::from_str(text).expect("JSON"), &paths);
        assert_eq!(of(r#"{"a":"x","b":{"c":1}}"#), r#"["x",1]"#);
        assert_eq!(of(r#"{"a":null}"#), "[null,{}]");
    }
}
