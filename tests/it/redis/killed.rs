//! Runs that are killed at random moments and resumed: at the end the store holds what an
//! undisturbed run leaves, and its ledger adds up.

use std::time::Instant;

use super::dump::{Dump, assert_same};
use super::store::Store;
use super::toy::{Toy, assert_ledger, assert_tidy, every_type, items, records};
use crate::harness::KillTimes;

const ROWS: u32 = 1_200;
const KILLS: u32 = 12;
const STREAMS: usize = 11;
const BATCH: [&str; 2] = ["--batch-size", "60"];

/// Open rejects: stream, source key, column and reason of each.
pub(super) fn rejects(store: &Store) -> Vec<String> {
    let mut rejects = records(store, "dbferry:{demo}:rejects");
    rejects.retain(|_, reject| reject["resolved_by"].is_null());
    let mut lines: Vec<String> = rejects
        .into_values()
        .map(|reject| {
            let parts = ["stream", "key", "column", "reason", "detail"].map(|part| reject[part].to_string());
            parts.join(" ")
        })
        .collect();
    lines.sort();
    lines
}

/// Keys that are there before the stream comes, none as the stream would write it.
fn fill(store: &Store) {
    store.query::<()>(&["HSET", "h:{5}:p", "note", "old", "more", "kept"]);
    store.query::<()>(&["HSET", "h:{36}:p", "note", "old"]);
    store.query::<()>(&["EXPIRE", "h:{36}:p", "100000"]);
    store.query::<()>(&["SET", "j:600", "old"]);
    store.query::<()>(&["SET", "c:900", "-1000000"]);
    store.query::<()>(&["ZADD", "z:g0", "999999", "7", "1", "somebody"]);
    store.query::<()>(&["SADD", "t:g4", "somebody"]);
    store.query::<()>(&["RPUSH", "q:g0", "old", "older"]);
    store.query::<()>(&["XADD", "x:g4", "*", "f", "old"]);
    store.query::<()>(&["RPUSH", "n:twice", "another type"]);
}

fn kill_often(store: &Store, policy: &str, fill: impl Fn(&Store)) {
    let toy = Toy::of(&store.url(), &items(ROWS), &every_type(policy));
    fill(store);
    let began = Instant::now();
    let args = [&["run", "mappings/demo"], &BATCH[..]].concat();
    toy.project.run(&args).expect(4);
    let whole = began.elapsed();
    let (expected, refused) = (store.dump(), rejects(store));
    assert_ledger(store, STREAMS);
    store.clear();

    fill(store);
    let mut times = KillTimes::within(u64::try_from(whole.as_millis()).expect("a short run") / 3 + 60);
    let mut interrupted = 0;
    let mut killed = 0;
    for _ in 0..KILLS * 4 {
        if killed >= KILLS && interrupted > KILLS / 3 {
            break;
        }
        let mut child = toy.project.start_unheard(&args);
        times.wait();
        let ended = child.try_wait().expect("the child's state");
        if ended.is_none() {
            child.kill().expect("SIGKILL");
            killed += 1;
            if store.keys("dbferry:{demo}:checkpoint:*").is_empty() {
                times.too_early();
            } else {
                interrupted += 1;
            }
        }
        let code = child.wait().expect("an end").code();
        assert!(matches!(code, None | Some(4)), "{code:?}");
        if ended.is_some() {
            // It was done before it was killed often enough: begin again.
            times.too_late();
            check(store, &expected, &refused);
            store.clear();
            fill(store);
        }
    }
    eprintln!("a run takes {whole:?}; killed {killed} times, {interrupted} times in between");
    assert!(killed >= KILLS && interrupted > KILLS / 3, "runs were killed in between");
    toy.project.run(&args).expect(4);
    check(store, &expected, &refused);
}

#[track_caller]
fn check(store: &Store, expected: &Dump, refused: &[String]) {
    assert_same(&store.dump(), expected);
    assert_tidy(store);
    let found = rejects(store);
    let lost: Vec<_> = refused.iter().filter(|line| !found.contains(line)).collect();
    let more: Vec<_> = found.iter().filter(|line| !refused.contains(line)).collect();
    assert!(
        lost.is_empty() && more.is_empty() && found.len() == refused.len(),
        "{} rejects for {}; lost: {lost:?}, more: {more:?}",
        found.len(),
        refused.len()
    );
    assert_ledger(store, STREAMS);
}

#[test]
fn killed_at_random_moments_and_resumed_a_server_holds_what_an_undisturbed_run_leaves() {
    kill_often(&Store::single(), "error", fill);
}

#[test]
fn killed_over_keys_that_are_there_a_server_holds_what_an_undisturbed_run_leaves() {
    kill_often(&Store::single(), "update", fill);
}

/// Where nothing is there, batches are begun behind those that are carried out.
#[test]
fn killed_while_batches_follow_one_another_a_server_holds_what_an_undisturbed_run_leaves() {
    kill_often(&Store::single(), "update", |_| ());
}

#[test]
fn killed_at_random_moments_and_resumed_a_cluster_holds_what_an_undisturbed_run_leaves() {
    kill_often(&Store::cluster(true), "error", fill);
}

#[test]
fn killed_over_keys_that_are_there_a_cluster_holds_what_an_undisturbed_run_leaves() {
    kill_often(&Store::cluster(false), "update", fill);
}
