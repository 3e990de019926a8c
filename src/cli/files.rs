//! A project and its environment, loaded and checked as far as files alone can tell; and which
//! connections its streams need.

use std::collections::BTreeMap;
use std::path::Path;

use super::intent::Invocation;
use crate::config::Config;
use crate::config::connection::{Connection, ConnectionKind};
use crate::data::finding::Severity;
use crate::mapping::{Project, Stream, check, file};
use crate::sink::{self, Sink};
use crate::{Error, ErrorKind, Result};

/// Both files, good in themselves.
pub(super) struct Files {
    pub(super) config: Config,
    pub(super) project: Project,
}

/// What a connection is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Source,
    Sink,
}

impl Role {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Sink => "sink",
        }
    }
}

impl Files {
    /// Loads both; mistakes of both are told together.
    ///
    /// # Errors
    /// With every finding of the files.
    pub(super) fn load(invocation: &Invocation) -> Result<Self> {
        Self::load_by(invocation, file::load)
    }

    /// Loads both, for what is about connections alone: a project may have no streams.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub(super) fn load_any(invocation: &Invocation) -> Result<Self> {
        Self::load_by(invocation, file::load_any)
    }

    fn load_by(invocation: &Invocation, project: impl FnOnce(&Path) -> Result<Project>) -> Result<Self> {
        let mut config = Config::load(&invocation.config_dir, &invocation.environment);
        if let (Ok(config), Some(prefix)) = (&mut config, &invocation.key_prefix) {
            prefix.as_str().clone_into(&mut config.key_prefix);
        }
        let project = project(&invocation.project);
        let (config, project) = match (config, project) {
            (Ok(config), Ok(project)) => (config, project),
            (Err(one), Err(other)) if !one.list().is_empty() && !other.list().is_empty() => {
                let kind = one.kind();
                let mut findings = one.into_findings();
                findings.extend(other.into_findings());
                return Err(Error::findings(kind, findings));
            }
            (Err(error), _) | (_, Err(error)) => return Err(error),
        };
        let mut found = check::alone(&project, &config.connections());
        found.extend(check::kinds(&project, |connection| config.kind(connection)));
        if let Some(prefix) = &invocation.key_prefix {
            found.extend(check::prefix(&project, prefix.as_str()));
        }
        if found.iter().any(|finding| finding.severity == Severity::Error) {
            return Err(Error::findings(ErrorKind::Mapping, found));
        }
        Ok(Self { config, project })
    }

    /// Streams that are not left out by a disabled connection; only those named, if any are.
    pub(super) fn streams(&self, only: &[String]) -> Vec<&Stream> {
        self.project
            .streams
            .iter()
            .filter(|stream| only.is_empty() || only.contains(&stream.name.value))
            .filter(|stream| !self.is_disabled(stream))
            .collect()
    }

    /// Streams and backfills that are not left out by a disabled connection: all that leaves a trail.
    pub(super) fn writers(&self) -> Vec<&Stream> {
        let backfills = self.project.backfills.iter().map(|backfill| &backfill.stream);
        let mut writers = self.streams(&[]);
        writers.extend(backfills.filter(|stream| !self.is_disabled(stream)));
        writers
    }

    /// Names of the streams that are left out.
    pub(super) fn disabled(&self) -> Vec<String> {
        let left_out = self.project.streams.iter().filter(|stream| self.is_disabled(stream));
        left_out.map(|stream| stream.name.value.clone()).collect()
    }

    fn is_disabled(&self, stream: &Stream) -> bool {
        self.config.is_disabled(stream.from.connection()) || self.config.is_disabled(&stream.to.value.connection)
    }

    /// Connections that these streams use, each once for each role, sources first.
    pub(super) fn ends(streams: &[&Stream]) -> Vec<(String, Role)> {
        let sources = streams
            .iter()
            .map(|stream| (stream.from.connection().to_owned(), Role::Source));
        let sinks = streams.iter().map(|stream| (stream.to.value.connection.clone(), Role::Sink));
        let mut ends: Vec<(String, Role)> = Vec::new();
        for end in sources.chain(sinks) {
            if !ends.contains(&end) {
                ends.push(end);
            }
        }
        ends
    }

    /// Opens the targets of these streams to look at them; nothing that is missing is created.
    ///
    /// # Errors
    /// As [`Self::resolve`] and [`open_sink`].
    pub(super) async fn open_sinks(&self, streams: &[&Stream], invocation: &Invocation) -> Result<Vec<(String, Box<dyn Sink>)>> {
        let resolved = self.resolve(streams)?;
        let mut sinks = Vec::new();
        for (name, role) in Self::ends(streams) {
            if role == Role::Sink {
                let sink = open_sink(&resolved[&name], invocation).await?;
                sinks.push((name, sink));
            }
        }
        Ok(sinks)
    }

    /// Resolves the connections of these streams, by name; all unset variables are told together.
    ///
    /// # Errors
    /// As [`Config::resolve`].
    pub(super) fn resolve(&self, streams: &[&Stream]) -> Result<BTreeMap<String, Connection>> {
        let names: Vec<String> = Self::ends(streams).into_iter().map(|(name, _)| name).collect();
        self.resolve_named(&names)
    }

    /// Resolves these connections, as [`Self::resolve`] does.
    ///
    /// # Errors
    /// As [`Config::resolve`].
    pub(super) fn resolve_named(&self, names: &[String]) -> Result<BTreeMap<String, Connection>> {
        let mut resolved = BTreeMap::new();
        let mut findings = Vec::new();
        for name in names {
            match self.config.resolve(name) {
                Ok(connection) => drop(resolved.insert(name.clone(), connection)),
                Err(error) if error.list().is_empty() => return Err(error),
                Err(error) => findings.extend(error.into_findings()),
            }
        }
        findings.dedup();
        if findings.is_empty() {
            Ok(resolved)
        } else {
            Err(Error::findings(ErrorKind::Config, findings))
        }
    }
}

/// Opens a target to look at it: a missing database is not created, whatever the connection says.
///
/// # Errors
/// As [`sink::open`].
pub(super) async fn open_sink(connection: &Connection, invocation: &Invocation) -> Result<Box<dyn Sink>> {
    sink::open(&untouched(connection)).await.map_err(|error| {
        if creates(connection) && error.kind() == ErrorKind::Missing {
            error.hint(format!(
                "nothing was moved there yet; `{}` creates it",
                invocation.command("run", &["--apply-schema"])
            ))
        } else {
            error
        }
    })
}

/// Whether a run would create the database of a connection.
pub(super) const fn creates(connection: &Connection) -> bool {
    match &connection.kind {
        ConnectionKind::Sqlite { create_database, .. } | ConnectionKind::Postgres { create_database, .. } => *create_database,
        ConnectionKind::Scylla(cluster) => cluster.create_database,
        ConnectionKind::Pocketbase { .. } | ConnectionKind::Cosmos(_) | ConnectionKind::Redis(_) => false,
    }
}

/// The same connection, but nothing that is missing is created: for commands that write nothing.
fn untouched(connection: &Connection) -> Connection {
    let mut untouched = connection.clone();
    if let ConnectionKind::Sqlite { create_database, .. } | ConnectionKind::Postgres { create_database, .. } = &mut untouched.kind {
        *create_database = false;
    }
    if let ConnectionKind::Scylla(cluster) = &mut untouched.kind {
        cluster.create_database = false;
    }
    untouched
}
