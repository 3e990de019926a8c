//! Wire form of one connection: every key that one of any kind may have, and which kinds have it.

use std::collections::BTreeMap;
use std::ops::Range;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::connection::{CosmosCredential, CqlCompression};
use super::secret::ValueEntry;
use crate::data::document::Marked;

/// One database.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a table such as [connection.game]")]
#[schemars(transform = keys_by_kind)]
pub(super) struct ConnectionEntry {
    /// What kind of database it is: `kind = "postgres"`.
    #[schemars(required, example = &"postgres")]
    pub(super) kind: Option<Marked<Kind>>,
    /// Of `sqlite` and `pocketbase`: where the file is, relative to the current directory. For
    /// PocketBase `data.db` or the `pb_data` folder that holds it:
    /// `path = { env = "POCKETBASE_DB", default = "pb_data/data.db" }`.
    #[schemars(transform = always_there)]
    pub(super) path: Option<Marked<ValueEntry>>,
    /// Of `postgres`: `postgres://user:password@host:5432/database`, of `redis`:
    /// `redis://user:password@host:6379/0`, `rediss://…` or `redis+unix:///path?db=0`, of a
    /// cluster some nodes with commas between them, of `scylla`:
    /// `scylla://user:password@host:9042,host:9042/keyspace` or `scylla+tls://…`. Read from a
    /// variable or a file:
    /// `url = { env = "GAME_DATABASE_URL" }`.
    pub(super) url: Option<Marked<ValueEntry>>,
    /// Of `redis` with a `rediss://` URL and of `scylla` with a `scylla+tls://` one: a PEM file with the authorities that the server's
    /// certificate is checked against, relative to the current directory:
    /// `ca_file = "redis-ca.pem"`. The default is the system's.
    #[schemars(example = &"redis-ca.pem")]
    pub(super) ca_file: Option<Marked<String>>,
    /// Create the database (or the SQLite file) where it is missing, when it is written to:
    /// `create_database = true`. The default is false.
    #[schemars(example = true)]
    pub(super) create_database: Option<Marked<bool>>,
    /// Of `postgres` with `create_database = true`: the role that owns a database which is created:
    /// `owner = "game_owner"`. The role of the URL has to be a member of it. The default is the
    /// role of the URL.
    #[schemars(example = &"game_owner")]
    pub(super) owner: Option<Marked<String>>,
    /// Of `postgres` with `create_database = true`: the encoding of a database which is created,
    /// as the server names it: `encoding = "UTF8"`. The default is UTF8.
    #[schemars(example = &"UTF8")]
    pub(super) encoding: Option<Marked<String>>,
    /// Of `cosmos`: the address of the account, `https://ACCOUNT.documents.azure.com:443/`:
    /// `endpoint = { env = "COSMOS_ENDPOINT" }`. It goes with `key` or `credential`; a
    /// `connection_string` holds it already.
    #[schemars(transform = always_there)]
    pub(super) endpoint: Option<Marked<ValueEntry>>,
    /// Of `cosmos`: a key of the account (a read-only one is enough), from a variable or a file:
    /// `key = { env = "COSMOS_KEY" }`. Exactly one of `key`, `connection_string` and `credential`
    /// holds; the first two may both be declared as `optional`.
    pub(super) key: Option<Marked<ValueEntry>>,
    /// Of `cosmos`: endpoint and key in one, as the portal shows them,
    /// `AccountEndpoint=…;AccountKey=…`: `connection_string = { env = "COSMOS_CONNECTION_STRING" }`.
    pub(super) connection_string: Option<Marked<ValueEntry>>,
    /// Of `cosmos`: who signs in with Microsoft Entra, where there is no key:
    /// `credential = "managed_identity"`. The identity needs a role that may read data.
    #[schemars(example = &"managed_identity")]
    pub(super) credential: Option<Marked<CosmosCredential>>,
    /// Of `cosmos`: the database of the account: `database = { env = "COSMOS_DATABASE" }`.
    #[schemars(transform = always_there)]
    pub(super) database: Option<Marked<ValueEntry>>,
    /// Of `cosmos`: the containers that may be read. Before the equals sign stands the name by
    /// which mappings call one, `documents` in `cosmos.documents`:
    /// `containers = { documents = { env = "COSMOS_CONTAINER", default = "Documents" } }`.
    #[schemars(transform = each_always_there)]
    pub(super) containers: Option<Marked<BTreeMap<Marked<String>, Marked<ValueEntry>>>>,
    /// Of `cosmos`: how many request units this connection may spend per second. Left out, the
    /// account's own throughput is the limit: `max_request_units_per_second = 2000`.
    #[schemars(range(min = 1), example = 2_000)]
    pub(super) max_request_units_per_second: Option<Marked<Positive>>,
    /// Of `cosmos`: how many pages are asked for at the same time at most:
    /// `pages_in_flight_max = 8`. The default is 4.
    #[schemars(range(min = 1), example = 8)]
    pub(super) pages_in_flight_max: Option<Marked<Positive>>,
    /// Of `cosmos`: trust the certificate that an emulator on this machine made for itself:
    /// `accept_emulator_certificate = true`. The certificate of any other server is always
    /// checked. The default is false.
    #[schemars(example = true)]
    pub(super) accept_emulator_certificate: Option<Marked<bool>>,
    /// Of `cosmos`: speak HTTP/2 where the server does: `http2 = false`. The default is true.
    #[schemars(example = false)]
    pub(super) http2: Option<Marked<bool>>,
    /// Of `scylla` with `create_database = true`: how many replicas a keyspace which is created has
    /// in each datacenter: `replication = { datacenter1 = 3 }`.
    #[schemars(example = replicas())]
    pub(super) replication: Option<Marked<BTreeMap<Marked<String>, Marked<Positive>>>>,
    /// Of `scylla`: the datacenter whose nodes are asked, and which `local_quorum` is about:
    /// `datacenter = "datacenter1"`. The default is any.
    #[schemars(example = &"datacenter1")]
    pub(super) datacenter: Option<Marked<String>>,
    /// Of `scylla`: how what is sent and received is compressed: `compression = "lz4"`. The default
    /// is "none".
    #[schemars(example = &"lz4")]
    pub(super) compression: Option<Marked<CqlCompression>>,
    /// Of `scylla`: how many requests of one writing connection are on their way at the same time at
    /// most: `requests_in_flight_max = 512`. The default is 256.
    #[schemars(range(min = 1), example = 512)]
    pub(super) requests_in_flight_max: Option<Marked<Positive>>,
    /// Of `scylla`: the rows of the first batch of a stream and of one of so many are read back by
    /// their keys before the batch counts as written; 1 reads back every batch, 0 none:
    /// `read_back_every_batches = 10`. The default is 100.
    #[schemars(example = 10)]
    pub(super) read_back_every_batches: Option<Marked<u64>>,
    /// Leave out all streams that read or write this connection; the run says so:
    /// `disabled = true`. The default is false.
    #[schemars(example = true)]
    pub(super) disabled: Option<Marked<bool>>,
}

/// Kinds of databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// An SQLite file.
    Sqlite,
    /// The `data.db` of a PocketBase; it is only read.
    Pocketbase,
    /// A PostgreSQL database; as a source it is only read.
    Postgres,
    /// A database of an Azure Cosmos DB account with the API for `NoSQL`; it is only read.
    Cosmos,
    /// A Redis server or cluster; it is only written.
    Redis,
    /// A keyspace of ScyllaDB or Cassandra; it is only written.
    Scylla,
}

/// A number that must not be 0: nothing would ever be moved.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(try_from = "u64")]
#[schemars(inline)]
pub(super) struct Positive(pub(super) u64);

impl TryFrom<u64> for Positive {
    type Error = &'static str;

    fn try_from(number: u64) -> Result<Self, Self::Error> {
        if number == 0 {
            return Err("must be at least 1");
        }
        Ok(Self(number))
    }
}

impl Kind {
    const ALL: [Self; 6] = [
        Self::Sqlite,
        Self::Pocketbase,
        Self::Postgres,
        Self::Cosmos,
        Self::Redis,
        Self::Scylla,
    ];

    /// As written.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Pocketbase => "pocketbase",
            Self::Postgres => "postgres",
            Self::Cosmos => "cosmos",
            Self::Redis => "redis",
            Self::Scylla => "scylla",
        }
    }

    /// The kinds that have a key.
    pub(super) fn with(key: &str) -> &'static [Self] {
        match key {
            "path" => &[Self::Sqlite, Self::Pocketbase],
            "url" => &[Self::Postgres, Self::Redis, Self::Scylla],
            "ca_file" => &[Self::Redis, Self::Scylla],
            "owner" | "encoding" => &[Self::Postgres],
            "create_database" => &[Self::Sqlite, Self::Postgres, Self::Scylla],
            "replication" | "datacenter" | "compression" | "requests_in_flight_max" | "read_back_every_batches" => &[Self::Scylla],
            _ => &[Self::Cosmos],
        }
    }
}

impl ConnectionEntry {
    /// Keys that not every kind has, with their places in the text.
    pub(super) fn given(&self) -> [(&'static str, Option<Range<usize>>); 21] {
        fn span<T>(value: Option<&Marked<T>>) -> Option<Range<usize>> {
            value.map(Marked::span)
        }
        [
            ("path", span(self.path.as_ref())),
            ("url", span(self.url.as_ref())),
            ("ca_file", span(self.ca_file.as_ref())),
            ("create_database", span(self.create_database.as_ref())),
            ("owner", span(self.owner.as_ref())),
            ("encoding", span(self.encoding.as_ref())),
            ("endpoint", span(self.endpoint.as_ref())),
            ("key", span(self.key.as_ref())),
            ("connection_string", span(self.connection_string.as_ref())),
            ("credential", span(self.credential.as_ref())),
            ("database", span(self.database.as_ref())),
            ("containers", span(self.containers.as_ref())),
            (
                "max_request_units_per_second",
                span(self.max_request_units_per_second.as_ref()),
            ),
            ("pages_in_flight_max", span(self.pages_in_flight_max.as_ref())),
            ("accept_emulator_certificate", span(self.accept_emulator_certificate.as_ref())),
            ("http2", span(self.http2.as_ref())),
            ("replication", span(self.replication.as_ref())),
            ("datacenter", span(self.datacenter.as_ref())),
            ("compression", span(self.compression.as_ref())),
            ("requests_in_flight_max", span(self.requests_in_flight_max.as_ref())),
            ("read_back_every_batches", span(self.read_back_every_batches.as_ref())),
        ]
    }
}

fn replicas() -> BTreeMap<String, u64> {
    BTreeMap::from([("datacenter1".to_owned(), 3)])
}

/// What the schema says of keys together.
fn keys_by_kind(schema: &mut schemars::Schema) {
    let given = ConnectionEntry::default().given();
    let rule = |kind: Kind| {
        let refused = given.iter().filter(|(key, _)| !Kind::with(key).contains(&kind));
        let refused: serde_json::Map<_, _> = refused.map(|(key, _)| ((*key).to_owned(), false.into())).collect();
        let mut then = match kind {
            Kind::Sqlite | Kind::Pocketbase => json!({ "required": ["path"] }),
            Kind::Postgres | Kind::Redis | Kind::Scylla => json!({ "required": ["url"] }),
            Kind::Cosmos => json!({
                "required": ["database", "containers"],
                "anyOf": [{ "required": ["key"] }, { "required": ["connection_string"] }, { "required": ["credential"] }],
                "not": { "required": ["credential"], "anyOf": [{ "required": ["key"] }, { "required": ["connection_string"] }] },
                "dependencies": { "key": ["endpoint"], "credential": ["endpoint"] },
            }),
        };
        then["properties"] = refused.into();
        if matches!(kind, Kind::Postgres | Kind::Scylla) {
            then["properties"]["url"] = json!({ "not": { "required": ["optional"] } });
        }
        json!({ "if": { "properties": { "kind": { "const": kind.name() } }, "required": ["kind"] }, "then": then })
    };
    schema.insert("allOf".to_owned(), Kind::ALL.map(rule).to_vec().into());
}

/// A value that a connection is nothing without.
fn always_there(schema: &mut schemars::Schema) {
    without_optional(schema, "");
}

/// [`always_there`] for every value of a table.
fn each_always_there(schema: &mut schemars::Schema) {
    without_optional(schema, "/additionalProperties");
}

/// A key that may be left out is still its schema or null here.
fn without_optional(schema: &mut schemars::Schema, within: &str) {
    for choice in ["", "/anyOf/0"] {
        let properties = schema.pointer_mut(&format!("{choice}{within}/properties"));
        if let Some(properties) = properties.and_then(Json::as_object_mut) {
            properties.remove("optional");
        }
    }
}
