//! Whole runs: into empty tables and into filled ones, with every policy, with rejects, over several
//! sessions.

use super::{POSTGRES, back, demo, everything, figures, fill, mapping, rows, run, same, source, states};
use crate::harness::Database;
use crate::projects::between;

#[test]
fn a_run_into_empty_tables_is_taken_back_and_can_be_had_again() {
    let (project, database) = demo("error", 400);
    let before = rows(&database);
    let first = run(&project, &["--batch-size", "100"], 0);
    let moved = rows(&database);
    assert_eq!(moved.len(), 840);

    let planned = back(&project, &first, &["--dry-run"]);
    let told = planned.expect(0).json();
    assert_eq!(
        (&told["status"], &told["rollback"]),
        (&"planned".into(), &serde_json::Value::Null)
    );
    assert_eq!(figures(&told, "players"), [400, 0, 0, 0, 0]);
    same(&moved, &rows(&database));
    let asked = back(&project, &first, &[]);
    asked.expect(2).says("nobody is there to agree");
    same(&moved, &rows(&database));

    let told = back(&project, &first[..8], &["--yes", "--batch-size", "150"])
        .expect(0)
        .json();
    assert_eq!(told["status"], "done");
    for (stream, rows) in [("teams", 40), ("players", 400), ("notes", 400)] {
        assert_eq!(figures(&told, stream), [rows, 0, 0, 0, 0], "{stream}");
    }
    same(&before, &rows(&database));
    assert_eq!(
        database.value("select count(*) from dbferry.checkpoint where split > -2147483646"),
        "0"
    );
    assert_eq!(database.value("select count(*) from dbferry.key_claim"), "0");
    let known = states(&project);
    assert_eq!(known[1], (first.clone(), "rolled_back".to_owned()));
    assert_eq!(known[0].1, "done");
    let trail = project.run(&["runs", "show", &known[0].0, "mappings/demo"]);
    assert!(trail.expect(0).stdout.contains("taken back"));
    // There is nothing left to do, and nothing to ask.
    let again = back(&project, &first, &["--yes"]).expect(0).json();
    assert_eq!(figures(&again, "players"), [400, 0, 0, 0, 0]);

    let second = run(&project, &[], 0);
    same(&moved, &rows(&database));
    back(&project, &second, &["--yes"]).expect(0);
    same(&before, &rows(&database));
}

#[test]
fn filled_tables_are_as_before_whatever_the_policy() {
    for policy in ["error", "skip", "update"] {
        let (project, database) = demo(policy, 300);
        fill(&database, 300);
        // A team's label that is none, and an alias that somebody else has.
        project.sqlite(
            "app.db",
            "update teams set label = '' where id = 7; update players set alias = 'alias 9' where id = 'p8'",
        );
        let before = everything(&database);
        let code = 4;
        let id = run(&project, &["--batch-size", "70", "--max-rejects", "1000"], code);
        let moved = rows(&database);
        assert!(moved.len() > 300, "{policy}: {}", moved.len());
        let told = back(&project, &id, &["--yes", "--batch-size", "100"]).expect(0).json();
        let [removed, restored, gone, kept, _] = figures(&told, "players");
        assert_eq!((gone, kept), (0, 0));
        assert!(removed > 0 && (restored > 0) == (policy == "update"), "{policy}: {told}");
        same(&before, &super::without_ledger(&database, &before));
        assert_eq!(database.value("select count(*) from dbferry.reject"), "0");
        // The same rows and the same rejects come again.
        run(&project, &["--batch-size", "70", "--max-rejects", "1000"], code);
        same(&moved, &rows(&database));
    }
}

#[test]
fn a_run_over_what_another_one_has_moved_goes_back_to_it() {
    let (project, database) = demo("update", 300);
    let first = run(&project, &[], 0);
    project.sqlite("app.db", &source(300, 5));
    let between_both = everything(&database);
    let second = run(&project, &["--restart", "--batch-size", "80"], 0);
    let refused = back(&project, &first, &["--yes"]);
    refused.expect(2).says("later runs").says(&second);
    let told = back(&project, &second, &["--yes"]).expect(0).json();
    assert_eq!(figures(&told, "players"), [0, 150, 0, 0, 0]);
    same(&between_both, &everything(&database));
    // What was restored is known to the log of the run before as its own still.
    back(&project, &first, &["--yes"]).expect(0);
    assert_eq!(rows(&database).len(), 0);
}

#[test]
fn rejects_that_a_run_has_moved_are_rejects_again() {
    let (project, database) = demo("update", 100);
    project.sqlite("app.db", "update players set name = null where id in ('p5', 'p6')");
    let first = run(&project, &["--max-rejects", "1000"], 4);
    let after_first = everything(&database);
    project.sqlite("app.db", "update players set name = 'There' where id in ('p5', 'p6')");
    let retried = run(&project, &["--retry-rejects", "--max-rejects", "1000"], 0);
    assert_eq!(
        database.value("select count(*) from dbferry.reject where resolved_at is null"),
        "0"
    );
    back(&project, &retried, &["--yes"]).expect(0);
    same(&after_first, &everything(&database));
    back(&project, &first, &["--yes"]).expect(0);
    assert_eq!(rows(&database).len(), 0);
}

#[test]
fn rows_of_several_sessions_are_taken_back() {
    let (from, to) = (Database::create(), Database::create());
    from.query(POSTGRES);
    to.query(POSTGRES);
    fill(&from, 3_000);
    from.query("analyze");
    let limits = "split_rows_min = 100\nsplits_max = 3\njobs = 3\nbatch_rows_max = 200";
    let project = between(&from, &to, limits, &mapping("update", ""));
    let before = rows(&to);
    let first = run(&project, &["--undo"], 0);
    assert_eq!(
        to.value("select max(n) from (select count(distinct split) as n from dbferry.batch group by stream) as of_stream"),
        "3"
    );
    from.query("alter table players disable trigger all; update players set name = name || ' again' where score < 700");
    let moved = everything(&to);
    let second = run(&project, &["--undo", "--restart"], 0);
    back(&project, &second, &["--yes"]).expect(0);
    same(&moved, &everything(&to));
    back(&project, &first, &["--yes"]).expect(0);
    same(&before, &rows(&to));
}
