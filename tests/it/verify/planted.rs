//! Two hundred faults at random rows of a moved target of every kind: each is found and named by
//! its key and column, and nothing else is.

use std::collections::BTreeSet;

use ::redis::Value as Reply;
use scylla::value::CqlValue;

use crate::cassandra::Keyspace;
use crate::harness::{Database, Moments, Project, file_connection, url_connection};
use crate::redis::store::Store;

/// Rows, of each fifty of which one fault takes one or two.
const ROWS: u64 = 10_000;
const SLOT: u64 = 50;

const THINGS: &str = "pragma journal_mode = wal;
    create table things (id integer primary key, raw blob, big bigint, made timestamptz, note text, doc json);
    with recursive n(i) as (select 1 union all select i + 1 from n where i < 10000)
    insert into things select i, unhex(printf('00ff%06x', i)), 9007199254740993 + i * 7,
        strftime('%Y-%m-%d %H:%M:%S', 1700000000 + i, 'unixepoch') || '.' || printf('%06d', i * 10 + 1) || 'Z',
        case i % 3 when 0 then null when 1 then '' else 'note ' || i end, '{\"n\":' || i || '}' from n;";

const STREAM: &str = "[[stream]]\nname = \"things\"\nfrom = \"app.things\"\nto = \"TO\"\nKEY\n
[stream.columns]\nid = \"id\"\nraw = \"raw\"\nbig = \"big\"\nmade = \"made\"\nnote = \"note\"\ndoc = \"doc\"\n";

/// What is done to a row.
#[derive(Debug, Clone, Copy)]
enum Fault {
    Bit,
    Microsecond,
    Blank,
    Digit,
    JsonKey,
    Swapped,
    Missing,
    Extra,
    EmptyForNull,
    NullForEmpty,
    TimeToLive,
}

const OF_ROWS: [Fault; 10] = [
    Fault::Bit,
    Fault::Microsecond,
    Fault::Blank,
    Fault::Digit,
    Fault::JsonKey,
    Fault::Swapped,
    Fault::Missing,
    Fault::Extra,
    Fault::EmptyForNull,
    Fault::NullForEmpty,
];

/// A moved target.
enum Target {
    Postgres(Database),
    Sqlite(rusqlite::Connection),
    Keys(Store),
    Cql(Keyspace),
}

impl Target {
    fn faults(&self) -> Vec<Fault> {
        let mut all = OF_ROWS.to_vec();
        if matches!(self, Self::Keys(_)) {
            all.push(Fault::TimeToLive);
        }
        all
    }

    /// Plants a fault into a row; the next row is free too.
    fn plant(&self, fault: Fault, id: u64) {
        match self {
            Self::Postgres(database) => drop(database.query(&sql(
                fault,
                id,
                "overlay(raw placing '\\x01' from 1 for 1)",
                "made + interval '1 microsecond'",
            ))),
            Self::Sqlite(connection) => {
                let made = "substr(made, 1, 20) || printf('%06d', substr(made, 21, 6) + 1) || 'Z'";
                let raw = "cast(x'01' || substr(raw, 2) as blob)";
                connection.execute_batch(&sql(fault, id, raw, made)).expect("a fault");
            }
            Self::Keys(store) => in_keys(store, fault, id),
            Self::Cql(keyspace) => in_cql(keyspace, fault, id),
        }
    }
}

/// A fault in a table; `raw` and `made`: these columns, changed a little.
fn sql(fault: Fault, id: u64, raw: &str, made: &str) -> String {
    let set = |what: &str| format!("update things set {what} where id = {id}");
    match fault {
        Fault::Bit => set(&format!("raw = {raw}")),
        Fault::Microsecond => set(&format!("made = {made}")),
        Fault::Blank => set("note = note || ' '"),
        Fault::Digit => set("big = big + 1"),
        Fault::JsonKey => set(&format!("doc = '{{\"m\":{id}}}'")),
        Fault::Swapped => format!(
            "update things set big = 2 * 9007199254740993 + {} - big where id in ({id}, {})",
            (2 * id + 1) * 7,
            id + 1
        ),
        Fault::Missing => format!("delete from things where id = {id}"),
        Fault::Extra => format!("insert into things select id + 1000000, raw, big, made, note, doc from things where id = {id}"),
        Fault::EmptyForNull => set("note = ''"),
        Fault::NullForEmpty => set("note = null"),
        Fault::TimeToLive => unreachable!("of keys alone"),
    }
}

/// A fault in a hash.
fn in_keys(store: &Store, fault: Fault, id: u64) {
    let key = format!("thing:{id}");
    let big = |id: u64| (9_007_199_254_740_993 + id * 7).to_string();
    let set = |field: &str, value: &[u8]| {
        store.query::<Reply>(&[b"HSET".as_slice(), key.as_bytes(), field.as_bytes(), value]);
    };
    let get = |field: &str| store.query::<String>(&["HGET", &key, field]);
    match fault {
        Fault::Bit => {
            let mut raw = store.query::<Vec<u8>>(&["HGET", &key, "raw"]);
            raw[0] ^= 1;
            set("raw", &raw);
        }
        Fault::Microsecond => {
            set("made", next_microsecond(&get("made")).as_bytes());
        }
        Fault::Blank => set("note", format!("{} ", get("note")).as_bytes()),
        Fault::Digit => drop(store.query::<Reply>(&["HINCRBY", &key, "big", "1"])),
        Fault::JsonKey => set("doc", format!("{{\"m\":{id}}}").as_bytes()),
        Fault::Swapped => {
            set("big", big(id + 1).as_bytes());
            store.query::<Reply>(&["HSET", &format!("thing:{}", id + 1), "big", &big(id)]);
        }
        Fault::Missing => drop(store.query::<Reply>(&["DEL", &key])),
        Fault::Extra => drop(store.query::<Reply>(&["HSET", &format!("thing:{}", id + 1_000_000), "big", "1"])),
        Fault::EmptyForNull => set("note", b""),
        Fault::NullForEmpty => drop(store.query::<Reply>(&["HDEL", &key, "note"])),
        Fault::TimeToLive => drop(store.query::<Reply>(&["PERSIST", &key])),
    }
}

/// A moment with another last digit.
fn next_microsecond(made: &str) -> String {
    // The digits end where the zone begins.
    let (digits, zone) = made.split_at(made.rfind(|c: char| c.is_ascii_digit()).expect("digits") + 1);
    let (rest, last) = digits.split_at(digits.len() - 1);
    let next = (last.parse::<u8>().expect("a digit") + 1) % 10;
    format!("{rest}{next}{zone}")
}

/// A fault in a table of a keyspace.
fn in_cql(keyspace: &Keyspace, fault: Fault, id: u64) {
    let big = |id: u64| 9_007_199_254_740_993 + id * 7;
    let set = |what: &str| keyspace.rows(&format!("UPDATE things SET {what} WHERE id = {id}"));
    let get = |column: &str| match keyspace.value(&format!("SELECT {column} FROM things WHERE id = {id}")) {
        Some(CqlValue::Text(text)) => text,
        other => panic!("{other:?}"),
    };
    match fault {
        Fault::Bit => set(&format!("raw = 0x01ff{id:06x}")),
        Fault::Microsecond => set(&format!("made = '{}'", next_microsecond(&get("made")))),
        Fault::Blank => set(&format!("note = '{} '", get("note"))),
        Fault::Digit => set(&format!("big = {}", big(id) + 1)),
        Fault::JsonKey => set(&format!("doc = '{{\"m\":{id}}}'")),
        Fault::Swapped => {
            keyspace.rows(&format!("UPDATE things SET big = {} WHERE id = {}", big(id), id + 1));
            set(&format!("big = {}", big(id + 1)))
        }
        Fault::Missing => keyspace.rows(&format!("DELETE FROM things WHERE id = {id}")),
        Fault::Extra => keyspace.rows(&format!("INSERT INTO things (id, big) VALUES ({}, 1)", id + 1_000_000)),
        Fault::EmptyForNull => set("note = ''"),
        Fault::NullForEmpty => set("note = null"),
        Fault::TimeToLive => unreachable!("of keys alone"),
    };
}

/// What is to be told of a fault: kind, key, column.
fn told(fault: Fault, id: u64, key: &dyn Fn(u64) -> String) -> Vec<String> {
    let different = |column: &str| vec![format!("different {} {column}", key(id))];
    match fault {
        Fault::Bit => different("raw"),
        Fault::Microsecond => different("made"),
        Fault::Blank | Fault::EmptyForNull | Fault::NullForEmpty => different("note"),
        Fault::Digit => different("big"),
        Fault::JsonKey => different("doc"),
        Fault::Swapped => [id, id + 1].map(|id| format!("different {} big", key(id))).to_vec(),
        Fault::Missing => vec![format!("missing {}", key(id))],
        Fault::Extra => vec![format!("extra {}", key(id + 1_000_000))],
        Fault::TimeToLive => different("ttl"),
    }
}

/// A row of the slot whose note is what the fault is about.
fn row(fault: Fault, slot: u64, moments: &mut Moments) -> u64 {
    let any = slot * SLOT + 1 + moments.below(SLOT - 4);
    let rest = match fault {
        Fault::EmptyForNull => 0,
        Fault::NullForEmpty => 1,
        Fault::Blank => 2,
        _ => return any,
    };
    any + (rest + 3 - any % 3) % 3
}

fn two_hundred(project: &Project, target: &Target, key: &dyn Fn(u64) -> String) {
    project.run(&["run", "mappings/demo"]).expect(0);
    let verify = ["verify", "mappings/demo", "--output", "json", "--max-differences", "1000"];
    project.run(&verify).expect(0);
    let mut moments = Moments::seeded();
    let faults = target.faults();
    let mut expected = BTreeSet::new();
    for slot in 0..ROWS / SLOT {
        let fault = faults[usize::try_from(slot).expect("small") % faults.len()];
        let id = row(fault, slot, &mut moments);
        target.plant(fault, id);
        expected.extend(told(fault, id, key));
    }
    let report = project.run(&verify).expect(5).json();
    let connections = report["connections"].as_array().expect("connections");
    assert!(connections.iter().all(|read| read["version"].is_string()), "{connections:?}");
    let stream = &report["streams"][0];
    let found: BTreeSet<String> = stream["differences"]
        .as_array()
        .expect("differences")
        .iter()
        .map(line)
        .collect();
    let missed: Vec<_> = expected.difference(&found).collect();
    let besides: Vec<_> = found.difference(&expected).collect();
    assert!(
        missed.is_empty() && besides.is_empty(),
        "not found: {missed:#?}\nfound besides: {besides:#?}"
    );
    let counted = ["missing", "extra", "different"].map(|figure| stream[figure].as_u64().expect("a number"));
    assert_eq!(counted.iter().sum::<u64>(), expected.len() as u64);
}

fn line(difference: &serde_json::Value) -> String {
    let words = |list: &serde_json::Value, of: &dyn Fn(&serde_json::Value) -> String| {
        list.as_array().expect("a list").iter().map(of).collect::<Vec<_>>().join(" ")
    };
    let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
    let key = words(&difference["key"], &|part| text(&part["value"]["text"]));
    let columns = words(&difference["columns"], &|column| text(&column["column"]));
    format!("{} {key} {columns}", text(&difference["kind"])).trim_end().to_owned()
}

/// A project that moves the things into a target.
fn project(target: &str, to: &str, key: &str) -> Project {
    let project = Project::new();
    let config = format!("{}{target}", file_connection("app", "sqlite", "app.db"));
    project.write("config/development.toml", &config);
    project.write(
        "mappings/demo/project.toml",
        "name = \"demo\"\nsources = [\"app\"]\nsinks = [\"target\"]\n",
    );
    project.write("mappings/demo/streams.toml", &STREAM.replace("TO", to).replace("KEY", key));
    project.sqlite("app.db", THINGS);
    project
}

#[test]
fn two_hundred_faults_in_postgres_are_all_named() {
    let database = Database::create();
    database.query("create table things (id bigint primary key, raw bytea, big bigint, made timestamptz, note text, doc jsonb)");
    let mut project = project(&url_connection("target", "TARGET_URL"), "target.things", "key = [\"id\"]");
    project.set("TARGET_URL", &database.url);
    two_hundred(&project, &Target::Postgres(database), &|id| id.to_string());
}

#[test]
fn two_hundred_faults_in_sqlite_are_all_named() {
    let project = project(
        &file_connection("target", "sqlite", "out.db"),
        "target.things",
        "key = [\"id\"]",
    );
    project.sqlite(
        "out.db",
        "create table things (id integer primary key, raw blob, big bigint, made timestamptz text, note text, doc json text)",
    );
    let target = Target::Sqlite(rusqlite::Connection::open(project.path("out.db")).expect("the target"));
    two_hundred(&project, &target, &|id| id.to_string());
}

#[test]
fn two_hundred_faults_in_keys_are_all_named() {
    for store in [Store::single(), Store::cluster(false)] {
        let connection = "[connection.target]\nkind = \"redis\"\nurl = { env = \"REDIS_URL\" }\n";
        let mut project = project(connection, "target", "key = \"thing:{id}\"\ntype = \"hash\"\nttl = \"24h\"");
        project.set("REDIS_URL", &store.url());
        two_hundred(&project, &Target::Keys(store), &|id| format!("thing:{id}"));
    }
}

#[test]
fn two_hundred_faults_in_a_keyspace_are_all_named() {
    let keyspace = Keyspace::fresh();
    keyspace.run(["CREATE TABLE things (id bigint PRIMARY KEY, raw blob, big bigint, made text, note text, doc text)"]);
    let connection = "[connection.target]\nkind = \"scylla\"\nurl = { env = \"TARGET_URL\" }\n";
    let mut project = project(connection, "target.things", "key = [\"id\"]");
    project.set("TARGET_URL", &keyspace.url());
    two_hundred(&project, &Target::Cql(keyspace), &|id| id.to_string());
}
