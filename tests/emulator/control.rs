//! Steering: what `/__control/` understands.
//!
//! | request | body | does |
//! |---|---|---|
//! | `POST seed?database=D&container=C` | documents, one to a line | writes them, tells how many |
//! | `POST remove` | [`Removal`] | removes one document, tells whether it was there |
//! | `GET partitions?database=D&container=C` | | ids of the physical partitions, in their order |
//! | `POST split` | [`Split`] | splits a partition, tells its children |
//! | `POST merge` | [`Merge`] | merges two neighbours, tells what became of them |
//! | `PUT faults` | list of [`Fault`](super::fault::Fault) | replaces the faults, lets held requests go |
//! | `GET faults` | | the faults with their hits |
//! | `PUT price` | number or `null` | charges pages so many request units for each document |
//! | `PUT throughput` | number or `null` | limits the request units of pages per second |
//! | `GET log` | | the requests answered, list of [`Entry`](super::log::Entry) |
//! | `DELETE log` | | forgets them |
//!
//! Answers are JSON with status 200, or a text with status 400. Nothing of it is in the log, and no
//! key is asked for.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use hyper::http::request::Parts;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Failure;
use super::account::Account;

/// A document to be removed.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Removal {
    /// Its database.
    pub(crate) database: String,
    /// Its container.
    pub(crate) container: String,
    /// Its id.
    pub(crate) id: String,
    /// Its partition key, as a JSON list.
    pub(crate) partition_key: String,
}

/// A physical partition to be split.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Split {
    /// Its database.
    pub(crate) database: String,
    /// Its container.
    pub(crate) container: String,
    /// Its id.
    pub(crate) partition: u32,
    /// How long it answers nothing, at least.
    pub(crate) locked_ms: u64,
}

/// Two neighbouring physical partitions to be merged.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Merge {
    /// Their database.
    pub(crate) database: String,
    /// Their container.
    pub(crate) container: String,
    /// Their ids.
    pub(crate) partitions: (u32, u32),
    /// How long they answer nothing, at least.
    pub(crate) locked_ms: u64,
}

/// Does what a request to `/__control/` asks for.
pub(crate) async fn obey(account: &Account, parts: &Parts, verb: &str, body: &Bytes) -> Result<Value, Failure> {
    let query: HashMap<String, String> = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
        .into_owned()
        .collect();
    let named = |name: &str| {
        query
            .get(name)
            .map(String::as_str)
            .ok_or_else(|| format!("`{name}` is missing"))
    };
    match (parts.method.as_str(), verb) {
        ("POST", "seed") => {
            let lines = std::str::from_utf8(body)?;
            Ok(json!(account.seed(named("database")?, named("container")?, lines).await?))
        }
        ("POST", "remove") => {
            let Removal {
                database,
                container,
                id,
                partition_key,
            } = serde_json::from_slice(body)?;
            Ok(json!(account.remove(&database, &container, &id, &partition_key).await?))
        }
        ("GET", "partitions") => {
            let path = format!("dbs/{}/colls/{}", named("database")?, named("container")?);
            Ok(json!(account.partitions(&path).await?))
        }
        ("POST", "split") => {
            let what: Split = serde_json::from_slice(body)?;
            let locked = Duration::from_millis(what.locked_ms);
            Ok(json!(
                account.split(&what.database, &what.container, what.partition, locked).await?
            ))
        }
        ("POST", "merge") => {
            let what: Merge = serde_json::from_slice(body)?;
            let locked = Duration::from_millis(what.locked_ms);
            Ok(json!(
                account
                    .merge(&what.database, &what.container, what.partitions, locked)
                    .await?
            ))
        }
        ("PUT", "faults") => {
            account.faults.replace(serde_json::from_slice(body)?);
            Ok(Value::Null)
        }
        ("GET", "faults") => Ok(serde_json::to_value(account.faults.all())?),
        ("PUT", "price") => {
            account.throughput.set_price(serde_json::from_slice(body)?);
            Ok(Value::Null)
        }
        ("PUT", "throughput") => {
            account.throughput.set(serde_json::from_slice(body)?);
            Ok(Value::Null)
        }
        ("GET", "log") => Ok(serde_json::to_value(account.log.all())?),
        ("DELETE", "log") => {
            account.log.clear();
            Ok(Value::Null)
        }
        (method, _) => Err(format!("nothing is known of {method} {verb}").into()),
    }
}
