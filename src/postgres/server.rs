//! The server behind an address, beside the one database: where commands about databases are given
//! from, and how another program is told the way to it.

use std::ffi::OsString;

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::PgConnection;
use sqlx::postgres::PgSslMode;
use url::Url;

use super::connect::Address;
use crate::{Error, ErrorKind, Result};

/// Databases that every server has, to give commands about others from.
const MAINTENANCE: [&str; 2] = ["postgres", "template1"];
/// Variables that change where and how libpq connects: a child of ours gets only those given here.
const VARIABLES: [&str; 24] = [
    "PGHOST",
    "PGHOSTADDR",
    "PGPORT",
    "PGDATABASE",
    "PGUSER",
    "PGSERVICE",
    "PGSERVICEFILE",
    "PGOPTIONS",
    "PGAPPNAME",
    "PGSSLMODE",
    "PGREQUIRESSL",
    "PGSSLCERT",
    "PGSSLKEY",
    "PGSSLROOTCERT",
    "PGSSLCRL",
    "PGSSLCRLDIR",
    "PGSSLNEGOTIATION",
    "PGCONNECT_TIMEOUT",
    "PGCLIENTENCODING",
    "PGTARGETSESSIONATTRS",
    "PGLOADBALANCEHOSTS",
    "PGDATESTYLE",
    "PGTZ",
    "PGGEQO",
];
/// First version of libpq that takes the system's authorities by name.
const SYSTEM_AUTHORITIES_VERSION: u32 = 16;
/// Where systems keep their authorities in one file.
const AUTHORITIES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
    "/etc/ssl/ca-bundle.pem",
];
/// Seconds that a child may take to connect.
const CONNECT_SECONDS: &str = "15";

/// What the environment of a child is to be, so that no secret is an argument.
pub(crate) struct ChildEnvironment {
    /// Taken away.
    pub(crate) without: &'static [&'static str],
    /// Set after that.
    pub(crate) with: Vec<(&'static str, OsString)>,
}

impl Address {
    /// Connects to a database of the server from which others are made, renamed and dropped.
    pub(crate) async fn connect_to_maintenance(&self) -> Result<PgConnection> {
        for name in MAINTENANCE.into_iter().filter(|name| *name != self.database()) {
            if let Some(connection) = self.with_database(name).connect_if_exists().await? {
                return Ok(connection);
            }
        }
        Err(Error::new(
            ErrorKind::Missing,
            "the server has neither the database nor one to create it from (`postgres`)",
        ))
    }

    /// How a program of Postgres's own, of this major version, reaches the same database in the same
    /// way. `url` is what the address was read from: the driver does not tell the password.
    pub(crate) fn for_child(&self, url: &SecretString, version: u32) -> ChildEnvironment {
        let options = &self.options;
        let host = options
            .get_socket()
            .map_or_else(|| OsString::from(options.get_host().trim_matches(['[', ']'])), Into::into);
        let mode = options.get_ssl_mode();
        let mut with: Vec<(&'static str, OsString)> = vec![
            ("PGHOST", host),
            ("PGPORT", options.get_port().to_string().into()),
            ("PGUSER", options.get_username().into()),
            ("PGDATABASE", self.database().into()),
            ("PGSSLMODE", mode_name(mode).into()),
            ("PGAPPNAME", "dbferry backup".into()),
            ("PGCONNECT_TIMEOUT", CONNECT_SECONDS.into()),
            ("LC_ALL", "C".into()),
        ];
        if let Some(given) = options.get_options() {
            with.push(("PGOPTIONS", given.into()));
        }
        let parsed = Url::parse(url.expose_secret()).ok();
        let parameter = |names: &[&str]| {
            let pairs = parsed.as_ref().map(Url::query_pairs);
            pairs
                .into_iter()
                .flatten()
                .find_map(|(name, value)| names.contains(&&*name).then(|| value.into_owned()))
        };
        let password = parameter(&["password"]).or_else(|| parsed.as_ref()?.password().map(decoded));
        if let Some(password) = password {
            with.push(("PGPASSWORD", password.into()));
        }
        for (variable, names) in [
            ("PGSSLCERT", ["sslcert", "ssl-cert", "sslcert"]),
            ("PGSSLKEY", ["sslkey", "ssl-key", "sslkey"]),
            ("PGSSLROOTCERT", ["sslrootcert", "ssl-root-cert", "ssl-ca"]),
        ] {
            if let Some(value) = parameter(&names).map(OsString::from).or_else(|| std::env::var_os(variable)) {
                with.push((variable, value));
            } else if variable == "PGSSLROOTCERT" && matches!(mode, PgSslMode::VerifyCa | PgSslMode::VerifyFull) {
                with.extend(authorities(mode, version).map(|value| (variable, value)));
            }
        }
        ChildEnvironment {
            without: &VARIABLES,
            with,
        }
    }
}

/// What the driver takes where none are named: the system's.
fn authorities(mode: PgSslMode, version: u32) -> Option<OsString> {
    if version >= SYSTEM_AUTHORITIES_VERSION && matches!(mode, PgSslMode::VerifyFull) {
        return Some("system".into());
    }
    AUTHORITIES
        .into_iter()
        .find(|path| std::path::Path::new(path).is_file())
        .map(OsString::from)
}

const fn mode_name(mode: PgSslMode) -> &'static str {
    match mode {
        PgSslMode::Disable => "disable",
        PgSslMode::Allow => "allow",
        PgSslMode::Prefer => "prefer",
        PgSslMode::Require => "require",
        PgSslMode::VerifyCa => "verify-ca",
        PgSslMode::VerifyFull => "verify-full",
    }
}

/// A part of a URL without its percent signs.
fn decoded(part: &str) -> String {
    // As a query has it, but for the plus sign.
    let pair = format!("x={}", part.replace('+', "%2B"));
    let mut pairs = url::form_urlencoded::parse(pair.as_bytes());
    pairs.next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(url: &str) -> Vec<(&'static str, OsString)> {
        let url = SecretString::from(url.to_owned());
        Address::parse(&url).expect("a URL").for_child(&url, 15).with
    }

    #[test]
    fn a_child_goes_the_same_way() {
        let told = with("postgres://us%40er:p%2Ba+s%25@127.0.0.1:5433/my%20db?options[search_path]=x");
        let value = |name: &str| {
            told.iter()
                .find(|(other, _)| *other == name)
                .map(|(_, value)| value.to_string_lossy().into_owned())
        };
        assert_eq!(value("PGHOST").as_deref(), Some("127.0.0.1"));
        assert_eq!(value("PGPORT").as_deref(), Some("5433"));
        assert_eq!(value("PGUSER").as_deref(), Some("us@er"));
        assert_eq!(value("PGPASSWORD").as_deref(), Some("p+a+s%"));
        assert_eq!(value("PGDATABASE").as_deref(), Some("my db"));
        assert_eq!(value("PGSSLMODE").as_deref(), Some("prefer"));
        assert!(value("PGOPTIONS").is_some_and(|options| options.contains("search_path")));
        assert_eq!(value("PGSSLROOTCERT"), std::env::var("PGSSLROOTCERT").ok());
    }

    #[test]
    fn a_socket_and_full_verification_are_handed_on() {
        let told = with("postgres:///x?host=/run/postgresql&user=me");
        assert!(told.contains(&("PGHOST", "/run/postgresql".into())));
        assert!(!told.iter().any(|(name, _)| *name == "PGPASSWORD"));
        let told = with("postgres://u:p@db.example.org/x?sslrootcert=/ca.pem");
        assert!(told.contains(&("PGSSLMODE", "verify-full".into())));
        assert!(told.contains(&("PGSSLROOTCERT", "/ca.pem".into())));
    }
}
