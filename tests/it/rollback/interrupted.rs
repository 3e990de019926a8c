//! Killed runs and killed rollbacks.

use super::{back, demo, everything, fill, rows, run, same, states};
use crate::harness::KillTimes;

#[test]
fn a_run_that_was_interrupted_and_went_on_is_two_runs_on_the_way_back() {
    let (project, database) = demo("update", 300);
    fill(&database, 300);
    // A batch of the players stops it.
    project.sqlite("app.db", "update players set name = null where id = 'p77'");
    let before = rows(&database);
    let first = run(&project, &["--batch-size", "40"], 4);
    let after_first = everything(&database);
    assert!(!after_first.is_empty());
    project.sqlite("app.db", "update players set name = 'mended' where id = 'p77'");
    let second = run(&project, &["--batch-size", "40", "--max-rejects", "1"], 4);
    back(&project, &first, &["--yes"]).expect(2).says(&second);
    back(&project, &second, &["--yes"]).expect(0);
    same(&after_first, &everything(&database));
    back(&project, &first, &["--yes"]).expect(0);
    same(&before, &rows(&database));
}

#[test]
fn killed_at_any_moment_a_rollback_goes_on_exactly() {
    let (project, database) = demo("update", 400);
    fill(&database, 400);
    let before = rows(&database);
    let moved_again = |first: Option<&Vec<String>>| {
        let id = run(&project, &["--batch-size", "50"], 0);
        let moved = rows(&database);
        if let Some(first) = first {
            same(first, &moved);
        }
        (id, moved)
    };
    let (mut id, moved) = moved_again(None);
    let mut times = KillTimes::within(1_500);
    let mut half_way = 0;
    for _ in 0..2 {
        for _ in 0..3 {
            let mut child = project.start_unheard(&["rollback", &id, "mappings/demo", "--yes", "--batch-size", "50"]);
            times.wait();
            if child.try_wait().expect("a child").is_some() {
                times.too_late();
                break;
            }
            child.kill().expect("it is running");
            child.wait().expect("it has ended");
        }
        let going_back = database.value("select count(*) from dbferry.undo_log where going_back");
        if going_back != "0" {
            half_way += 1;
            // No run moves a stream that is half-way.
            project.run(&["run", "mappings/demo"]).expect(1).says("is being taken back");
            back(&project, &id, &["--forget", "--yes"]).expect(2).says("half-way");
        }
        back(&project, &id, &["--yes"]).expect(0);
        same(&before, &rows(&database));
        assert!(states(&project).contains(&(id.clone(), "rolled_back".to_owned())));
        (id, _) = moved_again(Some(&moved));
    }
    eprintln!("half-way after {half_way} of 2 rounds");
}

#[test]
fn what_a_killed_run_has_committed_is_taken_back() {
    let (project, database) = demo("update", 400);
    fill(&database, 400);
    let before = rows(&database);
    let mut times = KillTimes::within(1_500);
    for _ in 0..3 {
        let mut child = project.start_unheard(&["run", "mappings/demo", "--batch-size", "50"]);
        times.wait();
        if child.try_wait().expect("a child").is_some() {
            times.too_late();
        } else {
            child.kill().expect("it is running");
            child.wait().expect("it has ended");
        }
        if database.value("select to_regclass('dbferry.run') is null") == "t" {
            continue;
        }
        // All that are not taken back yet, the newest first.
        let open = "select run from dbferry.run where status not in ('rolled_back', 'done') order by started_at desc";
        for row in database.query(open) {
            let id = row[0].clone().expect("an id");
            back(&project, &id, &["--yes"]).expect(0);
        }
        let open = "select r.run from dbferry.run r where status <> 'rolled_back' and exists
            (select from dbferry.batch b where b.run = r.run and b.split >= 0) order by started_at desc";
        for row in database.query(open) {
            back(&project, &row[0].clone().expect("an id"), &["--yes"]).expect(0);
        }
        same(&before, &rows(&database));
    }
}
