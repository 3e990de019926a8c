//! The Postgres source, read through the public interface from a real server.

use dbferry::config::connection::{Connection, ConnectionKind, NewDatabase};
use dbferry::data::batch::SourceBatch;
use dbferry::data::position::{Key, Position};
use dbferry::data::stream::{Origin, ReadRequest};
use dbferry::source::{self, Source};

use crate::harness::Database;
use crate::projects::{between, stream};
use crate::reading::{batches, rows, three_at_a_time};

mod backends;
mod concerns;
mod conditions;
mod keys;
mod moment;
mod portions;
mod privileges;
mod splits;
mod tables;

async fn open(database: &Database) -> Box<dyn Source> {
    open_url(&database.url).await
}

async fn open_url(url: &str) -> Box<dyn Source> {
    source::open(&Connection {
        name: "social".to_owned(),
        kind: ConnectionKind::Postgres {
            url: url.to_owned().into(),
            create_database: false,
            new_database: NewDatabase::default(),
        },
    })
    .await
    .expect("a database")
}

fn query(sql: &str) -> Origin {
    Origin::Query { sql: sql.to_owned() }
}

/// Columns with their own types, three rows at a time.
async fn request(source: &dyn Source, origin: Origin, columns: &[&str], key: &[&str]) -> ReadRequest {
    let shape = match &origin {
        Origin::Table(name) => source.table(name).await.expect("a catalog").expect("a table"),
        Origin::Query { sql } => source.query(sql).await.expect("a query"),
    };
    let columns = columns
        .iter()
        .map(|name| ((*name).to_owned(), shape.column(name).expect(name).ty.clone()));
    three_at_a_time(origin, columns, key)
}

/// The error that preparing or reading ends in.
async fn failure(source: &dyn Source, request: ReadRequest) -> dbferry::Error {
    let mut receiver = match source.read(request).await {
        Ok(receiver) => receiver,
        Err(error) => return error,
    };
    while let Some(batch) = receiver.recv().await {
        if let Err(error) = batch {
            return error;
        }
    }
    panic!("it read to the end");
}

fn keys_of(batches: &[SourceBatch]) -> Vec<Key> {
    batches
        .iter()
        .flat_map(|batch| (0..batch.keys.len()).map(|row| batch.keys.get(row)))
        .collect()
}

/// Reads a stream from its start, then again after each row, up to each row, and by its keys:
/// what comes must be the same rows.
async fn goes_on_anywhere(source: &dyn Source, request: ReadRequest) -> Vec<String> {
    let whole = batches(source, request.clone()).await;
    let (all, keys) = (rows(&whole), keys_of(&whole));
    assert_eq!(all.len(), keys.len());
    for (i, key) in keys.iter().enumerate() {
        let mut rest = request.clone();
        rest.after = Some(Position::Key(key.clone()));
        assert_eq!(rows(&batches(source, rest).await), all[i + 1..], "after {key}");
        if i % 3 != 0 {
            continue;
        }
        let mut first = request.clone();
        first.after = Some(Position::Within {
            after: None,
            until: Some(key.clone()),
        });
        assert_eq!(rows(&batches(source, first).await), all[..=i], "until {key}");
    }
    if let [_, from, .., to] = keys.as_slice() {
        let mut middle = request.clone();
        middle.after = Some(Position::Within {
            after: Some(from.clone()),
            until: Some(to.clone()),
        });
        assert_eq!(rows(&batches(source, middle).await), all[2..]);
    }
    let mut only = request;
    only.only = Some(keys.iter().step_by(2).cloned().collect());
    let mut found = rows(&batches(source, only).await);
    let mut wanted: Vec<_> = all.iter().step_by(2).cloned().collect();
    found.sort();
    wanted.sort();
    assert_eq!(found, wanted);
    all
}

#[test]
fn the_program_moves_a_table_between_two_databases() {
    let (source, target) = (Database::create(), Database::create());
    let ddl = "create table users (id uuid primary key, name text not null, born date, score numeric(10,2),
        big numeric, doc jsonb, tags text[], at timestamptz, ok boolean, raw bytea, f float8)";
    source.query(ddl);
    target.query(ddl);
    source.query(
        "insert into users select md5(g::text)::uuid, 'name ' || g, date '2000-01-01' + g, g / 4.0, g ^ 20.0, jsonb_build_object('n', g),
             array['a', null, g::text], timestamptz '2024-01-01' + g * interval '1 second', g % 2 = 0, decode(md5(g::text), 'hex'), g / 3.0
         from generate_series(1, 20000) g",
    );
    let users = stream("users", "app.users", "target.users", "same_name_columns = true\n");
    let project = between(&source, &target, "", &users);
    project.run(&["check", "mappings/demo"]).expect(0);
    project.run(&["run", "mappings/demo"]).expect(0);
    let all = "select md5(string_agg(u::text, ',' order by id)), count(*)::text from users u";
    assert_eq!(target.query(all), source.query(all));
}
