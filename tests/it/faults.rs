//! Faults of the server and of the way to it: the run waits, goes on within its limit, and the
//! target ends as it would have without them.

use std::time::{Duration, Instant};

use crate::harness::{Database, Ended, postgres_url, query, value};
use crate::items;
use crate::proxy::{Cut, Proxy};
use crate::server::Server;

const ROWS: u32 = 20_000;

/// `host:port` of a URL.
pub(crate) fn host_and_port(url: &str) -> String {
    let rest = url.rsplit_once('@').expect("a user in the URL").1;
    rest.split('/').next().expect("a host").to_owned()
}

#[test]
fn cut_during_commit_the_checkpoint_tells_whether_it_happened() {
    let expected = items::into_postgres(ROWS);
    expected.0.run(&["run", "mappings/demo", "--batch-size", "1000"]).expect(0);
    for cut in [Cut::BeforeCommit, Cut::AfterCommit] {
        let (mut project, database) = items::into_postgres(ROWS);
        let plan = (2..30).step_by(3).map(|number| (number, cut)).collect();
        let upstream = host_and_port(&database.url);
        let proxy = Proxy::start(upstream.clone(), plan);
        project.set(
            "TARGET_URL",
            &database.url.replace(&upstream, &format!("127.0.0.1:{}", proxy.port)),
        );
        let ended = project.run(&["run", "mappings/demo", "--batch-size", "1000", "--output", "json"]);
        ended.expect(0);
        assert!(
            proxy.cuts.load(std::sync::atomic::Ordering::SeqCst) >= 5,
            "the proxy did not cut"
        );
        assert!(
            expected.1.query(items::ALL_ROWS) == database.query(items::ALL_ROWS),
            "{cut:?}: the rows differ"
        );
        assert_eq!(
            database.value("select sum(rows_inserted) from dbferry.batch"),
            ROWS.to_string(),
            "{cut:?}"
        );
        let report = ended.json();
        assert_eq!(
            report["streams"][0]["inserted"], ROWS,
            "{cut:?}: the report counts every batch once"
        );
    }
}

#[test]
fn restarted_and_crashed_servers_are_waited_for() {
    let expected = items::into_postgres(ROWS);
    expected.0.run(&["run", "mappings/demo", "--batch-size", "200"]).expect(0);
    let server = Server::start();
    for mode in ["fast", "immediate"] {
        let database = Database::create_on(&server.url());
        database.query(items::POSTGRES_DDL);
        let project = items::into(&database.url);
        items::fill(&project, ROWS);
        let child = project.start(&["run", "mappings/demo", "--batch-size", "200", "--output", "json"]);
        for threshold in [1_000, 6_000] {
            let began = Instant::now();
            while value(&database.url, "select count(*) from items")
                .parse::<u32>()
                .expect("a count")
                < threshold
            {
                assert!(began.elapsed() < Duration::from_secs(30), "the run makes no progress");
            }
            server.down(mode);
            std::thread::sleep(Duration::from_millis(700));
            server.up();
        }
        let ended = Ended::of_child(child);
        ended.expect(0);
        assert_eq!(ended.json()["streams"][0]["inserted"], ROWS, "{mode}");
        assert!(
            expected.1.query(items::ALL_ROWS) == database.query(items::ALL_ROWS),
            "{mode}: the rows differ"
        );
    }
}

#[test]
fn a_server_that_stays_away_ends_the_run_within_the_limit() {
    let server = Server::start();
    let database = Database::create_on(&server.url());
    database.query(items::POSTGRES_DDL);
    let project = items::into(&database.url);
    let config = std::fs::read_to_string(project.path("config/development.toml")).expect("the file");
    project.write(
        "config/development.toml",
        &format!("{config}\n[limits]\nretry_seconds_max = 2\n"),
    );
    items::fill(&project, ROWS);
    let child = project.start(&["run", "mappings/demo", "--batch-size", "200"]);
    let began = Instant::now();
    while value(&database.url, "select count(*) from items") == "0" {
        assert!(began.elapsed() < Duration::from_secs(30), "the run makes no progress");
    }
    server.down("fast");
    let stopped = Instant::now();
    let ended = Ended::of_child(child);
    assert!(stopped.elapsed() < Duration::from_secs(40), "it took {:?}", stopped.elapsed());
    ended.expect(3).says("gave up");
    server.up();
    // Going on later loses and doubles nothing.
    project.run(&["run", "mappings/demo"]).expect(0);
    assert_eq!(value(&database.url, "select count(*) from items"), ROWS.to_string());
}

#[test]
fn a_server_that_is_down_a_wrong_password_and_refused_tls_each_end_with_one_message() {
    let (mut project, database) = items::into_postgres(10);
    let url = database.url.clone();
    project.set("TARGET_URL", &url.replace(&host_and_port(&url), "127.0.0.1:9"));
    project
        .run(&["run", "mappings/demo"])
        .expect(3)
        .says("target")
        .says("check address and port");
    let (user, rest) = url.split_once("://").expect("a URL").1.split_once('@').expect("a user");
    let name = user.split(':').next().expect("a name");
    project.set("TARGET_URL", &format!("postgres://{name}:canary-{}@{rest}", "secret"));
    let ended = project.run(&["run", "mappings/demo"]);
    ended.expect(3);
    assert!(!ended.stderr.contains("canary"), "a password in a message:\n{}", ended.stderr);
    project.set("TARGET_URL", &format!("{url}?sslmode=require"));
    project.run(&["run", "mappings/demo"]).expect(3).says("TLS");
    assert_eq!(
        query(
            &postgres_url(),
            &format!(
                "select 1 from pg_stat_activity where datname = '{}' and application_name like 'dbferry%'",
                database.name
            )
        )
        .len(),
        0
    );
    assert_eq!(database.value("select count(*) from items"), "0");
}
