//! A connection to ScyllaDB or Cassandra: what its URL has to be, and what it becomes. No finding
//! contains a value.
//!
//! Checked twice with the same words: what stands in the file when it is loaded, what variables
//! and secret files hold when the connection is resolved.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::authority;
use super::connection::{CqlCompression, ScyllaCluster};
use super::entry::ConnectionEntry;
use super::mask;
use super::secret::{Environment, Value};
use crate::data::document::{Marked, Reader};
use crate::data::finding::{Finding, Located};

const FORM: &str = "scylla://user:password@host:9042,host:9042/keyspace, or scylla+tls:// for TLS";
const ENCODE: &str =
    "scylla://user:password@host:9042/keyspace, where `@ : / # ? % ,` in user and password are written %40 %3A %2F %23 %3F %25 %2C";

/// Port of CQL.
const PORT: u16 = 9042;
/// Longest name of a keyspace.
const KEYSPACE_BYTES_MAX: usize = 48;
/// Requests on their way at the same time, where the connection does not say.
const REQUESTS_IN_FLIGHT: u64 = 256;
/// One of so many batches is read back, where the connection does not say.
const READ_BACK_EVERY_BATCHES: u64 = 100;

/// What is wrong, and what would be right.
type Fault = (String, &'static str);

/// A connection as declared: checked, with nothing looked up.
#[derive(Debug, Clone)]
pub(super) struct Declared {
    url: Value,
    ca_file: Option<Located<String>>,
    datacenter: Option<String>,
    compression: Option<CqlCompression>,
    create_database: bool,
    replication: BTreeMap<String, u64>,
    requests_in_flight_max: usize,
    read_back_every_batches: u64,
}

/// Checks the keys of a connection. `table` is its range in the text, `owner` names it.
pub(super) fn check(reader: &mut Reader, entry: ConnectionEntry, table: &Range<usize>, owner: &str) -> Option<Declared> {
    let url = reader.required(entry.url, table, owner, "url = { env = \"SCYLLA_URL\" }")?;
    let url = Value::check(reader, "url", url)?;
    let create_database = entry.create_database.is_some_and(Marked::into_inner);
    let replication = entry.replication.map(|map| reader.locate(map));
    match (&replication, create_database) {
        (None, true) => reader.findings.push(
            Finding::error(
                "config::replication",
                Some(reader.place(table.clone())),
                format!("{owner} may create its keyspace, and does not say how it is replicated"),
            )
            .label("how many replicas?")
            .help("replication = { datacenter1 = 3 }: replicas in each datacenter"),
        ),
        (Some(map), false) => reader.findings.push(
            Finding::error(
                "config::replication",
                Some(map.place.clone()),
                "`replication` speaks of a keyspace that is created, and none is",
            )
            .label("means nothing")
            .help("add `create_database = true`, or leave it out"),
        ),
        (Some(map), true) if map.value.is_empty() => reader.findings.push(
            Finding::error(
                "config::replication",
                Some(map.place.clone()),
                "`replication` names no datacenter",
            )
            .label("empty")
            .help("replication = { datacenter1 = 3 }: replicas in each datacenter"),
        ),
        _ => {}
    }
    let map = replication.map(|map| map.value).unwrap_or_default();
    let declared = Declared {
        url,
        ca_file: entry.ca_file.map(|path| reader.locate(path)),
        datacenter: entry.datacenter.map(Marked::into_inner),
        compression: entry.compression.map(Marked::into_inner),
        create_database,
        replication: map
            .into_iter()
            .map(|(name, factor)| (name.into_inner(), factor.into_inner().0))
            .collect(),
        requests_in_flight_max: usize::try_from(
            entry
                .requests_in_flight_max
                .map_or(REQUESTS_IN_FLIGHT, |max| max.into_inner().0),
        )
        .unwrap_or(usize::MAX)
        .min(32_768),
        read_back_every_batches: entry
            .read_back_every_batches
            .map_or(READ_BACK_EVERY_BATCHES, Marked::into_inner),
    };
    if let Some(written) = declared.url.written() {
        if has_password(&written.value) {
            reader.findings.push(super::url::password_in_file(written.place.clone()));
        }
        match parse(&written.value) {
            Err(fault) => reader.findings.push(Finding {
                place: Some(written.place.clone()),
                ..bad("this is", fault)
            }),
            Ok(parts) => reader.findings.extend(declared.needless_authorities(&parts)),
        }
    }
    Some(declared)
}

impl Declared {
    /// Looks the URL up.
    pub(super) fn resolve(&self, connection: &str, environment: &Environment) -> Result<ScyllaCluster, Finding> {
        let url = self.url.resolve(environment)?;
        let parts = parse(url.value.expose_secret()).map_err(|fault| Finding {
            place: Some(url.place),
            ..bad(&format!("the value for connection `{connection}` is"), fault)
        })?;
        if let Some(finding) = self.needless_authorities(&parts) {
            return Err(finding);
        }
        if let Some(path) = &self.ca_file {
            authority::check(path)?;
        }
        Ok(ScyllaCluster {
            nodes: parts.nodes,
            credentials: parts.credentials,
            keyspace: parts.keyspace,
            tls: parts.tls,
            ca_file: self.ca_file.as_ref().map(|path| PathBuf::from(&path.value)),
            datacenter: self.datacenter.clone(),
            compression: self.compression.unwrap_or_default(),
            create_database: self.create_database,
            replication: self.replication.clone(),
            requests_in_flight_max: self.requests_in_flight_max,
            read_back_every_batches: self.read_back_every_batches,
        })
    }

    /// Who names authorities thinks that a certificate is checked.
    fn needless_authorities(&self, parts: &Parts) -> Option<Finding> {
        let path = self.ca_file.as_ref()?;
        (!parts.tls).then(|| authority::needless(path, "scylla+tls://"))
    }
}

fn bad(subject: &str, (fault, expected): Fault) -> Finding {
    Finding::error(
        "config::bad_address",
        None,
        format!("{subject} not the URL of a keyspace: {fault}"),
    )
    .label("not usable")
    .help(format!("expected {expected}"))
}

/// What a URL says.
struct Parts {
    nodes: Vec<String>,
    credentials: Option<(String, SecretString)>,
    keyspace: String,
    tls: bool,
}

fn has_password(text: &str) -> bool {
    parse(text).map_or_else(|_| mask::passwords(text) != text, |parts| parts.credentials.is_some())
}

fn parse(text: &str) -> Result<Parts, Fault> {
    let fault = |what: &str, form: &'static str| (what.to_owned(), form);
    let (tls, rest) = match (text.strip_prefix("scylla://"), text.strip_prefix("scylla+tls://")) {
        (Some(rest), _) => (false, rest),
        (_, Some(rest)) => (true, rest),
        _ => return Err(fault("it does not begin with `scylla://` or `scylla+tls://`", FORM)),
    };
    if rest.contains(['?', '#']) {
        return Err(fault("it has parameters, or a `?` or `#` that is not encoded", ENCODE));
    }
    let (authority, keyspace) = rest.split_once('/').unwrap_or((rest, ""));
    let (user, hosts) = match authority.rsplit_once('@') {
        Some((user, hosts)) => (Some(user), hosts),
        None => (None, authority),
    };
    let credentials = user.map(credentials).transpose()?;
    let mut nodes = Vec::new();
    for host in hosts.split(',') {
        // The driver's own form is host:port; the parser knows brackets and bad ports.
        let url = Url::parse(&format!("scylla://{host}")).map_err(|error| (error.to_string(), ENCODE))?;
        let name = url
            .host_str()
            .filter(|name| !name.is_empty())
            .ok_or_else(|| fault("it names no host", FORM))?;
        nodes.push(format!("{name}:{}", url.port().unwrap_or(PORT)));
    }
    if keyspace.is_empty() {
        return Err(fault("it names no keyspace", FORM));
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if !keyspace.bytes().all(plain) || keyspace.len() > KEYSPACE_BYTES_MAX {
        return Err(fault(
            "what follows the host is no name of a keyspace: up to 48 letters, digits and `_`",
            FORM,
        ));
    }
    Ok(Parts {
        nodes,
        credentials,
        keyspace: keyspace.to_owned(),
        tls,
    })
}

fn credentials(text: &str) -> Result<(String, SecretString), Fault> {
    let (user, password) = text
        .split_once(':')
        .ok_or_else(|| ("it names a user without a password".to_owned(), FORM))?;
    let decode = |part: &str| {
        authority::decoded(part).ok_or_else(|| ("its user or password is not percent-encoded UTF-8".to_owned(), ENCODE))
    };
    Ok((decode(user)?, SecretString::from(decode(password)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_url_has_no_fault() {
        for (text, nodes, tls) in [
            ("scylla://h/ks", "h:9042", false),
            ("scylla://u:p%40@h:9043,[::1]:9044/ks_1", "h:9043 [::1]:9044", false),
            ("scylla+tls://u:p@a,b/ks", "a:9042 b:9042", true),
        ] {
            let parts = parse(text).unwrap_or_else(|(fault, _)| panic!("{text}: {fault}"));
            assert_eq!((parts.nodes.join(" ").as_str(), parts.tls), (nodes, tls), "{text}");
        }
        let parts = parse("scylla://us%3Aer:p%40%25@h/ks").unwrap_or_else(|(fault, _)| panic!("{fault}"));
        let (user, password) = parts.credentials.expect("credentials");
        assert_eq!((user.as_str(), password.expose_secret()), ("us:er", "p@%"));
    }

    #[test]
    fn a_fault_is_told_without_the_url() {
        for (text, fault) in [
            (
                "redis://u:hunter2@h/ks",
                "it does not begin with `scylla://` or `scylla+tls://`",
            ),
            ("scylla://u:hunter2@h", "it names no keyspace"),
            ("scylla://u:hunter2@/ks", "it names no host"),
            ("scylla://u:hunter2@h:x/ks", "invalid port number"),
            ("scylla://u@h/ks", "it names a user without a password"),
            (
                "scylla://u:hun#ter2@h/ks",
                "it has parameters, or a `?` or `#` that is not encoded",
            ),
            ("scylla://u:p%4@h/ks", "its user or password is not percent-encoded UTF-8"),
            (
                "scylla://h/k-s",
                "what follows the host is no name of a keyspace: up to 48 letters, digits and `_`",
            ),
        ] {
            let found = parse(text).err().map(|(fault, _)| fault);
            assert!(
                found.as_deref().is_some_and(|found| found.contains(fault)),
                "{text}: {found:?}"
            );
        }
    }
}
