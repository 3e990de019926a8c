//! The server: how it is reached, what it is, and whether it may be written to.

use std::time::Duration;

use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::{AsyncConnectionConfig, Client, ConnectionInfo, IntoConnectionInfo as _, RedisError, TlsCertificates};
use secrecy::ExposeSecret as _;

use super::fault::{self, classify};
use super::form;
use super::kept::Committed;
use super::link::Link;
use crate::config::connection::RedisServer;
use crate::config::tls;
use crate::{Error, ErrorKind, Result};

/// How long a connection may take to open.
const CONNECT_WAIT: Duration = Duration::from_secs(10);
/// How long an answer may take: a transaction of many rows, or a server that saves.
const ANSWER_WAIT: Duration = Duration::from_mins(1);
/// The same of a cluster: while its nodes change, the driver may lose sight of a command altogether, and only
/// this ends it. The pipeline tries again.
const CLUSTER_ANSWER_WAIT: Duration = Duration::from_secs(20);
/// How often the driver follows a redirection or tries a node again before it gives up; the
/// pipeline tries again after that.
const CLUSTER_RETRIES: u32 = 4;
/// Bounds of its pauses in between, in milliseconds. Long ones are the pipeline's, which knows how long it
/// may go on trying.
const CLUSTER_PAUSE: std::ops::Range<u64> = 20..400;
/// Most bytes of one argument: a string of Redis is no longer, whatever a server lets through.
const ARGUMENT_BYTES_MAX: usize = 512 << 20;
/// Oldest version whose commands are used: PXAT, ZMSCORE and SMISMEMBER are of 6.2.
const VERSION_MIN: (u32, u32) = (6, 2);

/// A server or cluster.
pub(super) struct Server {
    /// Connection name.
    pub(super) name: String,
    /// Before every key.
    pub(super) prefix: String,
    /// What this program has written there.
    pub(super) committed: Committed,
    /// Most bytes of one argument of a command.
    pub(super) bytes_max: usize,
    client: Client,
    cluster: Option<ClusterClient>,
}

/// What INFO tells.
pub(super) struct Facts(String);

impl Facts {
    /// A figure or word by its name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .map(str::trim)
    }
}

impl Server {
    /// Reaches the first of the addresses that answers, and finds out what is there.
    pub(super) async fn open(name: &str, server: &RedisServer) -> Result<Self> {
        tls::install_provider();
        let failed = |error: &RedisError| classify(error, name, "opening it");
        let certificates = certificates(name, server)?;
        let mut infos = Vec::new();
        for url in &server.urls {
            infos.push(url.expose_secret().into_connection_info().map_err(|error| failed(&error))?);
        }
        let mut last = None;
        for info in &infos {
            let client = client(info.clone(), certificates.clone()).map_err(|error| failed(&error))?;
            let mut opened = Self {
                name: name.to_owned(),
                prefix: server.key_prefix.clone(),
                committed: Committed::default(),
                bytes_max: ARGUMENT_BYTES_MAX,
                client,
                cluster: None,
            };
            match opened.look(&infos, certificates.as_ref()).await {
                Ok(()) => return Ok(opened),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| Error::new(ErrorKind::Config, format!("connection `{name}` has no address"))))
    }

    async fn look(&mut self, infos: &[ConnectionInfo], certificates: Option<&TlsCertificates>) -> Result<()> {
        let mut link = self.single().await?;
        let facts = self.facts(&mut link, 0).await?;
        self.check_version(&facts)?;
        self.look_at_limit(&mut link).await;
        if facts.get("cluster_enabled") != Some("1") {
            return Ok(());
        }
        if let Some(info) = infos.iter().find(|info| info.redis_settings().db() != 0) {
            return Err(Error::new(
                ErrorKind::Config,
                format!(
                    "connection `{}`: a cluster has no database but 0, and {} is asked for",
                    self.name,
                    info.redis_settings().db()
                ),
            ));
        }
        let mut builder = ClusterClientBuilder::new(infos.to_vec())
            .connection_timeout(CONNECT_WAIT)
            .response_timeout(CLUSTER_ANSWER_WAIT)
            .overall_response_timeout(Some(CLUSTER_ANSWER_WAIT + CONNECT_WAIT))
            .retries(CLUSTER_RETRIES)
            .retry_wait_formula(50, 2)
            .min_retry_wait(CLUSTER_PAUSE.start)
            .max_retry_wait(CLUSTER_PAUSE.end);
        if let Some(certificates) = certificates {
            builder = builder.certs(certificates.clone());
        }
        let cluster = builder
            .build()
            .map_err(|error| classify(&error, &self.name, "opening the cluster"))?;
        self.cluster = Some(cluster);
        Ok(())
    }

    /// How large an argument may be: who sends a larger one is cut off without a word. Where the
    /// user may not ask, it is what servers have by default.
    async fn look_at_limit(&mut self, link: &mut Link) {
        let mut ask = redis::cmd("CONFIG");
        ask.arg("GET").arg("proto-max-bulk-len");
        if let Ok(reply) = link.ask_node(0, "CONFIG GET", ask).await
            && let Some(limit) = form::parts(reply).get(1).and_then(form::number)
        {
            self.bytes_max = usize::try_from(limit).unwrap_or(self.bytes_max).min(ARGUMENT_BYTES_MAX);
        }
    }

    fn check_version(&self, facts: &Facts) -> Result<()> {
        let version = facts.get("redis_version").unwrap_or_default();
        let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or_default());
        let found = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        if found >= VERSION_MIN {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Missing,
            format!("connection `{}` is Redis {version}, and 6.2 or newer is needed", self.name),
        )
        .hint("update the server"))
    }

    /// A new connection.
    pub(super) async fn link(&self) -> Result<Link> {
        let Some(cluster) = &self.cluster else {
            return self.single().await;
        };
        let connection = cluster.get_async_connection().await;
        let connection =
            connection.map_err(|error| not_reached(classify(&error, &self.name, "connecting to the cluster"), &error))?;
        Link::cluster(&self.name, connection).await
    }

    async fn single(&self) -> Result<Link> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_WAIT))
            .set_response_timeout(Some(ANSWER_WAIT));
        let connection = self.client.get_multiplexed_async_connection_with_config(&config).await;
        connection
            .map(|connection| Link::single(&self.name, connection))
            .map_err(|error| not_reached(classify(&error, &self.name, "connecting"), &error))
    }

    /// What INFO tells of a node.
    pub(super) async fn facts(&self, link: &mut Link, node: usize) -> Result<Facts> {
        let reply = link.ask_node(node, "INFO", redis::cmd("INFO")).await?;
        let text = match &reply {
            redis::Value::VerbatimString { text, .. } => Some(text.clone()),
            reply => form::bytes(reply).map(|bytes| String::from_utf8_lossy(bytes).into_owned()),
        };
        text.map(Facts).ok_or_else(|| fault::unexpected(&self.name, "INFO"))
    }

    /// Whether what is written stays: a server that throws keys away at will would lose rows
    /// silently. Returns how many keys the nodes have evicted so far.
    pub(super) async fn check_keeps(&self, link: &mut Link) -> Result<u64> {
        let mut evicted = 0;
        for node in 0..link.nodes() {
            let facts = self.facts(link, node).await?;
            let policy = facts.get("maxmemory_policy").unwrap_or_default();
            let limited = facts.get("maxmemory").is_some_and(|limit| limit != "0");
            if limited && policy.starts_with("allkeys-") {
                return Err(Error::new(
                    ErrorKind::Unauthorised,
                    format!(
                        "connection `{}` evicts any key when memory is short (`maxmemory-policy {policy}`): rows and checkpoints would vanish silently",
                        self.name
                    ),
                )
                .hint("set `maxmemory-policy` to `noeviction` or one of `volatile-…` for as long as rows are moved"));
            }
            if facts.get("role") == Some("slave") {
                return Err(Error::new(
                    ErrorKind::Lost,
                    format!("connection `{}` is a replica, which takes no writes", self.name),
                )
                .hint("connect to its master"));
            }
            evicted += facts
                .get("evicted_keys")
                .and_then(|keys| keys.parse::<u64>().ok())
                .unwrap_or_default();
        }
        Ok(evicted)
    }
}

/// Of a connection that did not come about: nobody is there, or TLS found the server to be somebody
/// else.
fn not_reached(classified: Error, error: &RedisError) -> Error {
    if !(error.is_io_error() && classified.kind() == ErrorKind::Lost) {
        return classified;
    }
    if tls::is_behind(error) {
        return Error::new(
            ErrorKind::Unauthorised,
            format!(
                "{}: TLS failed: the server's certificate is not one to be trusted, or it speaks no TLS",
                classified.message()
            ),
        )
        .hint("check the host of the `url`, and that `ca_file` holds the authority that signed the certificate");
    }
    Error::new(ErrorKind::Unreachable, classified.message().to_owned())
}

fn client(info: ConnectionInfo, certificates: Option<TlsCertificates>) -> Result<Client, RedisError> {
    match certificates {
        Some(certificates) => Client::build_with_tls(info, certificates),
        None => Client::open(info),
    }
}

/// The authorities of the connection's own file.
fn certificates(name: &str, server: &RedisServer) -> Result<Option<TlsCertificates>> {
    let Some(path) = &server.ca_file else { return Ok(None) };
    let tls = server.urls.iter().any(|url| url.expose_secret().starts_with("rediss://"));
    if !tls {
        return Ok(None);
    }
    let root_cert = std::fs::read(path).map_err(|error| {
        Error::new(
            ErrorKind::Config,
            format!("connection `{name}`: cannot read its `ca_file` {}", path.display()),
        )
        .because(error)
    })?;
    Ok(Some(TlsCertificates {
        client_tls: None,
        root_cert: Some(root_cert),
    }))
}
