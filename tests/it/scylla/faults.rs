//! Servers that die, hang, lack replicas or let nobody in, and tables that change under a run.

use std::time::Duration;

use super::toy::{TABLES, Toy, items, streams};
use crate::cassandra::Keyspace;
use crate::cassandra::node::{Node, Setup};
use crate::harness::{Ended, until};

const ROWS: u32 = 3_000;
const RUN: [&str; 4] = ["run", "mappings/demo", "--batch-size", "50"];

/// The toy on a node of the test's own, patient for so many seconds.
fn on(node: &Node, replicas: u32, seconds: u32, mapping: &str) -> Toy {
    let toy = Toy::with(Keyspace::fresh_on(&node.url(), replicas), TABLES, mapping, &items(ROWS));
    let config = toy.project.text("config/development.toml");
    toy.project.write(
        "config/development.toml",
        &format!("[limits]\nretry_seconds_max = {seconds}\n\n{config}"),
    );
    toy
}

fn some_batches(toy: &Toy) {
    until("the first batches", || {
        toy.keyspace
            .try_rows("SELECT sequence FROM dbferry_batch")
            .is_ok_and(|rows| rows.len() > 5)
    });
}

/// What the tables hold is what the rows of the source say, and the ledger knows of each batch once.
fn assert_whole(toy: &Toy, reference: &[String]) {
    let found = toy.dump();
    let more = found.iter().find(|line| !reference.contains(line));
    assert!(
        found.len() == reference.len() && more.is_none(),
        "{} lines for {}, {more:?}",
        found.len(),
        reference.len()
    );
    toy.assert_ledger(4);
}

/// What an undisturbed run leaves.
fn reference() -> Vec<String> {
    let toy = Toy::of(ROWS, "error");
    toy.project.run(&["run", "mappings/demo"]).expect(4);
    toy.dump()
}

#[test]
fn a_server_that_is_killed_and_comes_back_is_waited_for() {
    let node = Node::start();
    let toy = on(&node, 1, 120, &streams("error"));
    let child = toy.project.start(&RUN);
    some_batches(&toy);
    node.kill();
    std::thread::sleep(Duration::from_secs(2));
    node.restart();
    let run = Ended::of_child(child);
    run.expect(4);
    assert_whole(&toy, &reference());
}

#[test]
fn a_server_that_stays_away_ends_the_run_in_order_and_the_next_goes_on() {
    let node = Node::start();
    let toy = on(&node, 1, 3, &streams("error"));
    let child = toy.project.start(&RUN);
    some_batches(&toy);
    node.kill();
    let run = Ended::of_child(child);
    run.expect(3).says("gave up after");
    node.restart();
    toy.project.run(&RUN).expect(4);
    assert_whole(&toy, &reference());
}

/// One of two replicas hangs: writes time out, and are sent again until both have confirmed.
#[test]
fn writes_that_time_out_are_sent_again() {
    let settings = "write_request_timeout: 1s\nread_request_timeout: 1s\ncas_contention_timeout: 1s\n";
    let first = Node::start_as(&Setup {
        settings,
        ..Setup::default()
    });
    let second = Node::start_as(&Setup {
        beside: Some(&first),
        settings,
        ..Setup::default()
    });
    let toy = on(
        &first,
        2,
        600,
        &streams("error").replace("on_conflict", "consistency = \"all\"\non_conflict"),
    );
    let child = toy.project.start(&RUN);
    some_batches(&toy);
    second.stop();
    std::thread::sleep(Duration::from_secs(5));
    second.cont();
    let run = Ended::of_child(child);
    run.expect(4);
    assert_whole(&toy, &reference());
}

#[test]
fn too_few_replicas_end_the_run_with_their_number() {
    let first = Node::start();
    let second = Node::start_as(&Setup {
        beside: Some(&first),
        ..Setup::default()
    });
    let toy = on(&first, 2, 4, &streams("error"));
    let child = toy.project.start(&RUN);
    some_batches(&toy);
    second.kill();
    let run = Ended::of_child(child);
    run.expect(3);
    assert!(
        run.stderr.contains("replicas that") || run.stderr.contains("in time") || run.stderr.contains("replicas failed"),
        "{}",
        run.stderr
    );
    second.restart();
    until("a second replica", || {
        let run = toy.project.run(&RUN);
        assert!(matches!(run.code, Some(3 | 4)), "{run:?}");
        run.code == Some(4)
    });
    assert_whole(&toy, &reference());
}

#[test]
fn a_table_that_changes_under_a_run_ends_it_with_its_name() {
    let toy = Toy::of(20_000, "error");
    let child = toy
        .project
        .start(&["run", "mappings/demo", "--only", "items", "--batch-size", "50"]);
    some_batches(&toy);
    toy.keyspace.rows("ALTER TABLE items DROP flag");
    let run = Ended::of_child(child);
    assert!(matches!(run.code, Some(2 | 3)), "{run:?}");
    run.says("flag");
    let plan = toy.project.run(&["plan", "mappings/demo"]);
    plan.expect(2).says("flag");
}

#[test]
fn who_is_not_let_in_is_told_so_without_the_password() {
    let toy = Toy::of(1, "error");
    let refused = |url: &str, code: i32, words: &str| {
        let mut command = toy.project.command(&["check", "mappings/demo"]);
        let ended = Ended::of(command.env("WIDE_URL", url).output().expect("the program"));
        ended.expect(code).says(words);
        assert!(
            !ended.stderr.contains("hunter2") && !ended.stdout.contains("hunter2"),
            "{ended:?}"
        );
    };
    let url = toy.keyspace.url();
    let (_, node) = url.split_once('@').expect("a user");
    refused(&format!("scylla://dbferry:hunter2@{node}"), 3, "user or password is wrong");
    refused(&format!("scylla://{node}"), 3, "nobody in without a user");
    refused("scylla://dbferry:hunter2@127.0.0.1:1/ks", 3, "nobody answers");
    refused(
        "scylla://dbferry:hunter2@no-such-host.invalid/ks",
        3,
        "none of its hosts is known",
    );
    refused("scylla://dbferry:hunter2@127.0.0.1", 2, "it names no keyspace");
    let (server, _) = url.rsplit_once('/').expect("a keyspace");
    refused(
        &format!("{server}/no_such_keyspace"),
        3,
        "there is no keyspace `no_such_keyspace`",
    );
    refused(&url.replace("scylla://", "scylla+tls://"), 3, "TLS failed");
}

#[test]
fn tls_is_spoken_where_the_certificate_is_trusted() {
    let node = Node::start_as(&Setup {
        tls: true,
        ..Setup::default()
    });
    let mut project = crate::harness::Project::new();
    let url = node.url().replace("scylla://", "scylla+tls://");
    project.set("WIDE_URL", &format!("{url}/secure"));
    let connection = |more: &str| {
        format!(
            "{}[connection.wide]\nkind = \"scylla\"\nurl = {{ env = \"WIDE_URL\" }}\ncreate_database = true\nreplication = {{ datacenter1 = 1 }}\n\
             compression = \"lz4\"\n{more}",
            crate::harness::file_connection("app", "sqlite", "app.db")
        )
    };
    project.write(
        "mappings/demo/project.toml",
        "name = \"demo\"\nsources = [\"app\"]\nsinks = [\"wide\"]\nmax_rejects = 1000\n",
    );
    project.write(
        "mappings/demo/streams.toml",
        "[[stream]]\nname = \"pairs\"\nfrom = \"app.items\"\nto = \"wide.pairs\"\nkey = [\"a\", \"b\"]\n[stream.columns]\na = \"id\"\nb = \"id\"\n",
    );
    project.write(
        "mappings/demo/migrations/wide/0001_pairs.up.cql",
        "CREATE TABLE pairs (a bigint, b bigint, PRIMARY KEY (a, b));",
    );
    project.sqlite("app.db", &items(100));
    project.write("config/development.toml", &connection(""));
    project
        .run(&["schema", "apply", "mappings/demo"])
        .expect(3)
        .says("TLS failed");
    let ca = format!("ca_file = {:?}\n", node.ca_file().display().to_string());
    project.write("config/development.toml", &connection(&ca));
    project.run(&["schema", "apply", "mappings/demo"]).expect(0);
    project.run(&["run", "mappings/demo"]).expect(0);
    project.run(&["verify", "mappings/demo"]).expect(0);
}
