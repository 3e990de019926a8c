//! Postgres to Postgres: random tables of random types and values arrive as the server itself
//! compares them, in a database whose types have other object ids and whose enums have their
//! labels in another order.
//!
//! The target looks at the source's rows through `postgres_fdw` and compares whole rows by their
//! stored form (`*=`), which tells `1.0` from `1.00` and `-0` from `0`.

use std::fmt::Write as _;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use crate::harness::{Database, Project};

mod kinds;

use kinds::{Kind, kinds};

/// Rows of a table, and what its columns are.
#[derive(Debug, Clone)]
struct Sample {
    name: String,
    columns: Vec<Column>,
    /// Values of each row as SQL, `id` left out.
    rows: Vec<Vec<String>>,
    key: Key,
    same_names: bool,
}

#[derive(Debug, Clone)]
struct Column {
    name: String,
    source: String,
    target: String,
}

/// Name, type, and the value of each row as SQL.
type KeyColumn = (&'static str, &'static str, fn(usize) -> String);

/// What orders and names the rows.
#[derive(Debug, Clone, Copy)]
enum Key {
    Integer,
    Uuid,
    Text,
    Numeric,
    Timestamp,
    Address,
    Two,
}

impl Key {
    /// Columns of the key, and their values in row `n`.
    fn columns(self) -> Vec<KeyColumn> {
        match self {
            Self::Integer => vec![("id", "bigint", |n| n.to_string())],
            Self::Uuid => vec![("id", "uuid", |n| format!("md5('{n}')::uuid"))],
            Self::Text => vec![("id", "text", |n| format!("chr({}) || '{n}'", 40 + n * 37 % 300))],
            Self::Numeric => vec![("id", "numeric(12,3)", |n| format!("{n} * -1.125"))],
            Self::Timestamp => vec![("id", "timestamptz", |n| {
                if n == 0 {
                    "'infinity'".to_owned()
                } else {
                    format!("timestamptz '2000-01-01' - {n} * interval '7 years 1 ms'")
                }
            })],
            Self::Address => vec![("id", "inet", |n| format!("inet '10.0.0.0' + {}", n * 1_000_003 % 65_537))],
            Self::Two => vec![
                ("id", "date", |n| format!("date '1999-12-30' + {}", n / 3)),
                ("Part \"2\"", "smallint", |n| (n % 3).to_string()),
            ],
        }
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Types of both sides. In the target something else has taken the ids, and enums are declared in
/// another order.
fn types(target: bool) -> String {
    let labels = if target {
        "'odd ''one''', 'sad', 'happy', 'new'"
    } else {
        "'happy', 'sad', 'odd ''one'''"
    };
    let before = if target {
        "create type taken as enum ('x'); create type taken_too as (a int, b taken);"
    } else {
        ""
    };
    format!(
        "{before}
         create extension citext; create extension hstore; create extension ltree; create extension cube;
         create type \"Mood of \"\"day\"\"\" as enum ({labels});
         create domain price as numeric(12,4) check (value > -1e9);
         create domain moods as \"Mood of \"\"day\"\"\"[];
         create domain tag as varchar(12);
         create type \"Pair\" as (mood \"Mood of \"\"day\"\"\", gone int, \"Some Amount\" price, at timestamptz(3), tags tag[]);
         alter type \"Pair\" drop attribute gone;
         create type nested as (pair \"Pair\", pairs \"Pair\"[], note text);
         create type \"Float Range\" as range (subtype = float8);
         create domain pairs as \"Pair\"[];"
    )
}

/// The table of one side, with one column that the source computes and one that the target does.
fn table(sample: &Sample, target: bool) -> String {
    let mut columns = String::new();
    for (name, ty, _) in sample.key.columns() {
        write!(columns, "{} {ty}, ", quoted(name)).expect("a String");
    }
    for column in &sample.columns {
        let ty = if target { &column.target } else { &column.source };
        write!(columns, "{} {ty}, ", quoted(&column.name)).expect("a String");
    }
    let number = "int generated always as (3 * 7) stored";
    let (computed, filled) = if target { ("int", number) } else { (number, "int default 21") };
    let key: Vec<String> = sample.key.columns().iter().map(|(name, ..)| quoted(name)).collect();
    format!(
        "create table {} ({columns} computed {computed}, filled {filled}, primary key ({}));",
        quoted(&sample.name),
        key.join(", ")
    )
}

fn rows(sample: &Sample) -> String {
    let mut names: Vec<String> = sample.key.columns().iter().map(|(name, ..)| quoted(name)).collect();
    names.extend(sample.columns.iter().map(|column| quoted(&column.name)));
    let mut sql = String::new();
    for (n, row) in sample.rows.iter().enumerate() {
        let mut values: Vec<String> = sample.key.columns().iter().map(|(.., value)| value(n)).collect();
        values.extend(row.iter().cloned());
        writeln!(
            sql,
            "insert into {} ({}) values ({});",
            quoted(&sample.name),
            names.join(", "),
            values.join(", ")
        )
        .expect("a String");
    }
    sql
}

/// `connection."table"` as a mapping writes it within a TOML literal string.
fn mapping(sample: &Sample) -> String {
    let table = quoted(&sample.name);
    let keys: Vec<String> = sample
        .key
        .columns()
        .iter()
        .map(|(name, ..)| format!("'''{name}'''"))
        .collect();
    let mut text = format!(
        "[[stream]]\nname = \"{}\"\nfrom = '''old.{table}'''\nto = '''new.{table}'''\nkey = [{}]\n",
        sample
            .name
            .replace(|letter: char| !letter.is_ascii_alphanumeric(), "_")
            .to_lowercase(),
        keys.join(", ")
    );
    if sample.same_names {
        text.push_str("same_name_columns = true\n");
        return text;
    }
    text.push_str("[stream.columns]\ncomputed = \"computed\"\n");
    let names = sample
        .key
        .columns()
        .iter()
        .map(|(name, ..)| (*name).to_owned())
        .collect::<Vec<_>>();
    for name in names.iter().chain(sample.columns.iter().map(|column| &column.name)) {
        writeln!(text, "{} = '''{}'''", serde_json::Value::from(name.as_str()), quoted(name)).expect("a String");
    }
    text
}

/// Both databases, and the source's tables as the target sees them in schema `old`.
fn databases(samples: &[Sample]) -> (Database, Database) {
    let (old, new) = (Database::create(), Database::create());
    for (database, target) in [(&old, false), (&new, true)] {
        let tables: String = samples.iter().map(|sample| table(sample, target)).collect();
        database.query(&format!("{} {tables}", types(target)));
    }
    for sample in samples {
        old.query(&rows(sample));
    }
    let url = url_parts(&old.url);
    new.query(&format!(
        "create extension postgres_fdw;
         create server old foreign data wrapper postgres_fdw options (host '{}', port '{}', dbname '{}');
         create user mapping for current_user server old options (user '{}', password '{}');
         create schema old;
         import foreign schema public from server old into old options (import_generated 'false')",
        url.0, url.1, old.name, url.2, url.3
    ));
    (old, new)
}

/// Host, port, user and password of a URL.
fn url_parts(url: &str) -> (String, String, String, String) {
    let rest = url.strip_prefix("postgres://").expect("a Postgres URL");
    let (login, rest) = rest.split_once('@').expect("a user");
    let (user, password) = login.split_once(':').expect("a password");
    let (address, _) = rest.split_once('/').expect("a database");
    let (host, port) = address.split_once(':').expect("a port");
    (host.to_owned(), port.to_owned(), user.to_owned(), password.to_owned())
}

/// Columns whose rows differ, by the server's own comparison.
fn differences(new: &Database, sample: &Sample) -> Vec<String> {
    let table = quoted(&sample.name);
    let keys: Vec<String> = sample.key.columns().iter().map(|(name, ..)| quoted(name)).collect();
    let using = keys.join(", ");
    let (names, values): (Vec<&str>, Vec<String>) = sample
        .columns
        .iter()
        .map(|column| {
            let name = quoted(&column.name);
            let equal = if column.target == "tsquery" {
                // Its stored form depends on how it came to be.
                format!("tsquerysend(o.{name}) is not distinct from tsquerysend(n.{name})")
            } else {
                format!(
                    "row(o.{name}::{})::record operator(pg_catalog.*=) row(n.{name})::record",
                    column.target
                )
            };
            let value = format!("count(*) filter (where not coalesce({equal}, false))");
            (column.name.as_str(), value)
        })
        .unzip();
    let values = values.join(", ");
    let found = new.query(&format!(
        "select {values}, count(*) filter (where o is null or n is null), count(*) filter (where n.computed <> 21 or n.filled <> 21)
         from old.{table} o full join public.{table} n using ({using})"
    ));
    let labels = names.into_iter().chain(["rows", "computed"]);
    labels
        .zip(&found[0])
        .filter(|(_, count)| count.as_deref() != Some("0"))
        .map(|(name, count)| {
            let column = sample.columns.iter().find(|column| column.name == name);
            format!("{name} {:?}: {count:?}", column.map(|column| &column.source))
        })
        .collect()
}

fn project(old: &Database, new: &Database, streams: &str) -> Project {
    let mut project = Project::new();
    project.write(
        "config/development.toml",
        "[connection.old]\nkind = \"postgres\"\nurl = { env = \"OLD_URL\" }\n[connection.new]\nkind = \"postgres\"\nurl = { env = \"NEW_URL\" }\n",
    );
    project.write(
        "mappings/demo/project.toml",
        "name = \"demo\"\nsources = [\"old\"]\nsinks = [\"new\"]\n",
    );
    project.write("mappings/demo/all.toml", streams);
    project.set("OLD_URL", &old.url);
    project.set("NEW_URL", &new.url);
    project
}

/// Copies the tables with the program and compares them in the target, and as the program does.
fn copied(samples: &[Sample]) -> Result<(), TestCaseError> {
    let (old, new) = databases(samples);
    let streams: String = samples.iter().map(mapping).collect();
    let project = project(&old, &new, &streams);
    let ended = project.run(&["run", "mappings/demo"]);
    prop_assert_eq!(ended.code, Some(0), "{}\n{}", ended.stdout, ended.stderr);
    for sample in samples {
        prop_assert_eq!(differences(&new, sample), Vec::<String>::new(), "{}", sample.name);
        prop_assert_eq!(
            new.value(&format!("select count(*) from {}", quoted(&sample.name))),
            sample.rows.len().to_string()
        );
    }
    let verified = project.run(&["verify", "mappings/demo"]);
    prop_assert_eq!(verified.code, Some(0), "{}\n{}", verified.stdout, verified.stderr);
    Ok(())
}

/// A value of each column, now and then NULL.
fn row(columns: &[Kind]) -> impl Strategy<Value = Vec<String>> + use<> {
    let values: Vec<_> = columns
        .iter()
        .map(|kind| prop_oneof![1 => Just("null".to_owned()), 6 => kind.values.clone()])
        .collect();
    values
}

fn sample(number: usize) -> impl Strategy<Value = Sample> {
    let names = [
        "plain",
        "Mixed Case",
        "with \"quotes\"",
        "select",
        "dotted.name",
        "tail\\",
        "naïve €",
    ];
    let key = prop::sample::select(vec![
        Key::Integer,
        Key::Uuid,
        Key::Text,
        Key::Numeric,
        Key::Timestamp,
        Key::Address,
        Key::Two,
    ]);
    let columns = prop::sample::subsequence(kinds(), 1..=9);
    (columns, key, any::<bool>(), 0usize..40).prop_flat_map(move |(kinds, key, same_names, count)| {
        let columns: Vec<Column> = kinds
            .iter()
            .enumerate()
            .map(|(at, kind)| Column {
                name: format!("{} {at}", names[(at + number) % names.len()]),
                source: kind.source.clone(),
                target: kind.target.clone(),
            })
            .collect();
        prop::collection::vec(row(&kinds), count).prop_map(move |rows| Sample {
            name: format!("{} {number}", names[number % names.len()]),
            columns: columns.clone(),
            rows,
            key,
            same_names,
        })
    })
}

#[test]
fn random_tables_arrive_as_the_server_compares_them() {
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 4,
        max_shrink_iters: 4,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let samples = (0..4).map(sample).collect::<Vec<_>>();
    if let Err(error) = runner.run(&samples, |samples| copied(&samples)) {
        panic!("{error}");
    }
}

#[test]
fn a_table_of_all_types_arrives() {
    let mut runner = TestRunner::deterministic();
    let all = kinds();
    let columns = all.iter().enumerate().map(|(at, kind)| Column {
        name: format!("c{at}"),
        source: kind.source.clone(),
        target: kind.target.clone(),
    });
    let sample = Sample {
        name: "all".to_owned(),
        columns: columns.collect(),
        rows: (0..60)
            .map(|_| row(&all).new_tree(&mut runner).expect("a row").current())
            .collect(),
        key: Key::Integer,
        same_names: true,
    };
    copied(&[sample]).expect("equal tables");
}
