//! Looks the values of a Cosmos connection up.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::{Access, Declared, bad};
use crate::config::account;
use crate::config::connection::{CosmosAccess, CosmosAccount};
use crate::config::secret::{Environment, Value};
use crate::data::finding::{Finding, Located, Place, listed};

/// Variable of the SDK that names the host of an emulator elsewhere.
const EMULATOR_HOST: &str = "AZURE_COSMOS_EMULATOR_HOST";

impl Declared {
    /// Reads variables and files. Every finding is told, not the first alone.
    pub(in crate::config) fn resolve(&self, connection: &str, environment: &Environment) -> Result<CosmosAccount, Vec<Finding>> {
        let look = Look { connection, environment };
        let mut findings = Vec::new();
        let mut containers = BTreeMap::new();
        for (name, value) in &self.containers {
            match look.text("containers", value) {
                Ok(container) => drop(containers.insert(name.clone(), container)),
                Err(finding) => findings.push(finding),
            }
        }
        let database = look.text("database", &self.database);
        let found = self.access.resolve(&look).and_then(|found| {
            look.check_transport(&found, self.accept_emulator_certificate.as_ref())?;
            Ok(found)
        });
        match (found, database) {
            (Ok(found), Ok(database)) if findings.is_empty() => Ok(CosmosAccount {
                endpoint: found.endpoint.into(),
                access: found.access,
                database,
                containers,
                max_request_units_per_second: self.max_request_units_per_second,
                pages_in_flight_max: self.pages_in_flight_max,
                accept_emulator_certificate: self.accept_emulator_certificate.is_some(),
                http2: self.http2,
            }),
            (found, database) => {
                findings.extend(found.err());
                findings.extend(database.err());
                Err(findings)
            }
        }
    }
}

/// An account and how it is entered.
struct Found {
    endpoint: Url,
    /// Where the endpoint is written.
    place: Place,
    access: CosmosAccess,
}

impl Access {
    fn resolve(&self, look: &Look<'_>) -> Result<Found, Finding> {
        match self {
            Self::Credential { endpoint, credential } => look.found(endpoint, CosmosAccess::Credential(*credential)),
            Self::Key { endpoint, key } => {
                let access = CosmosAccess::Key(look.value("key", key)?.value);
                look.found(endpoint, access)
            }
            Self::ConnectionString(text) => look.account(text),
            Self::Either {
                endpoint,
                key,
                connection_string,
            } => {
                let [has_key, has_string] = [key, connection_string].map(|value| value.is_set(look.environment));
                match (has_key, has_string) {
                    (true, false) => Self::Key {
                        endpoint: endpoint.clone(),
                        key: key.clone(),
                    }
                    .resolve(look),
                    (false, true) => look.same_account(endpoint, look.account(connection_string)?),
                    (has_both, _) => Err(Look::not_one(key, connection_string, has_both)),
                }
            }
        }
    }
}

/// Looks values of a connection up.
struct Look<'a> {
    connection: &'a str,
    environment: &'a Environment,
}

impl Look<'_> {
    /// A value that is what its key should be.
    fn value(&self, key: &'static str, value: &Value) -> Result<Located<SecretString>, Finding> {
        let found = value.resolve(self.environment)?;
        match account::fault_of(key, found.value.expose_secret()) {
            Some(fault) => {
                let message = format!(
                    "the `{key}` of connection `{}` is not {}: {}",
                    self.connection, fault.what, fault.why
                );
                Err(bad(fault, found.place, message))
            }
            None => Ok(found),
        }
    }

    /// A value that is no secret.
    fn text(&self, key: &'static str, value: &Value) -> Result<String, Finding> {
        Ok(self.value(key, value)?.value.expose_secret().to_owned())
    }

    fn found(&self, endpoint: &Value, access: CosmosAccess) -> Result<Found, Finding> {
        let found = self.value("endpoint", endpoint)?;
        let endpoint = account::endpoint(found.value.expose_secret())
            .map_err(|fault| bad(fault, found.place.clone(), fault.why.to_owned()))?;
        Ok(Found {
            endpoint,
            place: found.place,
            access,
        })
    }

    fn account(&self, text: &Value) -> Result<Found, Finding> {
        let found = self.value("connection_string", text)?;
        let account = account::connection_string(found.value.expose_secret())
            .map_err(|fault| bad(fault, found.place.clone(), fault.why.to_owned()))?;
        Ok(Found {
            endpoint: account.endpoint,
            place: found.place,
            access: CosmosAccess::Key(account.key),
        })
    }

    /// An endpoint beside the connection string must be the same one; its default does not count.
    fn same_account(&self, endpoint: &Value, found: Found) -> Result<Found, Finding> {
        if !endpoint.is_set(self.environment) {
            return Ok(found);
        }
        let other = self.found(endpoint, found.access.clone())?;
        if other.endpoint == found.endpoint {
            return Ok(found);
        }
        let message = format!(
            "`endpoint` and `connection_string` of connection `{}` name two accounts",
            self.connection
        );
        Err(Finding::error("config::cosmos_account", Some(other.place), message)
            .label("another account")
            .help("unset one of them"))
    }

    /// Both are set, or none.
    fn not_one(key: &Value, connection_string: &Value, both: bool) -> Finding {
        let names: Vec<_> = [key, connection_string]
            .iter()
            .map(|value| value.place().text().trim_matches(['"', '\'']))
            .collect();
        let names = listed(&names);
        let (message, label, help) = if both {
            (
                format!("{names} are both set, and one of them enters the account"),
                "one too many",
                "unset one of them",
            )
        } else {
            (
                format!("of {names} none is set"),
                "not set",
                "set one of them, or write it into `.env` in the current directory",
            )
        };
        Finding::error("config::cosmos_account", Some(key.place().clone()), message)
            .label(label)
            .help(help)
    }

    /// Nothing goes over the network in the clear, nor to a server that nobody vouches for.
    fn check_transport(&self, found: &Found, accept_certificate: Option<&Place>) -> Result<(), Finding> {
        let named = self.environment.get(EMULATOR_HOST).and_then(|host| host.to_str());
        if account::is_emulator(&found.endpoint, named) {
            return Ok(());
        }
        let (place, what) = if found.endpoint.scheme() == "http" {
            (&found.place, "`http://` is for an emulator alone")
        } else if let Some(place) = accept_certificate {
            (place, "`accept_emulator_certificate` is for an emulator alone")
        } else {
            return Ok(());
        };
        let message = format!("{what}, and the account of connection `{}` is none", self.connection);
        Err(Finding::error("config::cosmos_account", Some(place.clone()), message)
            .label("not safe")
            .help(format!(
                "an emulator is on localhost, 127.0.0.1 or [::1], or on the host that the variable {EMULATOR_HOST} names"
            )))
    }
}
