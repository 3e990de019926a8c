//! How fast the SQLite source turns a table into columns: 200,000 rows of a PocketBase-like table,
//! read in key order and decoded into exact types.
//!
//! `cargo bench --bench read`

use std::path::Path;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dbferry::config::connection::{Connection, ConnectionKind};
use dbferry::data::column::ColumnType;
use dbferry::data::stream::{Origin, ReadColumn, ReadRequest};
use dbferry::data::table::TableName;
use dbferry::source;
use tokio::runtime::Runtime;

const ROWS: u64 = 200_000;

const TABLE: &str = "create table users (id text primary key not null, email text, verified boolean, score numeric, \
     ratio numeric, created text, settings json);
     with recursive s(i) as (select 1 union all select i + 1 from s where i < 200000)
     insert into users select printf('%015x', (i * 7919) % 200003), 'user' || i || '@example.com', i % 2, i * 31,
         i / 7.0, strftime('%Y-%m-%d %H:%M:%S', 1600000000 + i, 'unixepoch') || '.123Z',
         '{\"theme\":\"dark\",\"volume\":' || (i % 100) || '}' from s;";

const COLUMNS: [(&str, &str); 7] = [
    ("id", "text"),
    ("email", "text"),
    ("verified", "boolean"),
    ("score", "bigint"),
    ("ratio", "double precision"),
    ("created", "timestamptz"),
    ("settings", "jsonb"),
];

fn request() -> ReadRequest {
    let column = |(name, ty): (&str, &str)| {
        Some(ReadColumn {
            name: name.to_owned(),
            ty: ColumnType::parse(ty)?,
        })
    };
    ReadRequest {
        origin: Origin::Table(TableName::new("users")),
        columns: COLUMNS.into_iter().filter_map(column).collect(),
        key: vec!["id".to_owned()],
        after: None,
        subject: None,
        only: None,
        piece: None,
        any_order: false,
        rows_max: 8192,
        bytes_max: 64 << 20,
        patience: std::time::Duration::ZERO,
    }
}

async fn read(path: &Path) -> dbferry::Result<u64> {
    let source = source::open(&Connection {
        name: "bench".to_owned(),
        kind: ConnectionKind::Sqlite {
            path: path.to_owned(),
            create_database: false,
        },
    })
    .await?;
    let mut batches = source.read(request()).await?;
    let mut rows = 0;
    while let Some(batch) = batches.recv().await {
        rows += batch?.rows.num_rows() as u64;
    }
    Ok(rows)
}

#[expect(clippy::expect_used, reason = "a benchmark that cannot run says so by panicking")]
fn read_table(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let path = folder.path().join("read.db");
    rusqlite::Connection::open(&path)
        .and_then(|connection| connection.execute_batch(TABLE))
        .expect("a table");
    let runtime = Runtime::new().expect("a runtime");
    let mut group = criterion.benchmark_group("read");
    group
        .throughput(Throughput::Elements(ROWS))
        .sample_size(10)
        .measurement_time(Duration::from_secs(10));
    group.bench_function("sqlite_text_key", |bencher| {
        bencher.iter(|| {
            let rows = runtime.block_on(read(&path)).expect("a readable table");
            assert_eq!(rows, ROWS);
        });
    });
    group.finish();
}

criterion_group!(benches, read_table);
criterion_main!(benches);
