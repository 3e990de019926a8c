//! Streams that write keys, through the program: what the mapping says is what the server holds, what
//! vanishes is counted, and rehearsals stay apart.

use crate::harness::{Project, file_connection};
use crate::redis::dump::Content;
use crate::redis::server::Server;

const PROFILES: &str = r#"
[[stream]]
name = "profiles"
from = "app.users"
to = "redis"
key = "user:{id}:profile"
type = "hash"
ttl = "1h"
on_conflict = "update"
[stream.columns]
id = "id"
name = "name"
level = "level"
"#;

const NAMES: &str = r#"
[[stream]]
name = "names"
from = "app.users"
to = "redis"
key = "name:{name}"
type = "json"
on_conflict = "update"
on_collision = "later_wins"
[stream.columns]
name = "name"
id = "id"
level = "level"
"#;

const SESSIONS: &str = r#"
[[stream]]
name = "sessions"
from = "app.users"
to = "redis"
key = "session:{token}"
type = "string"
value = ["id"]
expires_at = "until"
[stream.columns]
token = "token"
id = "id"
until = "until"
"#;

const QUEUE: &str = r#"
[[stream]]
name = "queue"
from = "app.users"
to = "redis"
key = "matchmaking:queue"
type = "list"
subject = { user = "id = $key" }
[stream.columns]
ticket = "token"
"#;

/// Six users into a Redis server.
fn users(server: &Server, mapping: &str) -> Project {
    let mut project = Project::new();
    project.set("REDIS_URL", &server.url());
    let redis = "[connection.redis]\nkind = \"redis\"\nurl = { env = \"REDIS_URL\" }\n";
    project.write(
        "config/development.toml",
        &(file_connection("app", "sqlite", "app.db") + redis),
    );
    project.write(
        "mappings/demo/project.toml",
        "name = \"demo\"\nsources = [\"app\"]\nsinks = [\"redis\"]\nmax_rejects = 10\n",
    );
    project.write("mappings/demo/streams.toml", mapping);
    project.sqlite(
        "app.db",
        "pragma journal_mode = wal;
         create table users (id integer primary key, name text, level bigint, token text, until timestamptz);
         insert into users values
            (1, 'ann', 9007199254740993, 't{1}', '2020-01-01 00:00:00Z'),
            (2, 'ben', null, 't%2', null),
            (3, 'ann', 3, 't3', '2020-01-01 00:00:00Z'),
            (4, null, 4, 't4', null),
            (5, 'eve', 5, 't5', null),
            (6, 'ann', 6, 't6', null);",
    );
    project
}

#[test]
fn rows_become_the_keys_that_the_mapping_says() {
    let server = Server::start(&[]);
    let project = users(&server, &[PROFILES, NAMES, SESSIONS, QUEUE].concat());
    project.run(&["check", "mappings/demo"]).expect(0);
    let plan = project.run(&["plan", "mappings/demo"]);
    assert!(
        plan.expect(0).stdout.contains("app.users → redis user:{id}:profile"),
        "{}",
        plan.stdout
    );
    assert!(plan.stdout.contains("hash per key, expires after 1h"), "{}", plan.stdout);
    let run = project.run(&["run", "mappings/demo", "--output", "json"]);
    let report = run.expect(4).json();
    let figures = |name: &str| {
        let streams = report["streams"].as_array().expect("streams");
        let stream = streams.iter().find(|stream| stream["name"] == name).expect("the stream");
        ["read", "inserted", "updated", "expired", "rejected"].map(|count| stream[count].as_u64().expect("a number"))
    };
    assert_eq!(figures("profiles"), [6, 6, 0, 0, 0]);
    assert_eq!(figures("names"), [6, 3, 2, 0, 1], "a name that is NULL makes no key");
    assert_eq!(figures("sessions"), [6, 4, 0, 2, 0]);
    assert_eq!(figures("queue"), [6, 6, 0, 0, 0]);
    assert_eq!(
        report["warnings"][0],
        "stream `names`: 2 rows went over earlier rows with the same key"
    );
    let mut held = server.dump();
    held.retain(|key, _| !key.starts_with(b"dbferry:"));
    let content = |key: &str| &held[key.as_bytes()].content;
    assert_eq!(held.len(), 6 + 3 + 4 + 1);
    assert_eq!(
        content("user:1:profile"),
        &Content::fields(&[("name", "ann"), ("level", "9007199254740993")])
    );
    assert_eq!(content("user:2:profile"), &Content::fields(&[("name", "ben")]));
    assert_eq!(held["user:1:profile".as_bytes()].minutes, Some(60));
    assert_eq!(content("name:ann"), &Content::bytes(r#"{"id":6,"level":6}"#));
    assert_eq!(content("name:ben"), &Content::bytes(r#"{"id":2,"level":null}"#));
    assert_eq!(content("session:t%252"), &Content::bytes("2"));
    assert_eq!(content("session:t5"), &Content::bytes("5"));
    assert!(!held.contains_key("session:t3".as_bytes()));
    let tickets = ["t{1}", "t%2", "t3", "t4", "t5", "t6"];
    assert_eq!(content("matchmaking:queue"), &Content::elements(&tickets));
}

#[test]
fn keys_that_have_vanished_are_no_mistake() {
    let server = Server::start(&[]);
    let project = users(&server, &[PROFILES, SESSIONS].concat());
    project.run(&["run", "mappings/demo"]).expect(0);
    for id in 1..=6 {
        let key = format!("user:{id}:profile");
        server.query::<i64>(&["DEL", &key]);
    }
    let again = project.run(&["run", "mappings/demo"]);
    assert!(again.expect(0).stdout.contains("complete before"), "{}", again.stdout);
    let stats = project.run(&["stats", "mappings/demo"]);
    assert!(stats.expect(0).stdout.contains("expired"), "{}", stats.stdout);
}

#[test]
fn some_rows_of_a_list_are_not_moved_alone() {
    let server = Server::start(&[]);
    let project = users(
        &server,
        &[QUEUE, &PROFILES.replace("ttl = \"1h\"", "subject = { user = \"id = $key\" }")].concat(),
    );
    let one = project.run(&["run", "mappings/demo", "--for", "user=3"]);
    one.expect(0).says("stream `queue` keeps its rows in order");
    assert_eq!(server.query::<i64>(&["EXISTS", "matchmaking:queue"]), 0);
    assert_eq!(server.query::<i64>(&["EXISTS", "user:3:profile"]), 1);
    let only = project.run(&["run", "mappings/demo", "--for", "user=3", "--only", "queue"]);
    only.expect(2).says("moved as a whole or not at all");
}

#[test]
fn a_rehearsal_stays_apart_and_is_cleaned_up() {
    let server = Server::start(&[]);
    let project = users(&server, PROFILES);
    server.query::<String>(&["SET", "user:1:profile", "the application's own"]);
    let prefixed = |command: &str, more: &[&str]| {
        let words = [&[command, "mappings/demo", "--key-prefix", "rehearsal"], more].concat();
        project.run(&words)
    };
    prefixed("run", &[]).expect(0);
    assert_eq!(server.query::<i64>(&["EXISTS", "rehearsal:user:1:profile"]), 1);
    assert_eq!(server.dump_behind("dbferry:").len(), 0, "nothing of the ledger is outside");
    assert!(prefixed("stats", &[]).expect(0).stdout.contains("complete"));
    let stats = project.run(&["stats", "mappings/demo"]);
    assert!(stats.expect(0).stdout.contains("not begun"), "{}", stats.stdout);
    prefixed("clean", &[]).expect(2).says("nobody is there to agree");
    let other = project.run(&["clean", "mappings/demo", "--key-prefix", "other", "--yes"]);
    other.expect(3).says("nothing was removed");
    let cleaned = prefixed("clean", &["--yes", "--output", "json"]);
    let document = cleaned.expect(0).json();
    assert_eq!(document["key_prefix"], "rehearsal:");
    assert!(document["removed"][0]["keys"].as_u64().expect("a number") > 6);
    let left: Vec<_> = server.dump().into_keys().collect();
    assert_eq!(left, [b"user:1:profile".to_vec()]);
    let own = project.run(&["run", "mappings/demo", "--key-prefix", "user"]);
    own.expect(2).says("mapping::prefix");
}

#[test]
fn tables_and_keys_go_where_they_belong() {
    let server = Server::start(&[]);
    let project = users(&server, PROFILES);
    let sqlite = file_connection("app", "sqlite", "app.db") + &file_connection("redis", "sqlite", "target.db");
    project.write("config/embedded.toml", &sqlite);
    for command in ["plan", "check", "run", "stats"] {
        let wrong = project.run(&[command, "mappings/demo", "--env", "embedded"]);
        wrong.expect(2).says("plan::target_kind");
    }
    let starter = project.run(&["introspect", "--from", "app", "--to", "redis"]);
    starter.expect(2).says("holds keys, and a starter pairs tables");
    project.write(
        "mappings/demo/streams.toml",
        &PROFILES
            .replace("type = \"hash\"", "type = \"counter\"\nvalue = [\"name\"]")
            .replace("level = \"level\"\n", ""),
    );
    project
        .run(&["plan", "mappings/demo"])
        .expect(2)
        .says("which is a whole number");
}
