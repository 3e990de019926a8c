//! Sessions to a keyspace: opened with what the connection says, asked with patience.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::frame::Compression;
use scylla::frame::types::{Consistency, SerialConsistency};
use scylla::response::query_result::QueryResult;
use scylla::serialize::row::SerializeRow;
use scylla::statement::prepared::PreparedStatement;
use scylla::statement::unprepared::Statement;
use secrecy::ExposeSecret as _;

use super::fault::Fault;
use super::quote;
use crate::config::connection::{CqlCompression, ScyllaCluster};
use crate::{Error, ErrorKind, Result};

/// How long a node may take to accept a connection.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a request may take, with what the driver tries again by itself.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// How often a request that met a passing fault is sent again before the fault is handed on.
const ATTEMPTS_MAX: usize = 5;

/// A keyspace, and the session through which it is asked. Names of tables are always written with
/// their keyspace.
pub(crate) struct Keyspace {
    /// The driver's.
    pub(crate) session: Session,
    /// Name of the connection, for messages.
    pub(crate) connection: String,
    /// Name of the keyspace.
    pub(crate) name: String,
    /// Statements that were prepared, by their text: only texts of this program, none with values.
    prepared: Mutex<HashMap<String, PreparedStatement>>,
}

impl Keyspace {
    /// Connects; creates the keyspace where it is missing and the connection allows it.
    ///
    /// # Errors
    /// By kind: unreachable, unauthorised, missing.
    pub(crate) async fn open(connection: &str, cluster: &ScyllaCluster) -> Result<Self> {
        let keyspace = Self::connect(connection, cluster).await?;
        if keyspace.exists() {
            return Ok(keyspace);
        }
        if !cluster.create_database {
            return Err(Error::new(
                ErrorKind::Missing,
                format!("connection `{connection}`: there is no keyspace `{}`", cluster.keyspace),
            )
            .hint("create it, or let dbferry do so: `create_database = true` and `replication = { … }` in the connection"));
        }
        let text = format!(
            "CREATE KEYSPACE IF NOT EXISTS {} WITH replication = {}",
            quote::ident(&keyspace.name)?,
            quote::replication(&cluster.replication)
        );
        keyspace.change(&text, "creating the keyspace").await?;
        keyspace.refresh().await?;
        Ok(keyspace)
    }

    /// Connects; `None` where there is no such keyspace.
    pub(crate) async fn open_if_exists(connection: &str, cluster: &ScyllaCluster) -> Result<Option<Self>> {
        let keyspace = Self::connect(connection, cluster).await?;
        Ok(keyspace.exists().then_some(keyspace))
    }

    /// The datacenters of a cluster.
    pub(crate) async fn datacenters(connection: &str, cluster: &ScyllaCluster) -> Result<BTreeSet<String>> {
        let keyspace = Self::connect(connection, cluster).await?;
        let state = keyspace.session.get_cluster_state();
        let nodes = state.get_nodes_info().iter();
        Ok(nodes.filter_map(|node| node.datacenter.clone()).collect())
    }

    async fn connect(connection: &str, cluster: &ScyllaCluster) -> Result<Self> {
        let profile = ExecutionProfile::builder()
            .consistency(Consistency::LocalQuorum)
            .serial_consistency(Some(SerialConsistency::Serial))
            .request_timeout(Some(REQUEST_TIMEOUT))
            .build();
        let mut builder = SessionBuilder::new()
            .known_nodes(&cluster.nodes)
            .connection_timeout(CONNECTION_TIMEOUT)
            .compression(match cluster.compression {
                CqlCompression::None => None,
                CqlCompression::Lz4 => Some(Compression::Lz4),
                CqlCompression::Snappy => Some(Compression::Snappy),
            })
            .default_execution_profile_handle(profile.into_handle());
        if let Some((user, password)) = &cluster.credentials {
            builder = builder.user(user, password.expose_secret());
        }
        if let Some(datacenter) = &cluster.datacenter {
            builder = builder.prefer_datacenter(datacenter.clone());
        }
        if cluster.tls {
            builder = builder.tls_context(Some(tls(connection, cluster)?));
        }
        let session = builder
            .build()
            .await
            .map_err(|error| Fault::of_session(&error).at(connection, "connecting"))?;
        Ok(Self {
            session,
            connection: connection.to_owned(),
            name: cluster.keyspace.clone(),
            prepared: Mutex::default(),
        })
    }

    fn exists(&self) -> bool {
        self.session.get_cluster_state().get_keyspace(&self.name).is_some()
    }

    /// Learns anew which tables there are.
    pub(crate) async fn refresh(&self) -> Result<()> {
        let refreshed = self.session.refresh_metadata().await;
        refreshed.map_err(|_| {
            Error::new(
                ErrorKind::Lost,
                format!("connection `{}`: its tables could not be read", self.connection),
            )
        })
    }

    /// Prepares a statement that may be sent twice without harm.
    pub(crate) async fn prepare(&self, text: &str, what: &str) -> Result<PreparedStatement> {
        let mut pauses = pauses();
        loop {
            match self.session.prepare(text).await {
                Ok(mut prepared) => {
                    prepared.set_is_idempotent(true);
                    return Ok(prepared);
                }
                Err(error) => self.pause(&Fault::of_prepare(&error), &mut pauses, what).await?,
            }
        }
    }

    /// A statement that is asked more than once, prepared when it is first wanted.
    pub(crate) async fn statement(&self, text: &str, consistency: Consistency, what: &str) -> Result<PreparedStatement> {
        let known = self
            .prepared
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(text)
            .cloned();
        let mut statement = if let Some(statement) = known {
            statement
        } else {
            let statement = self.prepare(text, what).await?;
            let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
            prepared.entry(text.to_owned()).or_insert(statement).clone()
        };
        statement.set_consistency(consistency);
        Ok(statement)
    }

    /// Asks, again where a fault may pass.
    ///
    /// # Errors
    /// By kind: lost, unauthorised, missing where a table is not as it was.
    pub(crate) async fn ask(&self, statement: &PreparedStatement, values: impl SerializeRow, what: &str) -> Result<QueryResult> {
        let mut pauses = pauses();
        loop {
            match self.session.execute_unpaged(statement, &values).await {
                Ok(result) => return Ok(result),
                Err(error) => self.pause(&Fault::of(&error), &mut pauses, what).await?,
            }
        }
    }

    /// Changes the schema; the driver waits until all nodes agree on it.
    pub(crate) async fn change(&self, text: &str, what: &str) -> Result<()> {
        let mut statement = Statement::new(text);
        statement.set_is_idempotent(false);
        match self.session.query_unpaged(statement, &[]).await {
            Ok(_) => Ok(()),
            Err(error) => Err(Fault::of(&error).at(&self.connection, what)),
        }
    }

    /// Waits until a fault may have passed, or hands it on.
    pub(crate) async fn pause(&self, fault: &Fault<'_>, pauses: &mut impl Iterator<Item = Duration>, what: &str) -> Result<()> {
        match pauses.next().filter(|_| fault.passes()) {
            Some(pause) => {
                tokio::time::sleep(pause).await;
                Ok(())
            }
            None => Err(fault.at(&self.connection, what)),
        }
    }
}

/// How long to wait between attempts at one request; whoever loses a connection waits longer, and
/// says so.
pub(crate) fn pauses() -> impl Iterator<Item = Duration> + Send {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(1))
        .with_max_times(ATTEMPTS_MAX)
        .with_jitter()
        .build()
}

/// TLS that checks the certificate of each node against its address.
fn tls(connection: &str, cluster: &ScyllaCluster) -> Result<Arc<rustls::ClientConfig>> {
    let mut roots = rustls::RootCertStore::empty();
    let fault = |what: &str| {
        Error::new(ErrorKind::Config, format!("connection `{connection}`: {what}"))
            .hint("`ca_file` is a PEM file with certificates")
    };
    match &cluster.ca_file {
        Some(path) => {
            let certificates = CertificateDer::pem_file_iter(path).map_err(|_| fault("its authorities cannot be read"))?;
            for certificate in certificates {
                let certificate = certificate.map_err(|_| fault("its file of authorities is damaged"))?;
                roots
                    .add(certificate)
                    .map_err(|_| fault("one of its authorities is no certificate"))?;
            }
        }
        None => {
            for certificate in rustls_native_certs::load_native_certs().certs {
                // One that cannot be read is of no use to anybody: the others stay.
                drop(roots.add(certificate));
            }
        }
    }
    Ok(Arc::new(
        rustls::ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth(),
    ))
}
