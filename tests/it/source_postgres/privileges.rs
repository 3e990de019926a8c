//! Roles with few privileges: what is enough, and how what is missing is told.

use dbferry::ErrorKind;
use dbferry::data::concern::Concern;
use dbferry::data::position::{Key, KeyValue, Position};

use crate::harness::Database;
use crate::projects::{between, stream};
use crate::reading::{batches, rows, table};
use crate::role::Role;

use super::{failure, open_url, query, request};

#[tokio::test]
async fn a_role_that_may_only_select_is_enough_and_what_is_missing_is_named() {
    let database = Database::create();
    database.query(
        "create table users (id int primary key, name text, \"Secret\" text, other text);
         insert into users select g, 'n' || g, 's', 'o' from generate_series(1, 1000) g;
         create schema hidden; create table hidden.posts (id int primary key, t text); insert into hidden.posts values (1, 'p');
         create view blind as select * from users;
         create table guarded (id int primary key); alter table guarded enable row level security;
         create view behind as select * from guarded; alter view behind owner to pg_monitor; grant select on guarded to pg_monitor;
         grant usage on schema public to pg_monitor;",
    );
    let role = Role::create(&database);
    let source = open_url(&role.url).await;
    let may = |columns: &'static [&'static str], origin: &'static str| {
        let columns: Vec<String> = columns.iter().map(|name| (*name).to_owned()).collect();
        let (source, role) = (&source, &role);
        async move {
            match source.permitted(&table(origin), &columns).await {
                Ok(()) => String::new(),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Unauthorised, "{error:?}");
                    format!("{error}; {}", error.advice()).replace(&role.name, "ROLE")
                }
            }
        }
    };
    assert_eq!(
        may(&["id", "name"], "users").await,
        "role ROLE has no SELECT on table `public.users`; grant select on \"public\".\"users\" to ROLE;"
    );
    assert_eq!(
        may(&["id"], "hidden.posts").await,
        "role ROLE has no USAGE on schema `hidden` and no SELECT on table `hidden.posts`; \
         grant usage on schema hidden to ROLE; grant select on \"hidden\".\"posts\" to ROLE;"
    );
    database.query(&format!(
        "grant select (id, name) on users to {0}; grant select on blind, guarded, behind to {0}; grant usage on schema hidden to {0}; grant select on hidden.posts to {0}",
        role.name
    ));
    assert_eq!(may(&["id", "name"], "users").await, "");
    assert_eq!(may(&["id", "t"], "hidden.posts").await, "");
    assert_eq!(may(&["id", "Secret"], "blind").await, "");
    assert_eq!(
        may(&["id", "Secret", "other"], "users").await,
        "role ROLE has no SELECT on `Secret`, `other` of `public.users`; grant select (\"Secret\", \"other\") on \"public\".\"users\" to ROLE;"
    );
    assert!(
        may(&["id"], "guarded")
            .await
            .contains("row level security of `public.guarded` applies to role ROLE")
    );
    assert!(may(&["id"], "behind").await.contains("row-level security"));
    let denied = source
        .permitted(&query("select id, other from users"), &["id".to_owned()])
        .await;
    assert!(
        denied
            .expect_err("a column that is not granted")
            .message()
            .contains("permission denied for table users")
    );
}

#[tokio::test]
async fn select_is_all_that_reading_needs() {
    let database = Database::create();
    database.query(
        "create table users (id int primary key, name text, \"Secret\" text);
         insert into users select g, 'n' || g, 's' from generate_series(1, 1000) g;
         create table guarded (id int primary key); alter table guarded enable row level security;",
    );
    let role = Role::create(&database);
    database.query(&format!(
        "grant select (id, name) on users to {0}; grant select on guarded to {0}",
        role.name
    ));
    let source = open_url(&role.url).await;
    assert!(source.moment().await.expect("a moment").contains("log "));
    assert_eq!(source.count(&table("users")).await.expect("a count"), Some(1000));
    let users = request(&*source, table("users"), &["name"], &["id"]).await;
    let mut few = users.clone();
    few.after = Some(Position::Key(Key(vec![KeyValue::Int(990)])));
    assert_eq!(rows(&batches(&*source, few.clone()).await).len(), 10);
    few.only = Some(vec![Key(vec![KeyValue::Int(7)])]);
    assert_eq!(rows(&batches(&*source, few).await), ["n7"]);
    let begins = source.splits(&table("users"), &["id".to_owned()], 3).await.expect("splits");
    assert_eq!(begins.len(), 3);
    let concern = Concern::Longer {
        column: "name".to_owned(),
        max_chars: 3,
    };
    assert_eq!(source.concerned(&table("users"), &concern).await.expect("a count"), Some(901));
    let mut secret = users;
    secret.columns[0].name = "Secret".to_owned();
    assert_eq!(failure(&*source, secret).await.kind(), ErrorKind::Unauthorised);
    let hidden = request(&*source, table("guarded"), &["id"], &["id"]).await;
    assert_eq!(failure(&*source, hidden).await.kind(), ErrorKind::Unauthorised);
}

#[test]
fn check_names_every_missing_privilege_of_every_stream() {
    let (source, target) = (Database::create(), Database::create());
    source.query("create table users (id int primary key, name text); create schema s; create table s.posts (id int primary key)");
    target.query("create table users (id int primary key, name text); create table posts (id int primary key)");
    let role = Role::create(&source);
    source.query(&format!("grant select (id) on users to {}", role.name));
    let streams = [
        ("users", "app.users", "target.users"),
        ("posts", "app.s.posts", "target.posts"),
    ]
    .map(|(name, from, to)| stream(name, from, to, "same_name_columns = true\n"));
    let mut project = between(&source, &target, "", &streams.concat());
    project.set("APP_URL", &role.url);
    let ended = project.run(&["check", "mappings/demo"]);
    ended.expect(3);
    for words in [
        "no SELECT on `name` of `public.users`",
        "no USAGE on schema `s`",
        "no SELECT on table `s.posts`",
    ] {
        ended.says(words);
    }
    ended.says(&format!("grant select (\"name\") on \"public\".\"users\" to {}", role.name));
    source.query(&format!(
        "grant select on users to {0}; grant usage on schema s to {0}; grant select on s.posts to {0}",
        role.name
    ));
    project.run(&["check", "mappings/demo"]).expect(0);
    project.run(&["run", "mappings/demo"]).expect(0);
}
