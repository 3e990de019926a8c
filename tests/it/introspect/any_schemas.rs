//! Whatever the schemas, the starter plans.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::{between, project};
use crate::harness::{Database, Ended, Project};

/// A column of a made-up table.
#[derive(Debug, Clone)]
struct Made {
    name: String,
    ty: &'static str,
    not_null: bool,
}

const TYPES: [&str; 12] = [
    "integer",
    "bigint",
    "text",
    "varchar(20)",
    "boolean",
    "numeric(9,2)",
    "double precision",
    "bytea",
    "date",
    "timestamp(3)",
    "uuid",
    "jsonb",
];

fn names() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => prop::sample::select(vec![
            "id", "Id", "name", "user", "select", "order", "case", "true", "null", "date", "interval", "group", "end", "type", "from",
            "position", "current_date", "not", "values", "key", "array",
        ]).prop_map(str::to_owned),
        2 => "[a-zA-Z_ .\"'\\\\#=\\-\\[\\]$éß{}\n\t%]{1,9}",
    ]
}

fn columns() -> impl Strategy<Value = Vec<Made>> {
    let column =
        (names(), prop::sample::select(TYPES.to_vec()), any::<bool>()).prop_map(|(name, ty, not_null)| Made { name, ty, not_null });
    prop::collection::vec(column, 1..7).prop_map(|columns| {
        let mut each: Vec<Made> = Vec::new();
        for column in columns {
            // SQLite takes `Id` and `id` for one column.
            if !each.iter().any(|other| other.name.eq_ignore_ascii_case(&column.name)) {
                each.push(column);
            }
        }
        each
    })
}

/// Two shapes of one table: source columns, and target columns of which some are the same.
fn tables() -> impl Strategy<Value = Vec<(String, Vec<Made>, Vec<Made>)>> {
    let table = (names(), columns(), columns(), any::<u8>()).prop_map(|(name, source, more, kept)| {
        let mut target = more;
        for (at, column) in source.iter().enumerate() {
            if kept >> (at % 8) & 1 == 1 && !target.iter().any(|other| other.name.eq_ignore_ascii_case(&column.name)) {
                target.push(column.clone());
            }
        }
        (name, source, target)
    });
    prop::collection::vec(table, 1..4).prop_map(|tables| {
        let mut each: Vec<(String, Vec<Made>, Vec<Made>)> = Vec::new();
        for table in tables {
            if !each.iter().any(|(name, ..)| name.eq_ignore_ascii_case(&table.0)) {
                each.push(table);
            }
        }
        each
    })
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The first column is the key in every second table.
fn ddl(name: &str, columns: &[Made], sqlite: bool) -> String {
    let written: Vec<_> = columns
        .iter()
        .map(|column| {
            let ty = match column.ty {
                "timestamp(3)" if sqlite => "timestamp text(3)".to_owned(),
                "date" | "uuid" | "jsonb" if sqlite => format!("{} text", column.ty),
                ty => ty.to_owned(),
            };
            let null = if column.not_null { " not null" } else { "" };
            format!("{} {ty}{null}", quoted(&column.name))
        })
        .collect();
    let first = &columns[0];
    let key = if first.not_null {
        format!(", primary key ({})", quoted(&first.name))
    } else {
        String::new()
    };
    format!("create table {} ({}{key});", quoted(name), written.join(", "))
}

/// Plans what was written; nothing to map is told as such.
fn plans(project: &Project, from: &str, to: &str) -> Result<(), TestCaseError> {
    let told = |ended: &Ended| {
        format!(
            "{}\n{}\n{}",
            ended.stdout,
            ended.stderr,
            project.text(&format!("mappings/x/{to}.toml"))
        )
    };
    let ended = project.run(&[
        "introspect",
        "--from",
        from,
        "--to",
        to,
        "--out",
        "mappings/x",
        "--force",
        "--output",
        "json",
    ]);
    prop_assert_eq!(ended.code, Some(0), "{}\n{}", ended.stdout, ended.stderr);
    let document = ended.json();
    let streams = document["streams"].as_array().cloned().unwrap_or_default();
    let live = streams.iter().filter(|stream| stream["commented"].is_null()).count();
    for stream in streams.iter().filter(|stream| !stream["commented"].is_null()) {
        let why = stream["commented"].as_str().unwrap_or_default();
        let known = ["nothing fills a key", "no column of the source", "gets no value"];
        prop_assert!(known.iter().any(|known| why.contains(known)), "{}: {}", why, told(&ended));
    }
    let planned = project.run(&["plan", "mappings/x"]);
    if live == 0 {
        prop_assert!(planned.stderr.contains("there is no stream"), "{}", told(&planned));
    } else {
        prop_assert_eq!(planned.code, Some(0), "{}", told(&planned));
    }
    Ok(())
}

fn check(cases: u32, mut test: impl FnMut(&[(String, Vec<Made>, Vec<Made>)]) -> Result<(), TestCaseError>) {
    let mut runner = TestRunner::new(Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Config::default()
    });
    let test = std::cell::RefCell::new(&mut test);
    if let Err(error) = runner.run(&tables(), |tables| (test.borrow_mut())(&tables)) {
        panic!("{error}");
    }
}

#[test]
fn whatever_the_schemas_the_starter_plans_into_sqlite() {
    check(24, |tables| {
        let sql = |target: bool| -> String {
            let tables = tables.iter();
            tables
                .map(|(name, from, to)| ddl(name, if target { to } else { from }, target))
                .collect()
        };
        plans(&project(&sql(false), &sql(true)), "app", "out")
    });
}

#[test]
fn whatever_the_schemas_the_starter_plans_between_postgres_databases() {
    let (old, shop) = (Database::create(), Database::create());
    let project = between(&old, &shop);
    check(6, |tables| {
        for (database, is_target) in [(&old, false), (&shop, true)] {
            database.query("drop schema public cascade; create schema public");
            for (name, from, to) in tables {
                database.query(&ddl(name, if is_target { to } else { from }, false));
            }
        }
        plans(&project, "old", "shop")
    });
}
