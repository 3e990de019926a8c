//! What keeps a target from being opened: no database, no server, no privilege.

use dbferry::data::stream::{OnConflict, StreamTarget};
use dbferry::{ErrorKind, sink};

use crate::harness::{Database, query};
use crate::postgres_sink::{connection, lease, move_rows, pairs, stream};
use crate::role::Role;

use super::shape;

#[tokio::test]
async fn a_missing_database_is_created_only_where_that_is_wanted() {
    let database = Database::create();
    let url = format!("{}%20%22New%22", database.url);
    let error = sink::open(&connection(&url, false)).await.err().expect("missing");
    assert_eq!(error.kind(), ErrorKind::Missing);
    assert!(error.message().contains(&database.name), "{error}");
    assert!(error.advice().contains("create_database = true"), "{}", error.advice());
    let (one, other) = (connection(&url, true), connection(&url, true));
    let (first, second) = tokio::join!(sink::open(&one), sink::open(&other));
    assert!(first.expect("created").tables().await.expect("empty").is_empty());
    drop(second.expect("there by then"));
    query(
        &crate::harness::postgres_url(),
        &format!("drop database \"{} \"\"New\"\"\" with (force)", database.name),
    );
}

#[tokio::test]
async fn each_way_to_be_turned_away_has_its_kind_and_tells_no_secret() {
    let database = Database::create();
    let (_, rest) = database.url.split_once('@').expect("a user");
    let (_, name) = rest.split_once('/').expect("a database");
    for (url, kind) in [
        (format!("postgres://dbferry:canary@{rest}"), ErrorKind::Unauthorised),
        (format!("postgres://canary:canary@{rest}"), ErrorKind::Unauthorised),
        (format!("{}?sslmode=require", database.url), ErrorKind::Unauthorised),
        (
            format!("postgres://dbferry:canary@127.0.0.1:9/{name}"),
            ErrorKind::Unreachable,
        ),
        (
            format!("postgres://dbferry:canary@canary.invalid/{name}"),
            ErrorKind::Unreachable,
        ),
        (format!("postgres://dbferry:canary@{rest}?sslmod=x"), ErrorKind::Config),
    ] {
        let error = sink::open(&connection(&url, true)).await.err().expect("refused");
        assert_eq!(error.kind(), kind, "{error:?}");
        assert!(!format!("{error:?} {}", error.advice()).contains("canary"), "{error:?}");
        assert!(error.message().contains("`target`"), "{error}");
    }
}

/// A role with few rights on a table that belongs to somebody else.
fn restricted<'a>(database: &'a Database, rights: &str) -> Role<'a> {
    database.query(
        "create table t (id serial primary key, name text); create function f() returns trigger language plpgsql as 'begin return new; end';
         create trigger stays before insert on t for each row execute function f()",
    );
    let role = Role::create(database);
    database.query(&format!(
        "grant create on database {} to {}; {}",
        database.name,
        role.name,
        rights.replace("ROLE", &role.name)
    ));
    role
}

#[tokio::test]
async fn what_the_role_may_not_do_is_told_before_the_first_row() {
    for (rights, word) in [
        (
            "grant insert, update on t to ROLE; grant all on sequence t_id_seq to ROLE",
            "select",
        ),
        (
            "grant select, update on t to ROLE; grant all on sequence t_id_seq to ROLE",
            "insert",
        ),
        (
            "grant select, insert on t to ROLE; grant all on sequence t_id_seq to ROLE",
            "update",
        ),
        ("grant all on t to ROLE; grant usage on sequence t_id_seq to ROLE", "sequence"),
        (
            "grant all on t to ROLE; grant all on sequence t_id_seq to ROLE; alter table t enable row level security",
            "row level security",
        ),
        ("grant all on t to ROLE; grant all on sequence t_id_seq to ROLE", ""),
    ] {
        let database = Database::create();
        let role = restricted(&database, rights);
        let sink = sink::open(&connection(&role.url, false)).await.expect("may connect");
        let table = shape(sink.as_ref(), "t").await;
        assert!(table.notes.iter().any(|note| note.contains("`stays`")), "{:?}", table.notes);
        let target = StreamTarget {
            on_conflict: OnConflict::Update,
            ..stream(sink.as_ref(), "t", &["id", "name"], &["id"]).await
        };
        let lease = lease("demo");
        let mut session = sink.acquire(&lease).await.expect("may write its ledger");
        let opened = session.open_stream(&target, 0, false).await;
        if word.is_empty() {
            opened.expect("may do all");
            move_rows(session.as_mut(), &lease, &target, 1, &pairs(&target, &[(1, "a")])).await;
        } else {
            let error = opened.expect_err(rights);
            assert_eq!(error.kind(), ErrorKind::Unauthorised);
            assert!(error.message().contains(word), "{error}");
        }
    }
}
