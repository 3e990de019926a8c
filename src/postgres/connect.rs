//! Connecting: the URL, what is assumed where it is silent, and the settings that every
//! connection of ours has.
//!
//! Where neither the URL nor `PGSSLMODE` names an `sslmode`, it is `verify-full`, for the
//! driver's own default would hand password and rows to whoever answers; only to this very
//! machine (loopback, Unix socket) it is `prefer`.

use std::str::FromStr;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgConnection, Row as _};
use uuid::Uuid;

use super::{error, nodelay};
use crate::{Error, ErrorKind, Result};

/// Longest time to establish a connection.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(15);
/// Oldest server that has what we need (generated columns in the catalog).
const VERSION_MIN: u32 = 120_000;
/// First server that notices a vanished client while it works, and that may end idle sessions.
const VERSION_CLIENT_CHECK: u32 = 140_000;
/// First server that may end long transactions.
const VERSION_TRANSACTION_TIMEOUT: u32 = 170_000;
/// Longest `application_name`: the server cuts it here.
const APPLICATION_NAME_BYTES_MAX: usize = 63;
/// Parameters that a URL may carry, beside `options[…]`; the driver would ignore any other.
const PARAMETERS: [&str; 18] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];
/// Settings of every session. Notices are off: the driver would log them, and triggers put cell
/// values into them. A lock that somebody else holds is waited for only so long; a long statement
/// or a pause of ours is no reason to give up. A commit is durable here when it is answered
/// (Invariant 17), stricter settings stay. A role may be called `dbferry`, so that the ledger's
/// schema is its `"$user"`: names without a schema never mean tables of the ledger. The keepalives
/// make the server notice a client that is gone.
const SETTINGS: &str = "\
    set client_min_messages = error; \
    set timezone = 'UTC'; \
    set datestyle = 'ISO, MDY'; \
    set intervalstyle = 'postgres'; \
    set bytea_output = 'hex'; \
    set extra_float_digits = 1; \
    set standard_conforming_strings = on; \
    set row_security = off; \
    set jit = off; \
    set lock_timeout = '30s'; \
    set statement_timeout = 0; \
    set idle_in_transaction_session_timeout = 0; \
    select pg_catalog.set_config('synchronous_commit', 'on', false) \
        where pg_catalog.current_setting('synchronous_commit') in ('off', 'local'); \
    select pg_catalog.set_config('search_path', coalesce((select string_agg(quote_ident(name), ', ' order by place) \
        from unnest(current_schemas(false)) with ordinality as path (name, place) where name <> 'dbferry'), 'public'), false) \
        where 'dbferry' = any (current_schemas(false)); \
    set tcp_keepalives_idle = 30; \
    set tcp_keepalives_interval = 10; \
    set tcp_keepalives_count = 3";

/// An address, ready to connect to. `Debug` prints nothing of it.
#[derive(Clone)]
pub(crate) struct Address {
    pub(super) options: PgConnectOptions,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Address(…)")
    }
}

impl Address {
    /// Reads a URL.
    ///
    /// # Errors
    /// [`ErrorKind::Config`], without any part of the URL but names of parameters.
    pub(crate) fn parse(url: &SecretString) -> Result<Self> {
        let text = url.expose_secret();
        let bad = |what: String| {
            Error::new(ErrorKind::Config, what).hint("it is `postgres://user:password@host:port/database?sslmode=verify-full`")
        };
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err(bad("the URL does not begin with `postgres://`".to_owned()));
        }
        let names = parameter_names(text);
        let is_known = |name: &str| PARAMETERS.contains(&name) || name.starts_with("options[") || name.starts_with("options%5B");
        if let Some(unknown) = names.iter().find(|name| !is_known(name)) {
            let unknown = unknown.escape_debug();
            return Err(bad(format!("the URL has a parameter `{unknown}` that is not known")));
        }
        let mut options = PgConnectOptions::from_str(text).map_err(|error| error::classify_connect(&error))?;
        let says_how = names.iter().any(|name| matches!(*name, "sslmode" | "ssl-mode")) || std::env::var_os("PGSSLMODE").is_some();
        if !says_how {
            let local = options.get_socket().is_some() || is_loopback(options.get_host());
            options = options.ssl_mode(if local { PgSslMode::Prefer } else { PgSslMode::VerifyFull });
        }
        Ok(Self {
            options: options.disable_statement_logging(),
        })
    }

    /// Name of the database.
    pub(crate) fn database(&self) -> &str {
        self.options.get_database().unwrap_or_else(|| self.options.get_username())
    }

    /// The same server, another database.
    pub(crate) fn with_database(&self, name: &str) -> Self {
        Self {
            options: self.options.clone().database(name),
        }
    }

    /// Connects, and prepares the session. `writer` (run, and who runs it) makes the connection
    /// known in `pg_stat_activity` as the writing one of that run.
    pub(crate) async fn connect(&self, writer: Option<(Uuid, &str)>) -> Result<PgConnection> {
        match self.try_connect(writer).await {
            Ok(connection) => Ok(connection),
            Err(Failure::Driver(error)) => Err(error::classify_connect(&error)),
            Err(Failure::Own(error)) => Err(error),
        }
    }

    /// Connects; `Ok(None)` where the database does not exist.
    pub(crate) async fn connect_if_exists(&self) -> Result<Option<PgConnection>> {
        match self.try_connect(None).await {
            Ok(connection) => Ok(Some(connection)),
            Err(Failure::Driver(error)) if error::code(&error) == Some("3D000") => Ok(None),
            Err(Failure::Driver(error)) => Err(error::classify_connect(&error)),
            Err(Failure::Own(error)) => Err(error),
        }
    }

    async fn try_connect(&self, writer: Option<(Uuid, &str)>) -> Result<PgConnection, Failure> {
        let options = self.options.clone().application_name(&application_name(writer));
        let connecting = async {
            let mut connection = PgConnection::connect_with(&options).await?;
            nodelay::send_at_once();
            settle(&mut connection).await?;
            Ok(connection)
        };
        tokio::time::timeout(CONNECT_TIME_MAX, connecting)
            .await
            .unwrap_or_else(|_| Err(Failure::Own(Error::new(ErrorKind::Unreachable, "no answer in time"))))
    }
}

/// What went wrong while connecting.
enum Failure {
    Driver(sqlx::Error),
    Own(Error),
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        Self::Driver(error)
    }
}

/// How connections are named in `pg_stat_activity`; [`writer_of`] reads it back.
fn application_name(writer: Option<(Uuid, &str)>) -> String {
    let Some((run, holder)) = writer else {
        return "dbferry".to_owned();
    };
    let mut name = format!("dbferry {run} {holder}");
    name.truncate(name.floor_char_boundary(APPLICATION_NAME_BYTES_MAX));
    name
}

/// The run, and as much of who runs it as fits, that a connection of ours is named after.
pub(crate) fn writer_of(application_name: &str) -> Option<(Uuid, &str)> {
    let rest = application_name.strip_prefix("dbferry ")?;
    let (run, holder) = rest.split_once(' ').unwrap_or((rest, ""));
    Some((run.parse().ok()?, holder.trim_end()))
}

/// Names of the parameters behind the question mark.
fn parameter_names(url: &str) -> Vec<&str> {
    let Some((_, query)) = url.split_once('?') else {
        return Vec::new();
    };
    let query = query.split_once('#').map_or(query, |(query, _)| query);
    query
        .split('&')
        .filter(|part| !part.is_empty())
        .map(|part| part.split_once('=').map_or(part, |(name, _)| name))
        .collect()
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Settings, and checks that the other end is a server that we can work with.
async fn settle(connection: &mut PgConnection) -> Result<(), Failure> {
    let version = connection.server_version_num().unwrap_or(0);
    if version < VERSION_MIN {
        return Err(Failure::Own(
            Error::new(
                ErrorKind::Config,
                format!("the server is PostgreSQL {}, which is too old", version / 10_000),
            )
            .hint("version 12 or newer is needed"),
        ));
    }
    let mut settings = SETTINGS.to_owned();
    if version >= VERSION_CLIENT_CHECK {
        settings.push_str("; set client_connection_check_interval = '2s'; set idle_session_timeout = 0");
    }
    if version >= VERSION_TRANSACTION_TIMEOUT {
        settings.push_str("; set transaction_timeout = 0");
    }
    connection.execute(sqlx::raw_sql(AssertSqlSafe(settings))).await?;
    let row = connection
        .fetch_one(
            "select pg_catalog.pg_backend_pid(), current_setting('session_replication_role'), current_setting('lock_timeout'),
                 current_setting('server_encoding')",
        )
        .await?;
    let encoding: String = row.try_get(3)?;
    if encoding == "SQL_ASCII" {
        return Err(Failure::Own(
            Error::new(
                ErrorKind::Config,
                "the database's encoding is SQL_ASCII: it keeps bytes without knowing their characters",
            )
            .hint("move into a database with encoding UTF8"),
        ));
    }
    let role: String = row.try_get(1)?;
    if role != "origin" {
        return Err(Failure::Own(
            Error::new(
                ErrorKind::Config,
                format!("`session_replication_role` is `{role}` for this login, which switches foreign keys off"),
            )
            .hint("reset it for the role and the database"),
        ));
    }
    let first: i32 = row.try_get(0)?;
    let timeout: String = row.try_get(2)?;
    if timeout != "30s" || backend(connection).await? != first {
        return Err(Failure::Own(pooled()));
    }
    Ok(())
}

/// Process id of the backend that serves this statement.
pub(crate) async fn backend(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    connection.fetch_one("select pg_catalog.pg_backend_pid()").await?.try_get(0)
}

/// A proxy that gives each transaction another backend breaks locks, temporary tables and
/// settings, and with them every promise of ours.
pub(crate) fn pooled() -> Error {
    Error::new(
        ErrorKind::Config,
        "the server is behind a proxy that pools transactions: statements of one connection are served by different backends",
    )
    .hint("connect to the server itself, or to a pool in session mode")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Address> {
        Address::parse(&SecretString::from(url.to_owned()))
    }

    #[test]
    fn silence_about_tls_means_full_verification_except_on_this_machine() {
        let mode = |url| parse(url).expect(url).options.get_ssl_mode();
        assert!(matches!(mode("postgres://u:p@db.example.org/x"), PgSslMode::VerifyFull));
        assert!(matches!(mode("postgres://u:p@10.0.0.1/x"), PgSslMode::VerifyFull));
        for local in [
            "postgres://u@localhost/x",
            "postgres://u@127.0.0.1:5433/x",
            "postgres://u@[::1]/x",
            "postgres:///x?host=/run/postgresql",
            "postgres://u@%2Frun%2Fpostgresql/x",
        ] {
            assert!(matches!(mode(local), PgSslMode::Prefer), "{local}");
        }
        assert!(matches!(
            mode("postgres://u@db.example.org/x?sslmode=disable"),
            PgSslMode::Disable
        ));
    }

    #[test]
    fn mistakes_are_told_without_the_url() {
        for url in [
            "mysql://u:canary@h/x",
            "postgres://u:canary@h/x?sslmod=disable",
            "postgres://u:canary@h:port/x",
            "postgres://u:canary@h/x?sslmode=perhaps",
        ] {
            let error = parse(url).expect_err(url);
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(!format!("{error:?}{}", error.advice()).contains("canary"), "{error}");
        }
        assert!(!format!("{:?}", parse("postgres://u:canary@h/x").expect("fine")).contains("canary"));
    }

    #[test]
    fn a_writer_is_read_back_from_the_name_of_its_connection() {
        let run = Uuid::from_u128(7);
        let name = application_name(Some((run, "process 4194303 on a-host-with-a-long-name")));
        assert_eq!(name.len(), APPLICATION_NAME_BYTES_MAX);
        assert_eq!(writer_of(&name), Some((run, "process 4194303 on")));
        assert_eq!(writer_of(&application_name(None)), None);
        assert_eq!(writer_of("dbferry by hand"), None);
    }

    #[test]
    fn a_database_that_is_not_named_is_the_user_s() {
        assert_eq!(parse("postgres://me@localhost").expect("fine").database(), "me");
        assert_eq!(parse("postgres://me@localhost/Game").expect("fine").database(), "Game");
    }
}
