//! Databases that are created: who owns them, in which encoding, and why not.

use dbferry::config::connection::{Connection, ConnectionKind, NewDatabase};
use dbferry::{ErrorKind, sink};

use crate::harness::{Database, postgres_url, query, value};

fn connection(url: &str, owner: Option<&str>, encoding: Option<&str>) -> Connection {
    Connection {
        name: "target".to_owned(),
        kind: ConnectionKind::Postgres {
            url: url.to_owned().into(),
            create_database: true,
            new_database: NewDatabase {
                owner: owner.map(str::to_owned),
                encoding: encoding.map(str::to_owned),
            },
        },
    }
}

fn made(name: &str) -> String {
    value(
        &postgres_url(),
        &format!(
            "select pg_get_userbyid(datdba) || ' ' || pg_encoding_to_char(encoding) from pg_database where datname = '{}'",
            name.replace('\'', "''")
        ),
    )
}

#[tokio::test]
async fn owner_and_encoding_are_as_asked() {
    let database = Database::create();
    let role = format!("Owner \"{}\"", database.name);
    let quoted = format!("\"{}\"", role.replace('"', "\"\""));
    query(&postgres_url(), &format!("create role {quoted}"));
    let url = format!("{}_owned", database.url);
    let opened = sink::open(&connection(&url, Some(&role), Some("utf-8"))).await;
    drop(opened.expect("created"));
    let name = format!("{}_owned", database.name);
    assert_eq!(made(&name), format!("{role} UTF8"));
    // What is there stays as it is.
    drop(sink::open(&connection(&url, None, Some("LATIN1"))).await.expect("there"));
    assert_eq!(made(&name), format!("{role} UTF8"));
    query(&postgres_url(), &format!("drop database {name} with (force)"));
    query(&postgres_url(), &format!("drop role {quoted}"));
}

#[tokio::test]
async fn what_cannot_be_made_is_told_and_nothing_is_there() {
    let database = Database::create();
    let url = format!("{}_not", database.url);
    let refused = async |connection: Connection| sink::open(&connection).await.err().expect("refused");
    let error = refused(connection(&url, Some("nobody at all"), None)).await;
    assert_eq!(error.kind(), ErrorKind::Missing, "{error}");
    assert!(error.message().contains("no role `nobody at all`"), "{error}");
    let error = refused(connection(&url, None, Some("UTF9'"))).await;
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(error.message().contains("no encoding `UTF9'`"), "{error}");
    // An encoding for clients only.
    let error = refused(connection(&url, None, Some("BIG5"))).await;
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    let role = format!("maker_{}", database.name);
    query(&postgres_url(), &format!("create role {role} login createdb password 'x'"));
    let (_, rest) = url.split_once('@').expect("a user");
    let error = refused(connection(&format!("postgres://{role}:x@{rest}"), Some("dbferry"), None)).await;
    assert_eq!(error.kind(), ErrorKind::Unauthorised, "{error}");
    assert!(error.message().contains("may not give it to `dbferry`"), "{error}");
    assert!(error.advice().contains("grant `dbferry`"), "{}", error.advice());
    query(&postgres_url(), &format!("drop role {role}"));
    assert_eq!(made(&format!("{}_not", database.name)), "");
}
