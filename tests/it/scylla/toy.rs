//! A project that writes CQL tables, from an SQLite file whose rows are easy to get wrong.

use std::fmt::Write as _;

use scylla::value::CqlValue;

use crate::cassandra::Keyspace;
use crate::harness::{Project, file_connection};

/// The tables that streams of the toy write.
pub(super) const TABLES: &str = "
CREATE TABLE items (
    grp text, id bigint, tiny tinyint, amount decimal, huge varint, name text, raw blob, at timestamp, day date,
    tags list<text>, flag boolean, PRIMARY KEY ((grp), id)
) WITH CLUSTERING ORDER BY (id DESC);
CREATE TABLE notes (id bigint PRIMARY KEY, note text, until timestamp);
CREATE TABLE pairs (a bigint, b bigint, PRIMARY KEY (a, b));
CREATE TABLE names (name text PRIMARY KEY, id bigint);
";

/// Streams into these tables, with this policy.
pub(super) fn streams(policy: &str) -> String {
    let conflict = format!("on_conflict = \"{policy}\"");
    let stream = |name: &str, key: &str, more: &str, columns: &[&str]| {
        let mut text = format!(
            "[[stream]]\nname = \"{name}\"\nfrom = \"app.items\"\nto = \"wide.{name}\"\nkey = [{key}]\n{conflict}\n{more}\n[stream.columns]\n"
        );
        for column in columns {
            writeln!(text, "{column} = \"{column}\"").expect("into a text");
        }
        text + "\n"
    };
    [
        stream(
            "items",
            "\"grp\", \"id\"",
            "subject = { group = \"grp = $key\" }",
            &["grp", "id", "tiny", "amount", "huge", "name", "raw", "at", "day", "flag"],
        ),
        stream("notes", "\"id\"", "expires_at = \"until\"", &["id", "note", "until"]),
        stream("names", "\"name\"", "", &["name", "id"]),
    ]
    .concat()
        + &format!(
            "[[stream]]\nname = \"pairs\"\nfrom = \"app.items\"\nto = \"wide.pairs\"\nkey = [\"a\", \"b\"]\n{conflict}\n\
             [stream.columns]\na = \"id\"\nb = \"id + 1\"\n"
        )
}

/// So many rows: groups of which the first has every second row; names that two rows share; bytes and
/// NULLs; moments that have passed, will come, or never come.
pub(super) fn items(rows: u32) -> String {
    format!(
        "create table items (
            id bigint primary key not null, grp text not null, tiny smallint, amount text, huge text, name text,
            raw blob, at timestamptz, day date, flag boolean, note text, until timestamptz
         );
         with recursive number (n) as (select 1 union all select n + 1 from number where n < {rows})
         insert into items
         select
            n + 9007199254740992, case when n % 2 = 0 then 'wide' else 'g' || (n % 97) end,
            case when n % 50 = 0 then 128 else n % 100 - 50 end, n || '.50', n || '000000000000000000000000000000',
            case when n % 40 < 2 then 'twice' || (n / 40) else 'name' || n end,
            case n % 3 when 0 then null when 1 then x'' else x'00ff0a' end,
            '2025-01-01 00:00:00.' || printf('%03d', n % 1000) || 'Z', '2024-02-29', n % 2,
            case when n % 7 = 0 then null when n % 7 = 1 then '' else 'note ' || n end,
            case n % 5 when 0 then '2020-01-01 00:00:00Z' when 1 then '2037-01-01 00:00:00Z' else null end
         from number;"
    )
}

/// A project with a keyspace of its own.
pub(super) struct Toy {
    pub(super) project: Project,
    pub(super) keyspace: Keyspace,
}

impl Toy {
    /// With the toy's tables, so many rows and this policy.
    pub(super) fn of(rows: u32, policy: &str) -> Self {
        Self::with(Keyspace::fresh(), TABLES, &streams(policy), &items(rows))
    }

    /// With tables, mapping and source as they are given.
    pub(super) fn with(keyspace: Keyspace, tables: &str, mapping: &str, source: &str) -> Self {
        let mut project = Project::new();
        project.set("WIDE_URL", &keyspace.url());
        let scylla = "[connection.wide]\nkind = \"scylla\"\nurl = { env = \"WIDE_URL\" }\nread_back_every_batches = 3\n";
        project.write(
            "config/development.toml",
            &(file_connection("app", "sqlite", "app.db") + scylla),
        );
        project.write(
            "mappings/demo/project.toml",
            "name = \"demo\"\nsources = [\"app\"]\nsinks = [\"wide\"]\nmax_rejects = 1000\nsubjects = [\"group\"]\n",
        );
        project.write("mappings/demo/streams.toml", mapping);
        project.sqlite("app.db", &format!("pragma journal_mode = wal; {source}"));
        let toy = Self { project, keyspace };
        toy.create(tables);
        toy
    }

    /// Makes tables.
    pub(super) fn create(&self, tables: &str) {
        for statement in tables.split(';').filter(|statement| !statement.trim().is_empty()) {
            self.keyspace.rows(statement);
        }
    }

    /// Drops what a run has made, and makes the toy's tables anew.
    pub(super) fn clear(&self) {
        for table in ["items", "notes", "pairs", "names"] {
            self.keyspace.rows(&format!("TRUNCATE {table}"));
        }
        for table in ["checkpoint", "run", "batch", "reject", "key_claim"] {
            // Where no run got so far there is none.
            drop(self.keyspace.try_rows(&format!("DROP TABLE IF EXISTS dbferry_{table}")));
        }
    }

    /// All rows of all tables, in order, as text.
    pub(super) fn dump(&self) -> Vec<String> {
        let tables = [
            ("items", "grp, id, tiny, amount, huge, name, raw, at, day, flag"),
            ("notes", "id, note, until"),
            ("pairs", "a, b"),
            ("names", "name, id"),
        ];
        let mut lines = Vec::new();
        for (table, columns) in tables {
            let rows = self.keyspace.texts(&format!("SELECT {columns} FROM {table}"));
            lines.extend(rows.into_iter().map(|row| format!("{table}: {}", row.join(" | "))));
        }
        lines.sort();
        lines
    }

    /// Whether rows of `notes` live as long as they should: those with a moment, and no others.
    pub(super) fn assert_lives(&self) {
        for row in self
            .keyspace
            .rows("SELECT id, until, ttl(note) FROM notes WHERE note > '' ALLOW FILTERING")
        {
            let lives = matches!(row[2], Some(CqlValue::Int(seconds)) if seconds > 300_000_000);
            assert_eq!(row[1].is_some(), lives, "{row:?}");
        }
    }

    /// Open rejects, without what differs from run to run.
    pub(super) fn rejects(&self) -> Vec<String> {
        let rows = self.keyspace.rows("SELECT record, resolved_sequence FROM dbferry_reject");
        let open = rows.into_iter().filter(|row| row[1].is_none());
        let mut lines: Vec<String> = open
            .map(|row| {
                let Some(CqlValue::Text(record)) = &row[0] else {
                    panic!("{row:?}")
                };
                let record: serde_json::Value = serde_json::from_str(record).expect("a record");
                ["stream", "key", "column", "reason", "detail", "row"]
                    .map(|part| record[part].to_string())
                    .join(" ")
            })
            .collect();
        lines.sort();
        lines
    }

    /// Whether the audit trail adds up to the checkpoints, and each batch is there once.
    pub(super) fn assert_ledger(&self, streams: usize) {
        let record = |row: Vec<Option<CqlValue>>| match row.into_iter().next() {
            Some(Some(CqlValue::Text(text))) => serde_json::from_str::<serde_json::Value>(&text).expect("a record"),
            other => panic!("{other:?}"),
        };
        let checkpoints = self.keyspace.rows("SELECT state, stream FROM dbferry_checkpoint");
        assert_eq!(checkpoints.len(), streams, "checkpoints");
        for row in checkpoints {
            let Some(Some(CqlValue::Text(stream))) = row.get(1).cloned() else {
                panic!("{row:?}")
            };
            let state = record(row);
            let entries = self.keyspace.rows("SELECT record, stream FROM dbferry_batch");
            let own = |row: &Vec<Option<CqlValue>>| row[1] == Some(CqlValue::Text(stream.clone()));
            let entries: Vec<_> = entries.into_iter().filter(own).map(record).collect();
            let mut numbers: Vec<i64> = entries
                .iter()
                .map(|entry| entry["sequence"].as_i64().expect("a number"))
                .collect();
            numbers.sort_unstable();
            let last = state["sequence"].as_i64().expect("a number");
            assert_eq!(numbers, (1..=last).collect::<Vec<_>>(), "{stream}");
            for count in ["read", "inserted", "updated", "skipped", "filtered", "expired", "rejected"] {
                let sum: u64 = entries
                    .iter()
                    .map(|entry| entry["counts"][count].as_u64().expect("a count"))
                    .sum();
                assert_eq!(Some(sum), state["counts"][count].as_u64(), "{stream}: {count}");
            }
            assert_eq!(state["complete"], true, "{stream}");
        }
    }
}
