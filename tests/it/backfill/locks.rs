//! Others hold locks, wait for them, and never wait long for us.

use std::time::{Duration, Instant};

use super::{Application, Holder, MAPPING, WRONG, filled, project};
use crate::harness::{Database, Ended, until};

#[test]
fn a_lock_that_somebody_holds_is_tried_for_in_vain_and_nobody_queues_behind_us() {
    let database = Database::create();
    filled(&database, 1_000);
    let project = project(&database.url, MAPPING, "lock_timeout_milliseconds = 60\n");
    let holder = Holder::of(&database.url, "select from entries where id = 500 for update");
    let child = project.start(&["backfill", "mappings/demo", "--batch-size", "200", "--output", "json"]);
    until("all before the locked row is filled in", || {
        database.value("select count(*) from entries where doubled is not null and id < 500") == "499"
    });
    // Rows of the batch that is tried again and again are free in between.
    let began = Instant::now();
    database.query("set lock_timeout = '5s'; update entries set hits = hits + 1 where id between 501 and 700");
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    assert_eq!(
        database.value("select count(*) from entries where doubled is not null and id >= 500"),
        "0"
    );
    drop(holder);
    let ended = Ended::of_child(child);
    let report = ended.expect(0).says("somebody holds a lock").json();
    assert!(report["backfills"][0]["lock_timeouts"].as_u64() >= Some(1), "{report}");
    assert_eq!(report["backfills"][0]["updated"], 1_000, "every row once: {report}");
    assert_eq!(database.value(WRONG), "0");
    assert_eq!(database.value("select sum(hits) from entries"), "200");
}

#[test]
fn locks_that_are_never_to_be_had_end_it_with_what_stands() {
    let database = Database::create();
    filled(&database, 100);
    let project = project(
        &database.url,
        MAPPING,
        "lock_timeout_milliseconds = 50\npause_seconds_max = 1\n",
    );
    let holder = Holder::of(&database.url, "select from entries where id = 50 for update");
    let ended = project.run(&["backfill", "mappings/demo", "--batch-size", "16"]);
    ended
        .expect(3)
        .says("did not get its locks for")
        .says("dbferry backfill mappings/demo --batch-size 16");
    assert_eq!(
        database.value("select rows_read from dbferry.checkpoint"),
        "49",
        "all that could be had"
    );
    drop(holder);
    project.run(&["backfill", "mappings/demo"]).expect(0);
    assert_eq!(database.value(WRONG), "0");
}

#[test]
fn it_pauses_while_others_wait_for_locks() {
    let database = Database::create();
    filled(&database, 2_000);
    let project = project(&database.url, MAPPING, "lock_waits_max = 0\npause_seconds_max = 1\n");
    let holder = Holder::of(&database.url, "select from entries where id = 2000 for update");
    let waits = Application::works(&database.url, |_| {
        "update entries set hits = hits + 1 where id = 2000".to_owned()
    });
    let waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()";
    until("somebody waits", || database.value(waiting) == "1");
    let ended = project.run(&["backfill", "mappings/demo", "--batch-size", "100"]);
    ended
        .expect(3)
        .says("1 connections wait for locks at the table (lock_waits_max = 0)")
        .says("everything up to here is committed");
    assert_eq!(database.value("select count(*) from entries where doubled is not null"), "0");
    project.write(
        "config/development.toml",
        &project
            .text("config/development.toml")
            .replace("pause_seconds_max = 1", "pause_seconds_max = 100"),
    );
    let child = project.start(&["backfill", "mappings/demo", "--batch-size", "100", "--output", "json"]);
    std::thread::sleep(Duration::from_millis(1_500));
    assert_eq!(database.value("select count(*) from entries where doubled is not null"), "0");
    drop(holder);
    until("the other one has its lock", || database.value(waiting) == "0");
    waits.ends();
    let report = Ended::of_child(child).expect(0).says("doubled pauses").json();
    assert!(report["backfills"][0]["paused_seconds"].as_f64() > Some(0.4), "{report}");
    assert_eq!(database.value(WRONG), "0");
}

#[test]
fn somebody_who_waits_for_the_whole_table_gets_it() {
    let database = Database::create();
    filled(&database, 30_000);
    let project = project(&database.url, MAPPING, "");
    let child = project.start(&["backfill", "mappings/demo", "--batch-size", "300", "--output", "json"]);
    until("some rows are filled in", || {
        database.value("select count(*) from entries where doubled is not null") != "0"
    });
    let began = Instant::now();
    for number in 0..3 {
        database.query(&format!("alter table entries add column later_{number} integer"));
    }
    let took = began.elapsed();
    assert!(took < Duration::from_secs(20), "{took:?}");
    let ended = Ended::of_child(child);
    // The shape is another one now, which a plan is told of, not a batch: what matters is that each
    // batch is whole.
    ended.expect(0);
    assert_eq!(database.value(WRONG), "0");
}

#[test]
fn no_transaction_is_long() {
    let database = Database::create();
    filled(&database, 40_000);
    database.query("create index on entries (id) where doubled is null");
    let project = project(&database.url, MAPPING, "");
    let mut child = project.start_unheard(&["backfill", "mappings/demo", "--batch-size", "1000"]);
    let oldest = "select coalesce(max(extract(epoch from clock_timestamp() - xact_start)), 0)::text from pg_stat_activity
                  where datname = current_database() and application_name like 'dbferry%'";
    let (mut longest, mut looks) = (0.0_f64, 0);
    while child.try_wait().expect("the child's state").is_none() {
        longest = longest.max(database.value(oldest).parse().expect("seconds"));
        looks += 1;
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(child.wait().expect("an end").success());
    eprintln!("{looks} looks, the longest transaction {longest} s");
    // Some tenths of a second, but for a machine that is busy with other tests; all of it takes far longer.
    assert!(looks > 5 && longest < 4.0, "{looks} looks, {longest} s");
    assert!(longest > 0.0, "transactions were seen");
    assert_eq!(database.value(WRONG), "0");
}
