//! Runs that are killed at random moments and resumed: at the end the tables hold what an undisturbed
//! run leaves, and the ledger adds up.

use std::time::Instant;

use super::toy::Toy;
use crate::harness::KillTimes;

const ROWS: u32 = 1_500;
const KILLS: u32 = 12;
const BATCH: [&str; 2] = ["--batch-size", "60"];

/// Rows that are there before the streams come.
fn fill(toy: &Toy) {
    toy.keyspace.run([
        "INSERT INTO names (name, id) VALUES ('name5', 5)",
        "INSERT INTO names (name, id) VALUES ('name1205', -1)",
        "INSERT INTO notes (id, note) VALUES (9007199254740994, 'old')",
    ]);
}

fn kill_often(policy: &str) {
    let toy = Toy::of(ROWS, policy);
    fill(&toy);
    let began = Instant::now();
    let args = [&["run", "mappings/demo"], &BATCH[..]].concat();
    toy.project.run(&args).expect(4);
    let whole = began.elapsed();
    let (expected, refused) = (toy.dump(), toy.rejects());
    toy.assert_ledger(4);
    toy.clear();

    fill(&toy);
    let mut times = KillTimes::within(u64::try_from(whole.as_millis()).expect("a short run") * 2 / 3 + 60);
    let (mut killed, mut between) = (0, 0);
    for _ in 0..KILLS * 4 {
        if killed >= KILLS && between > 2 {
            break;
        }
        let mut child = toy.project.start_unheard(&args);
        times.wait();
        let ended = child.try_wait().expect("the child's state");
        if ended.is_none() {
            child.kill().expect("SIGKILL");
            killed += 1;
            let began = toy.keyspace.try_rows("SELECT project FROM dbferry_batch LIMIT 1");
            if began.is_ok_and(|rows| !rows.is_empty()) {
                between += 1;
            } else {
                times.too_early();
            }
        }
        let code = child.wait().expect("an end").code();
        assert!(matches!(code, None | Some(4)), "{code:?}");
        if ended.is_some() {
            // It was done before it was killed often enough: begin again.
            times.too_late();
            check(&toy, &expected, &refused);
            toy.clear();
            fill(&toy);
        }
    }
    eprintln!("a run takes {whole:?}; killed {killed} times, {between} times in between");
    assert!(killed >= KILLS && between > 2, "runs were killed in between");
    toy.project.run(&args).expect(4);
    check(&toy, &expected, &refused);
}

#[track_caller]
fn check(toy: &Toy, expected: &[String], refused: &[String]) {
    let found = toy.dump();
    let lost: Vec<_> = expected.iter().filter(|line| !found.contains(line)).take(5).collect();
    let more: Vec<_> = found.iter().filter(|line| !expected.contains(line)).take(5).collect();
    assert!(lost.is_empty() && more.is_empty(), "lost: {lost:?}, more: {more:?}");
    let found = toy.rejects();
    let lost: Vec<_> = refused.iter().filter(|line| !found.contains(line)).take(5).collect();
    let more: Vec<_> = found.iter().filter(|line| !refused.contains(line)).take(5).collect();
    assert!(
        lost.is_empty() && more.is_empty() && found.len() == refused.len(),
        "{} rejects for {}; lost: {lost:?}, more: {more:?}",
        found.len(),
        refused.len()
    );
    toy.assert_lives();
    toy.assert_ledger(4);
}

#[test]
fn killed_at_random_moments_and_resumed_tables_hold_what_an_undisturbed_run_leaves() {
    kill_often("error");
}

#[test]
fn killed_over_rows_that_are_there_tables_hold_what_an_undisturbed_run_leaves() {
    kill_often("update");
}
