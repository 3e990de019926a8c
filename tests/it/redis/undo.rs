//! Runs that are taken back: afterwards the store holds what it held before, to the millisecond of every
//! expiry and the id of every entry, and the run can be made again.

use std::collections::BTreeMap;
use std::time::Instant;

use super::dump::{Dump, assert_same};
use super::server::Server;
use super::store::Store;
use super::toy::{Toy, every_type, items, records, stream};
use crate::harness::{Ended, KillTimes};

const ROWS: u32 = 900;
const KILLS: u32 = 5;

/// Everything but dbferry's own keys: what they hold, when they expire, and the ids of entries.
#[derive(Debug)]
struct State {
    dump: Dump,
    expiries: BTreeMap<String, i64>,
    entries: BTreeMap<String, String>,
}

impl State {
    fn of(store: &Store) -> Self {
        let keys: Vec<String> = store.keys("*").into_iter().filter(|key| !key.contains("dbferry:")).collect();
        let entries = keys.iter().filter(|key| key.starts_with("x:")).map(|key| {
            let held: ::redis::Value = store.query(&["XRANGE", key, "-", "+"]);
            let groups = match store {
                Store::Single(server) => server.query(&["XINFO", "GROUPS", key]),
                Store::Cluster(_) => ::redis::Value::Nil,
            };
            (key.clone(), format!("{held:?} {groups:?}"))
        });
        Self {
            dump: store.dump(),
            entries: entries.collect(),
            expiries: keys
                .iter()
                .map(|key| (key.clone(), store.query(&["PEXPIRETIME", key])))
                .collect(),
        }
    }

    #[track_caller]
    fn assert_is(&self, before: &Self) {
        assert_same(&self.dump, &before.dump);
        assert_eq!(self.expiries, before.expiries);
        assert_eq!(self.entries, before.entries);
    }
}

/// Keys of every type that are there before the run, with and without an expiry.
fn fill(store: &Store) {
    let words = |line: &[&str]| store.query::<()>(line);
    words(&["SET", "s:g2:%:9", "old", "PXAT", "4102444800123"]);
    words(&["SET", "s:g4:11", "näme {11} 🦀"]);
    words(&["SET", "j:600", "old", "EX", "90000"]);
    words(&["SET", "j:601", "older"]);
    words(&["HSET", "h:{5}:p", "note", "old", "more", "kept"]);
    words(&["HSET", "h:{36}:p", "note", "old"]);
    words(&["EXPIRE", "h:{36}:p", "100000"]);
    words(&["HSET", "last:g4", "id", "0", "mine", "x"]);
    words(&["ZADD", "z:g0", "999999", "7", "1", "somebody"]);
    words(&["ZADD", "z:g4", "1.5", "11", "-inf", "somebody"]);
    words(&["EXPIRE", "z:g4", "200000"]);
    words(&["SADD", "t:g4", "somebody", "näme {11} 🦀"]);
    words(&["EXPIRE", "t:g4", "300000"]);
    words(&["SET", "c:800", "-1000000"]);
    words(&["RPUSH", "n:twice", "another type"]);
    words(&["SET", "unrelated", "1", "EX", "100000"]);
}

/// Lists and streams, too.
fn fill_whole(store: &Store) {
    fill(store);
    store.query::<()>(&["RPUSH", "q:g0", "old", "older"]);
    store.query::<()>(&["XADD", "x:g4", "5-1", "f", "old"]);
    if let Store::Single(server) = store {
        server.query::<()>(&["XGROUP", "CREATE", "x:g4", "readers", "5-1"]);
    }
}

fn run(toy: &Toy, more: &[&str]) -> (String, serde_json::Value) {
    let report = toy.run(&[&["--undo", "--batch-size", "70"], more].concat());
    assert!(matches!(report.code, Some(0 | 4)), "{report:?}");
    let report = report.json();
    (report["run"].as_str().expect("a run").to_owned(), report)
}

fn rollback(toy: &Toy, run: &str, more: &[&str]) -> Ended {
    let args = ["rollback", run, "mappings/demo", "--output", "json"];
    toy.project.run(&[&args, more].concat())
}

fn figure(stream: &serde_json::Value, name: &str) -> u64 {
    stream[name].as_u64().unwrap_or_else(|| panic!("{name}: {stream:#}"))
}

/// Every stream is taken back, and its rows add up.
#[track_caller]
fn assert_adds_up(report: &serde_json::Value) {
    for stream in report["streams"].as_array().expect("streams") {
        let written = figure(stream, "inserted") + figure(stream, "updated");
        let done: u64 = ["removed", "restored", "gone", "kept"]
            .iter()
            .map(|name| figure(stream, name))
            .sum();
        assert_eq!(written, done, "{stream:#}");
        assert_eq!(stream["complete"], true, "{stream:#}");
    }
}

/// Nothing is left of a run in the ledger but its trail.
#[track_caller]
fn assert_no_trace(store: &Store) {
    for glob in [
        "*:undo:*:*:*",
        "*undo_staged*",
        "*undo_checkpoint*",
        "*undo_claim*",
        "*undo_rejects*",
        "*undo_touched*",
        "*undoing*",
        "*undo_copies*",
    ] {
        let left: Vec<String> = store
            .keys(glob)
            .into_iter()
            .filter(|key| !key.contains("{demo}:undo:"))
            .collect();
        assert!(left.is_empty(), "{glob}: {left:?}");
    }
    for glob in ["*:checkpoint:0:*", "*:claims:*", "*:staged:*", "*:touched:*"] {
        assert!(store.keys(glob).is_empty(), "{glob}: {:?}", store.keys(glob));
    }
    assert!(records(store, "dbferry:{demo}:rejects").is_empty());
}

fn back_and_again(store: &Store, policy: &str) {
    let toy = Toy::of(&store.url(), &items(ROWS), &every_type(policy));
    // What is skipped of a list that is there does not add up with what it holds.
    if policy == "skip" {
        fill(store);
    } else {
        fill_whole(store);
    }
    let before = State::of(store);
    let (first, _) = run(&toy, &[]);
    let after = State::of(store);
    assert!(after.dump.len() > before.dump.len() + 100);

    let planned = rollback(&toy, &first, &["--dry-run"]);
    let planned = planned.expect(0).json();
    assert_eq!(planned["status"], "planned", "{planned:#}");
    State::of(store).assert_is(&after);

    let report = rollback(&toy, &first, &["--yes", "--batch-size", "90"]);
    let report = report.expect(0).json();
    assert_eq!(report["status"], "done");
    assert_adds_up(&report);
    for (planned, done) in planned["streams"]
        .as_array()
        .expect("streams")
        .iter()
        .zip(report["streams"].as_array().expect("streams"))
    {
        for name in ["removed", "restored", "gone"] {
            assert_eq!(figure(planned, name), figure(done, name), "{planned:#} {done:#}");
        }
    }
    State::of(store).assert_is(&before);
    assert_no_trace(store);

    let (second, _) = run(&toy, &[]);
    assert_same(&State::of(store).dump, &after.dump);
    rollback(&toy, &second, &["--yes"]).expect(0);
    State::of(store).assert_is(&before);
    // A run of which nothing is left is said to be so.
    let over = rollback(&toy, &second, &["--yes"]).expect(0).json();
    assert_adds_up(&over);
    State::of(store).assert_is(&before);
    store.clear();
}

#[test]
fn a_server_is_as_before_the_run_and_the_run_can_be_made_again() {
    let store = Store::single();
    for policy in ["update", "skip", "error"] {
        back_and_again(&store, policy);
    }
}

#[test]
fn a_cluster_is_as_before_the_run_and_the_run_can_be_made_again() {
    let store = Store::cluster(false);
    for policy in ["update", "error"] {
        back_and_again(&store, policy);
    }
}

/// Runs of the project, newest first, that are not taken back.
fn runs_left(store: &Store) -> Vec<String> {
    let mut runs: Vec<_> = records(store, "dbferry:{demo}:runs")
        .into_values()
        .filter(|run| run["status"] != "rolled_back")
        .map(|run| (run["started_at"].to_string(), run["run"].as_str().expect("an id").to_owned()))
        .collect();
    runs.sort();
    runs.into_iter().rev().map(|(_, run)| run).collect()
}

fn killed(store: &Store, policy: &str) {
    let toy = Toy::of(&store.url(), &items(ROWS), &every_type(policy));
    fill_whole(store);
    let before = State::of(store);
    let began = Instant::now();
    run(&toy, &[]);
    let whole = u64::try_from(began.elapsed().as_millis()).expect("a short run");
    let after = State::of(store);
    store.clear();
    fill_whole(store);
    for (key, moment) in before.expiries.iter().filter(|(_, moment)| **moment > 0) {
        store.query::<()>(&["PEXPIREAT", key, &moment.to_string()]);
    }
    let start = ["run", "mappings/demo", "--undo", "--batch-size", "70"];
    let mut times = KillTimes::within(whole / 3 + 60);
    let mut killed = 0;
    for _ in 0..KILLS * 3 {
        let mut child = toy.project.start_unheard(&start);
        times.wait();
        if child.try_wait().expect("the child's state").is_none() {
            child.kill().expect("SIGKILL");
            child.wait().expect("an end");
            killed += 1;
        } else {
            times.too_late();
            break;
        }
        if killed == KILLS {
            break;
        }
    }
    if killed == 0 {
        // The machine was busy while the first run was measured: now the times are another's.
        store.clear();
        return self::killed(store, policy);
    }
    toy.project.run(&start);
    assert_same(&State::of(store).dump, &after.dump);

    // Each of the runs is taken back, the last one first, and killed at that, too.
    let mut times = KillTimes::within(whole / 3 + 60);
    let mut stopped = 0;
    let runs = runs_left(store);
    for run in &runs {
        let args = ["rollback", run, "mappings/demo", "--yes", "--batch-size", "60"];
        for _ in 0..2 {
            let mut child = toy.project.start_unheard(&args);
            times.wait();
            if child.try_wait().expect("the child's state").is_none() {
                child.kill().expect("SIGKILL");
                stopped += 1;
            } else {
                times.too_late();
            }
            child.wait().expect("an end");
        }
        let report = rollback(&toy, run, &["--yes"]).expect(0).json();
        assert_adds_up(&report);
    }
    eprintln!("{killed} runs and {stopped} rollbacks were killed");
    assert!(stopped > 0);
    State::of(store).assert_is(&before);
    assert_no_trace(store);
}

#[test]
fn killed_runs_and_killed_rollbacks_leave_a_server_as_it_was() {
    killed(&Store::single(), "update");
}

#[test]
fn killed_runs_and_killed_rollbacks_leave_a_cluster_as_it_was() {
    killed(&Store::cluster(false), "update");
}

#[test]
fn what_was_changed_since_is_told_and_whoever_is_to_win_does() {
    let store = Store::single();
    for winner in ["keep", "overwrite"] {
        let toy = Toy::of(&store.url(), &items(ROWS), &every_type("update"));
        fill_whole(&store);
        let before = State::of(&store);
        let (run, _) = run(&toy, &[]);
        // A string, a hash's field that the run does not know, an expiry, a score, a list and a stream.
        store.query::<()>(&["SET", "c:800", "17"]);
        store.query::<()>(&["HSET", "h:{5}:p", "more", "changed"]);
        store.query::<()>(&["PERSIST", "j:2"]);
        store.query::<()>(&["ZADD", "z:g0", "12345", "7"]);
        store.query::<()>(&["RPUSH", "q:g0", "by the application"]);
        store.query::<()>(&["XADD", "x:g0", "*", "by", "the application"]);
        // What is no change of rows that the run wrote: other members, gone rows, an equal value.
        store.query::<()>(&["ZADD", "z:g5", "5", "another member"]);
        store.query::<()>(&["SREM", "t:g5", "näme {12} 🦀"]);
        store.query::<()>(&["DEL", "j:7"]);
        store.query::<()>(&["SET", "c:7", &store.query::<String>(&["GET", "c:7"])]);
        let refused = rollback(&toy, &run, &["--yes"]).expect(5).json();
        assert_eq!(refused["status"], "refused", "{refused:#}");
        let changed: BTreeMap<String, Vec<String>> = (refused["streams"].as_array().expect("streams").iter())
            .map(|stream| {
                let keys = stream["changed_since"]["keys"].as_array().expect("keys").iter();
                let keys = keys.map(|key| key.as_str().expect("a key").to_owned()).collect::<Vec<_>>();
                (stream["name"].as_str().expect("a name").to_owned(), keys)
            })
            .filter(|(_, keys)| !keys.is_empty())
            .collect();
        let expected = [
            ("board", "z:g0 7"),
            ("counts", "c:800"),
            ("documents", "j:2"),
            ("events", "x:g0"),
            ("profiles", "h:{5}:p"),
            ("queues", "q:g0"),
        ];
        let expected: BTreeMap<_, _> = expected.map(|(name, key)| (name.to_owned(), vec![key.to_owned()])).into();
        assert_eq!(changed, expected);
        let report = rollback(&toy, &run, &["--yes", "--changed", winner]).expect(0).json();
        assert_adds_up(&report);
        let now = State::of(&store);
        let mut expected = before.dump.clone();
        let found = store.dump();
        // A key that others have put members into stays for these.
        expected.insert(b"z:g5".to_vec(), found[&b"z:g5"[..]].clone());
        if winner == "keep" {
            for key in ["z:g0", "c:800", "j:2", "x:g0", "h:{5}:p", "q:g0"] {
                expected.insert(key.into(), found[key.as_bytes()].clone());
            }
            assert_eq!(store.query::<String>(&["GET", "c:800"]), "17");
            assert_eq!(store.query::<String>(&["ZSCORE", "z:g0", "7"]), "12345");
            assert_eq!(store.query::<u64>(&["ZCARD", "z:g0"]), 2);
        }
        assert_same(&now.dump, &expected);
        assert_eq!(store.query::<u64>(&["ZCARD", "z:g5"]), 1);
        store.clear();
    }
}

#[test]
fn a_server_that_was_started_anew_and_time_that_passes_change_nothing() {
    let server = Server::start(&[("appendonly", "no"), ("hash-max-listpack-entries", "512")]);
    let store = Store::Single(server);
    let mapping = [
        stream(
            "docs",
            "items",
            "key = \"j:{id}\"\ntype = \"json\"\nttl = \"3s\"\non_conflict = \"update\"",
            &["id", "name"],
        ),
        stream(
            "members",
            "items",
            "key = \"t:{grp}\"\ntype = \"set\"\nvalue = [\"id\"]\nttl = \"3s\"\non_conflict = \"update\"",
            &["grp", "id"],
        ),
        stream(
            "profiles",
            "items",
            "key = \"h:{id}\"\ntype = \"hash\"\non_conflict = \"update\"",
            &["id", "name", "note", "points"],
        ),
    ];
    let toy = Toy::of(&store.url(), &items(400), &mapping.concat());
    for (key, value) in [("j:1", "old"), ("j:2", "older")] {
        store.query::<()>(&["SET", key, value]);
    }
    store.query::<()>(&["SADD", "t:g0", "mine", "7"]);
    store.query::<()>(&["EXPIRE", "j:2", "100000"]);
    let before = State::of(&store);
    let (run, _) = run(&toy, &[]);
    assert!(store.query::<bool>(&["EXISTS", "t:g0"]));
    // From a snapshot sets and hashes come back in another order and form.
    store.query::<()>(&["CONFIG", "SET", "hash-max-listpack-entries", "1"]);
    store.query::<()>(&["SAVE"]);
    let Store::Single(server) = &store else { panic!("a server") };
    server.query::<()>(&["CONFIG", "REWRITE"]);
    server.restart();
    crate::harness::until("what lives for seconds is gone", || {
        store.query::<u64>(&["EXISTS", "t:g0"]) == 0
    });
    crate::harness::until("what lives for seconds is gone", || {
        store.query::<u64>(&["EXISTS", "j:2"]) == 0
    });
    let report = rollback(&toy, &run, &["--yes"]).expect(0).json();
    assert_adds_up(&report);
    State::of(&store).assert_is(&before);
    assert_no_trace(&store);
}

#[test]
fn logs_are_forgotten_and_a_run_without_one_is_not_taken_back() {
    let store = Store::single();
    let toy = Toy::of(&store.url(), &items(200), &every_type("update"));
    let (first, _) = run(&toy, &[]);
    let after = State::of(&store);
    let forgotten = rollback(&toy, &first, &["--forget", "--yes"]).expect(0).json();
    assert_eq!(forgotten["undo_logs_removed"], 11, "{forgotten:#}");
    assert!(store.keys("*undo*").is_empty(), "{:?}", store.keys("*undo*"));
    rollback(&toy, &first, &["--yes"]).expect(2);
    State::of(&store).assert_is(&after);
    store.clear();
    let plain = toy.run(&[]).expect(4).json();
    rollback(&toy, plain["run"].as_str().expect("a run"), &["--yes"]).expect(2);
    assert!(store.keys("*undo*").is_empty());
}
