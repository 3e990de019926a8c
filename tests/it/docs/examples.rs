//! Every file shown is a good one, for its schema and for the program.

use std::collections::BTreeSet;

use dbferry::config::Config;
use dbferry::data::column::ColumnType;
use dbferry::data::finding::Severity;
use dbferry::data::table::{Column, Table, TableName};
use dbferry::mapping::{Project, check, file};
use dbferry::transform;

use super::{pages, schema};
use crate::files::faults;
use crate::harness::write;

pub(super) const PROJECT: &str =
    "name = \"game\"\nsources = [\"pocketbase\", \"app\"]\nsinks = [\"game\", \"target\", \"redis\"]\n";
pub(super) const STREAMS: &str = "[[stream]]\nname = \"players\"\nfrom = \"pocketbase.users\"\nto = \"game.players\"\nkey = [\"id\"]\nsame_name_columns = true\n";

/// Checks a configuration by its schema and by the program.
fn config(text: &str, at: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    write(&folder.path().join("page.toml"), text);
    fits(text, "config", at);
    if let Err(error) = Config::load(folder.path(), "page") {
        panic!("{at}: {error:?}");
    }
}

/// Checks a project with its streams by their schemas and by the program.
pub(super) fn project(project: &str, streams: &str, at: &str) -> Project {
    let folder = tempfile::tempdir().expect("a folder");
    write(&folder.path().join("project.toml"), project);
    write(&folder.path().join("streams.toml"), streams);
    fits(project, "project", at);
    fits(streams, "mapping", at);
    let project = file::load_any(folder.path()).unwrap_or_else(|error| panic!("{at}: {error:?}"));
    let findings = check::alone(&project, &["pocketbase", "app", "game", "target", "redis"]);
    let wrong: Vec<_> = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(ToString::to_string)
        .collect();
    assert!(wrong.is_empty(), "{at}: {wrong:#?}");
    project
}

fn fits(text: &str, name: &str, at: &str) {
    let wrong = faults(&schema(name), text).unwrap_or_else(|error| panic!("{at}: {error}"));
    assert!(wrong.is_empty(), "{at}: {wrong:#?}");
}

/// A whole mapping around some keys of one stream: what they leave out is filled in.
fn around(keys: &str, at: &str) -> String {
    let given: toml::Table = keys.parse().unwrap_or_else(|error| panic!("{at}: {error}"));
    let query = given.get("stream").is_some_and(|stream| stream.get("query").is_some());
    let mut text = "[[stream]]\n".to_owned();
    for (key, line) in [
        ("name", "name = \"players\""),
        ("from", "from = \"pocketbase.users\""),
        ("to", "to = \"game.players\""),
        ("key", "key = [\"id\"]"),
        ("same_name_columns", "same_name_columns = true"),
    ] {
        let pattern = given.get("key").is_some_and(toml::Value::is_str);
        let replaced = (query && key == "from") || (pattern && key == "same_name_columns");
        if !replaced && !given.contains_key(key) {
            text.push_str(line);
            text.push('\n');
        }
    }
    text.push_str(keys);
    if given.contains_key("after") {
        text.push_str("\n[[stream]]\nname = \"games\"\nfrom = \"pocketbase.matches\"\nto = \"game.games\"\nkey = [\"id\"]\nsame_name_columns = true\n");
    }
    text
}

#[test]
fn every_file_shown_is_a_good_one() {
    let mut seen = BTreeSet::new();
    for page in pages() {
        for block in page.blocks() {
            let at = page.at(&block);
            let Some(what) = block.info.strip_prefix("toml") else {
                continue;
            };
            match what.trim() {
                "config" => config(&block.text, &at),
                "project" => drop(project(&block.text, STREAMS, &at)),
                "mapping" => compiles(&project(PROJECT, &block.text, &at), &at),
                "stream" => compiles(&project(PROJECT, &around(&block.text, &at), &at), &at),
                other => panic!("{at}: ```toml is followed by config, project, mapping or stream, not `{other}`"),
            }
            seen.insert(what.trim().to_owned());
        }
    }
    assert_eq!(seen.len(), 4, "every kind of file is shown: {seen:?}");
}

/// What the examples read: columns of the kinds that a PocketBase has.
pub(super) fn users() -> Table {
    let text = [
        "id",
        "user_id",
        "email",
        "username",
        "region",
        "game_mode",
        "payload",
        "season",
    ]
    .map(|name| (name, "text"));
    let numbers = ["wins", "games", "level", "score", "max_players", "total_score"].map(|name| (name, "bigint"));
    let others = [
        ("win_rate", "double precision"),
        ("verified", "boolean"),
        ("created", "timestamptz(3)"),
        ("end_time", "timestamptz(3)"),
    ];
    shape("users", text.into_iter().chain(numbers).chain(others), true)
}

/// What they write.
fn players() -> Table {
    let columns = [
        ("id", "uuid"),
        ("player_id", "uuid"),
        ("username", "varchar(50)"),
        ("email", "varchar(255)"),
        ("region", "varchar(50)"),
        ("status", "text"),
        ("total_score", "bigint"),
        ("skill_rating", "numeric(7,2)"),
        ("settings", "jsonb"),
        ("created_at", "timestamp"),
    ];
    shape("players", columns, false)
}

pub(super) fn shape<'a>(name: &str, columns: impl IntoIterator<Item = (&'a str, &'a str)>, flexible: bool) -> Table {
    let columns = columns.into_iter().map(|(name, ty)| Column {
        nullable: name != "id",
        flexible,
        ..Column::new(name, ColumnType::parse(ty).expect("a type"))
    });
    Table {
        key: vec!["id".to_owned()],
        uniques: vec![vec!["id".to_owned()]],
        ..Table::new(TableName::new(name), columns.collect())
    }
}

/// Every stream that writes what the examples write compiles without a finding.
fn compiles(project: &Project, at: &str) {
    for backfill in &project.backfills {
        let (mut backfill, table) = (backfill.clone(), players());
        check::backfill_key(&mut backfill, &table).unwrap_or_else(|finding| panic!("{at}: {finding}"));
        let stream = &backfill.stream;
        let mut findings = check::shapes(stream, &table, &table);
        match transform::compile(stream, &table, &table.key, &table) {
            Ok(compiled) => findings.extend(compiled.warnings().iter().cloned()),
            Err(found) => findings.extend(found),
        }
        let findings: Vec<_> = findings.iter().map(ToString::to_string).collect();
        assert!(findings.is_empty(), "{at}: {findings:#?}");
    }
    for stream in project
        .streams
        .iter()
        .filter(|stream| stream.to.value.table.name == "players" || stream.keyed.is_some())
    {
        let (mut source, mut target) = (users(), players());
        let mut findings = check::add_fields(stream, &mut source);
        match &stream.keyed {
            None => findings.extend(check::shapes(stream, &source, &target)),
            Some(keyed) => {
                let (shape, found) = transform::natural(stream, &keyed.layout, &source);
                findings.extend(found);
                findings.extend(check::keyed_shapes(stream, &source, &source.key, &shape));
                target = shape;
            }
        }
        match transform::compile(stream, &source, &source.key, &target) {
            Ok(compiled) => findings.extend(compiled.warnings().iter().cloned()),
            Err(found) => findings.extend(found),
        }
        let findings: Vec<_> = findings.iter().map(ToString::to_string).collect();
        assert!(findings.is_empty(), "{at}: {findings:#?}");
    }
}
