//! What is at the ends of a stream, as a hash that tells one database from another and no secret.

use std::path::Path;

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::config::connection::{Connection, ConnectionKind};

/// Hash of these connections.
pub(super) fn hash<'a>(connections: impl Iterator<Item = &'a Connection>) -> String {
    let told: Vec<String> = connections.map(told).collect();
    super::hash(told.iter().map(String::as_bytes))
}

fn told(connection: &Connection) -> String {
    let what = match &connection.kind {
        ConnectionKind::Sqlite { path, .. } | ConnectionKind::Pocketbase { path } => file(path),
        ConnectionKind::Postgres { url, .. } => address(url),
        ConnectionKind::Redis(server) => {
            let nodes: Vec<String> = server.urls.iter().map(address).collect();
            format!("{} {}", nodes.join(" "), server.key_prefix)
        }
        ConnectionKind::Scylla(cluster) => format!("{} {}", cluster.nodes.join(" "), cluster.keyspace),
        ConnectionKind::Cosmos(account) => format!("{} {} {:?}", account.endpoint, account.database, account.containers),
    };
    format!("{} {} {what}", connection.name, connection.kind.name())
}

fn file(path: &Path) -> String {
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    path.display().to_string()
}

/// Who, where and what, without the password.
fn address(url: &SecretString) -> String {
    let Ok(mut url) = Url::parse(url.expose_secret()) else {
        return String::new();
    };
    let kept: Vec<(String, String)> = url
        .query_pairs()
        .into_owned()
        .filter(|(name, _)| name != "password")
        .collect();
    if url.password().is_some() && url.set_password(None).is_err() {
        return String::new();
    }
    url.set_query(None);
    format!("{url} {kept:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_told_without_its_password() {
        let of = |url: &str| address(&SecretString::from(url.to_owned()));
        let one = of("postgres://me:secret@host:5432/db?sslmode=disable&password=secret");
        assert!(!one.contains("secret"), "{one}");
        assert_eq!(one, of("postgres://me:other@host:5432/db?sslmode=disable"));
        assert_ne!(one, of("postgres://me:secret@host:5432/other?sslmode=disable"));
        assert_ne!(one, of("postgres://me:secret@host:5432/db?sslmode=disable&host=elsewhere"));
    }
}
