//! Killed at any step, cut off, stopped: the next call goes on, while the application writes.

use super::{Application, MAPPING, WRONG, filled, project};
use crate::faults::host_and_port;
use crate::harness::{Database, Ended, KillTimes, until};
use crate::proxy::{Cut, Proxy};

const ROWS: u32 = 6_000;

#[test]
fn killed_at_random_while_the_application_writes_no_update_is_lost() {
    let database = Database::create();
    filled(&database, ROWS);
    let project = project(&database.url, MAPPING, "lock_timeout_milliseconds = 100\n");
    // It counts in one column, and changes what others are computed from; that the two fit together is
    // checked by the table for every version of a row.
    let application = Application::works(&database.url, |number| {
        let id = number * 37 % u64::from(ROWS) + 1;
        if number % 2 == 0 {
            format!("update entries set hits = hits + 1 where id = {id}")
        } else {
            format!(
                "update entries set legacy = (id * 7 + {number})::text,
                     doubled = case when doubled is not null then (id * 7 + {number}) * 2 end where id = {id}"
            )
        }
    });
    let mut times = KillTimes::within(1_500);
    let mut kills = 0;
    let mut ended = 0;
    while kills < 12 && ended < 40 {
        let mut child = project.start_unheard(&["backfill", "mappings/demo", "--batch-size", "50"]);
        times.wait();
        if child.try_wait().expect("the child's state").is_none() {
            child.kill().expect("SIGKILL");
            kills += 1;
        } else {
            times.too_late();
            ended += 1;
            database.query("update entries set doubled = null where id % 3 = 0");
        }
        child.wait().expect("an end");
    }
    assert!(kills >= 12, "killed {kills} times");
    // What was killed last may hold the lease until the server has noticed.
    until("it is complete", || {
        project.run(&["backfill", "mappings/demo", "--batch-size", "50"]).code == Some(0)
    });
    let updates = application.ends().div_ceil(2);
    project.run(&["backfill", "mappings/demo", "--verify"]).expect(0);
    assert_eq!(database.value("select sum(hits) from entries"), updates.to_string());
    assert_eq!(database.value(WRONG), "0");
    assert_eq!(
        database
            .value("select count(*) from (select from dbferry.batch group by run, stream, split, sequence having count(*) > 1) b"),
        "0"
    );
    assert_eq!(
        database.value("select bool_and(rows_read = rows_updated + rows_skipped + rows_rejected)::text from dbferry.batch"),
        "true"
    );
}

#[test]
fn cut_during_commit_the_checkpoint_tells_whether_it_happened() {
    for cut in [Cut::BeforeCommit, Cut::AfterCommit] {
        let database = Database::create();
        filled(&database, ROWS);
        let mut project = project(&database.url, MAPPING, "");
        let upstream = host_and_port(&database.url);
        let proxy = Proxy::start(upstream.clone(), (2..30).step_by(3).map(|number| (number, cut)).collect());
        let through = format!("127.0.0.1:{}", proxy.port);
        project.set("APP_URL", &database.url.replace(&upstream, &through));
        let ended = project.run(&["backfill", "mappings/demo", "--batch-size", "500", "--output", "json"]);
        let report = ended.expect(0).json();
        assert!(
            proxy.cuts.load(std::sync::atomic::Ordering::SeqCst) > 0,
            "the proxy did not cut"
        );
        assert_eq!(database.value(WRONG), "0", "{cut:?}");
        assert_eq!(
            report["backfills"][0]["updated"], ROWS,
            "{cut:?}: every batch counts once: {report}"
        );
        assert_eq!(
            database.value("select sum(rows_updated) from dbferry.batch"),
            ROWS.to_string(),
            "{cut:?}"
        );
    }
}

#[test]
fn a_stop_ends_after_a_batch_and_says_how_to_go_on() {
    let database = Database::create();
    filled(&database, ROWS);
    let project = project(&database.url, MAPPING, "");
    let child = project.start(&[
        "backfill",
        "mappings/demo",
        "--batch-size",
        "100",
        "--max-rows-per-second",
        "500",
    ]);
    until("some rows are filled in", || {
        database.value("select count(*) from entries where doubled is not null") != "0"
    });
    let stopped = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(stopped.expect("kill").success());
    let ended = Ended::of_child(child);
    ended
        .expect(130)
        .says("dbferry backfill mappings/demo --batch-size 100 --max-rows-per-second 500");
    let done = database.value("select count(*) from entries where doubled is not null");
    assert_eq!(database.value("select rows_read from dbferry.checkpoint"), done);
    let report = project
        .run(&["backfill", "mappings/demo", "--output", "json"])
        .expect(0)
        .json();
    let done: u64 = done.parse().expect("a count");
    assert_eq!(report["backfills"][0]["read"], u64::from(ROWS) - done, "{report}");
    assert_eq!(database.value(WRONG), "0");
}

#[test]
fn a_second_one_is_refused_while_the_first_goes_on() {
    let database = Database::create();
    filled(&database, ROWS);
    let project = project(&database.url, MAPPING, "");
    let mut child = project.start_unheard(&["backfill", "mappings/demo", "--max-rows-per-second", "200"]);
    until("some rows are filled in", || {
        database.value("select count(*) from entries where doubled is not null") != "0"
    });
    project
        .run(&["backfill", "mappings/demo"])
        .expect(3)
        .says("is being moved to this target already");
    child.kill().expect("SIGKILL");
    child.wait().expect("an end");
}
