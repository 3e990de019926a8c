//! Rows that were changed since the run, deleted since, or that others refer to.

use super::{back, demo, figures, fill, rows, run, same};

#[test]
fn rows_changed_since_are_listed_and_nothing_is_done_until_somebody_wins() {
    let (project, database) = demo("update", 300);
    fill(&database, 300);
    let before = rows(&database);
    let id = run(&project, &[], 0);
    database.query(
        "alter table players disable trigger shout;
         update players set score = 77 where id in ('p1', 'p2');
         update players set score = score where id = 'p3';
         alter table players enable trigger shout;
         delete from notes where parent is not null or id > 290; delete from notes where id in (6, 16)",
    );
    let changed = rows(&database);
    let refused = back(&project, &id, &["--yes"]);
    let told = refused.expect(5).says("--changed keep").json();
    assert_eq!(told["status"], "refused");
    assert_eq!(figures(&told, "players")[4], 3);
    let keys = told["streams"][1]["changed_since"]["keys"].clone();
    assert_eq!(keys, serde_json::json!(["p1", "p2", "p3"]), "{told}");
    same(&changed, &rows(&database));
    let dry = back(&project, &id, &["--dry-run"]);
    dry.expect(5);
    same(&changed, &rows(&database));

    let kept = back(&project, &id, &["--yes", "--changed", "keep"]).expect(0).json();
    let [_, _, _, players, _] = figures(&kept, "players");
    assert_eq!(players, 3);
    let after = rows(&database);
    for id in ["p1", "p2", "p3"] {
        let row = |all: &[String]| all.iter().find(|row| row.starts_with(&format!("players ({id},"))).cloned();
        assert_eq!(row(&after), row(&changed), "{id}");
        assert!(row(&after).is_some());
    }
    let untouched = |row: &&String| row.starts_with("players") && !["(p1,", "(p2,", "(p3,"].iter().any(|id| row.contains(id));
    let players = |all: &[String]| all.iter().filter(untouched).cloned().collect::<Vec<_>>();
    same(&players(&before), &players(&after));
}

#[test]
fn the_undo_log_wins_where_it_is_told_to() {
    let (project, database) = demo("update", 300);
    fill(&database, 300);
    let before = rows(&database);
    let id = run(&project, &["--batch-size", "70"], 0);
    database.query(
        "alter table players disable trigger shout;
         update players set score = 77, tags = '{}' where id in ('p1', 'p2');
         alter table players enable trigger shout;
         update notes set parent = null where parent in (4, 7); delete from notes where id in (4, 5, 7)",
    );
    back(&project, &id, &["--yes"]).expect(5);
    let told = back(&project, &id, &["--yes", "--changed", "overwrite"]).expect(0).json();
    assert_eq!(figures(&told, "players")[3], 0);
    same(&before, &rows(&database));
}

#[test]
fn rows_that_others_refer_to_are_never_cascaded() {
    let (project, database) = demo("error", 200);
    let id = run(&project, &[], 0);
    database.query("insert into notes values (1000, null, 'p3', '{}'), (1001, null, 'p3', '{}')");
    let moved = rows(&database);
    let refused = back(&project, &id, &["--yes"]);
    let told = refused.expect(5).json();
    let players = told["streams"]
        .as_array()
        .expect("streams")
        .iter()
        .find(|told| told["name"] == "players")
        .expect("players");
    assert_eq!(players["referred"][0]["rows"], 2, "{told}");
    assert!(
        players["referred"][0]["by"]
            .as_str()
            .expect("a key")
            .contains("notes_player_fkey")
    );
    same(&moved, &rows(&database));
    back(&project, &id, &["--yes", "--changed", "overwrite"]).expect(5);
    same(&moved, &rows(&database));
    // Whoever keeps them keeps what they refer to.
    let told = back(&project, &id, &["--yes", "--changed", "keep"]).expect(0).json();
    assert_eq!(figures(&told, "players"), [199, 0, 0, 1, 0]);
    assert_eq!(figures(&told, "teams"), [19, 0, 0, 1, 0]);
    assert_eq!(
        database.value("select string_agg(id::text, ' ' order by id) from notes"),
        "1000 1001"
    );
    assert_eq!(database.value("select string_agg(id, ' ') from players"), "p3");
}

#[test]
fn inserted_rows_that_are_gone_need_no_answer() {
    let (project, database) = demo("error", 200);
    let id = run(&project, &[], 0);
    database.query("update notes set parent = null; delete from notes where id <= 50");
    let told = back(&project, &id, &["--yes"]).expect(5).json();
    assert_eq!(figures(&told, "notes")[2], 50);
    let told = back(&project, &id, &["--yes", "--changed", "overwrite"]).expect(0).json();
    assert_eq!(
        figures(&told, "notes"),
        [
            150,
            0,
            50,
            0,
            told["streams"][0]["changed_since"]["rows"].as_u64().expect("rows")
        ]
    );
    assert_eq!(rows(&database).len(), 0);
}
