//! Declared types mean what the tables of them say.

use std::path::Path;

use dbferry::config::connection::{Connection, ConnectionKind};
use dbferry::data::table::{Table, TableName};
use dbferry::{sink, source};

use super::{code, table_rows};
use crate::harness::text;

/// Declared types and what a page says of them.
fn declared(head: &str) -> Vec<(String, String)> {
    let rows = table_rows(&text("docs/mapping.md"), head);
    let pairs = rows.iter().flat_map(|row| {
        let ty = code(&row[1]).remove(0);
        code(&row[0]).into_iter().map(move |declared| (declared, ty.clone()))
    });
    pairs.collect()
}

/// A file with a table that has a column of each declared type, as a connection.
fn declaring(pairs: &[(String, String)], folder: &Path) -> Connection {
    let path = folder.join("page.db");
    let columns: Vec<_> = pairs
        .iter()
        .enumerate()
        .map(|(at, (declared, _))| format!("c{at} {declared}"))
        .collect();
    let sql = format!("create table page (id integer primary key, {})", columns.join(", "));
    let file = rusqlite::Connection::open(&path).expect("a new file");
    file.execute_batch(&sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    Connection {
        name: "page".to_owned(),
        kind: ConnectionKind::Sqlite {
            path,
            create_database: false,
        },
    }
}

fn same_types(pairs: &[(String, String)], table: Option<Table>) {
    let table = table.expect("the table");
    for (at, (declared, expected)) in pairs.iter().enumerate() {
        let column = table.column(&format!("c{at}")).expect("the column");
        assert_eq!(column.ty.to_string(), *expected, "{declared}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn declared_types_mean_what_their_page_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = TableName::new("page");
    let pairs = declared("| declared | type | stored as |");
    assert!(pairs.len() > 30);
    let sink = sink::open(&declaring(&pairs, folder.path())).await.expect("a target");
    same_types(&pairs, sink.table(&page).await.expect("its shape"));

    let folder = tempfile::tempdir().expect("a folder");
    let pairs = declared("| declared | read as |");
    assert!(pairs.len() > 20);
    let source = source::open(&declaring(&pairs, folder.path())).await.expect("a source");
    same_types(&pairs, source.table(&page).await.expect("its shape"));
}
