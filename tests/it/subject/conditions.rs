//! Conditions are SQL of the database that is read, which finds their mistakes.

use crate::harness::{Database, Project};
use crate::projects::between;

use super::{Shop, figures, mapping};

#[test]
fn mistakes_in_conditions_are_told_at_their_line() {
    let shop = Shop::new(false, "update");
    let wrong = mapping("update").replace("user_id = $key", "usr_id = $key").replace(
        "exists (select 1 from json_each(owners)",
        "exists (select 1 from json_eech(owners)",
    );
    shop.project.write("mappings/demo/streams.toml", &wrong);
    let plan = shop
        .project
        .run(&["plan", "mappings/demo", "--output", "json"])
        .expect(2)
        .json();
    let findings = plan["error"]["findings"].as_array().expect("findings");
    let told: Vec<_> = findings
        .iter()
        .map(|finding| {
            (
                finding["code"].as_str(),
                finding["line"].as_u64(),
                finding["column"].as_u64(),
                finding["help"].as_str(),
            )
        })
        .collect();
    assert_eq!(
        told[0],
        (Some("plan::subject"), Some(8), Some(21), Some("did you mean `user_id`?"))
    );
    assert_eq!((told[1].0, told[1].1), (Some("plan::subject"), Some(30)));
    assert!(
        findings[1]["message"]
            .as_str()
            .expect("a message")
            .contains("no such table: json_eech")
    );
    shop.run(&["--for", "user=ann"]).expect(2).says("no such column: usr_id");
}

/// The shop in Postgres, with keys of types of its own.
const POSTGRES_SOURCE: &str = r#"
create table "Users" (id uuid primary key, name varchar(50));
create table orders (id integer primary key, user_id uuid, total integer);
create index orders_user on orders (user_id);
create table tags (id integer primary key, label text, owners uuid[]);
create index tags_owners on tags using gin (owners);
insert into "Users" select ('00000000-0000-4000-8000-00000000000' || n)::uuid, 'user ' || n from generate_series(1, 3) n;
insert into orders select n, ('00000000-0000-4000-8000-00000000000' || n % 3 + 1)::uuid, n from generate_series(1, 3000) n;
insert into tags select n, 'tag', array[('00000000-0000-4000-8000-00000000000' || n)::uuid] from generate_series(1, 3) n;
"#;

/// The shop between two databases, and its streams.
fn between_servers() -> (Project, Database, Database, String) {
    let (source, target) = (Database::create(), Database::create());
    source.query(POSTGRES_SOURCE);
    target.query(
        "create table users (id uuid primary key, name varchar(50) not null);
         create table orders (id integer primary key, user_id uuid not null references users (id), total integer not null);
         create table tags (id integer primary key, label text not null)",
    );
    let streams = mapping("update").replace("app.users", "app.\\\"Users\\\"").replace(
        "exists (select 1 from json_each(owners) where value = $key)",
        "owners @> array[$key::uuid] -- '$key'",
    );
    let streams = &streams[..streams.rfind("[[stream]]").expect("topics")];
    let project = between(&source, &target, "", streams);
    let streams = streams.to_owned();
    (project, source, target, streams)
}

#[test]
fn one_user_moves_from_postgres_to_postgres() {
    let (project, _source, target, _) = between_servers();
    let user = "user=00000000-0000-4000-8000-000000000002";
    let moved = || {
        project
            .run(&["run", "mappings/demo", "--for", user, "--output", "json"])
            .expect(0)
            .json()
    };
    let report = moved();
    assert_eq!(figures(&report, "users"), [1, 1, 0, 0, 0]);
    assert_eq!(figures(&report, "orders"), [1000, 1000, 0, 0, 0]);
    assert_eq!(figures(&report, "tags"), [1, 1, 0, 0, 0]);
    let before = target.query("select * from orders order by id");
    let report = moved();
    assert_eq!(figures(&report, "orders"), [1000, 0, 0, 1000, 0]);
    assert!(before == target.query("select * from orders order by id"));
    project
        .run(&["run", "mappings/demo", "--for", "user=' or true --"])
        .expect(2)
        .says("not a value of type uuid");
    project
        .run(&["run", "mappings/demo", "--for", "user=00000000-0000-4000-8000-000000000009"])
        .expect(1);
}

#[test]
fn conditions_are_prepared_by_the_server_that_is_read() {
    let (project, source, _target, streams) = between_servers();
    let notes = || {
        project
            .run(&["plan", "mappings/demo", "--output", "json"])
            .expect(0)
            .stdout
            .clone()
    };
    assert!(!notes().contains("no index finds"), "{}", notes());
    source.query("drop index orders_user");
    assert!(
        notes().contains("no index finds the rows of a subject: `orders` is read from beginning to end"),
        "{}",
        notes()
    );
    let planned_with = |condition: &str| {
        project.write("mappings/demo/streams.toml", &streams.replace("user_id = $key", condition));
        project.run(&["plan", "mappings/demo"])
    };
    planned_with("usr_id = $key")
        .expect(2)
        .says("usr_id")
        .says("did you mean `user_id`?");
    planned_with("user_id = $key::uuid and total = $1")
        .expect(2)
        .says("parameters beside `$key`");
}
