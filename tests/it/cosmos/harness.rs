//! What the tests about Cosmos DB share: an account for each test, and the means to steer it.
//!
//! The account is served from within the test process, on a port of its own, and ends with the
//! test. dbferry, run as a program, talks to it over that port.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::emulator::control::{Merge, Removal, Split};
use crate::emulator::fault::{Fault, What};
use crate::emulator::kind::Kind;
use crate::emulator::log::Entry;
use crate::emulator::{Emulator, Settings};

/// The key of [`Cosmos::start`]'s accounts.
pub(crate) const KEY: &str = "ZGJmZXJyeSB0ZXN0cyBhbG9uZQ==";

/// Longest time that a test waits for a request to come.
const WAIT_MAX: Duration = Duration::from_mins(1);

/// A container of an account.
#[derive(Clone, Copy)]
pub(crate) struct At<'a>(pub(crate) &'a str, pub(crate) &'a str);

/// The container of [`Cosmos::nostria`].
pub(crate) const DOCUMENTS: At<'static> = At("NostriaDB", "Documents");

/// An account that belongs to one test.
pub(crate) struct Cosmos {
    emulator: Emulator,
}

impl Cosmos {
    /// An account that takes [`KEY`] alone, with containers as
    /// `database/container:/path[,/path][:partitions]`.
    pub(crate) fn start(containers: &[&str]) -> Self {
        let containers = containers.iter().map(|text| text.parse().expect("a container"));
        let settings = Settings {
            port: 0,
            key: Some(KEY.to_owned()),
            containers: containers.collect(),
        };
        Self {
            emulator: Emulator::start(&settings).expect("an account"),
        }
    }

    /// An account with one container, [`DOCUMENTS`], of four physical partitions by `/pubkey`.
    pub(crate) fn nostria() -> Self {
        Self::start(&["NostriaDB/Documents:/pubkey:4"])
    }

    /// Its endpoint.
    pub(crate) fn url(&self) -> &str {
        self.emulator.url()
    }

    /// Writes documents, JSON text one to a line; one that is there is replaced.
    pub(crate) fn seed(&self, at: At<'_>, lines: &str) -> u64 {
        self.ask("POST", &format!("seed?database={}&container={}", at.0, at.1), lines)
    }

    /// Removes a document; its partition key is a JSON list.
    pub(crate) fn remove(&self, at: At<'_>, id: &str, partition_key: &Value) -> bool {
        let removal = Removal {
            database: at.0.to_owned(),
            container: at.1.to_owned(),
            id: id.to_owned(),
            partition_key: partition_key.to_string(),
        };
        self.ask("POST", "remove", &json!(removal).to_string())
    }

    /// Ids of the physical partitions, in their order.
    pub(crate) fn partitions(&self, at: At<'_>) -> Vec<u32> {
        let ids: Vec<String> = self.ask("GET", &format!("partitions?database={}&container={}", at.0, at.1), "");
        ids.iter().map(|id| id.parse().expect("a number")).collect()
    }

    /// Splits a physical partition, which answers nothing for so long.
    pub(crate) fn split(&self, at: At<'_>, partition: u32, locked_ms: u64) -> Vec<u32> {
        let split = Split {
            database: at.0.to_owned(),
            container: at.1.to_owned(),
            partition,
            locked_ms,
        };
        self.ask("POST", "split", &json!(split).to_string())
    }

    /// Merges two neighbouring physical partitions, which answer nothing for so long.
    pub(crate) fn merge(&self, at: At<'_>, partitions: (u32, u32), locked_ms: u64) -> u32 {
        let merge = Merge {
            database: at.0.to_owned(),
            container: at.1.to_owned(),
            partitions,
            locked_ms,
        };
        self.ask("POST", "merge", &json!(merge).to_string())
    }

    /// Replaces the faults; requests that are held go on.
    pub(crate) fn faults(&self, faults: &[Fault]) {
        let () = self.ask("PUT", "faults", &json!(faults).to_string());
    }

    /// How often each fault happened.
    pub(crate) fn hits(&self) -> Vec<u64> {
        let faults: Vec<Fault> = self.ask("GET", "faults", "");
        faults.iter().map(|fault| fault.hits).collect()
    }

    /// Waits until a fault has happened, such as a request being held.
    #[track_caller]
    pub(crate) fn wait_for_fault(&self) {
        let started = Instant::now();
        while self.hits().iter().sum::<u64>() == 0 {
            assert!(started.elapsed() < WAIT_MAX, "no request came that a fault was set for");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Charges pages so many request units for each document.
    pub(crate) fn price(&self, units: Option<f64>) {
        let () = self.ask("PUT", "price", &json!(units).to_string());
    }

    /// Limits the request units of pages per second: beyond them the answer is 429.
    pub(crate) fn throughput(&self, per_second: Option<f64>) {
        let () = self.ask("PUT", "throughput", &json!(per_second).to_string());
    }

    /// The requests that were answered so far.
    pub(crate) fn log(&self) -> Vec<Entry> {
        self.ask("GET", "log", "")
    }

    /// Forgets the requests.
    pub(crate) fn clear_log(&self) {
        let () = self.ask("DELETE", "log", "");
    }

    #[track_caller]
    fn ask<T: DeserializeOwned>(&self, method: &str, verb: &str, body: &str) -> T {
        let answer = request(self.url(), method, verb, body).unwrap_or_else(|error| panic!("{method} {verb}: {error}"));
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{method} {verb}: {error}: {answer}"))
    }
}

/// The requests of one kind.
pub(crate) fn of_kind(log: &[Entry], kind: Kind) -> Vec<&Entry> {
    log.iter().filter(|entry| entry.kind == kind).collect()
}

/// The next page, and as many as said, are answered with a status.
pub(crate) fn status(status: u16, count: u64) -> Fault {
    Fault {
        count: Some(count),
        what: What::Status {
            status,
            substatus: None,
            retry_after_ms: (status == 429).then_some(10),
        },
        ..Fault::default()
    }
}

/// Something that happens to the next page, and as many as said.
pub(crate) fn fault(what: What, count: u64) -> Fault {
    Fault {
        count: Some(count),
        what,
        ..Fault::default()
    }
}

/// A request to `/__control/`: the body of its answer.
fn request(url: &str, method: &str, verb: &str, body: &str) -> std::io::Result<String> {
    let host = url.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(host)?;
    let length = body.len();
    let head =
        format!("{method} /__control/{verb} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200") => Ok(body.to_owned()),
        _ => Err(std::io::Error::other(answer)),
    }
}
