//! A server that follows falls behind: nothing is written until it has caught up.

use super::{MAPPING, WRONG, filled, project};
use crate::harness::{Database, Ended, until, value};
use crate::server::{Server, until_followed, until_it_stays};

#[test]
fn it_pauses_while_a_standby_is_behind() {
    let primary = Server::start();
    let standby = primary.standby();
    let database = Database::create_on(&primary.url());
    filled(&database, 6_000);
    until_followed(&database);
    let project = project(&database.url, MAPPING, "replication_lag_seconds_max = 1\n");
    let child = project.start(&[
        "backfill",
        "mappings/demo",
        "--batch-size",
        "100",
        "--max-rows-per-second",
        "1000",
        "--output",
        "json",
    ]);
    let done = || -> u64 {
        let rows = database.value("select count(*) from entries where doubled is not null");
        rows.parse().expect("a count")
    };
    until("some rows are filled in", || done() > 0);
    value(&standby.url(), "select pg_wal_replay_pause()");
    // What was written by then is behind soon enough; from then on nothing more comes.
    let before = until_it_stays(done);
    assert!(before < 6_000, "it paused before it was done");
    value(&standby.url(), "select pg_wal_replay_resume()");
    let report = Ended::of_child(child).expect(0).says("standby `follower` is").json();
    assert!(report["backfills"][0]["paused_seconds"].as_f64() > Some(0.5), "{report}");
    assert_eq!(database.value(WRONG), "0");
    // A limit to that, too.
    value(&standby.url(), "select pg_wal_replay_pause()");
    database.query("update entries set doubled = null");
    let config = project.text("config/development.toml");
    project.write("config/development.toml", &format!("{config}pause_seconds_max = 1\n"));
    let ended = project.run(&[
        "backfill",
        "mappings/demo",
        "--batch-size",
        "100",
        "--max-rows-per-second",
        "500",
    ]);
    ended.expect(3).says("has paused for 1 s: standby `follower` is");
    value(&standby.url(), "select pg_wal_replay_resume()");
    project.run(&["backfill", "mappings/demo", "--verify"]).expect(0);
    assert_eq!(database.value(WRONG), "0");
    // A role that may not see how far standbys are is told so.
    database.query("create role unseeing login in role dbferry");
    database.query("update entries set doubled = null where id < 10");
    let mut unseeing = super::project(&database.url, MAPPING, "");
    unseeing.set("APP_URL", &database.url.replace("dbferry@", "unseeing@"));
    let ended = unseeing.run(&["backfill", "mappings/demo"]);
    ended.expect(0).says("`grant pg_monitor` lets it see");
    assert_eq!(database.value(WRONG), "0");
}
