//! A Redis connection: what its URL has to be, and what it becomes. No finding contains a value.
//!
//! Checked twice with the same words: what stands in the file when it is loaded, what variables
//! and secret files hold when the connection is resolved. Whether there is one server or a cluster
//! behind the URL is asked of the server.

use std::ops::Range;
use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::authority;
use super::connection::RedisServer;
use super::entry::ConnectionEntry;
use super::mask;
use super::secret::{Environment, Value};
use crate::data::document::Reader;
use crate::data::finding::{Finding, Located};

const FORM: &str = "redis://user:password@host:6379/0, or rediss:// for TLS";
const ENCODE: &str =
    "redis://user:password@host:6379/0, where `@ : / # ? % ,` in user and password are written %40 %3A %2F %23 %3F %25 %2C";
const SOCKET: &str = "redis+unix:///path/to/redis.sock?db=0&user=name&pass=password";
const CLUSTER: &str = "redis://user:password@host:6379,host:6380, where database 0 is the only one and no node is a Unix socket";

/// What is wrong, and what would be right.
type Fault = (String, &'static str);

/// A Redis connection as declared: checked, with nothing looked up.
#[derive(Debug, Clone)]
pub(super) struct Declared {
    url: Value,
    ca_file: Option<Located<String>>,
}

/// Checks the keys of a connection. `table` is its range in the text, `owner` names it.
pub(super) fn check(reader: &mut Reader, entry: ConnectionEntry, table: &Range<usize>, owner: &str) -> Option<Declared> {
    let example = "url = { env = \"REDIS_URL\" }";
    let url = reader.required(entry.url, table, owner, example)?;
    let url = Value::check_optional(reader, "url", url)?;
    let declared = Declared {
        url,
        ca_file: entry.ca_file.map(|path| reader.locate(path)),
    };
    if let Some(written) = declared.url.written() {
        if has_password(&written.value) {
            reader.findings.push(super::url::password_in_file(written.place.clone()));
        }
        match nodes(&written.value) {
            Err(fault) => reader.findings.push(Finding {
                place: Some(written.place.clone()),
                ..bad("this is", fault)
            }),
            Ok(nodes) => reader.findings.extend(declared.needless_authorities(&nodes)),
        }
    }
    Some(declared)
}

impl Declared {
    /// Whether its variable may be unset and is: nothing is to be read from it or written to it.
    pub(super) fn is_left_out(&self, environment: &Environment) -> bool {
        self.url.is_optional() && !self.url.is_set(environment)
    }

    /// Whether that depends on a variable.
    pub(super) const fn may_be_left_out(&self) -> bool {
        self.url.is_optional()
    }

    /// Looks the URL up.
    pub(super) fn resolve(&self, connection: &str, environment: &Environment) -> Result<RedisServer, Finding> {
        let url = self.url.resolve(environment)?;
        let nodes = nodes(url.value.expose_secret()).map_err(|fault| Finding {
            place: Some(url.place),
            ..bad(&format!("the value for connection `{connection}` is"), fault)
        })?;
        if let Some(finding) = self.needless_authorities(&nodes) {
            return Err(finding);
        }
        if let Some(path) = &self.ca_file {
            authority::check(path)?;
        }
        Ok(RedisServer {
            urls: nodes.into_iter().map(|node| SecretString::from(String::from(node))).collect(),
            ca_file: self.ca_file.as_ref().map(|path| PathBuf::from(&path.value)),
            key_prefix: String::new(),
        })
    }

    /// Who names authorities thinks that a certificate is checked.
    fn needless_authorities(&self, nodes: &[Url]) -> Option<Finding> {
        let path = self.ca_file.as_ref()?;
        nodes
            .iter()
            .any(|node| node.scheme() != "rediss")
            .then(|| authority::needless(path, "rediss://"))
    }
}

fn bad(subject: &str, (fault, expected): Fault) -> Finding {
    Finding::error(
        "config::bad_address",
        None,
        format!("{subject} not the URL of a Redis server: {fault}"),
    )
    .label("not usable")
    .help(format!("expected {expected}"))
}

/// Whether a password stands in the text.
fn has_password(text: &str) -> bool {
    match nodes(text) {
        Ok(nodes) => nodes
            .iter()
            .any(|node| node.password().is_some() || node.query_pairs().any(|(name, _)| name == "pass")),
        Err(_) => mask::passwords(text) != text,
    }
}

/// The URL of each node that the text names, one for a server that is alone.
fn nodes(text: &str) -> Result<Vec<Url>, Fault> {
    let scheme_of = |part: &str| {
        ["redis://", "rediss://", "redis+unix://", "unix://"]
            .into_iter()
            .find(|scheme| part.starts_with(scheme))
    };
    let scheme = scheme_of(text).ok_or_else(|| {
        (
            "it does not begin with `redis://`, `rediss://` or `redis+unix://`".to_owned(),
            FORM,
        )
    })?;
    let mut nodes: Vec<Url> = Vec::new();
    for part in text.split(',') {
        let node = match (scheme_of(part), nodes.first()) {
            (Some(scheme), _) => parse(scheme, part)?,
            // What stands in front of the first node's host holds for a node that is a host alone.
            (None, Some(first)) if !part.is_empty() && !part.contains('@') && !part.contains("://") => {
                let mut node = parse(scheme, &format!("{scheme}{part}"))?;
                let copied = node
                    .set_username(first.username())
                    .and_then(|()| node.set_password(first.password()));
                copied.map_err(|()| ("it names no host".to_owned(), CLUSTER))?;
                node
            }
            _ => return Err(("what follows a comma is no node".to_owned(), ENCODE)),
        };
        nodes.push(node);
    }
    if let [first, others @ ..] = &nodes[..]
        && !others.is_empty()
    {
        let differs = |same: fn(&Url) -> Option<&str>| others.iter().any(|node| same(node) != same(first));
        if nodes.iter().any(is_socket) {
            return Err(("a Unix socket is one of several nodes".to_owned(), CLUSTER));
        }
        if nodes.iter().any(|node| !matches!(node.path(), "" | "/" | "/0")) {
            return Err(("several nodes are a cluster, which has database 0 alone".to_owned(), CLUSTER));
        }
        if differs(|node| Some(node.scheme())) {
            return Err(("some of its nodes are asked for TLS and some are not".to_owned(), CLUSTER));
        }
        if differs(|node| Some(node.username())) || differs(Url::password) {
            return Err(("its nodes have different users or passwords".to_owned(), CLUSTER));
        }
    }
    Ok(nodes)
}

fn is_socket(node: &Url) -> bool {
    node.scheme().ends_with("unix")
}

/// One node, behind a scheme that is known.
fn parse(scheme: &str, text: &str) -> Result<Url, Fault> {
    let socket = scheme.ends_with("unix://");
    let help = if socket { SOCKET } else { ENCODE };
    // Display of a parse error is a fixed phrase.
    let url = Url::parse(text).map_err(|error| (error.to_string(), help))?;
    if url.fragment().is_some() {
        return Err(("it contains a bare `#`".to_owned(), help));
    }
    let fault = if socket { socket_fault(&url) } else { server_fault(&url) };
    match fault {
        Some(fault) => Err(fault),
        None => Ok(url),
    }
}

fn server_fault(url: &Url) -> Option<Fault> {
    let host = url.host_str().unwrap_or_default();
    if host.is_empty() {
        return Some(("it names no host".to_owned(), FORM));
    }
    if matches!(host, "0.0.0.0" | "[::]") {
        return Some(("nothing can be reached at the address that stands for all".to_owned(), FORM));
    }
    if url.query().is_some() {
        return Some((
            "it has parameters, and only the URL of a Unix socket has any".to_owned(),
            FORM,
        ));
    }
    if !url.username().is_empty() && url.password().is_none() {
        return Some(("it names a user without a password".to_owned(), FORM));
    }
    let database = url.path().strip_prefix('/').unwrap_or_default();
    if !database.is_empty() && !is_number(database) {
        return Some(("what follows the host is no number of a database".to_owned(), FORM));
    }
    if [url.username(), url.password().unwrap_or_default()]
        .iter()
        .any(|text| authority::decoded(text).is_none())
    {
        return Some(("its user or password is not percent-encoded UTF-8".to_owned(), ENCODE));
    }
    None
}

fn socket_fault(url: &Url) -> Option<Fault> {
    if url.host_str().is_some_and(|host| !host.is_empty()) || matches!(url.path(), "" | "/") {
        return Some(("it names no socket, which takes three slashes".to_owned(), SOCKET));
    }
    let value = |wanted: &str| url.query_pairs().find(|(name, _)| name == wanted).map(|(_, value)| value);
    if url.query_pairs().any(|(name, _)| !matches!(&*name, "db" | "user" | "pass")) {
        return Some((
            "it has a parameter that is none of `db`, `user` and `pass`".to_owned(),
            SOCKET,
        ));
    }
    if value("db").is_some_and(|database| !is_number(&database)) {
        return Some(("`db` is no number of a database".to_owned(), SOCKET));
    }
    if value("user").is_some() && value("pass").is_none() {
        return Some(("it names a user without a password".to_owned(), SOCKET));
    }
    None
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(text: &str) -> Vec<String> {
        let nodes = nodes(text).unwrap_or_else(|(fault, _)| panic!("{text}: {fault}"));
        nodes.into_iter().map(String::from).collect()
    }

    #[test]
    fn a_good_url_has_no_fault() {
        for text in [
            "redis://h",
            "redis://h:6380/15",
            "rediss://user:p%40ss@h:6380/0",
            "redis://:secret@[::1]:6379",
            "redis+unix:///run/redis.sock?db=1&user=me&pass=a%26b",
            "unix:///run/redis.sock",
        ] {
            assert_eq!(urls(text), [text]);
        }
    }

    #[test]
    fn nodes_of_a_cluster_share_what_stands_before_the_first() {
        assert_eq!(
            urls("redis://u:p%2C@a:1,b:2,[::1]/0"),
            ["redis://u:p%2C@a:1", "redis://u:p%2C@b:2", "redis://u:p%2C@[::1]/0"]
        );
        assert_eq!(urls("rediss://a,rediss://b:7"), ["rediss://a", "rediss://b:7"]);
        assert_eq!(urls("redis://:p@a:1,redis://:p@b:2"), ["redis://:p@a:1", "redis://:p@b:2"]);
    }

    #[test]
    fn a_fault_is_told_without_the_url() {
        for (text, fault) in [
            (
                "http://me:hunter2@h",
                "it does not begin with `redis://`, `rediss://` or `redis+unix://`",
            ),
            ("h:6379", "it does not begin with `redis://`, `rediss://` or `redis+unix://`"),
            ("redis://", "it names no host"),
            ("redis://me:hunter2@", "empty host"),
            ("redis://me:hunter2@h:port", "invalid port number"),
            ("redis://me:hun#ter2@h", "invalid port number"),
            ("rediss://h/#insecure", "it contains a bare `#`"),
            ("redis://0.0.0.0", "nothing can be reached at the address that stands for all"),
            ("redis://h/game", "what follows the host is no number of a database"),
            ("redis://h/+1", "what follows the host is no number of a database"),
            ("redis://h/70000", "what follows the host is no number of a database"),
            (
                "redis://h?db=1",
                "it has parameters, and only the URL of a Unix socket has any",
            ),
            ("redis://me@h", "it names a user without a password"),
            ("redis://me:hunter%ff@h", "its user or password is not percent-encoded UTF-8"),
            ("redis://me:100%@h", "its user or password is not percent-encoded UTF-8"),
            ("redis://me:hunt,er2@h", "invalid port number"),
            ("redis://me:123,hunter2@h", "what follows a comma is no node"),
            ("redis://a,http://b", "what follows a comma is no node"),
            ("redis://a,,b", "what follows a comma is no node"),
            ("redis://a/1,b/1", "several nodes are a cluster, which has database 0 alone"),
            ("redis://a,rediss://b", "some of its nodes are asked for TLS and some are not"),
            ("redis://:x@a,redis://:y@b", "its nodes have different users or passwords"),
            ("redis://:x@a,redis://b", "its nodes have different users or passwords"),
            ("redis://a,unix:///b", "a Unix socket is one of several nodes"),
            ("unix://run/redis.sock", "it names no socket, which takes three slashes"),
            ("redis+unix:///", "it names no socket, which takes three slashes"),
            (
                "unix:///s?password=hunter2",
                "it has a parameter that is none of `db`, `user` and `pass`",
            ),
            ("unix:///s?db=one", "`db` is no number of a database"),
            ("unix:///s?user=me", "it names a user without a password"),
        ] {
            assert_eq!(nodes(text).err().map(|(fault, _)| fault).as_deref(), Some(fault), "{text}");
        }
    }

    #[test]
    fn a_password_is_seen() {
        for text in [
            "redis://:p@h",
            "redis://u:p@a,b",
            "redis://u:p#x@h",
            "unix:///s?pass=x",
            "unix:///s?db=x&pass=x",
        ] {
            assert!(has_password(text), "{text}");
        }
        for text in ["redis://h:6379/0", "unix:///s?db=1", "redis://a,b"] {
            assert!(!has_password(text), "{text}");
        }
    }
}
