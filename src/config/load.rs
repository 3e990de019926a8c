//! Loading `config/<environment>.toml`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use super::connection::{Connection, ConnectionKind};
use super::entry::Kind;
use super::file::{self, Address, ConfigFile, Declared};
use super::limits::Limits;
use super::secret::{Environment, Value};
use super::{mask, metrics};
use crate::data::document::Reader;
use crate::data::finding::{Finding, SourceFile, listed, nearest};
use crate::data::json_schema;
use crate::{Error, ErrorKind, Result};

/// A configuration file, parsed and validated, with nothing resolved.
#[derive(Debug, Clone)]
pub struct Config {
    /// Environment: the file's name without `.toml`.
    pub environment: String,
    /// Path of the file.
    pub path: PathBuf,
    /// Limits.
    pub limits: Limits,
    /// Where figures of a run are served, if they are.
    pub metrics: Option<SocketAddr>,
    /// What every key of a key-value store begins with; empty outside of rehearsals.
    pub key_prefix: String,
    connections: Vec<Declared>,
}

impl Config {
    /// Loads `<folder>/<environment>.toml`.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] with every finding of the file; [`ErrorKind::Usage`] where there is
    /// no such environment, naming those that there are.
    pub fn load(folder: &Path, environment: &str) -> Result<Self> {
        let path = folder.join(format!("{environment}.toml"));
        let plain = !environment.is_empty() && !environment.contains(['/', '\\']);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) if plain => text,
            Err(error) if plain && error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::new(ErrorKind::Config, format!("cannot read {}", path.display())).because(error));
            }
            _ => return Err(no_environment(folder, environment)),
        };
        let source = SourceFile {
            path: path.display().to_string(),
            text: mask::passwords(&text),
        };
        let (mut reader, mut wire) = Reader::read::<ConfigFile>(source, &text);
        let limits = wire.as_ref().map(|wire| wire.limits).unwrap_or_default();
        let metrics = wire.as_mut().map(|wire| std::mem::take(&mut wire.metrics));
        let metrics = metrics.and_then(|metrics| metrics::check(&mut reader, metrics));
        let connections = wire.map_or_else(Vec::new, |wire| file::check(&mut reader, wire));
        if !reader.findings.is_empty() {
            reader.sort();
            return Err(Error::findings(ErrorKind::Config, reader.findings));
        }
        Ok(Self {
            environment: environment.to_owned(),
            path,
            limits,
            metrics,
            key_prefix: String::new(),
            connections,
        })
    }

    /// Names of all connections, in file order.
    #[must_use]
    pub fn connections(&self) -> Vec<&str> {
        self.connections.iter().map(|declared| declared.name.value.as_str()).collect()
    }

    /// The kind of a connection, as the configuration spells it.
    #[must_use]
    pub fn kind(&self, name: &str) -> Option<&'static str> {
        self.declared(name).map(|declared| declared.address.kind().name())
    }

    /// Whether a connection says `disabled = true`, or its variable may be unset and is.
    #[must_use]
    pub fn is_disabled(&self, name: &str) -> bool {
        self.declared(name).is_some_and(|declared| {
            // Variables that cannot be read are told where the connection is resolved.
            let unset = || Environment::read().is_ok_and(|environment| declared.is_left_out(&environment));
            declared.disabled || (declared.may_be_left_out() && unset())
        })
    }

    /// [`Self::is_disabled`] with given variables.
    #[must_use]
    pub fn is_disabled_in(&self, name: &str, environment: &Environment) -> bool {
        self.declared(name)
            .is_some_and(|declared| declared.disabled || declared.is_left_out(environment))
    }

    /// Reads the variables and files of one connection.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] naming the unset variable, unreadable file or bad URL, with its
    /// place; never the value.
    pub fn resolve(&self, name: &str) -> Result<Connection> {
        self.resolve_in(name, &Environment::read()?)
    }

    /// [`Self::resolve`] with given variables.
    pub fn resolve_in(&self, name: &str, environment: &Environment) -> Result<Connection> {
        let declared = self.declared(name).ok_or_else(|| self.no_connection(name))?;
        let mut connection = connect(declared, environment).map_err(|findings| Error::findings(ErrorKind::Config, findings))?;
        if let ConnectionKind::Redis(server) = &mut connection.kind {
            server.key_prefix.clone_from(&self.key_prefix);
        }
        Ok(connection)
    }

    fn declared(&self, name: &str) -> Option<&Declared> {
        self.connections.iter().find(|declared| declared.name.value == name)
    }

    fn no_connection(&self, name: &str) -> Error {
        let names = self.connections();
        let error = Error::new(
            ErrorKind::Config,
            format!("{} has no connection `{name}`", self.path.display()),
        );
        match nearest(name, names.iter().copied()) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint(format!("its connections: {}", listed(&names))),
        }
    }
}

fn connect(declared: &Declared, environment: &Environment) -> Result<Connection, Vec<Finding>> {
    let name = declared.name.value.clone();
    let one = |kind, value: &Value| address(&name, kind, value, environment).map_err(|finding| vec![finding]);
    let kind = match &declared.address {
        Address::Sqlite { path, create_database } => ConnectionKind::Sqlite {
            path: PathBuf::from(one(Kind::Sqlite, path)?.expose_secret()),
            create_database: *create_database,
        },
        Address::Pocketbase { path } => ConnectionKind::Pocketbase {
            path: PathBuf::from(one(Kind::Pocketbase, path)?.expose_secret()),
        },
        Address::Postgres {
            url,
            create_database,
            new_database,
        } => ConnectionKind::Postgres {
            url: one(Kind::Postgres, url)?,
            create_database: *create_database,
            new_database: new_database.clone(),
        },
        Address::Cosmos(account) => ConnectionKind::Cosmos(Box::new(account.resolve(&name, environment)?)),
        Address::Redis(server) => {
            let server = server.resolve(&name, environment).map_err(|finding| vec![finding])?;
            ConnectionKind::Redis(Box::new(server))
        }
        Address::Scylla(cluster) => {
            let cluster = cluster.resolve(&name, environment).map_err(|finding| vec![finding])?;
            ConnectionKind::Scylla(Box::new(cluster))
        }
    };
    Ok(Connection { name, kind })
}

/// A path or URL, looked up.
fn address(name: &str, kind: Kind, value: &Value, environment: &Environment) -> Result<SecretString, Finding> {
    let address = value.resolve(environment)?;
    match file::address_fault(kind, address.value.expose_secret()) {
        Some(fault) => Err(Finding {
            place: Some(address.place),
            message: fault
                .message
                .replacen("this is", &format!("the value for connection `{name}` is"), 1),
            ..fault
        }),
        None => Ok(address.value),
    }
}

fn no_environment(folder: &Path, environment: &str) -> Error {
    let error = Error::new(
        ErrorKind::Usage,
        format!("there is no environment `{environment}` in {}", folder.display()),
    );
    let Ok(entries) = std::fs::read_dir(folder) else {
        return error.hint(format!(
            "the folder {} does not exist; `--config-dir` names another",
            folder.display()
        ));
    };
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".toml").map(str::to_owned))
        .collect();
    names.sort();
    match nearest(environment, names.iter().map(String::as_str)) {
        Some(near) => error.hint(format!("did you mean `--env {near}`? there are {}", listed(&names))),
        None if names.is_empty() => error.hint("write one, such as config/development.toml"),
        None => error.hint(format!("there are {}", listed(&names))),
    }
}

/// JSON Schema of the file format.
#[must_use]
pub fn json_schema() -> serde_json::Value {
    json_schema::of::<ConfigFile>()
}
