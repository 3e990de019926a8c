use super::*;
use crate::data::column::ColumnType;
use crate::data::finding::Severity;
use crate::data::table::Column;
use crate::mapping::stream::{From, Ignore};

fn located<T>(value: T) -> Located<T> {
    let place = Place::nowhere();
    Located { value, place }
}

fn texts(pairs: &[(&str, &str)]) -> Vec<(Located<String>, Located<String>)> {
    let pairs = pairs
        .iter()
        .map(|(one, other)| (located((*one).to_owned()), located((*other).to_owned())));
    pairs.collect()
}

fn table_ref(name: &str) -> TableRef {
    TableRef::parse(name).unwrap_or_else(|| panic!("{name}"))
}

fn stream(name: &str, from: &str, ignore: &[(&str, &str)]) -> Stream {
    let from = From::Table(located(table_ref(from)));
    Stream {
        ignore: texts(ignore),
        ..Stream::new(
            located(name.to_owned()),
            from,
            located(table_ref("there.t")),
            Place::nowhere(),
        )
    }
}

fn project(streams: Vec<Stream>) -> Project {
    Project {
        name: "p".to_owned(),
        folder: "p".into(),
        sources: vec![located("s".to_owned())],
        sinks: vec![located("there".to_owned())],
        max_rejects: None,
        backfills: Vec::new(),
        subjects: Vec::new(),
        ignore: Ignore::default(),
        streams,
    }
}

/// A table; a column with `*` is computed by the source.
fn table(name: &str, columns: &[&str]) -> Table {
    let column = |text: &&str| Column {
        fill: if text.ends_with('*') { Fill::Generated } else { Fill::Nothing },
        ..Column::new(text.trim_end_matches('*'), ColumnType::TEXT)
    };
    Table::new(TableName::new(name), columns.iter().map(column).collect())
}

fn sources(tables: &[&str]) -> Sources {
    let names = tables.iter().map(|name| match name.split_once('.') {
        Some((schema, name)) => TableName {
            schema: Some(schema.to_owned()),
            name: name.to_owned(),
        },
        None => TableName::new(*name),
    });
    Sources {
        tables: BTreeMap::from([("s".to_owned(), names.collect())]),
        columns: BTreeMap::new(),
    }
}

/// What is found, without places.
fn looked(project: &Project, tables: &[&str], readings: &[Reading<'_>]) -> (Coverage, Vec<String>) {
    let (coverage, findings) = coverage(project, &sources(tables), readings, &[]);
    assert!(findings.iter().all(|finding| finding.severity == Severity::Warning));
    (coverage, findings.into_iter().map(|finding| finding.message).collect())
}

#[test]
fn a_column_is_lost_where_no_stream_moves_it() {
    let project = project(vec![
        stream("one", "s.users", &[("d", "not here")]),
        stream("two", "s.main.users", &[("c", "by one"), ("d", "not there either")]),
    ]);
    let users = table("users", &["a", "b", "c", "d", "e", "f*"]);
    let reading = |at: usize, moved: &[&'static str]| Reading {
        stream: &project.streams[at],
        moved: moved.to_vec(),
        table: &users,
    };
    let (coverage, findings) = looked(&project, &["users", "old"], &[reading(0, &["a", "c"]), reading(1, &["b"])]);
    assert_eq!(
        findings,
        [
            "no stream reads 1 table of `s`: `old`",
            "no stream moves 1 column of `s.users`: `e`"
        ]
    );
    assert_eq!(coverage.sources[0].read, ["users"]);
    // Each of both says so for `d`.
    assert_eq!(coverage.ignored_columns.len(), 1);
    assert_eq!(
        coverage.left_out["one"],
        ["left out on purpose: d (not here)", "left out: b (moved by `two`)"]
    );
    assert_eq!(
        coverage.left_out["two"],
        [
            "left out on purpose: c (by one); d (not there either)",
            "left out: a (moved by `one`)"
        ]
    );
}

#[test]
fn tables_of_two_schemas_are_told_apart() {
    let project = project(vec![stream("one", "s.audit.users", &[])]);
    let users = table("users", &["a"]);
    let reading = Reading {
        stream: &project.streams[0],
        moved: vec!["a"],
        table: &users,
    };
    let (coverage, findings) = looked(&project, &["users", "audit.users"], &[reading]);
    assert_eq!(coverage.sources[0].read, ["audit.users"]);
    assert_eq!(findings, ["no stream reads 1 table of `s`: `users`"]);
}
