//! A PocketBase-like table in a file, read in key order and decoded into exact types.

use std::path::Path;

use dbferry::config::connection::{Connection, ConnectionKind};
use dbferry::data::column::ColumnType;
use dbferry::data::stream::{Order, Origin, ReadColumn, ReadRequest};
use dbferry::data::table::TableName;
use dbferry::source;
use tokio::runtime::Runtime;

use super::{ROWS, Ready};

const TABLE: &str = "create table users (id text primary key not null, email text, verified boolean, score numeric, \
     ratio numeric, created text, settings json);
     with recursive s(i) as (select 1 union all select i + 1 from s where i < 8192)
     insert into users select printf('%015x', (i * 7919) % 8209), 'user' || i || '@example.com', i % 2, i * 31,
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
            json_is_checked: true,
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
        order: Order::Stored,
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

/// Reading the whole table, as a run does.
pub(super) fn sqlite() -> Ready {
    let folder = tempfile::tempdir().expect("a scratch folder");
    let path = folder.path().join("read.db");
    rusqlite::Connection::open(&path)
        .and_then(|connection| connection.execute_batch(TABLE))
        .expect("a table");
    let runtime = Runtime::new().expect("a runtime");
    Box::new(move || {
        let rows = runtime.block_on(read(&path)).expect("a readable table");
        assert_eq!(rows, ROWS as u64, "{}", folder.path().display());
    })
}
