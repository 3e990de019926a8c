//! Keys of rows from Postgres, of columns of every type; and values that must not be shown.

use crate::harness::{Database, Project, url_connection};
use crate::redis::store::Store;
use crate::redis::toy::stream;

const ROWS: &str = "create table kinds (id bigint primary key, price numeric(20,4), wide numeric, flag boolean, made timestamptz,
      wall timestamp, day date, clock time, raw bytea, uid uuid, doc jsonb, word text, ratio double precision, single real,
      tags text[], until timestamptz);
    insert into kinds select i, i * 1.0001, i::numeric ^ 30, i % 2 = 0, timestamptz '2026-11-21 20:37:58.123456Z' + i * interval '1 us',
      timestamp '2026-11-21 20:37:58' + i * interval '1 ms', date '2024-02-29' + i, time '00:00:00.5' + i * interval '1 s',
      decode('ff' || lpad(to_hex(i), 6, '0'), 'hex'), md5(i::text)::uuid, jsonb_build_object('n', i, 'a', array[i]), 'wörd {' || i || '} %',
      i * 0.1, i * 0.1, case i % 3 when 0 then null else array['a', i::text] end,
      case i % 4 when 0 then null when 1 then '2001-02-03' else timestamptz '2099-01-01 00:00:00.5Z' + i * interval '1 ms' end
    from generate_series(1, 400) as i;";

const COLUMNS: [&str; 15] = [
    "id", "price", "wide", "flag", "made", "wall", "day", "clock", "raw", "uid", "doc", "word", "ratio", "single", "tags",
];

/// Streams of every type from it.
fn streams() -> String {
    let dated = [&COLUMNS[..], &["until"]].concat();
    [
        stream(
            "hashes",
            "kinds",
            "key = \"h:{id}\"\ntype = \"hash\"\nexpires_at = \"until\"\npii = [\"word\"]",
            &dated,
        ),
        stream(
            "documents",
            "kinds",
            "key = \"j:{uid}\"\ntype = \"json\"\nttl = \"1h\"",
            &COLUMNS,
        ),
        stream(
            "texts",
            "kinds",
            "key = \"s:{word}\"\ntype = \"string\"\nvalue = [\"raw\"]\npii = [\"word\"]",
            &["word", "raw"],
        ),
        stream(
            "counts",
            "kinds",
            "key = \"c:{raw}\"\ntype = \"counter\"\nvalue = [\"id\"]",
            &["raw", "id"],
        ),
        stream(
            "tags",
            "kinds",
            "key = \"t:{flag}\"\ntype = \"set\"\nvalue = [\"raw\"]",
            &["flag", "raw"],
        ),
        stream(
            "board",
            "kinds",
            "key = \"z:{flag}\"\ntype = \"zset\"\nvalue = [\"word\"]\nscore = \"ratio\"",
            &["flag", "word", "ratio"],
        ),
        stream(
            "queue",
            "kinds",
            "key = \"q:{flag}\"\ntype = \"list\"\nvalue = [\"doc\"]",
            &["flag", "doc"],
        ),
        stream("events", "kinds", "key = \"x\"\ntype = \"stream\"", &["made", "doc", "tags"]),
    ]
    .concat()
}

#[test]
fn rows_of_postgres_are_compared_with_keys_of_every_type() {
    let (store, database) = (Store::single(), Database::create());
    database.query(ROWS);
    let mut project = Project::new();
    project.set("REDIS_URL", &store.url());
    project.set("APP_URL", &database.url);
    let config = format!(
        "{}[connection.cache]\nkind = \"redis\"\nurl = {{ env = \"REDIS_URL\" }}\n",
        url_connection("app", "APP_URL")
    );
    project.write("config/development.toml", &config);
    project.write(
        "mappings/demo/project.toml",
        "name = \"demo\"\nsources = [\"app\"]\nsinks = [\"cache\"]\n",
    );
    project.write("mappings/demo/streams.toml", &streams());
    project.run(&["run", "mappings/demo"]).expect(0);
    let verify = |code: i32| {
        let ended = project.run(&["verify", "mappings/demo", "--output", "json"]);
        ended.expect(code).json()
    };
    let report = verify(0);
    let expired = |report: &serde_json::Value| {
        let streams = report["streams"].as_array().expect("streams").clone();
        let hashes = streams
            .into_iter()
            .find(|stream| stream["name"] == "hashes")
            .expect("the stream");
        (hashes["expired"].clone(), hashes["target_rows"].clone())
    };
    assert_eq!(expired(&report), (100.into(), 300.into()));

    // What changes in the source alone is a difference, too.
    database.query(
        "update kinds set made = made + interval '1 us' where id = 7;
         update kinds set word = 'changed' where id = 8;
         delete from kinds where id = 400",
    );
    let report = verify(5);
    let figures: Vec<_> = report["streams"]
        .as_array()
        .expect("streams")
        .iter()
        .map(|stream| {
            let figure = |name: &str| stream[name].as_u64().expect("a figure");
            let name = stream["name"].as_str().expect("a name");
            format!("{name} {} {} {}", figure("missing"), figure("extra"), figure("different"))
        })
        .collect();
    assert_eq!(
        figures,
        [
            "hashes 0 1 2",
            "documents 0 1 2",
            "texts 1 2 0",
            "counts 0 1 0",
            "tags 0 1 0",
            "board 1 2 0",
            "queue 0 1 0",
            "events 0 1 1",
        ],
        "{report:#}"
    );
    let text = report.to_string();
    assert!(text.contains("\"masked\":true"), "{report:#}");
    let of_hashes = report["streams"][0].to_string() + &report["streams"][2].to_string();
    assert!(!of_hashes.contains("changed") && !of_hashes.contains("wörd"), "{of_hashes}");
}
