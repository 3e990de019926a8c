//! A server that follows the target falls behind: the run pauses until it has caught up.

use super::{fill, into_postgres, make_tables};
use crate::harness::{Database, Ended, until, value};
use crate::server::{Server, until_followed, until_it_stays};

#[test]
fn a_run_pauses_while_a_standby_is_behind() {
    let primary = Server::start();
    let standby = primary.standby();
    let database = Database::create_on(&primary.url());
    make_tables(&database, 1);
    until_followed(&database);
    let project = into_postgres(
        &database.url,
        "replication_lag_seconds_max = 1\nportion_rows_max = 50\nmax_rows_per_second = 1000",
        1,
    );
    fill(&project, 1, 6_000, 10);
    let child = project.start(&["run", "mappings/demo", "--output", "json"]);
    let done = || -> u64 { database.value("select count(*) from t1").parse().expect("a count") };
    until("some rows are moved", || done() > 0);
    value(&standby.url(), "select pg_wal_replay_pause()");
    let before = until_it_stays(done);
    assert!(before < 6_000, "it paused before it was done");
    let open = "select count(*) from pg_stat_activity where application_name like 'dbferry %' and xact_start is not null";
    assert_eq!(database.value(open), "0", "nothing is open meanwhile");
    value(&standby.url(), "select pg_wal_replay_resume()");
    let ended = Ended::of_child(child);
    let report = ended.expect(0).says("t1 pauses: standby `follower` is").json();
    assert!(report["streams"][0]["paused_seconds"].as_f64() > Some(0.5), "{report}");
    assert_eq!(done(), 6_000);
    // A limit to that, too.
    value(&standby.url(), "select pg_wal_replay_pause()");
    database.query("truncate t1");
    let config = project.text("config/development.toml");
    project.write(
        "config/development.toml",
        &config.replace("[limits]\n", "[limits]\npause_seconds_max = 1\n"),
    );
    let ended = project.run(&["run", "mappings/demo", "--restart"]);
    ended.expect(3).says("stream `t1` has paused for 1 s: standby `follower` is");
    value(&standby.url(), "select pg_wal_replay_resume()");
    project.run(&["run", "mappings/demo"]).expect(0);
    assert_eq!(done(), 6_000);
}
