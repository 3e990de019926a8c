//! What a backfill writes, skips, refuses and leaves alone.

use super::{MAPPING, TABLE, WRONG, filled, project};
use crate::harness::{Database, Project};

#[test]
fn rows_are_filled_in_once_and_again_where_they_need_it() {
    let database = Database::create();
    filled(&database, 5_000);
    database
        .query("update entries set doubled = legacy::bigint * 2, hits = 1 where id % 10 = 0; insert into entries (id) values (0)");
    let project = project(&database.url, MAPPING, "");
    let ended = project.run(&[
        "backfill",
        "mappings/demo",
        "--batch-size",
        "700",
        "--verify",
        "--output",
        "json",
    ]);
    let report = ended.expect(0).json();
    let one = &report["backfills"][0];
    assert_eq!(
        (one["read"].as_u64(), one["updated"].as_u64()),
        (Some(4_500), Some(4_500)),
        "{report}"
    );
    assert_eq!(
        (one["skipped"].as_u64(), one["pending"].as_u64()),
        (Some(0), Some(0)),
        "{report}"
    );
    assert_eq!(one["status"], "complete");
    assert_eq!(report["verification"][0]["equal"], 5_000, "{report}");
    assert_eq!(database.value(WRONG), "0");
    assert_eq!(
        database.value("select count(*) from entries where doubled is null"),
        "1",
        "the row that it is not about"
    );
    assert_eq!(
        database.value("select count(*) from entries where touched is null and id > 0"),
        "0",
        "the table's trigger has fired"
    );
    // Called again it goes through what needs it by then.
    database
        .query("insert into entries (id, legacy) values (-5, '11'), (6000, '12'); update entries set doubled = null where id = 77");
    let report = project
        .run(&["backfill", "mappings/demo", "--output", "json"])
        .expect(0)
        .json();
    assert_eq!(report["backfills"][0]["updated"], 3, "{report}");
    assert_eq!(database.value(WRONG), "0");
    anew(&project, &database);
}

/// All of them are computed anew where that is asked for, and the ledger tells of all of it.
fn anew(project: &Project, database: &Database) {
    // Without `pending` nothing is left out.
    let all = MAPPING.replace("pending = \"doubled is null\"\n", "");
    project.write("mappings/demo/backfills.toml", &all);
    let changed = project.run(&["backfill", "mappings/demo"]);
    changed
        .expect(1)
        .says("mapping, or the shape of its tables, of stream `doubled` has changed");
    let written = "select max(touched)::text from entries";
    let before = database.query(written);
    let report = project
        .run(&["backfill", "mappings/demo", "--restart", "--output", "json"])
        .expect(0)
        .json();
    let one = &report["backfills"][0];
    assert_eq!(
        (one["skipped"].as_u64(), one["updated"].as_u64()),
        (Some(5_002), Some(0)),
        "{report}"
    );
    assert_eq!(before, database.query(written), "rows that are right are not written");
    let again = project.run(&["backfill", "mappings/demo"]);
    again.expect(0).says("`--restart` goes through its rows again");
    assert!(again.stdout.contains("complete before"), "{}", again.stdout);
    let stats = project.run(&["stats", "mappings/demo", "--output", "json"]).expect(0).json();
    assert_eq!(stats["streams"][0]["name"], "doubled");
    assert_eq!(stats["streams"][0]["status"], "complete");
    let runs = project.run(&["runs", "mappings/demo", "--output", "json"]).expect(0).json();
    assert_eq!(runs["runs"].as_array().map(Vec::len), Some(3), "{runs}");
    let id = runs["runs"][0]["run"].as_str().expect("an id");
    let trail = project
        .run(&["runs", "show", id, "mappings/demo", "--output", "json"])
        .expect(0)
        .json();
    assert_eq!(trail["run"]["run"], id);
}

#[test]
fn what_the_table_refuses_is_a_reject_and_its_neighbours_are_written() {
    let database = Database::create();
    filled(&database, 3_000);
    database.query(
        "alter table entries add constraint small check (doubled < 41000);
         update entries set legacy = 'x' || legacy where id in (3, 1500)",
    );
    let project = project(&database.url, MAPPING, "");
    let stopped = project.run(&["backfill", "mappings/demo", "--batch-size", "500"]);
    stopped.expect(4).says("more than max_rejects = 0");
    assert_eq!(
        database.value("select count(*) from entries where doubled is not null"),
        "499"
    );
    let ended = project.run(&["backfill", "mappings/demo", "--max-rejects", "1000", "--output", "json"]);
    let report = ended.expect(4).json();
    let one = &report["backfills"][0];
    assert_eq!(report["status"], "rejects");
    // 7 * 2 * id < 41000 holds up to 2928.
    assert_eq!(
        (one["rejects_open"].as_u64(), one["rejected"].as_u64()),
        (Some(74), Some(73)),
        "{report}"
    );
    assert_eq!(one["pending"], 74, "{report}");
    assert_eq!(
        database.value("select count(*) from entries where doubled is not null"),
        "2926"
    );
    let reasons = "select string_agg(distinct reason || ' ' || coalesce(column_name, ''), ', ') from dbferry.reject";
    assert_eq!(database.value(reasons), "constraint doubled, unreadable doubled");
    let compared = project.run(&["backfill", "mappings/demo", "--verify-only", "--output", "json"]);
    assert_eq!(compared.expect(5).json()["verification"][0]["refused"], 2);
    // Mended, they are filled in by the next call, and no reject is left.
    database
        .query("alter table entries drop constraint small; update entries set legacy = substr(legacy, 2) where legacy like 'x%'");
    project.run(&["backfill", "mappings/demo", "--verify"]).expect(0);
    assert_eq!(database.value(WRONG), "0");
    assert_eq!(
        database.value("select count(*) from dbferry.reject where resolved_at is null"),
        "0"
    );
}

#[test]
fn rules_not_null_and_rounding_are_as_everywhere() {
    let database = Database::create();
    database.query(
        "create table \"Odd Names\" (
             \"Key\" uuid, part text collate \"C\", \"a\"\"b\" numeric(12, 4), n integer not null default 0, r numeric(6, 2),
             g integer generated always as (n * 2) stored, primary key (part, \"Key\")
         );
         insert into \"Odd Names\" (\"Key\", part, \"a\"\"b\")
         select md5(i::text)::uuid, 'p' || i % 3, case when i = 7 then null when i = 8 then -1 when i = 9 then 1.005 else i end
         from generate_series(1, 1000) i",
    );
    let mapping = r#"
[[backfill]]
name = "odd"
table = 'app."Odd Names"'
rules = { positive = '"a""b" >= 0' }
[backfill.columns]
n = 'nullif(char_length(part), case when "a""b" is null then 2 else 0 end)'
r = '"a""b"'
"#;
    let project = project(&database.url, mapping, "");
    let ended = project.run(&[
        "backfill",
        "mappings/demo",
        "--batch-size",
        "64",
        "--max-rejects",
        "5",
        "--output",
        "json",
    ]);
    let report = ended.expect(4).json();
    assert_eq!(report["backfills"][0]["updated"], 997, "{report}");
    let rejects = database.query("select reason, column_name from dbferry.reject order by 1");
    let rejects: Vec<String> = rejects
        .iter()
        .map(|row| row.iter().flatten().cloned().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(rejects, ["inexact r", "null_value n", "rule positive"]);
    let right = "select count(*) from \"Odd Names\" where n = 2 and r = \"a\"\"b\" and g = n * 2";
    assert_eq!(database.value(right), "997");
    project.write(
        "mappings/demo/backfills.toml",
        &mapping.replace("rules =", "allow_precision_loss = [\"r\"]\nrules ="),
    );
    let ended = project.run(&[
        "backfill",
        "mappings/demo",
        "--restart",
        "--max-rejects",
        "5",
        "--output",
        "json",
    ]);
    assert_eq!(ended.expect(4).json()["backfills"][0]["rejected"], 2);
}

#[test]
fn a_dry_run_tries_everything_and_leaves_nothing() {
    let database = Database::create();
    filled(&database, 2_000);
    database.query("alter table entries add constraint not_this check (id <> 700 or doubled is null)");
    let project = project(&database.url, MAPPING, "");
    let arguments = [
        "backfill",
        "mappings/demo",
        "--dry-run",
        "--batch-size",
        "300",
        "--max-rejects",
        "9",
        "--output",
        "json",
    ];
    let report = project.run(&arguments).expect(4).json();
    let one = &report["backfills"][0];
    assert_eq!(
        (one["updated"].as_u64(), one["rejected"].as_u64()),
        (Some(1_999), Some(1)),
        "{report}"
    );
    assert_eq!(
        database.value("select count(*) from entries where doubled is not null or touched is not null"),
        "0"
    );
    assert_eq!(
        database.value("select count(*) from pg_namespace where nspname = 'dbferry'"),
        "0"
    );
    // In the middle of a real one, too: what is committed stays as it is.
    project.run(&["backfill", "mappings/demo", "--batch-size", "300"]).expect(4);
    let before = database.query("select sequence, rows_read, complete from dbferry.checkpoint");
    assert_eq!(before[0][1].as_deref(), Some("900"));
    let report = project.run(&arguments).expect(4).json();
    assert_eq!(report["backfills"][0]["read"], 1_100, "{report}");
    assert_eq!(
        before,
        database.query("select sequence, rows_read, complete from dbferry.checkpoint")
    );
    assert_eq!(
        database.value("select count(*) from entries where doubled is not null"),
        "899"
    );
}

#[test]
fn triggers_are_off_only_where_the_mapping_says_so() {
    let database = Database::create();
    filled(&database, 500);
    let project = project(&database.url, &MAPPING.replace("pending", "triggers = \"off\"\npending"), "");
    project.run(&["backfill", "mappings/demo"]).expect(0);
    assert_eq!(database.value("select count(*) from entries where touched is not null"), "0");
    assert_eq!(database.value(WRONG), "0");
    assert_eq!(database.value("select tgenabled from pg_trigger where tgname = 'touch'"), "O");
    database.query(
        "update entries set doubled = null;
         create function drop_some() returns trigger language plpgsql as $$
             begin if new.id = 5 then return null; end if; return new; end $$;
         create trigger drop_some before update on entries for each row execute function drop_some()",
    );
    project.write("mappings/demo/backfills.toml", MAPPING);
    let ended = project.run(&["backfill", "mappings/demo", "--restart", "--max-rejects", "1"]);
    ended.expect(4).says("a trigger of the target dropped the row");
    assert_eq!(database.value("select count(*) from entries where doubled is null"), "1");
}

#[test]
fn other_commands_leave_backfills_alone() {
    let database = Database::create();
    database.query(TABLE);
    database.query("create table copies (id bigint primary key, legacy text); insert into entries (id, legacy) values (1, '5')");
    let stream =
        "\n[[stream]]\nname = \"copies\"\nfrom = \"app.entries\"\nto = \"app.copies\"\nkey = [\"id\"]\nsame_name_columns = true\n";
    let project = project(&database.url, &format!("{MAPPING}{stream}"), "");
    project.run(&["run", "mappings/demo", "--verify"]).expect(0);
    assert_eq!(database.value("select count(*) from copies"), "1");
    assert_eq!(database.value("select count(*) from entries where doubled is not null"), "0");
    let plan = project.run(&["plan", "mappings/demo", "--output", "json"]).expect(0).json();
    assert_eq!(plan["streams"].as_array().map(Vec::len), Some(1), "{plan}");
    project.run(&["backfill", "mappings/demo"]).expect(0);
    assert_eq!(database.value(WRONG), "0");
    let stats = project.run(&["stats", "mappings/demo", "--output", "json"]).expect(0).json();
    assert_eq!(stats["streams"].as_array().map(Vec::len), Some(2), "{stats}");
    project.run(&["verify", "mappings/demo"]).expect(0);
    project.write("mappings/demo/backfills.toml", MAPPING);
    let only = project.run(&["run", "mappings/demo"]);
    only.expect(2).says("dbferry backfill mappings/demo");
    project.write("mappings/demo/backfills.toml", stream);
    project
        .run(&["backfill", "mappings/demo"])
        .expect(2)
        .says("there is no backfill in project `demo`");
}

#[test]
fn few_rows_of_many_are_found_without_looking_at_all_at_once() {
    let database = Database::create();
    filled(&database, 60_000);
    database.query("update entries set doubled = legacy::bigint * 2 where id % 20000 <> 0");
    let project = project(&database.url, MAPPING, "");
    let report = project
        .run(&["backfill", "mappings/demo", "--batch-size", "100", "--output", "json"])
        .expect(0)
        .json();
    assert_eq!(report["backfills"][0]["updated"], 3, "{report}");
    assert!(report["backfills"][0]["batches"].as_u64() > Some(3), "{report}");
    assert_eq!(database.value(WRONG), "0");
}
