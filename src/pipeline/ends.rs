//! Both ends of a plan's streams: every connection resolved first, then opened once.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::Config;
use crate::config::connection::{Connection, ConnectionKind};
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
}

impl Ends {
    pub(super) async fn open(config: &Config, streams: &[&Stream], create: bool) -> Result<Self> {
        let mut sources: BTreeMap<String, Arc<dyn Source>> = BTreeMap::new();
        let mut sinks: BTreeMap<String, Arc<dyn Sink>> = BTreeMap::new();
        let mut identities = BTreeMap::new();
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
        if !findings.is_empty() {
            return Err(Error::findings(ErrorKind::Config, findings));
        }
        for stream in streams {
            let from = stream.from.connection();
            if !sources.contains_key(from) {
                let connection = &resolved[from];
                sources.insert(from.to_owned(), Arc::from(source::open(connection).await?));
                identities.insert(from.to_owned(), identity(connection));
            }
            let to = &stream.to.value.connection;
            if !sinks.contains_key(to) {
                sinks.insert(
                    to.clone(),
                    Arc::from(sink::open(&allowed(&resolved[to.as_str()], create)).await?),
                );
            }
        }
        Ok(Self {
            sources,
            sinks,
            identities,
        })
    }
}

/// The connection, with the leave to create a missing database only where the caller gives it.
fn allowed(connection: &Connection, create: bool) -> Connection {
    let mut allowed = connection.clone();
    if let ConnectionKind::Sqlite { create_database, .. } | ConnectionKind::Postgres { create_database, .. } = &mut allowed.kind {
        *create_database &= create;
    }
    allowed
}

fn identity(connection: &Connection) -> String {
    match &connection.kind {
        ConnectionKind::Sqlite { path, .. } | ConnectionKind::Pocketbase { path } => {
            let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.clone());
            format!("{} {}", connection.kind.name(), path.display())
        }
        ConnectionKind::Postgres { .. } => format!("postgres {}", connection.name),
    }
}
