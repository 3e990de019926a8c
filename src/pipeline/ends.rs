//! Both ends of a plan's streams: every connection resolved first, then opened once.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::Config;
use crate::config::connection::{Connection, ConnectionKind};
use crate::error::Retry;
use crate::mapping::Stream;
use crate::sink::{self, Sink};
use crate::source::{self, Source};
use crate::{Error, ErrorKind, Result};

/// Both ends of the selected streams, each connection opened once.
pub(super) struct Ends {
    pub(super) sources: BTreeMap<String, Arc<dyn Source>>,
    pub(super) sinks: BTreeMap<String, Arc<dyn Sink>>,
    /// What a source connection is, without secrets: part of the fingerprint (Invariant 8).
    pub(super) identities: BTreeMap<String, String>,
    /// Sinks that cannot be reached, where the caller goes without them.
    pub(super) away: BTreeMap<String, Error>,
}

/// How ends are opened.
pub(super) struct Opening<'a> {
    /// A missing target database may be created.
    pub(super) create: bool,
    /// A sink server that cannot be reached is no error.
    pub(super) go_without: bool,
    /// Sources that are open already.
    pub(super) sources: &'a BTreeMap<String, Arc<dyn Source>>,
}

impl Ends {
    pub(super) async fn open(config: &Config, streams: &[&Stream], how: &Opening<'_>) -> Result<Self> {
        let mut sources: BTreeMap<String, Arc<dyn Source>> = BTreeMap::new();
        let mut sinks: BTreeMap<String, Arc<dyn Sink>> = BTreeMap::new();
        let mut identities = BTreeMap::new();
        let resolved = resolve(config, streams)?;
        let mut away = BTreeMap::new();
        for stream in streams {
            let from = stream.from.connection();
            if !sources.contains_key(from) {
                let connection = &resolved[from];
                let source = match how.sources.get(from) {
                    Some(open) => Arc::clone(open),
                    None => Arc::from(source::open(connection).await?),
                };
                sources.insert(from.to_owned(), source);
                identities.insert(from.to_owned(), identity(connection));
            }
            let to = &stream.to.value.connection;
            if sinks.contains_key(to) || away.contains_key(to) {
                continue;
            }
            let connection = &resolved[to.as_str()];
            match sink::open(&allowed(connection, how.create)).await {
                Ok(sink) => drop(sinks.insert(to.clone(), Arc::from(sink))),
                Err(error) if how.go_without && may_come_back(connection, &error) => drop(away.insert(to.clone(), error)),
                Err(error) => return Err(error),
            }
        }
        Ok(Self {
            sources,
            sinks,
            identities,
            away,
        })
    }
}

/// All connections of the streams.
fn resolve(config: &Config, streams: &[&Stream]) -> Result<BTreeMap<String, Connection>> {
    // All variables first, so that one message names every one that is unset.
    let mut resolved = BTreeMap::new();
    let mut findings = Vec::new();
    for name in streams
        .iter()
        .flat_map(|stream| [stream.from.connection(), stream.to.value.connection.as_str()])
    {
        if resolved.contains_key(name) {
            continue;
        }
        match config.resolve(name) {
            Ok(connection) => drop(resolved.insert(name.to_owned(), connection)),
            Err(error) if error.list().is_empty() => return Err(error),
            Err(error) => findings.extend(
                error
                    .into_findings()
                    .into_iter()
                    .filter(|finding| !findings.contains(finding))
                    .collect::<Vec<_>>(),
            ),
        }
    }
    if findings.is_empty() {
        return Ok(resolved);
    }
    Err(Error::findings(ErrorKind::Config, findings))
}

/// A server that is down may be up later; a file that is not there was misspelt.
fn may_come_back(connection: &Connection, error: &Error) -> bool {
    matches!(
        connection.kind,
        ConnectionKind::Postgres { .. } | ConnectionKind::Redis(_) | ConnectionKind::Scylla(_)
    ) && error.kind().policy().retry == Retry::Backoff
}

/// The connection, with the leave to create a missing database only where the caller gives it.
pub(super) fn allowed(connection: &Connection, create: bool) -> Connection {
    let mut allowed = connection.clone();
    if let ConnectionKind::Sqlite { create_database, .. } | ConnectionKind::Postgres { create_database, .. } = &mut allowed.kind {
        *create_database &= create;
    }
    if let ConnectionKind::Scylla(cluster) = &mut allowed.kind {
        cluster.create_database &= create;
    }
    allowed
}

fn identity(connection: &Connection) -> String {
    match &connection.kind {
        ConnectionKind::Sqlite { path, .. } | ConnectionKind::Pocketbase { path } => {
            let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.clone());
            format!("{} {}", connection.kind.name(), path.display())
        }
        ConnectionKind::Postgres { .. } | ConnectionKind::Redis(_) | ConnectionKind::Scylla(_) => {
            format!("{} {}", connection.kind.name(), connection.name)
        }
        ConnectionKind::Cosmos(account) => format!("cosmos {} {}", account.endpoint, account.database),
    }
}
