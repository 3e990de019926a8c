//! The shipped mindia project: `media.metadata` is made from what the old application kept.

use super::Application;
use crate::harness::{Database, Project, copy, repository, text};

/// What the metadata of a row has to be, by the server's own functions.
const METADATA: &str = "jsonb_build_object('type', type::text, 'tags', to_jsonb(tags), 'camera', exif -> 'camera',
    'size_bytes', size_bytes, 'legacy', legacy_metadata::jsonb)";

const ROWS: u32 = 4_000;

fn seeded() -> (Project, Database) {
    let database = Database::create();
    let mut project = Project::new();
    project.write("config/development.toml", &text("config/development.toml"));
    copy(&repository("mappings/mindia"), &project.path("mappings/mindia"));
    project.set("MINDIA_DATABASE_URL", &database.url);
    project.run(&["schema", "apply", "mappings/mindia"]).expect(0);
    database.query(&format!(
        "insert into users (email, display_name) values ('a@example.org', 'A');
         insert into media (user_id, type, filename, size_bytes, tags, exif, legacy_metadata, updated_at)
         select u.id, (array['image', 'video', 'audio', 'document']::media_type[])[1 + i % 4], 'f' || i, i * 1000003::bigint,
             case when i % 7 = 0 then '{{}}' else array['a\"b', 'ü' || i] end,
             case when i % 3 = 0 then jsonb_build_object('camera', 'X' || i, 'iso', i)
                 when i % 11 = 0 then '{{\"camera\": null}}' end,
             case when i % 5 = 0 then null when i % 1000 = 1 then '{{\"title\": ' when i % 1000 = 2 then ''
                 else '{{\"title\": \"T ' || i || ' \\u00fc\", \"rating\": ' || i || '.50, \"at\": [1, null, {{}}]}}' end,
             '2025-01-01'
         from users u, generate_series(1, {ROWS}) i"
    ));
    (project, database)
}

#[test]
fn metadata_is_what_the_server_itself_computes_and_broken_json_is_named() {
    let (project, database) = seeded();
    let broken = database.value("select count(*) from media where legacy_metadata in ('', '{\"title\": ')");
    assert_eq!(broken, "8");
    // The application goes on: files are renamed while theirs is filled in.
    let ids = database.query("select id::text from media order by id limit 500");
    let ids: Vec<String> = ids.into_iter().flatten().flatten().collect();
    let application = Application::works(&database.url, move |number| {
        let id = &ids[usize::try_from(number).expect("few") * 7 % ids.len()];
        format!(
            "update media set size_bytes = size_bytes + 1, metadata = case when metadata is not null then jsonb_set(metadata, '{{size_bytes}}', to_jsonb(size_bytes + 1)) end where id = '{id}'"
        )
    });
    let ended = project.run(&[
        "backfill",
        "mappings/mindia",
        "--batch-size",
        "250",
        "--max-rejects",
        "100",
        "--output",
        "json",
    ]);
    application.ends();
    let report = ended.expect(4).json();
    let one = &report["backfills"][0];
    assert_eq!(
        (one["rejected"].as_u64(), one["pending"].as_u64()),
        (Some(8), Some(8)),
        "{report}"
    );
    assert_eq!(one["read"], ROWS - ROWS / 5, "{report}");
    let sound = "legacy_metadata is not null and legacy_metadata not in ('', '{\"title\": ')";
    let wrong = format!("select count(*) from media where {sound} and metadata is distinct from {METADATA}");
    assert_eq!(database.value(&wrong), "0");
    assert_eq!(
        database.value(&format!(
            "select count(*) from media where not coalesce({sound}, false) and metadata is not null"
        )),
        "0",
        "what it is not about, and what is broken, is as it was"
    );
    assert_eq!(
        database.value(&format!(
            "select count(*) from media where {sound} and updated_at < '2025-06-01'"
        )),
        "0",
        "what was written says when"
    );
    assert_eq!(
        database.value("select distinct reason || ' ' || column_name from dbferry.reject"),
        "expression metadata"
    );
    let compared = project.run(&["backfill", "mappings/mindia", "--verify-only", "--output", "json"]);
    let report = compared.expect(4).json();
    assert_eq!(report["verification"][0]["different"], 0, "{report}");
    assert_eq!(report["verification"][0]["refused"], 8, "{report}");
    // Mended, they are filled in, and the table's own index finds them.
    database.query("update media set legacy_metadata = '{}' where legacy_metadata in ('', '{\"title\": ')");
    project.run(&["backfill", "mappings/mindia", "--verify"]).expect(0);
    assert_eq!(
        database.value("select count(*) from media where metadata is null and legacy_metadata is not null"),
        "0"
    );
    what_was_changed_by_hand_is_named(&project, &database);
}

/// By its key, not by what it holds.
fn what_was_changed_by_hand_is_named(project: &Project, database: &Database) {
    let id = database.value("select id::text from media where metadata is not null limit 1");
    database.query(&format!("update media set metadata = '{{\"secret\": 1}}' where id = '{id}'"));
    let differs = project.run(&["backfill", "mappings/mindia", "--verify-only"]);
    differs.expect(5);
    assert!(
        differs.stdout.contains(&format!("media_metadata differs at keys {id}")),
        "{}",
        differs.stdout
    );
    assert!(!differs.stdout.contains("secret"), "{}", differs.stdout);
}
