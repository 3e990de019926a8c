//! A resolved connection: what opening a source or sink needs. `Debug` prints no secret.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;

/// A connection whose variables were read.
#[derive(Debug, Clone)]
pub struct Connection {
    /// Name in the configuration, used in messages instead of address or path.
    pub name: String,
    /// Kind with its settings.
    pub kind: ConnectionKind,
}

/// What is at the other end.
#[derive(Debug, Clone)]
pub enum ConnectionKind {
    /// An SQLite file.
    Sqlite {
        /// Path of the file.
        path: PathBuf,
        /// As a sink: create the file where it is missing.
        create_database: bool,
    },
    /// A PocketBase `data.db` (source only).
    Pocketbase {
        /// Path of `data.db`, or of the `pb_data` folder that holds it.
        path: PathBuf,
    },
    /// A Postgres database.
    Postgres {
        /// `postgres://user:password@host:port/database?sslmode=…`; may carry a password.
        url: SecretString,
        /// As a sink: create the database where it is missing.
        create_database: bool,
        /// What a database that is created is like.
        new_database: NewDatabase,
    },
    /// A database of an Azure Cosmos DB account (source only).
    Cosmos(Box<CosmosAccount>),
    /// A Redis server or cluster (sink only).
    Redis(Box<RedisServer>),
    /// A keyspace of a ScyllaDB or Cassandra cluster (sink only).
    Scylla(Box<ScyllaCluster>),
}

/// What a database that is created is like, where that is not left to the server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewDatabase {
    /// Role that owns it.
    pub owner: Option<String>,
    /// Encoding of its text, as the server names it.
    pub encoding: Option<String>,
}

/// A Redis server, or some nodes of a cluster; which of the two is found out from it.
#[derive(Debug, Clone)]
pub struct RedisServer {
    /// Seed nodes, each a URL that may carry a password; at least one.
    pub urls: Vec<SecretString>,
    /// PEM file with the authorities that certificates are checked against; `None` takes the
    /// system's. Only where the URLs ask for TLS.
    pub ca_file: Option<PathBuf>,
    /// Put before every key, the ledger's too; empty outside of rehearsals.
    pub key_prefix: String,
}

/// A keyspace of a ScyllaDB or Cassandra cluster, and how it is written.
#[derive(Debug, Clone)]
pub struct ScyllaCluster {
    /// Nodes to begin with, `host:port`; at least one.
    pub nodes: Vec<String>,
    /// User and password, where there are any.
    pub credentials: Option<(String, SecretString)>,
    /// Keyspace, as it is spelt.
    pub keyspace: String,
    /// Speak TLS; the certificate is always checked.
    pub tls: bool,
    /// PEM file with the authorities that certificates are checked against; `None` takes the
    /// system's. Only with `tls`.
    pub ca_file: Option<PathBuf>,
    /// Datacenter whose nodes are asked; `None` asks all.
    pub datacenter: Option<String>,
    /// How frames are compressed.
    pub compression: CqlCompression,
    /// As a sink: create the keyspace where it is missing.
    pub create_database: bool,
    /// Replicas by datacenter of a keyspace that is created; some where `create_database` is set.
    pub replication: BTreeMap<String, u64>,
    /// How many requests are on their way at the same time; at least 1.
    pub requests_in_flight_max: usize,
    /// Rows of the first and of one of so many batches are read back; 0 reads none back.
    pub read_back_every_batches: u64,
}

/// How frames between dbferry and the server are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum CqlCompression {
    /// Not at all.
    #[default]
    None,
    /// With LZ4.
    Lz4,
    /// With Snappy.
    Snappy,
}

/// A Cosmos DB account, and what of it is read in which way.
#[derive(Debug, Clone)]
pub struct CosmosAccount {
    /// Its URL, scheme, host and port alone; `http` only where the host is an emulator's.
    pub endpoint: String,
    /// By what it lets dbferry in.
    pub access: CosmosAccess,
    /// Database of the account.
    pub database: String,
    /// Containers by the names that mappings have for them.
    pub containers: BTreeMap<String, String>,
    /// How many request units may be spent per second; `None` leaves it to the account.
    pub max_request_units_per_second: Option<u64>,
    /// How many pages are asked for at the same time; at least 1.
    pub pages_in_flight_max: usize,
    /// Trust a certificate that the emulator made for itself; the host is an emulator's.
    pub accept_emulator_certificate: bool,
    /// Speak HTTP/2 where the server does.
    pub http2: bool,
}

/// By what a Cosmos account lets somebody in.
#[derive(Debug, Clone)]
pub enum CosmosAccess {
    /// A key of the account, in base64.
    Key(SecretString),
    /// A token of Microsoft Entra.
    Credential(CosmosCredential),
}

/// Whom Microsoft Entra is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum CosmosCredential {
    /// Who is signed in on this machine, with the Azure CLI or the Azure Developer CLI.
    Developer,
    /// The identity that Azure gave to the machine or container.
    ManagedIdentity,
    /// The identity of a Kubernetes workload.
    WorkloadIdentity,
}

impl ConnectionKind {
    /// The kind's name as the configuration spells it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Sqlite { .. } => "sqlite",
            Self::Pocketbase { .. } => "pocketbase",
            Self::Postgres { .. } => "postgres",
            Self::Cosmos(_) => "cosmos",
            Self::Redis(_) => "redis",
            Self::Scylla(_) => "scylla",
        }
    }

    /// The kind's name as its makers spell it.
    #[must_use]
    pub const fn title(&self) -> &'static str {
        match self {
            Self::Sqlite { .. } => "SQLite",
            Self::Pocketbase { .. } => "PocketBase",
            Self::Postgres { .. } => "Postgres",
            Self::Cosmos(_) => "Cosmos",
            Self::Redis(_) => "Redis",
            Self::Scylla(_) => "ScyllaDB",
        }
    }
}
