//! A Cosmos connection: what its keys have to be, alone and together.
//!
//! Checked twice with the same words: what stands in the file when it is loaded, what variables
//! and secret files hold when the connection is resolved. No finding contains a value.

use std::collections::BTreeMap;
use std::ops::Range;

use super::account::{self, Fault};
use super::connection::CosmosCredential;
use super::entry::{ConnectionEntry, Positive};
use super::secret::{Value, ValueEntry};
use crate::data::document::{Marked, Reader};
use crate::data::finding::{Finding, Located, Place};

mod resolve;

/// Pages that are asked for at the same time where the connection does not say.
const PAGES_IN_FLIGHT: u64 = 4;

/// A Cosmos connection as declared: checked, with nothing looked up.
#[derive(Debug, Clone)]
pub(super) struct Declared {
    access: Access,
    database: Value,
    containers: Vec<(String, Value)>,
    max_request_units_per_second: Option<u64>,
    pages_in_flight_max: usize,
    /// Where `accept_emulator_certificate = true` stands.
    accept_emulator_certificate: Option<Place>,
    http2: bool,
}

/// How the account is found and entered.
#[derive(Debug, Clone)]
enum Access {
    /// Microsoft Entra.
    Credential { endpoint: Value, credential: CosmosCredential },
    /// A key.
    Key { endpoint: Value, key: Value },
    /// Endpoint and key in one.
    ConnectionString(Value),
    /// Both are optional: the one that is set.
    Either {
        endpoint: Value,
        key: Value,
        connection_string: Value,
    },
}

/// Checks the keys of a connection. `table` is its range in the text, `owner` names it.
pub(super) fn check(reader: &mut Reader, entry: ConnectionEntry, table: &Range<usize>, owner: &str) -> Option<Declared> {
    let damaged = reader.is_damaged(table);
    let example = "database = { env = \"COSMOS_DATABASE\" }";
    let database = reader.required(entry.database, table, owner, example);
    let database = database.and_then(|value| value_of(reader, "database", value));
    let example = "containers = { documents = { value = \"Documents\" } }";
    let containers = reader.required(entry.containers, table, owner, example);
    let containers = containers.and_then(|containers| containers_of(reader, containers));
    let given = Given {
        endpoint: entry.endpoint.map(|value| reader.locate(value)),
        key: entry.key.map(|value| reader.locate(value)),
        connection_string: entry.connection_string.map(|value| reader.locate(value)),
        credential: entry.credential.map(|value| reader.locate(value)),
    };
    let access = given.access(reader, &reader.place(table.clone()), owner, damaged);
    let number = |value: Option<Marked<Positive>>| value.map(|number| number.into_inner().0);
    let pages = number(entry.pages_in_flight_max).unwrap_or(PAGES_IN_FLIGHT);
    let accept = entry.accept_emulator_certificate.filter(|accept| *accept.get());
    Some(Declared {
        access: access?,
        database: database?,
        containers: containers?,
        max_request_units_per_second: number(entry.max_request_units_per_second),
        pages_in_flight_max: usize::try_from(pages).unwrap_or(usize::MAX),
        accept_emulator_certificate: accept.map(|accept| reader.place(accept.span())),
        http2: entry.http2.is_none_or(Marked::into_inner),
    })
}

/// Containers by name, in file order; at least one.
fn containers_of(
    reader: &mut Reader,
    containers: Located<BTreeMap<Marked<String>, Marked<ValueEntry>>>,
) -> Option<Vec<(String, Value)>> {
    if containers.value.is_empty() && !reader.is_damaged(&containers.place.span) {
        reader.findings.push(
            Finding::error("config::cosmos_account", Some(containers.place), "no container is named")
                .label("nothing to read")
                .help("such as: containers = { documents = { value = \"Documents\" } }"),
        );
        return None;
    }
    let mut containers: Vec<_> = containers.value.into_iter().collect();
    containers.sort_by_key(|(name, _)| name.span().start);
    let mut checked = Vec::new();
    for (name, value) in containers {
        let name = reader.locate(name);
        reader.check_name("a container", &name.value, &name.place);
        let value = reader.locate(value);
        checked.extend(value_of(reader, "containers", value).map(|value| (name.value, value)));
    }
    Some(checked)
}

/// A value that is always needed.
fn value_of(reader: &mut Reader, key: &'static str, value: Located<ValueEntry>) -> Option<Value> {
    let value = Value::check(reader, key, value)?;
    check_written(reader, key, &value);
    Some(value)
}

/// A value that another one may stand in for.
fn optional_of(reader: &mut Reader, key: &'static str, value: Located<ValueEntry>) -> Option<Value> {
    let value = Value::check_optional(reader, key, value)?;
    check_written(reader, key, &value);
    Some(value)
}

/// Checks what stands in the file itself.
fn check_written(reader: &mut Reader, key: &'static str, value: &Value) {
    let Some(written) = value.written() else { return };
    if matches!(key, "key" | "connection_string") && account::holds_secret(&written.value) {
        reader.findings.push(
            Finding::error(
                "config::password_in_file",
                Some(written.place.clone()),
                "the key of an account stands in this file",
            )
            .label("a secret")
            .help("put it into a variable or a file of its own: { env = \"NAME\" } or { file = \"path\" }"),
        );
    }
    if let Some(fault) = account::fault_of(key, &written.value) {
        let message = format!("this is not {}: {}", fault.what, fault.why);
        reader.findings.push(bad(fault, written.place.clone(), message));
    }
}

fn bad(fault: Fault, place: Place, message: String) -> Finding {
    Finding::error("config::bad_address", Some(place), message)
        .label("not usable")
        .help(format!("expected {}", fault.expected))
}

/// The keys that say how the account is entered, as far as they are there.
struct Given {
    endpoint: Option<Located<ValueEntry>>,
    key: Option<Located<ValueEntry>>,
    connection_string: Option<Located<ValueEntry>>,
    credential: Option<Located<CosmosCredential>>,
}

impl Given {
    /// Exactly one of key, connection string and credential holds; an endpoint goes with all but
    /// the connection string, which has it already.
    fn access(self, reader: &mut Reader, table: &Place, owner: &str, damaged: bool) -> Option<Access> {
        const ONE: &str = "exactly one of `key`, `connection_string` and `credential` says how the account is entered";
        let mut account = |place: Place, message: String, label: &str, help: &str| {
            reader.findings.push(
                Finding::error("config::cosmos_account", Some(place), message)
                    .label(label)
                    .help(help),
            );
        };
        let needs_endpoint = self.key.is_some() || self.credential.is_some();
        match (&self.credential, &self.key, &self.connection_string) {
            (None, None, None) if !damaged => account(
                table.clone(),
                format!("{owner} does not say how its account is entered"),
                "needed here",
                "such as: key = { env = \"COSMOS_KEY\" }, connection_string = { env = \"COSMOS_CONNECTION_STRING\" } or \
                 credential = \"managed_identity\"",
            ),
            (Some(credential), key, string) if key.is_some() || string.is_some() => account(
                credential.place.clone(),
                "a credential beside a key or connection string".to_owned(),
                "one too many",
                ONE,
            ),
            _ => {}
        }
        if let (Some(endpoint), false, true) = (&self.endpoint, needs_endpoint, self.connection_string.is_some()) {
            account(
                endpoint.place.clone(),
                "`endpoint` beside a connection string alone, which holds one already".to_owned(),
                "one too many",
                "leave it out",
            );
        }
        if self.endpoint.is_none() && needs_endpoint && !damaged {
            account(
                table.clone(),
                format!("{owner} has no `endpoint`"),
                "needed here",
                "such as: endpoint = { env = \"COSMOS_ENDPOINT\" }",
            );
        }
        self.checked(reader)
    }

    /// With their values checked; `None` where something is wrong, which was told.
    fn checked(self, reader: &mut Reader) -> Option<Access> {
        let both = self.key.is_some() && self.connection_string.is_some();
        let endpoint = self.endpoint.and_then(|value| value_of(reader, "endpoint", value));
        let mut of = |key, value: Option<Located<ValueEntry>>| {
            let value = value?;
            let place = value.place.clone();
            if !both {
                return value_of(reader, key, value);
            }
            let value = optional_of(reader, key, value)?;
            if !value.is_optional() {
                reader.findings.push(
                    Finding::error(
                        "config::cosmos_account",
                        Some(place),
                        format!("`{key}` always holds, and another key says the same"),
                    )
                    .label("one too many")
                    .help("keep one of `key` and `connection_string`, or make both optional: { env = \"NAME\", optional = true }"),
                );
            }
            Some(value)
        };
        let key = of("key", self.key);
        let connection_string = of("connection_string", self.connection_string);
        match (self.credential, key, connection_string) {
            (Some(credential), None, None) => Some(Access::Credential {
                endpoint: endpoint?,
                credential: credential.value,
            }),
            (None, Some(key), None) => Some(Access::Key {
                endpoint: endpoint?,
                key,
            }),
            (None, None, Some(connection_string)) => Some(Access::ConnectionString(connection_string)),
            (None, Some(key), Some(connection_string)) => Some(Access::Either {
                endpoint: endpoint?,
                key,
                connection_string,
            }),
            _ => None,
        }
    }
}
