//! One target of three is down: before the run, and during it.

use std::process::Child;

use crate::fan_out::FanOut;
use crate::faults::host_and_port;
use crate::harness::{Ended, until, value};
use crate::proxy::Proxy;

const ROWS: u32 = 20_000;

/// The database `user` behind a proxy.
fn with_proxy(limits: &str) -> (FanOut, Proxy) {
    let mut fan = FanOut::new(ROWS, limits);
    let upstream = host_and_port(&fan.user.url);
    let proxy = Proxy::start(upstream.clone(), Vec::new());
    let through = fan.user.url.replace(&upstream, &format!("127.0.0.1:{}", proxy.port));
    fan.project.set("USER_URL", &through);
    (fan, proxy)
}

fn start(fan: &FanOut) -> Child {
    fan.project
        .start(&["run", "mappings/demo", "--batch-size", "250", "--output", "json"])
}

fn accounts_are_there(fan: &FanOut) -> bool {
    value(&fan.auth.url, "select count(*) from accounts") == ROWS.to_string()
}

fn check(fan: &FanOut) {
    let [accounts, profiles, ages] = fan.rows();
    assert_eq!([accounts.len(), profiles.len(), ages.len()], [ROWS as usize; 3]);
    let sums = "select max(sequence) - count(*), sum(rows_inserted)::text from dbferry.batch";
    assert_eq!(fan.user.query(sums)[0], [Some("0".to_owned()), Some(ROWS.to_string())]);
}

#[test]
fn a_target_that_stays_away_keeps_nobody_else_and_the_next_run_goes_on() {
    let (fan, proxy) = with_proxy("retry_seconds_max = 2");
    proxy.down();
    fan.project
        .run(&["plan", "mappings/demo"])
        .expect(3)
        .says("connection refused");
    let ended = fan.project.run(&["run", "mappings/demo", "--output", "json"]);
    ended
        .expect(3)
        .says("profiles: waits for connection `user`")
        .says("gave up after")
        .says("dbferry run mappings/demo");
    let report = ended.json();
    let streams = report["streams"].as_array().expect("streams");
    let of = |name: &str| streams.iter().find(|stream| stream["name"] == name).expect("the stream");
    assert_eq!(
        (&of("accounts")["status"], &of("ages")["status"]),
        (&"complete".into(), &"complete".into())
    );
    assert_eq!(of("accounts")["waits_for"], serde_json::Value::Null);
    assert_eq!(
        (&of("profiles")["status"], &of("profiles")["waits_for"]),
        (&"pending".into(), &"user".into())
    );
    assert!(accounts_are_there(&fan));
    proxy.up();
    let report = fan
        .project
        .run(&["run", "mappings/demo", "--output", "json"])
        .expect(0)
        .json();
    assert_eq!(report["streams"][0]["status"], "already_complete");
    check(&fan);
}

#[test]
fn a_target_that_comes_back_is_filled_in_the_same_run() {
    let (fan, proxy) = with_proxy("retry_seconds_max = 90");
    proxy.down();
    fan.project.sqlite("app.db", "pragma journal_mode = wal");
    let child = start(&fan);
    until("the others", || accounts_are_there(&fan));
    // The source moves on; the run does not.
    fan.project
        .sqlite("app.db", "insert into users values ('v', 'Late', null, 1)");
    proxy.up();
    let ended = Ended::of_child(child);
    let report = ended.expect(0).json();
    assert_eq!(report["status"], "done");
    for stream in report["streams"].as_array().expect("streams") {
        assert_eq!(stream["inserted"].as_u64(), Some(ROWS.into()), "{stream}");
    }
    check(&fan);
}

#[test]
fn a_target_that_is_lost_for_a_while_goes_on_alone() {
    let (fan, proxy) = with_proxy("retry_seconds_max = 90");
    let child = start(&fan);
    until("the first batches", || proxy.commits() > 4);
    proxy.down();
    until("the others", || accounts_are_there(&fan));
    assert_ne!(value(&fan.user.url, "select count(*) from profiles"), ROWS.to_string());
    proxy.up();
    let ended = Ended::of_child(child);
    ended.expect(0).says("profiles waits for `user`");
    check(&fan);
}

#[test]
fn a_target_that_is_lost_for_good_is_named_and_the_next_run_goes_on() {
    let (fan, proxy) = with_proxy("retry_seconds_max = 2");
    let child = start(&fan);
    until("the first batches", || proxy.commits() > 4);
    proxy.down();
    let ended = Ended::of_child(child);
    let report = ended.expect(3).json();
    assert_eq!(report["streams"][1]["waits_for"], "user", "{report}");
    assert_eq!(report["streams"][1]["status"], "partial");
    assert_eq!(report["streams"][0]["status"], "complete");
    proxy.up();
    fan.project.run(&["run", "mappings/demo"]).expect(0);
    check(&fan);
}
