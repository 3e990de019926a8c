//! A project with streams of every type of keys, from an SQLite file whose rows are easy to get
//! wrong.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value;

use super::store::Store;
use crate::harness::{Ended, Project, file_connection};

/// A project that writes keys.
pub(super) struct Toy {
    pub(super) project: Project,
}

/// A stream from a table of the source: what stands beside its columns, and its columns.
pub(super) fn stream(name: &str, table: &str, rest: &str, columns: &[&str]) -> String {
    let mut text = format!("[[stream]]\nname = \"{name}\"\nfrom = \"app.{table}\"\nto = \"cache\"\n{rest}\n\n[stream.columns]\n");
    for column in columns {
        writeln!(text, "{column} = \"{column}\"").expect("into a text");
    }
    text.push('\n');
    text
}

/// Streams of every type over the table `items`. What two rows give one key is in `tags` and
/// `last`, where the later one wins, and in `names`, where it is refused.
pub(super) fn every_type(policy: &str) -> String {
    let of = |name: &str, rest: &str, columns: &[&str]| {
        // Where the later row wins, it goes over what is there.
        let policy = if rest.contains("later_wins") { "update" } else { policy };
        stream(name, "items", &format!("{rest}\non_conflict = \"{policy}\""), columns)
    };
    [
        of(
            "texts",
            "key = \"s:{grp}:{id}\"\ntype = \"string\"\nvalue = [\"name\"]",
            &["grp", "id", "name"],
        ),
        of(
            "documents",
            "key = \"j:{id}\"\ntype = \"json\"\nttl = \"24h\"",
            &["id", "name", "note", "points", "raw"],
        ),
        of(
            "profiles",
            "key = \"h:{{{id}}}:p\"\ntype = \"hash\"\nexpires_at = \"until\"",
            &["id", "name", "note", "points", "raw", "until"],
        ),
        of(
            "last",
            "key = \"last:{grp}\"\ntype = \"hash\"\non_collision = \"later_wins\"\nvalue = [\"id\", \"note\"]",
            &["grp", "id", "note"],
        ),
        of(
            "names",
            "key = \"n:{name}\"\ntype = \"string\"\nvalue = [\"id\"]",
            &["name", "id"],
        ),
        of(
            "tags",
            "key = \"t:{grp}\"\ntype = \"set\"\nvalue = [\"name\"]\non_collision = \"later_wins\"",
            &["grp", "name"],
        ),
        of(
            "board",
            "key = \"z:{grp}\"\ntype = \"zset\"\nvalue = [\"id\"]\nscore = \"points\"\nttl = \"2h\"",
            &["grp", "id", "points"],
        ),
        of("everything", "key = \"queue\"\ntype = \"list\"", &["id"]),
        of("queues", "key = \"q:{grp}\"\ntype = \"list\"\nttl = \"7d\"", &["grp", "name"]),
        of(
            "events",
            "key = \"x:{grp}\"\ntype = \"stream\"\nvalue = [\"id\", \"note\", \"raw\"]",
            &["grp", "id", "note", "raw"],
        ),
        of("counts", "key = \"c:{id}\"\ntype = \"counter\"", &["id", "points"]),
    ]
    .concat()
}

/// The table `items` with so many rows: some have NULL where that is refused, a score beyond 2^53,
/// a name that another one has, a moment that has passed.
pub(super) fn items(rows: u32) -> String {
    format!(
        "create table items (id integer primary key, grp text, name text, note text, points bigint, until timestamptz, raw blob);
         with recursive n(i) as (select 1 union all select i + 1 from n where i < {rows})
         insert into items select i,
             case when i % 401 = 99 then null else 'g' || (i % 7) || case i % 7 when 1 then '{{x}}' when 2 then ':%' when 3 then ' 🦀' else '' end end,
             case when i % 307 = 34 then null when i % 97 = 5 then 'twice' else 'näme {{' || i || '}} 🦀' end,
             case i % 3 when 0 then null when 1 then '' else 'a' || char(0) || 'b' || i end,
             case when i % 211 = 77 then 9007199254740993 else i * 7919 % 1009 - 500 end,
             case i % 10 when 0 then '2001-02-03 04:05:06Z' when 1 then null else '2099-01-01 00:00:00.5Z' end,
             unhex(printf('ff00%06x', i)) from n;"
    )
}

impl Toy {
    /// A project of these streams from a source that this SQL makes.
    pub(super) fn of(url: &str, source: &str, streams: &str) -> Self {
        let mut project = Project::new();
        project.set("REDIS_URL", url);
        project.write(
            "mappings/demo/project.toml",
            "name = \"demo\"\nsources = [\"app\"]\nsinks = [\"cache\"]\nmax_rejects = 100000\n",
        );
        project.write("mappings/demo/streams.toml", streams);
        project.sqlite("app.db", source);
        let toy = Self { project };
        toy.limit("");
        toy
    }

    /// Writes the configuration with these limits.
    pub(super) fn limit(&self, limits: &str) {
        let config = format!(
            "[limits]\n{limits}\n\n{}[connection.cache]\nkind = \"redis\"\nurl = {{ env = \"REDIS_URL\" }}\n",
            file_connection("app", "sqlite", "app.db")
        );
        self.project.write("config/development.toml", &config);
    }

    /// Runs it to its end.
    pub(super) fn run(&self, more: &[&str]) -> Ended {
        self.project
            .run(&[&["run", "mappings/demo", "--output", "json"], more].concat())
    }

    /// Runs it and returns each stream's figures: read, inserted, updated, skipped, expired,
    /// rejected.
    #[track_caller]
    pub(super) fn figures(&self, code: i32, more: &[&str]) -> BTreeMap<String, [u64; 6]> {
        let report = self.run(more).expect(code).json();
        let streams = report["streams"].as_array().expect("streams").iter();
        let figure = |stream: &Value, name: &str| stream[name].as_u64().unwrap_or_else(|| panic!("{name}: {report:#}"));
        streams
            .map(|stream| {
                let name = stream["name"].as_str().expect("a name").to_owned();
                let figures = ["read", "inserted", "updated", "skipped", "expired", "rejected"];
                (name, figures.map(|name| figure(stream, name)))
            })
            .collect()
    }

    /// What `stats` tells of the streams by their names, and its whole document.
    pub(super) fn stats(&self, more: &[&str]) -> (BTreeMap<String, Value>, Value) {
        let args = [&["stats", "mappings/demo", "--output", "json", "--show-keys"], more].concat();
        let stats = self.project.run(&args).expect(0).json();
        let streams = stats["streams"].as_array().expect("streams").iter();
        let named = streams.map(|stream| (stream["name"].as_str().expect("a name").to_owned(), stream.clone()));
        (named.collect(), stats)
    }
}

/// Nothing is left that is only there while a run is going.
#[track_caller]
pub(super) fn assert_tidy(store: &Store) {
    let left = ["*:staged:*", "*dbferry:*:touched:*", "*dbferry:*:lease"].map(|glob| store.keys(glob));
    assert!(left.iter().all(Vec::is_empty), "{left:?}");
}

/// Records of the ledger: of a hash with JSON values, by field.
pub(super) fn records(store: &Store, key: &str) -> BTreeMap<String, Value> {
    let fields: BTreeMap<String, Vec<u8>> = store.query(&["HGETALL", key]);
    let read = |value: &[u8]| serde_json::from_slice(value).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(value)));
    fields.into_iter().map(|(field, value)| (field, read(&value))).collect()
}

/// What the ledger of every stream adds up to: each batch once, their sums those of the
/// checkpoint, which is complete and proven.
#[track_caller]
pub(super) fn assert_ledger(store: &Store, streams: usize) {
    let checkpoints = store.keys("dbferry:{demo}:checkpoint:0:*");
    assert_eq!(checkpoints.len(), streams, "{checkpoints:?}");
    for key in checkpoints {
        let stream = key.rsplit(':').next().expect("a stream");
        let checkpoint = records(store, &key);
        let now = &checkpoint["now"];
        assert_eq!(now["complete"], true, "{key}: {checkpoint:?}");
        assert_eq!(checkpoint["proven"], checkpoint["sequence"], "{key}");
        let kinds = ["filtered", "expired", "inserted", "updated", "skipped", "rejected"];
        let whole: u64 = kinds.iter().filter_map(|kind| now["counts"][kind].as_u64()).sum();
        assert_eq!(Some(whole), now["counts"]["read"].as_u64(), "{key}");
        let batches = records(store, &format!("dbferry:{{demo}}:batches:{stream}"));
        // Of a batch that was written again the last one counts.
        let mut by_sequence: BTreeMap<u64, &Value> = BTreeMap::new();
        for batch in batches.values() {
            by_sequence.insert(batch["sequence"].as_u64().expect("a number"), batch);
        }
        assert_eq!(by_sequence.len() as u64, now["sequence"].as_u64().expect("a number"), "{key}");
        let sum: u64 = by_sequence
            .values()
            .filter_map(|batch| batch["counts"]["read"].as_u64())
            .sum();
        assert_eq!(Some(sum), now["counts"]["read"].as_u64(), "{key}");
        assert_eq!(
            by_sequence.len(),
            batches.len(),
            "{key}: batches that were written twice are counted twice"
        );
    }
}
