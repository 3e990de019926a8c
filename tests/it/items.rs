//! A made-up source of items with typed columns, for tests that need many rows.

use crate::harness::{Database, Project};

/// Target table in Postgres.
pub(crate) const POSTGRES_DDL: &str = "create table items (
    id text primary key, amount bigint not null, price numeric(12,2) not null, note text,
    made timestamptz not null, flag boolean not null, doc jsonb)";

/// Target table in SQLite.
pub(crate) const SQLITE_DDL: &str = "create table items (
    id text primary key, amount bigint not null, price numeric text(12,2) not null, note text,
    made timestamptz text not null, flag boolean not null, doc jsonb text)";

/// Mapping of the items; `TARGET` is the sink connection's name.
pub(crate) const MAPPING: &str = r#"
[[stream]]
name = "items"
from = "app.items"
to = "target.items"
key = ["id"]
same_name_columns = true

[stream.columns]
id = "id"
"#;

/// Fills `app.db` with items numbered from 1 to `rows`.
pub(crate) fn fill(project: &Project, rows: u32) {
    project.sqlite(
        "app.db",
        &format!(
            "pragma journal_mode = wal;
             create table items (id text primary key not null, amount integer, price numeric, note text, made timestamptz, flag boolean, doc json);
             with recursive n(i) as (select 1 union all select i + 1 from n where i < {rows})
             insert into items select printf('item-%08d', i), i * 7919 % 1000003 + 9007199254740993, i / 4.0,
                 case when i % 5 = 0 then null when i % 7 = 0 then '' else 'note ' || i end,
                 strftime('%Y-%m-%d %H:%M:%f', 1.7e9 + i, 'unixepoch') || 'Z', i % 2, '{{\"n\": ' || i || '}}' from n;"
        ),
    );
}

/// A project that moves `rows` items into a Postgres database.
pub(crate) fn into_postgres(rows: u32) -> (Project, Database) {
    let database = Database::create();
    database.query(POSTGRES_DDL);
    let project = into(&database.url);
    fill(&project, rows);
    (project, database)
}

/// The project alone, towards a URL.
pub(crate) fn into(url: &str) -> Project {
    let mut project = Project::new();
    project.set("TARGET_URL", url);
    project.write(
        "config/development.toml",
        "[connection.app]\nkind = \"sqlite\"\npath = { value = \"app.db\" }\n\n[connection.target]\nkind = \"postgres\"\nurl = { env = \"TARGET_URL\" }\n",
    );
    project.write(
        "mappings/demo/project.toml",
        "name = \"demo\"\nsources = [\"app\"]\nsinks = [\"target\"]\n",
    );
    project.write("mappings/demo/streams.toml", MAPPING);
    project
}

/// A project that moves `rows` items into an SQLite file `out.db`.
pub(crate) fn into_sqlite(rows: u32) -> Project {
    let project = Project::new();
    project.write(
        "config/development.toml",
        "[connection.app]\nkind = \"sqlite\"\npath = { value = \"app.db\" }\n\n[connection.target]\nkind = \"sqlite\"\npath = { value = \"out.db\" }\n",
    );
    project.write(
        "mappings/demo/project.toml",
        "name = \"demo\"\nsources = [\"app\"]\nsinks = [\"target\"]\n",
    );
    project.write("mappings/demo/streams.toml", MAPPING);
    project.sqlite("out.db", SQLITE_DDL);
    fill(&project, rows);
    project
}

/// All rows of the Postgres target, as text, in key order.
pub(crate) const ALL_ROWS: &str =
    "select id, amount::text, price::text, note, made::text, flag::text, doc::text from items order by id";
